# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option in a guest that runs: at once, or waiting in each run until the restart, as the table of fields says. One guest for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.domain_cases.own_code import IMAGES, NETWORK
from support.domain_options import concerns, told
from support.domain_running import ALL_FIELDS, BATCHES, DISKS, MET, REFUSED, RUNS, is_live
from support.domain_runs import Run, cycled, one_process
from support.modules import apply
from support.virsh import clear, virsh

NAME = "vt-or"


def clean() -> None:
    clear(("destroy", NAME), ("undefine", "--nvram", NAME), ("net-destroy", NETWORK), ("net-undefine", NETWORK))
    for path in Path(IMAGES).parent.glob(f"{Path(IMAGES).name}*"):
        path.unlink()


@pytest.fixture(scope="module")
def run(libvirtd: None) -> Iterator[Run]:
    clean()
    try:
        apply("libvirt_network", {"name": NETWORK, "state": "active", "xml": "<network><bridge name='vt-or'/></network>"})
        for target in DISKS:
            Path(IMAGES + target).write_bytes(bytes(65536))
        with one_process() as found:
            assert not found({"name": NAME, "state": "paused", **RUNS})["failed"]
            yield found
    finally:
        clean()


@pytest.fixture(scope="module")
def as_it_runs(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], None]:
    """Defines the guest as it was started, whatever was said of it meanwhile."""
    kept = tmp_path_factory.mktemp("guest") / "guest.xml"
    kept.write_text(virsh("dumpxml", "--inactive", "--security-info", NAME))
    return lambda: print(virsh("define", str(kept)))


def test_at_once_or_pending_until_the_restart(run, as_it_runs):
    waited: dict[str, bool] = {}
    for batch in BATCHES:
        for options in (batch.one, batch.other):
            result = cycled(run, {"name": NAME, **options})
            assert result["restart_required"] is bool(result["pending"])
            for option in told(options):
                if option in ALL_FIELDS:
                    waits = concerns(result["pending"], option, ALL_FIELDS)
                    assert not (waits and is_live(option)), f"{option} waits: {result['pending']}"
                    waited[option] = waited.get(option, False) or waits
        as_it_runs()
    assert {option for option, waits in waited.items() if not waits and not is_live(option)} <= MET


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_libvirt_cannot_is_refused_and_changes_nothing(run, as_it_runs, case):
    before = virsh("dumpxml", "--inactive", NAME)
    for options in (case.one, case.other):
        result = run({"name": NAME, **case.beside, **options})
        if result["failed"]:
            assert case.missing in result["msg"] and result["code"] == "unsupported_configuration", result
            assert virsh("dumpxml", "--inactive", NAME) == before
        else:
            assert result["restart_required"] is bool(result["pending"])
    as_it_runs()


#: Of all kinds, what starts on any machine.
STARTS = {
    "boot_menu": {"enable": True, "timeout": 1},
    "smbios": "sysinfo",
    "sysinfo": {"system": {"serial": "vt"}, "oem_strings": ["one"]},
    "clock": {"offset": "variable", "adjustment": 60, "basis": "utc", "timers": [{"name": "rtc", "tickpolicy": "catchup"}]},
    "features": {"vmport": False, "pmu": False, "hyperv": {"mode": "custom", "relaxed": True}},
    "cpu": {
        "mode": "custom",
        "model": "Nehalem",
        "fallback": "allow",
        "topology": {"sockets": 1, "dies": 1, "cores": 2, "threads": 1},
        "features": [{"name": "vmx", "policy": "disable"}, {"name": "aes", "policy": "optional"}],
    },
    "vcpus": 2,
    "memory": "128M",
    "memory_backing": {"source": "memfd", "access": "shared"},
    "iothreads": 1,
    "disks": [
        {
            **RUNS["disks"][0],
            "cache": "writeback",
            "discard": "unmap",
            "iothread": 1,
            "serial": "A1",
            "logical_block_size": 512,
            "iotune": {"read_bytes_sec": "1M"},
        }
    ],
    "interfaces": [{**RUNS["interfaces"][0], "model": "e1000", "mtu": 1400, "isolated": True}],
    "serial": [{"type": "pty"}, {"type": "null"}],
    "video": {"model": "qxl", "vram": "16M"},
    "graphics": {"type": "vnc", "listen": "127.0.0.1", "port": -1},
    "watchdog": {"model": "i6300esb", "action": "none"},
    "rng": {"backend": "builtin", "rate": {"bytes": 1024, "period": 500}},
    "channels": [{"name": "vt.a", "type": "unix"}, {"name": "vt.b", "type": "null"}],
    "pm": {"suspend_to_mem": False},
    "metadata": "<a:x xmlns:a='urn:vt:a'/>",
}


def test_after_the_restart_nothing_is_pending(run):
    options = {"name": NAME, "state": "paused", **STARTS}
    waits = cycled(run, options)["pending"]
    assert len(waits) > 20
    restarted = cycled(run, {**options, "restart": "if_required", "timeout": 0, "force": True})
    assert restarted["pending"] == [] and not restarted["restart_required"]
    fewer = {**options, "cpu": {"features": []}, "metadata": ""}
    assert sorted(cycled(run, fewer)["pending"]) == ["cpu/feature[aes]", "cpu/feature[vmx]"] and "<ns0:x" not in virsh("dumpxml", NAME)
