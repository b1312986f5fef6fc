# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from support import modules
from support.modules import apply, check, cycle, option_cycle, refused, run_module, settled
from support.virsh import clear, virsh

NAME = "vt-guest"
MODULE = "libvirt_domain"
BASE: Dict[str, Any] = {"name": NAME}
NEW: Dict[str, Any] = {**BASE, "type": "qemu", "memory": "64M"}
GOLDEN = sorted((Path(__file__).parent / "data/domains").glob("*.xml"))


def dump(*words: str) -> str:
    return virsh("dumpxml", "--inactive", *words, NAME)


def remove(name: str = NAME) -> None:
    clear(("destroy", name), ("undefine", "--managed-save", "--snapshots-metadata", "--nvram", name))


@pytest.fixture(autouse=True)
def clean(libvirtd: None) -> Iterator[None]:
    remove()
    yield
    remove()


@pytest.fixture
def defined() -> Dict[str, Any]:
    apply(MODULE, {**NEW, "machine": "q35"})
    return BASE


@pytest.fixture
def running() -> Dict[str, Any]:
    """A guest without any disk, that sits in its firmware."""
    apply(MODULE, {**NEW, "state": "running"})
    return BASE


def actions(result: Dict[str, Any]) -> list[str]:
    return [step["action"] for step in result["actions"]]


def test_the_life_of_a_guest():
    assert actions(cycle(MODULE, {**NEW, "state": "running"})) == ["define_domain", "start_domain"]
    settled(MODULE, {**NEW, "state": "present"})
    assert actions(cycle(MODULE, {**BASE, "state": "paused"})) == ["suspend_domain"]
    assert actions(cycle(MODULE, {**BASE, "state": "running"})) == ["resume_domain"]
    off = {**BASE, "state": "shutoff", "timeout": 0, "force": True}
    assert actions(cycle(MODULE, off)) == ["shut_down_domain"]
    assert actions(cycle(MODULE, {**BASE, "state": "paused"})) == ["start_domain"]
    assert actions(cycle(MODULE, {**BASE, "state": "absent", "force": True})) == ["destroy_domain", "undefine_domain"]


def test_a_guest_that_does_not_shut_down(running):
    refused(MODULE, {**running, "state": "shutoff", "timeout": 1}, "shutdown_timeout")
    refused(MODULE, {**running, "state": "absent", "timeout": 1}, "shutdown_timeout")
    apply(MODULE, {**running, "state": "paused"})
    refused(MODULE, {**running, "state": "shutoff"}, "invalid_state_change", check_mode=True)
    assert actions(cycle(MODULE, {**running, "state": "absent", "force": True})) == ["destroy_domain", "undefine_domain"]


DISK = {"path": "/var/lib/libvirt/images/vt-none.qcow2"}
BLOCK = {"path": "/dev/vt-none"}
CDROM = {"device": "cdrom", "target": "sdc"}
#: Several options at a time, each with two values, and the field of the definition that each must change.
OPTIONS: list[Dict[str, tuple[Any, Any, str]]] = [
    {
        "title": ("A guest", "", "title"),
        "description": ("It\nhas lines", "and one", "description"),
        "type": ("kvm", "qemu", "@type"),
        "memory": ("96MiB", "100000 KB", "memory"),
        "current_memory": ("32MiB", "48M", "currentMemory"),
        "vcpus": (2, 3, "vcpu"),
        "cpu": ({"mode": "custom", "model": "Nehalem"}, {"mode": "host-model"}, "cpu"),
        "disks": ([DISK, {**BLOCK, "bus": "sata"}, CDROM], [{**DISK, "format": "raw"}, CDROM], "devices/disk"),
        "interfaces": ([{"source": "default"}, {"type": "user", "model": "e1000"}], [{"type": "bridge", "source": "br0"}], "devices/interface"),
        "kernel": ("/boot/vt", "/boot/vt2", "os/kernel"),
        "initrd": ("/boot/vt-initrd", "", "os/initrd"),
        "cmdline": ("console=ttyS0 a='b'", "quiet  two  spaces", "os/cmdline"),
        "boot": (["network", "hd"], ["hd", "network"], "os/boot"),
        "console_log": ("/var/log/libvirt/vt.log", "/var/log/libvirt/vt2.log", "devices/serial"),
        "graphics": ({"type": "vnc", "listen": "127.0.0.1", "port": 5999}, {"type": "none"}, "devices/graphics"),
        "rng": ({"model": "virtio"}, {}, "devices/rng"),
        "guest_agent": (True, False, "devices/channel"),
        "memballoon": (False, True, "devices/memballoon"),
    },
    {
        "machine": ("pc", "q35", "os/type@machine"),
        "disks": ([{**DISK, "bus": "sata", "boot_order": 1}], [{**DISK, "bus": "scsi", "target": "sda", "boot_order": 0}], "devices/disk"),
        "interfaces": ([{"type": "user", "mac": "52:54:00:AA:00:01", "boot_order": 2}], [{"type": "user", "boot_order": 3}], "devices/interface"),
        "console": (True, False, "devices/serial"),
        "cpu": ({"mode": "maximum"}, {"mode": "host-model"}, "cpu"),
        "graphics": ({"type": "vnc", "listen": "127.0.0.1"}, {"type": "vnc", "listen": "::1", "port": 5998}, "devices/graphics"),
    },
    {
        "machine": ("pc-i440fx-7.2", "pc-q35-7.1", "os/type@machine"),
        "arch": ("i686", "x86_64", "os/type@arch"),
        "disks": ([{**DISK, "readonly": True, "serial": "A1"}], [{**DISK, "readonly": False, "serial": ""}], "devices/disk"),
        "interfaces": ([{"type": "user"}, {"source": "default"}], [], "devices/interface"),
        "graphics": ({"type": "vnc", "port": 5998}, {"type": "spice", "port": -1}, "devices/graphics"),
    },
    {
        "disks": ([{"pool": "default", "volume": "vt-none.img"}, {**CDROM, "path": "/vt.iso"}], [DISK, CDROM], "devices/disk"),
        "interfaces": ([{"type": "user"}, {"type": "user", "model": "e1000"}], [{"type": "user", "model": "rtl8139"}], "devices/interface"),
    },
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options)[:40])
def test_each_option_of_a_defined_guest(defined, options):
    for which in (0, 1, 0):
        result = cycle(MODULE, {**defined, **{name: values[which] for name, values in options.items()}})
        changes = result["actions"][0]["changes"]
        for name, values in options.items():
            assert any(change.startswith(values[2]) for change in changes), f"{name} changed nothing: {changes}"


def test_autostart(defined):
    option_cycle(MODULE, defined, "autostart", True, False)


def test_options_without_a_way_back_to_nothing(defined):
    cycle(MODULE, {**defined, "kernel": "/boot/vt", "initrd": "/boot/vt-i", "cmdline": "x", "console_log": "/var/log/libvirt/vt.log"})
    cycle(MODULE, {**defined, "kernel": "", "initrd": "", "cmdline": "", "console_log": ""})
    cycle(MODULE, {**defined, "boot": []} if "<boot" not in dump() else {**defined, "boot": ["cdrom"]})


def test_new_devices_are_virtio_and_old_ones_stay(defined):
    cycle(MODULE, {**defined, "disks": [DISK], "interfaces": [{"type": "user"}], "rng": {"model": "virtio"}})
    xml = dump()
    assert "<target dev='vda' bus='virtio'/>" in xml and "type='qcow2'" in xml and xml.count("<model type='virtio'/>") == 1
    assert "<rng model='virtio'>" in xml
    cycle(MODULE, {**defined, "disks": [{**DISK, "target": "vda", "format": "raw"}]})
    cycle(MODULE, {**defined, "disks": [{**DISK, "serial": "one"}]})
    assert "type='raw'" in dump()


def test_every_option_at_once_and_then_one_less():
    everything = {
        **NEW,
        "disks": [DISK, {"device": "cdrom"}],
        "interfaces": [{"type": "user"}, {"source": "vt-no-such-network", "mac": "52:54:00:11:22:33"}],
        "console_log": "/var/log/libvirt/vt.log",
        "graphics": {"type": "vnc"},
        "rng": {"model": "virtio"},
        "guest_agent": True,
        "cpu": {"mode": "host-model"},
        "vcpus": 2,
        "title": "All",
    }
    cycle(MODULE, everything)
    cycle(MODULE, {**everything, "disks": [DISK]})
    settled(MODULE, {"xml": dump("--security-info")})


def test_mac_addresses_and_uuid_survive():
    options = {**NEW, "interfaces": [{"type": "user"}, {"source": "default"}]}
    made = cycle(MODULE, options)["resource"]
    apply(MODULE, {**BASE, "state": "absent"})
    again = cycle(MODULE, options)["resource"]
    assert again["macs"] == made["macs"] and len(set(made["macs"])) == 2
    fewer = cycle(MODULE, {**options, "interfaces": [{"source": "default"}]})["resource"]
    assert fewer["macs"] == made["macs"][1:] and fewer["uuid"] == again["uuid"]
    assert len(set(cycle(MODULE, {**options, "interfaces": [{"source": "default"}, {"type": "user"}]})["resource"]["macs"])) == 2


def test_a_running_guest_has_pending_fields_until_it_starts_again(running):
    changed = cycle(MODULE, {**running, "memory": "96M", "vcpus": 2, "disks": []})
    assert actions(changed) == ["define_domain"] and changed["restart_required"]
    assert changed["pending"] == ["memory", "currentMemory", "vcpu"]
    assert settled(MODULE, {**running, "memory": "96M"})["pending"] == ["memory", "currentMemory"]
    apply(MODULE, {**running, "state": "shutoff", "timeout": 0, "force": True})
    assert cycle(MODULE, {**running, "state": "running", "memory": "96M"})["pending"] == []


def test_a_host_model_cpu_is_not_pending():
    options = {**NEW, "state": "running", "cpu": {"mode": "host-model"}, "graphics": {"type": "vnc", "port": -1}, "interfaces": [{"type": "user"}]}
    assert cycle(MODULE, options)["pending"] == []


def test_a_start_that_fails_says_why_and_goes_back():
    settled_options = {**NEW, "state": "present"}
    apply(MODULE, settled_options)
    before = dump()
    message = refused(MODULE, {**BASE, "state": "running", "interfaces": [{"source": "vt-no-such-network"}]}, "start_failed")
    assert "vt-no-such-network" in message and "back in place" in message
    assert dump() == before
    result = run_module(MODULE, {**BASE, "state": "running", "kernel": "/vt-no-such-kernel"})
    assert result["failed"] and not result["changed"] and "vt-no-such-kernel" in result["msg"]
    settled(MODULE, settled_options)


def test_a_new_guest_that_does_not_start_stays_defined():
    refused(MODULE, {**NEW, "state": "running", "interfaces": [{"source": "vt-no-such-network"}]}, "start_failed")
    assert actions(cycle(MODULE, {**NEW, "state": "running", "interfaces": []})) == ["define_domain", "start_domain"]


def test_golden_domains():
    """Each definition: predicted exactly, unchanged the second time, the same when fed back, and adopted when virsh defined it."""
    script = Path(__file__).parents[1] / "support/golden_domains.py"
    done = subprocess.run(
        [modules.TARGET_PYTHON, str(script), NAME, *map(str, GOLDEN)],
        env={**os.environ, "PYTHONPATH": modules.python_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    results = json.loads(done.stdout)
    assert len(results) == len(GOLDEN) >= 20
    assert {stem: problems for stem, problems in results.items() if problems} == {}


def test_options_go_on_top_of_xml():
    xml = (
        "<domain type='qemu'><memory>65536</memory><os><type>hvm</type></os><devices><disk type='file'><target dev='vda'/></disk></devices></domain>"
    )
    cycle(MODULE, {**BASE, "xml": xml, "memory": "96M", "disks": [], "title": "On top"})
    xml = dump()
    assert "<disk" not in xml and "98304" in xml


def test_what_a_task_does_not_say_stays(defined):
    apply(MODULE, {**defined, "disks": [DISK], "rng": {"model": "virtio"}, "title": "T"})
    before = dump()
    cycle(MODULE, {**defined, "vcpus": 2})
    assert dump() == before.replace(">1</vcpu>", ">2</vcpu>")


def test_an_equal_guest_of_virsh_is_adopted():
    xml = f"""<domain type='qemu'><name>{NAME}</name><memory unit='MiB'>64</memory><os><type machine='q35'>hvm</type></os><devices>
      <disk type='file'><driver name='qemu' type='qcow2'/><source file='/var/lib/libvirt/images/vt.img'/><target dev='vda' bus='virtio'/></disk>
      <interface type='user'><model type='e1000'/></interface></devices></domain>"""
    virsh("define", "/dev/stdin", stdin=xml)
    options = {**BASE, "memory": "64M", "machine": "q35", "disks": [{"path": "/var/lib/libvirt/images/vt.img"}], "interfaces": [{"type": "user"}]}
    settled(MODULE, {**options, "type": "auto"})


def test_a_transient_guest_is_made_persistent():
    virsh("create", "/dev/stdin", stdin=f"<domain type='qemu'><name>{NAME}</name><memory>65536</memory><os><type>hvm</type></os></domain>")
    made = cycle(MODULE, {**BASE, "state": "running"})
    assert actions(made) == ["define_domain"] and made["resource"]["persistent"]
    apply(MODULE, {**BASE, "state": "absent", "timeout": 0, "force": True})
    virsh("create", "/dev/stdin", stdin=f"<domain type='qemu'><name>{NAME}</name><memory>65536</memory><os><type>hvm</type></os></domain>")
    assert actions(cycle(MODULE, {**BASE, "state": "absent", "timeout": 0, "force": True})) == ["shut_down_domain"]


def test_auto_is_what_the_proof_says(defined):
    settled(MODULE, {**defined, "type": "auto"})
    made = check(MODULE, {"name": NAME + "-t", "memory": "64M", "uri": "test:///default"})
    assert actions(made) == ["define_domain"]


def test_libvirts_own_test_driver():
    uri = {"uri": "test:///default"}
    assert actions(apply(MODULE, {"name": "vt-t", "memory": "64M", "state": "running", **uri})) == ["define_domain", "start_domain"]
    assert actions(apply(MODULE, {"name": "test", "state": "paused", **uri})) == ["suspend_domain"]
    assert actions(apply(MODULE, {"name": "test", "state": "absent", **uri})) == ["shut_down_domain", "undefine_domain"]


def test_what_libvirt_does_not_keep_is_a_warning_and_no_change():
    xml = "<domain type='qemu'><memory>65536</memory><os><type>hvm</type></os><devices><colour>red</colour></devices></domain>"
    first = apply(MODULE, {**BASE, "xml": xml})
    assert first["changed"] and "devices/colour" in str(first["warnings"])
    again = settled(MODULE, {**BASE, "xml": xml})
    assert "devices/colour" in str(again["warnings"])
    virsh("define", "/dev/stdin", stdin=dump().replace(">65536</memory>", ">131072</memory>"))
    assert run_module(MODULE, {**BASE, "xml": xml})["changed"]


def test_passwords_are_kept_and_never_shown(defined):
    xml = "<domain><devices><graphics type='vnc' passwd='se&quot;cret'/></devices></domain>"
    made = apply(MODULE, {**defined, "xml": xml})
    assert "secret" not in str(made["resource"]) + str(made["diff"]) + str(made["actions"]) and 'se"cret' not in str(made["diff"])
    settled(MODULE, {**defined, "xml": xml})
    cycle(MODULE, {**defined, "vcpus": 2})
    assert "passwd='se&quot;cret'" in dump("--security-info") or "passwd='se\"cret'" in dump("--security-info")


HOSTILE = ["a'b\"<c>&amp;", "</title><on_reboot>destroy</on_reboot>", "$(touch /tmp/vt-x) `id` ünï 𐍈"]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text(defined, text):
    path = "/srv/" + text.replace("/", "")
    options = {
        "title": text,
        "description": text,
        "cmdline": text,
        "kernel": path,
        "disks": [{"path": path, "serial": "x"}],
        "interfaces": [{"source": text}],
        "console_log": path,
    }
    cycle(MODULE, {**defined, **options})
    assert "<on_reboot>restart</on_reboot>" in dump()


@pytest.mark.parametrize("name", ["vt-a'b\"<c>&amp;", "vt-$(id) space"])
def test_names_stay_names(name):
    try:
        cycle(MODULE, {**NEW, "name": name})
        cycle(MODULE, {"name": name, "state": "absent"})
    finally:
        remove(name)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"name": "a/b"}, "invalid_name"),
        ({"xml": "<!DOCTYPE domain [<!ENTITY a 'b'>]><domain><title>&a;</title></domain>"}, "invalid_xml"),
        ({}, "domain_not_found"),
        ({"vcpus": 1, "type": "qemu"}, "missing_option"),
        ({"uri": "qemu+unix:///system?socket=/nowhere", "memory": "64M"}, "libvirt_unreachable"),
        ({"uri": "nonsense://", "memory": "64M"}, "libvirt_unreachable"),
        ({"type": "xen", "memory": "64M"}, "unsupported_configuration"),
        ({"type": "qemu", "memory": "64M", "machine": "abacus"}, "invalid_definition"),
        ({"type": "qemu", "memory": "64M", "disks": [{"path": "/a", "target": "nonsense"}]}, "invalid_definition"),
    ],
)
def test_bad_input_is_refused(options, code):
    refused(MODULE, {"name": NAME, **options}, code)


def test_a_uuid_that_is_taken(defined):
    uuid = virsh("domuuid", NAME).strip()
    xml = f"<domain><uuid>{uuid}</uuid><memory>65536</memory></domain>"
    refused(MODULE, {"name": "vt-other", "type": "qemu", "xml": xml}, "uuid_in_use", check_mode=True)
    refused(MODULE, {**BASE, "xml": xml.replace(uuid, uuid[:-4] + "0000")}, "uuid_mismatch", check_mode=True)


def test_where_libvirt_is_not_there_yet_check_mode_predicts():
    result = check(MODULE, {**NEW, "state": "running", "uri": "qemu+unix:///system?socket=/nowhere"})
    assert actions(result) == ["define_domain", "start_domain"] and "cannot connect" in str(result["warnings"])


def test_without_the_libvirt_module_check_mode_predicts(tmp_path):
    (tmp_path / "libvirt.py").write_text("raise ImportError('no libvirt here')\n")
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{modules.python_path()}"}
    assert run_module(MODULE, NEW, env=env)["code"] == "libvirt_python_missing"
    predicted = run_module(MODULE, NEW, check=True, env=env)
    assert actions(predicted) == ["define_domain"] and "python3-libvirt" in str(predicted["warnings"])
