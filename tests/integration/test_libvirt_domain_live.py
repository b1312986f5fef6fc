# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest that runs: what changes at once, what waits, and that both are foretold. One guest is booted for all of it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Tuple

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.fields import LIVE, TABLE
from support import modules, tiny
from support.domain_running import block_device
from support.modules import apply, check, cycle, refused, run_module, settled
from support.virsh import clear, virsh

MODULE = "libvirt_domain"
NAME, NETWORKS = "vt-lv", ("vt-lv-a", "vt-lv-b")
IMAGES = Path("/var/lib/libvirt/images")
LOG = Path("/var/log/libvirt/qemu/vt-lv-console.log")
BASE: Dict[str, Any] = {"name": NAME, "timeout": 60}

#: What the options cannot say yet, or what the tests change.
XML = """
<domain>
  <maxMemory slots="4" unit="MiB">1024</maxMemory>
  <iothreads>1</iothreads>
  <cpu><numa><cell id="0" cpus="0-2" memory="256" unit="MiB"/></numa></cpu>
  <devices>
    <controller type="virtio-serial" index="0"/>
    <controller type="scsi" index="0" model="virtio-scsi"/>
    <controller type="usb" index="0" model="piix3-uhci"/>
  </devices>
</domain>
"""


def image(name: str, *words: str) -> str:
    path = IMAGES / name
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *words, str(path), *([] if words else ["8M"])], check=True)
    return str(path)


def remove(*names: str) -> None:
    undefine = ("undefine", "--managed-save", "--snapshots-metadata", "--nvram")
    clear(*(words for name in names for words in (("destroy", name), (*undefine, name))))


def clean() -> None:
    remove(NAME, NAME + "-2", NAME + "-3")
    clear(*((word, network) for network in NETWORKS for word in ("net-destroy", "net-undefine")))
    for path in (*IMAGES.glob("vt-lv*"), LOG):
        path.unlink(missing_ok=True)


@pytest.fixture(scope="module", autouse=True)
def guest(libvirtd: None) -> Iterator[None]:
    clean()
    boot = tiny.folder()
    try:
        for place, network in enumerate(NETWORKS):
            apply("libvirt_network", {"name": network, "state": "active", "xml": f"<network><bridge name='vt-lv{place}'/></network>"})
        options = {
            **BASE,
            "state": "running",
            "type": "qemu",
            "machine": "pc",
            "memory": "256M",
            "current_memory": "240M",
            "vcpus": 1,
            "max_vcpus": 3,
            "kernel": str(boot / "vmlinuz"),
            "initrd": str(boot / "initrd.img"),
            "cmdline": "console=ttyS0 no_timer_check",  # the check fails where the machine is busy
            "console_log": str(LOG),
            "disks": [{"path": image("vt-lv-root.qcow2")}, {"device": "cdrom", "target": "hda", "bus": "ide"}],
            "interfaces": [USER, NIC],
            "graphics": {"type": "vnc", "listen": "127.0.0.1", "password": "first"},
            "memballoon": True,
            "xml": XML.replace("<devices>", "<features><acpi/><apic/></features><os><type>hvm</type></os><devices>"),
        }
        apply(MODULE, options)
        tiny.await_boot(LOG)
        yield
    finally:
        clean()


def kinds(result: Dict[str, Any]) -> List[str]:
    return [step["action"] for step in result["actions"]]


def active(name: str = NAME) -> str:
    return virsh("dumpxml", "--security-info", name)


def inactive(name: str = NAME) -> str:
    return virsh("dumpxml", "--inactive", "--security-info", name)


def on_a_network(inside: str) -> Dict[str, str]:
    return in_devices(f"<interface type='network'><mac address='52:54:00:00:aa:01'/><source network='{NETWORKS[0]}'/>{inside}</interface>")


def interface(inside: str, network: str = NETWORKS[0]) -> Dict[str, str]:
    user = f"<interface type='user'><mac address='{USER['mac']}'/></interface>"
    return in_devices(f"{user}<interface type='network'><mac address='52:54:00:00:aa:01'/><source network='{network}'/>{inside}</interface>")


def in_devices(inside: str) -> Dict[str, str]:
    return {"xml": f"<domain><devices>{inside}</devices></domain>"}


def in_domain(inside: str) -> Dict[str, str]:
    return {"xml": f"<domain>{inside}</domain>"}


def tuned(number: int) -> Dict[str, str]:
    """Shares of CPU, where what a part of the guest may use is never more than what the whole may."""
    wholes = f"<shares>{number}</shares><global_period>{number}</global_period><global_quota>{8 * number}</global_quota>"
    parts = "".join(f"<{part}period>{number}</{part}period><{part}quota>{number}</{part}quota>" for part in ("", "emulator_", "iothread_"))
    return in_domain(f"<cputune>{wholes}{parts}</cputune>")


def pinned(cpus: str) -> Dict[str, str]:
    return in_domain(
        f"<cputune><vcpupin vcpu='0' cpuset='{cpus}'/><emulatorpin cpuset='{cpus}'/><iothreadpin iothread='1' cpuset='{cpus}'/></cputune>"
    )


def slowed(rate: int) -> Dict[str, str]:
    tune = f"<iotune><read_bytes_sec>{rate}</read_bytes_sec><total_iops_sec>500</total_iops_sec></iotune>"
    return in_devices(f"<disk><target dev='vda'/>{tune}</disk><disk device='cdrom'><target dev='hda'/></disk>")


DIMM = "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"


def requested(size: int) -> Dict[str, str]:
    sizes = f"<block unit='MiB'>2</block><requested unit='MiB'>{size}</requested>"
    module = f"<memory model='virtio-mem'><target><size unit='MiB'>128</size><node>0</node>{sizes}</target></memory>"
    return {**in_devices(DIMM + module), "memory": "512M"}  # the balloon can have none of what the module might give


ROOT = {"path": "/var/lib/libvirt/images/vt-lv-root.qcow2", "target": "vda"}
DRIVE = {"device": "cdrom", "target": "hda", "bus": "ide"}
MORE = {"path": "/var/lib/libvirt/images/vt-lv-more.qcow2"}
USER = {"type": "user", "mac": "52:54:00:00:aa:00"}  # the first one, as it is soon served an address
NIC = {"source": NETWORKS[0], "mac": "52:54:00:00:aa:01"}
AGENT, NO_AGENT = {"guest_agent": True}, {"guest_agent": False}
Options = Dict[str, Any]
#: Rows of the table → the options that change them, those that change them back, and the action in the running guest for each.
CASES: Dict[Tuple[str, ...], Tuple[Options, Options, str, str]] = {
    ("title", "description"): ({"title": "A", "description": "B"}, {"title": "", "description": "C"}, "set_metadata", "set_metadata"),
    ("metadata",): (
        in_domain("<metadata><n:owner xmlns:n='urn:vt:owner' name='a&amp;b'/></metadata>"),
        in_domain("<metadata><n:owner xmlns:n='urn:vt:owner' name='c'/></metadata>"),
        "set_metadata",
        "set_metadata",
    ),
    ("currentMemory",): ({"memory": "256M", "current_memory": "220M"}, {"memory": "256M", "current_memory": "240M"}, "set_memory", "set_memory"),
    # After the balloon, which takes what it takes from the memory that the guest's system uses, and it uses none of a new module by itself;
    # before the limits, which a module must fit into.
    ("devices/memory[]",): (
        {**in_devices(DIMM), "memory": "384M", "current_memory": "360M"},  # of which the balloon then takes some again
        {},
        "attach_device",
        "",
    ),
    ("devices/memory/target/requested",): (requested(32), requested(64), "attach_device", "update_device"),
    ("iothreads",): ({"iothreads": 3}, {"iothreads": 1}, "add_iothread", "delete_iothread"),
    tuple(
        f"cputune/{name}"
        for name in [
            "shares",
            "period",
            "quota",
            "global_period",
            "global_quota",
            "emulator_period",
            "emulator_quota",
            "iothread_period",
            "iothread_quota",
        ]
    ): (tuned(10_000), tuned(20_000), "set_scheduler_parameters", "set_scheduler_parameters"),
    ("cputune/vcpupin", "cputune/emulatorpin", "cputune/iothreadpin"): (pinned("0"), pinned("0-1"), "pin_vcpu", "pin_emulator"),
    ("memtune/hard_limit", "memtune/soft_limit", "memtune/swap_hard_limit"): (
        in_domain(
            "<memtune><hard_limit unit='G'>2</hard_limit><soft_limit unit='G'>1</soft_limit><swap_hard_limit unit='G'>3</swap_hard_limit></memtune>"
        ),
        in_domain(
            "<memtune><hard_limit unit='G'>4</hard_limit><soft_limit unit='G'>2</soft_limit><swap_hard_limit unit='G'>5</swap_hard_limit></memtune>"
        ),
        "set_memory_parameters",
        "set_memory_parameters",
    ),
    ("blkiotune/weight",): (
        in_domain("<blkiotune><weight>500</weight></blkiotune>"),
        in_domain("<blkiotune><weight>600</weight></blkiotune>"),
        "set_blkio_parameters",
        "set_blkio_parameters",
    ),
    ("blkiotune/device",): (
        {"blkiotune": {"devices": [{"path": block_device(), "read_bytes_sec": 10_000_000, "write_iops_sec": 500}]}},
        {"blkiotune": {"devices": [{"path": block_device(), "read_bytes_sec": 0, "write_iops_sec": 600}]}},
        "set_blkio_parameters",
        "set_blkio_parameters",
    ),
    ("on_poweroff", "on_reboot", "on_crash"): (
        in_domain("<on_poweroff>restart</on_poweroff><on_reboot>restart</on_reboot><on_crash>restart</on_crash>"),
        in_domain("<on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>destroy</on_crash>"),
        "set_lifecycle_action",
        "set_lifecycle_action",
    ),
    ("devices/disk[]",): ({"disks": [ROOT, DRIVE, MORE]}, {"disks": [ROOT, DRIVE]}, "attach_device", "detach_device"),
    ("devices/disk/source", "devices/disk@type", "devices/disk/driver@type"): (
        {"disks": [ROOT, {**DRIVE, "path": "/var/lib/libvirt/images/vt-lv.iso"}]},
        {"disks": [ROOT, DRIVE]},
        "update_device",
        "update_device",
    ),
    ("devices/disk/iotune",): (slowed(1_000_000), {"disks": [{**ROOT, "iotune": {}}, DRIVE]}, "set_block_iotune", "set_block_iotune"),
    ("devices/interface[]",): ({"interfaces": [USER, NIC, {"type": "user"}]}, {"interfaces": [USER, NIC]}, "attach_device", "detach_device"),
    ("devices/interface/source",): (
        {"interfaces": [USER, {**NIC, "source": NETWORKS[1]}]},
        {"interfaces": [USER, NIC]},
        "update_device",
        "update_device",
    ),
    ("devices/interface/link",): (interface("<link state='down'/>"), interface("<link state='up'/>"), "update_device", "update_device"),
    ("devices/interface/filterref", "devices/interface/port"): (
        {"interfaces": [USER, {**NIC, "filter": "clean-traffic", "filter_parameters": {"IP": "198.51.100.4"}, "isolated": True}]},
        {"interfaces": [USER, {**NIC, "filter": "", "isolated": False}]},
        "update_device",
        "update_device",
    ),
    ("devices/interface/coalesce",): (
        interface("<coalesce><rx><frames max='7'/></rx></coalesce>"),
        interface("<coalesce><rx><frames max='9'/></rx></coalesce>"),
        "update_device",
        "update_device",
    ),
    ("devices/graphics@passwd",): (
        {"graphics": {"type": "vnc", "password": "second"}},
        {"graphics": {"type": "vnc", "password": "first"}},
        "update_device",
        "update_device",
    ),
    ("devices/channel[]",): (AGENT, NO_AGENT, "attach_device", "detach_device"),
    ("devices/rng[]",): ({"rng": {"model": "virtio"}}, {"rng": {}}, "attach_device", "detach_device"),
    ("devices/watchdog[]",): (in_devices("<watchdog model='i6300esb' action='none'/>"), {}, "attach_device", ""),
    ("devices/input[]",): (in_devices("<input type='tablet' bus='usb'/>"), {}, "attach_device", ""),
    ("devices/memballoon/stats",): (
        in_devices("<memballoon model='virtio'><stats period='7'/></memballoon>"),
        in_devices("<memballoon model='virtio'><stats period='5'/></memballoon>"),
        "set_memory_stats_period",
        "set_memory_stats_period",
    ),
}
#: Rows that wait, or wait from somewhere on, and the fields that are then pending.
WAITING: Dict[Tuple[str, ...], Tuple[Options, Options, List[str]]] = {
    ("",): ({"cmdline": "console=ttyS0"}, {"cmdline": "console=ttyS0 no_timer_check"}, ["os/cmdline"]),
    ("devices/interface/source@portgroup",): (
        {"interfaces": [USER, {**NIC, "portgroup": "a"}]},
        {"interfaces": [USER, {**NIC, "portgroup": ""}]},
        ["devices/interface[52:54:00:00:aa:01]/source@portgroup"],
    ),
    ("blkiotune/device/weight",): (
        {"blkiotune": {"devices": [{"path": block_device(), "weight": 500}]}},
        {"blkiotune": {"devices": []}},
        [f"blkiotune/device[{block_device()}]/weight"],
    ),
    ("devices/graphics@passwd",): (  # libvirt tells QEMU of no other password where there is none
        {"graphics": {"type": "vnc", "password": ""}},
        {"graphics": {"type": "vnc", "password": "first"}},
        ["devices/graphics@passwd"],
    ),
    ("vcpu", "vcpu@current"): (
        {"vcpus": 2, "max_vcpus": 4, "xml": XML.replace("0-2", "0-3")},
        {"vcpus": 2, "max_vcpus": 3, "xml": XML},
        ["vcpu", "cpu/numa/cell[0]@cpus"],
    ),
}
#: Rows with a test of their own.
OTHERS = {"memory": "test_a_guest_in_its_firmware", "devices/interface/bandwidth": "test_bandwidth"}


def test_every_row_of_the_table_has_a_case():
    cases = {path for paths in CASES for path in paths}
    assert cases | {path for paths in WAITING for path in paths} | set(OTHERS) == {row.path for row in TABLE}
    assert cases <= {row.path for row in TABLE if row.when == LIVE} <= cases | {"vcpu@current", "devices/interface/bandwidth"}
    assert all(name in globals() for name in OTHERS.values())


def fresh(options: Options) -> None:
    """What the options name and is not there yet."""
    for disk in options.get("disks", []):
        path = Path(disk.get("path", IMAGES))
        if path.suffix == ".iso":
            path.write_bytes(bytes(1024 * 1024))
        elif not path.exists():
            image(path.name)


@pytest.mark.parametrize("rows", CASES, ids=lambda rows: rows[0])
def test_at_once(rows):
    there, back, does, undoes = CASES[rows]
    fresh(there)
    for options, step in ((there, does), (back, undoes)) if back else ((there, does),):
        result = cycle(MODULE, {**BASE, **options})
        assert kinds(result)[0] == "define_domain" and step in kinds(result)[1:], result["actions"]
        assert result["pending"] == [] and not result["restart_required"]
    assert "virtops-guest alive" in LOG.read_text() and virsh("domstate", NAME).strip() == "running"


@pytest.mark.parametrize("rows", WAITING, ids=lambda rows: rows[0] or "anything else")
def test_what_waits_is_pending_until_it_is_taken_back(rows):
    there, back, fields = WAITING[rows]
    if "vcpu" in rows:
        result = cycle(MODULE, {**BASE, "vcpus": 2, "max_vcpus": 3})
        assert kinds(result) == ["define_domain", "set_vcpus"] and result["pending"] == [] and "current='2'" in active()
    result = cycle(MODULE, {**BASE, **there})
    assert kinds(result) == ["define_domain"] and sorted(result["pending"]) == sorted(fields) and result["restart_required"]
    assert check(MODULE, {**BASE, **there})["pending"] == result["pending"]
    assert cycle(MODULE, {**BASE, **back})["pending"] == []


SECOND, THIRD = NAME + "-2", NAME + "-3"
CPUS = os.cpu_count() or 1


def affinities(name: str) -> Set[str]:
    """The CPUs that the threads of a guest may run on."""
    pid = Path(f"/run/libvirt/qemu/{name}.pid").read_text().strip()
    found = (re.search(r"Cpus_allowed_list:\s*(\S+)", path.read_text()) for path in Path(f"/proc/{pid}/task").glob("*/status"))
    return {match[1] for match in found if match}


@pytest.fixture
def firmware() -> Iterator[Options]:
    """Another guest, which sits in its firmware and does nothing that it is asked to."""
    options = {"name": SECOND, "type": "qemu", "memory": "64M", "machine": "q35", "state": "running"}
    apply(MODULE, options)
    yield {"name": SECOND}
    remove(SECOND)


PINS: Options = {
    "vcpupin": [{"vcpu": 0, "cpuset": "0"}, {"vcpu": 1, "cpuset": "1"}],
    "emulatorpin": "0",
    "iothreadpin": [{"iothread": 1, "cpuset": "0"}],
}
#: Rows of tuning → what is said, what takes it away, and the actions that does in the running guest. Where there are none, what is pending.
TAKEN_AWAY: Dict[Tuple[str, ...], Tuple[Options, Options, List[str], List[str]]] = {
    ("cputune/vcpupin",): ({"cputune": PINS}, {"cputune": {"vcpupin": PINS["vcpupin"][:1]}}, ["pin_vcpu"], []),
    ("cputune/iothreadpin",): ({"cputune": PINS}, {"cputune": {"vcpupin": [], "iothreadpin": []}}, ["pin_vcpu", "pin_vcpu", "pin_iothread"], []),
    ("cputune/emulatorpin",): ({"cputune": PINS}, {"cputune": {}}, ["pin_vcpu", "pin_vcpu", "pin_emulator", "pin_iothread"], []),
    ("memtune/hard_limit", "memtune/soft_limit", "memtune/swap_hard_limit"): (
        {"memtune": {"hard_limit": "2G", "soft_limit": "1G", "swap_hard_limit": "3G"}},
        {"memtune": {}},
        ["set_memory_parameters"],
        [],
    ),
    tuple(path for paths in CASES for path in paths if path.startswith("cputune/") and "pin" not in path): (
        tuned(10_000),
        {"cputune": {}},
        [],
        ["cputune"],
    ),
    ("blkiotune/device",): (
        {"blkiotune": {"devices": [{"path": block_device(), "read_bytes_sec": 10_000_000, "write_iops_sec": 500}]}},
        {"blkiotune": {}},
        ["set_blkio_parameters"],
        [],
    ),
    ("blkiotune/weight",): ({"blkiotune": {"weight": 500}}, {"blkiotune": {}}, [], ["blkiotune"]),
}


def test_all_tuning_is_taken_away():
    rows = [row for row in TABLE if row.path.startswith(("cputune/", "memtune/", "blkiotune/")) and row.when == LIVE]
    for live in (True, False):
        cases = {path for paths, (_there, _away, steps, _pending) in TAKEN_AWAY.items() for path in paths if bool(steps) is live}
        assert cases == {row.path for row in rows if row.goes is live}


@pytest.mark.parametrize("rows", TAKEN_AWAY, ids=lambda rows: rows[0])
def test_what_is_taken_away_goes_at_once_or_is_pending(firmware, rows):
    there, away, steps, pending = TAKEN_AWAY[rows]
    start = {**firmware, "vcpus": 2, "iothreads": 1, "restart": "if_required", "timeout": 0, "force": True}
    assert apply(MODULE, start)["pending"] == [] and "tune" not in active(SECOND)
    assert cycle(MODULE, {**firmware, **there})["pending"] == []
    result = cycle(MODULE, {**firmware, **away})
    assert kinds(result) == ["define_domain", *steps] and result["pending"] == pending
    if "memtune" in there:
        assert virsh("memtune", SECOND).count("unlimited") == 3 and "memtune" not in active(SECOND)
    if steps and away == {"cputune": {}}:
        assert affinities(SECOND) == {"0-" + str(CPUS - 1)}
        apply(MODULE, {**firmware, "state": "saved"})
        assert check(MODULE, firmware)["pending"] == [] and not check(MODULE, {**firmware, **away})["changed"]
        assert cycle(MODULE, {**firmware, **away, "state": "running"})["pending"] == []


def test_bandwidth(firmware):
    """Where the kernel has what libvirt shapes traffic with; where not, one sentence, and the next run goes on from there."""
    apply(MODULE, {**firmware, "interfaces": [NIC]})
    shaped = [on_a_network(f"<bandwidth><inbound average='{rate}'/></bandwidth>") for rate in (1000, 2000)]
    subprocess.run(["ip", "link", "add", "vt-lvq", "type", "bridge"], check=True)
    try:
        able = subprocess.run(["tc", "qdisc", "add", "dev", "vt-lvq", "root", "sfq"], capture_output=True, check=False).returncode == 0
    finally:
        subprocess.run(["ip", "link", "del", "vt-lvq"], check=True)
    if able:
        for options in (*shaped, {"interfaces": [{**NIC, "bandwidth": {}}]}):
            assert kinds(cycle(MODULE, {**firmware, **options})) == ["define_domain", "update_device"]
        return
    predicted = check(MODULE, {**firmware, **shaped[0]})
    assert kinds(predicted) == ["define_domain", "update_device"] and predicted["pending"] == []
    assert "the running guest does not take it" in refused(MODULE, {**firmware, **shaped[0]}, "libvirt_error")
    assert kinds(check(MODULE, {**firmware, **shaped[0]})) == ["update_device"]


def test_a_guest_in_its_firmware(firmware):
    """It takes what needs no system. What needs one waits, or is one sentence, and the next run goes on from there."""
    result = cycle(MODULE, {**firmware, "memory": "96M"})
    assert result["pending"] == ["memory", "currentMemory"] and kinds(result) == ["define_domain"]
    lower = cycle(MODULE, {**firmware, "memory": "96M", "current_memory": "32M"})
    assert lower["pending"] == ["memory"] and kinds(lower) == ["define_domain", "set_memory"] and "does not answer" in str(lower["warnings"])
    taken = cycle(MODULE, {**firmware, "interfaces": [{"type": "user"}]})
    assert kinds(taken) == ["define_domain", "attach_device"] and taken["pending"] == []
    message = refused(MODULE, {**firmware, "interfaces": [], "timeout": 1}, "detach_timeout")
    assert "did not give it back" in message and "<interface" not in inactive(SECOND)
    assert kinds(check(MODULE, {**firmware, "interfaces": []})) == ["detach_device"]


def test_where_no_slot_is_free_the_device_waits(firmware):
    """PCIe has as many slots as it was born with."""
    nics = [{"type": "user"}] * 6
    result = cycle(MODULE, {**firmware, "interfaces": nics})
    attached = kinds(result).count("attach_device")
    assert 0 < attached < len(nics) and len(result["pending"]) == len(nics) - attached == len([p for p in result["pending"] if "interface" in p])


def test_pins_wait_for_what_comes_with_the_next_start(firmware):
    pins = {"vcpupin": [{"vcpu": 0, "cpuset": "0"}, {"vcpu": 2, "cpuset": "0"}], "iothreadpin": [{"iothread": 1, "cpuset": "0"}]}
    result = cycle(MODULE, {**firmware, "vcpus": 3, "iothreads": 1, "cputune": pins})
    assert kinds(result) == ["define_domain", "add_iothread", "pin_vcpu", "pin_iothread"]
    assert sorted(result["pending"]) == ["cputune/vcpupin[2]", "vcpu"]


def test_a_paused_guest_gives_nothing_back(firmware):
    apply(MODULE, {**firmware, "interfaces": [{"type": "user", "mac": "52:54:00:00:aa:02"}], "state": "paused"})
    result = cycle(MODULE, {**firmware, "interfaces": []})
    assert kinds(result) == ["define_domain"] and result["pending"] == ["devices/interface[52:54:00:00:aa:02]"]


def test_a_device_comes_to_the_place_that_it_has_after_a_restart():
    apply(MODULE, {**BASE, "rng": {"model": "virtio"}, "interfaces": [USER, NIC, {"type": "user", "mac": "52:54:00:00:aa:03"}]})
    places = [re.findall(r"(?s)<(rng|interface) .*?(<address type='pci'.*?/>)", text) for text in (active(), inactive())]
    assert places[0] == places[1] and len(places[0]) == 4
    uuid = virsh("domuuid", NAME)
    apply(MODULE, {**BASE, "rng": {}, "interfaces": [USER, NIC]})
    assert virsh("domuuid", NAME) == uuid and active().count("<interface") == 2


def test_a_restart_where_it_is_required(firmware):
    late = {**firmware, "memory": "96M", "restart": "if_required"}
    assert "still running" in refused(MODULE, {**late, "timeout": 1}, "shutdown_timeout")
    assert check(MODULE, {**firmware, "memory": "96M"})["pending"] == ["memory", "currentMemory"]
    now = cycle(MODULE, {**late, "timeout": 0, "force": True})
    assert kinds(now) == ["shut_down_domain", "start_domain"] and now["pending"] == []
    both = cycle(MODULE, {**late, "timeout": 0, "force": True, "memory": "64M", "title": "T", "state": "paused"})
    assert kinds(both) == ["define_domain", "shut_down_domain", "start_domain"] and both["resource"]["state"] == "paused"
    assert kinds(cycle(MODULE, {**firmware, "restart": "if_required", "title": "live"})) == ["define_domain", "set_metadata"]
    message = refused(MODULE, {**late, "memory": "80M"}, "invalid_state_change")
    assert "paused" in message and "81920" not in inactive(SECOND)


def test_a_restart_that_fails_is_taken_back_and_the_guest_runs_again(firmware):
    before = inactive(SECOND)
    options = {**firmware, "kernel": "/vt-lv-no-kernel", "restart": "if_required", "timeout": 0, "force": True}
    message = refused(MODULE, options, "start_failed")
    assert "vt-lv-no-kernel" in message and "runs again" in message
    assert inactive(SECOND) == before and virsh("domstate", SECOND).strip() == "running"
    apply(MODULE, {**firmware, "kernel": "/vt-lv-no-kernel"})  # pending from another run
    assert "runs again" in refused(MODULE, options, "start_failed")
    assert "vt-lv-no-kernel" not in inactive(SECOND) and virsh("domstate", SECOND).strip() == "running"


def test_saved_memory(firmware):
    assert kinds(cycle(MODULE, {**firmware, "state": "saved"})) == ["save_domain"]
    assert settled(MODULE, {**firmware, "state": "shutoff"})["resource"]["state"] == "saved"
    changed = cycle(MODULE, {**firmware, "memory": "96M"})
    assert kinds(changed) == ["define_domain"] and changed["pending"] == ["memory", "currentMemory"]
    back = cycle(MODULE, {**firmware, "memory": "96M", "state": "running"})
    assert kinds(back) == ["start_domain"] and back["pending"] == ["memory", "currentMemory"]
    apply(MODULE, {**firmware, "state": "paused"})
    cycle(MODULE, {**firmware, "state": "saved"})
    assert kinds(cycle(MODULE, {**firmware, "state": "running", "title": "on the way"})) == ["define_domain", "start_domain", "set_metadata"]
    cycle(MODULE, {**firmware, "state": "saved"})
    refused(MODULE, {**firmware, "state": "absent", "remove_managed_save": False}, "has_managed_save", check_mode=True)
    assert kinds(cycle(MODULE, {**firmware, "state": "shutoff", "force": True})) == ["discard_saved_domain"]
    refused(MODULE, {**firmware, "state": "saved"}, "invalid_state_change", check_mode=True)
    apply(MODULE, {**firmware, "state": "running"})
    apply(MODULE, {**firmware, "state": "saved"})
    assert kinds(cycle(MODULE, {**firmware, "state": "absent"})) == ["undefine_domain"]


def test_snapshots_go_only_where_they_may():
    options = {"name": THIRD, "type": "qemu", "memory": "64M", "disks": [{"path": image("vt-lv-3.qcow2")}]}
    apply(MODULE, options)
    virsh("snapshot-create-as", THIRD, "one", "--disk-only", "--diskspec", "vda,file=/var/lib/libvirt/images/vt-lv-3-one.qcow2")
    refused(MODULE, {"name": THIRD, "state": "absent", "remove_snapshots": False}, "has_snapshots", check_mode=True)
    gone = cycle(MODULE, {"name": THIRD, "state": "absent"})
    assert gone["actions"] == [{"action": "undefine_domain", "target": THIRD, "snapshots": True}]


def test_disks_go_only_where_nobody_needs_them():
    base, own = image("vt-lv-base.qcow2"), image("vt-lv-own.qcow2")
    image("vt-lv-top.qcow2", "-b", base, "-F", "qcow2")
    shared, iso, locked = image("vt-lv-shared.qcow2"), IMAGES / "vt-lv-3.iso", image("vt-lv-locked.qcow2")
    iso.write_bytes(bytes(4096))
    apply(MODULE, {"name": SECOND, "type": "qemu", "memory": "64M", "disks": [{"path": shared}]})
    disks = [{"path": path} for path in (own, base, shared)]
    disks += [{"path": locked, "readonly": True}, {"path": str(iso), "device": "cdrom"}, {"path": "/dev/vt-lv"}, {"path": "/srv/vt-lv-none"}]
    apply(MODULE, {"name": THIRD, "type": "qemu", "memory": "64M", "disks": disks})
    try:
        kept = check(MODULE, {"name": THIRD, "state": "absent"})
        assert kinds(kept) == ["undefine_domain"] and not kept.get("warnings")
        gone = cycle(MODULE, {"name": THIRD, "state": "absent", "remove_disks": True})
        assert gone["actions"][1:] == [{"action": "remove_disk", "target": THIRD, "path": own}]
        said = str(gone["warnings"])
        assert (
            f"{base} stays, because {IMAGES}/vt-lv-top.qcow2 stands on it" in said and f"{shared} stays, because the guest {SECOND} uses it" in said
        )
        assert f"{locked} stays, because it is read-only" in said
        assert not Path(own).exists() and all(Path(path).exists() for path in (base, shared, iso, locked))
    finally:
        remove(SECOND, THIRD)


def test_volumes_go_as_volumes():
    pool = IMAGES / "vt-lv-pool"
    pool.mkdir(exist_ok=True)
    try:
        virsh("pool-create-as", "vt-lv-pool", "dir", "--target", str(pool))
        virsh("vol-create-as", "vt-lv-pool", "one.img", "1M")
        apply(MODULE, {"name": THIRD, "type": "qemu", "memory": "64M", "disks": [{"pool": "vt-lv-pool", "volume": "one.img"}]})
        gone = cycle(MODULE, {"name": THIRD, "state": "absent", "remove_disks": True})
        assert gone["actions"][-1] == {"action": "remove_disk", "target": THIRD, "pool": "vt-lv-pool", "volume": "one.img"}
        assert not (pool / "one.img").exists()
    finally:
        remove(THIRD)
        subprocess.run(["virsh", "-q", "pool-destroy", "vt-lv-pool"], capture_output=True, check=False)
        for left in pool.glob("*"):
            left.unlink()
        pool.rmdir()


def test_many_guests_and_one_connection(tmp_path):
    """libvirt.open is counted by a libvirt of our own that hands everything on to the real one."""
    (tmp_path / "libvirt.py").write_text(
        "import importlib.util, os, pathlib, sys\n"
        "path = [p for p in sys.path if p != os.path.dirname(__file__)]\n"
        "spec = importlib.machinery.PathFinder.find_spec('libvirt', path)\n"
        "real = importlib.util.module_from_spec(spec); spec.loader.exec_module(real)\n"
        "globals().update(vars(real)); _open = real.open\n"
        "def open(uri):\n    pathlib.Path(os.environ['VT_LOG']).open('a').write('x')\n    return _open(uri)\n"
    )
    log = tmp_path / "log"
    guests = [{"name": f"vt-lv-many{place}", "memory": "64M", "type": "qemu"} for place in range(3)]
    env = {"PYTHONPATH": f"{tmp_path}:{modules.python_path()}", "VT_LOG": str(log)}
    result = run_module("virt_host", {"guests": guests, "networks": [{"name": NETWORKS[0]}]}, check=True, env=env)
    assert not result["failed"] and len(result["actions"]) == 3, result
    assert log.read_text() == "x"


def test_a_graceful_restart_of_a_guest_that_answers():
    """The last one, as it ends what the others changed: the guest is asked, goes down by itself and comes up with what waited."""
    # With limits of its memory a guest locks some of it, which not every machine that tests run on allows at a start.
    virsh("memtune", NAME, "--hard-limit", "-1", "--soft-limit", "-1", "--swap-hard-limit", "-1", "--config")
    options = {**BASE, "cmdline": "console=ttyS0 no_timer_check again", "restart": "if_required", "timeout": 120}
    result = cycle(MODULE, options)
    assert kinds(result) == ["define_domain", "shut_down_domain", "start_domain"] and result["pending"] == []
