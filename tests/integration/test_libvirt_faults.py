# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes wrong in the middle: one sentence each, and nothing half done that the next run does not complete. In a libvirtd of our own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest
from support.modules import apply, check, cycle, refused, run_module, served_by, settled
from support.private_libvirt import PID_FILE, PrivateLibvirt, private_libvirt

NAME, OTHER, UUID = "vt-fl", "vt-fl-2", "d0c1a2b3-1111-4222-8333-76742d666c01"
FOLDER = "/var/lib/libvirt/vt-fl"
GUEST: Dict[str, Any] = {"name": NAME, "type": "qemu", "memory": "64M"}
POOL: Dict[str, Any] = {"name": NAME, "type": "dir", "target": {"path": FOLDER}, "build": "missing"}
GONE = {"name": NAME, "state": "absent"}
VOLUME, SOURCE = {"pool": "vt-fl-v", "name": NAME}, "/var/lib/libvirt/images/vt-fl.source"
#: What a run makes in several calls: the module, the options, and those that take it away or back again.
MADE: Dict[str, Tuple[str, Dict[str, Any], Dict[str, Any]]] = {
    "network": ("libvirt_network", {"name": NAME, "autostart": True, "bridge": {"name": "vt-fl0"}, "ips": [{"address": "198.18.74.1/24"}]}, GONE),
    "pool": ("libvirt_pool", {**POOL, "autostart": True}, {**GONE, "delete": True}),
    "upload": ("libvirt_volume", {**VOLUME, "source": SOURCE, "capacity": "8M"}, {**VOLUME, "state": "absent", "wipe": "zero"}),
    "secret": (
        "libvirt_secret",
        {"uuid": UUID, "usage": {"type": "ceph", "id": NAME}, "private": True, "value": "vt-hidden"},
        {"uuid": UUID, "state": "absent"},
    ),
    "filter": ("libvirt_nwfilter", {"name": NAME, "rules": [{"action": "drop", "direction": "in"}]}, GONE),
    "guest": ("libvirt_domain", {**GUEST, "state": "running", "autostart": True}, {**GONE, "force": True, "timeout": 0}),
    "change": ("libvirt_domain", {**GUEST, "vcpus": 2, "title": "A"}, {**GUEST, "vcpus": 1, "title": "", "autostart": True}),
}
_MOST_CALLS = 40


@pytest.fixture(scope="module")
def virt(libvirtd: None) -> Iterator[PrivateLibvirt]:
    """libvirtd: this machine's, for /dev/kvm as udev makes it; nothing of it is used."""
    with private_libvirt() as private, served_by(*private.enter):
        private.run("dd", "if=/dev/urandom", f"of={SOURCE}", "bs=64K", "count=4")
        apply("libvirt_pool", {**POOL, "name": VOLUME["pool"], "target": {"path": FOLDER + "-v"}})
        yield private


@pytest.fixture(autouse=True)
def clean(virt: PrivateLibvirt) -> Iterator[None]:
    yield
    virt.start()
    for guest in (NAME, OTHER):
        apply("libvirt_domain", {"name": guest, "state": "absent", "force": True, "timeout": 0})
    assert virt.virsh("list", "--all", "--name").split() == []


def _image(virt: PrivateLibvirt, path: str) -> str:
    virt.run("qemu-img", "create", "-q", "-f", "qcow2", path, "8M")
    return path


@pytest.mark.parametrize("what", MADE)
def test_libvirtd_is_killed_after_each_step(virt: PrivateLibvirt, what: str) -> None:
    module, one, other = MADE[what]
    for options, before in ((one, other), (other, one)):
        for calls in range(1, _MOST_CALLS):
            result = run_module(module, options, env={"VIRTOPS_KILL": f"{calls}:{PID_FILE}"})
            killed = not virt.answers()
            virt.start()
            if result["failed"]:
                assert result["code"] == "libvirt_unreachable" and killed, result
                assert "\n" not in result["msg"] and "exception" not in result, result
                assert result["changed"] == bool(result["actions"]), result
                assert (NAME in result["msg"] or UUID in result["msg"]) and "libvirtd went away" in result["msg"], result
            apply(module, options)
            settled(module, options)
            if not killed:
                break
            apply(module, before)
        assert 1 < calls < _MOST_CALLS - 1, "a run that is killed at no step, or at more than there are"


def test_a_guest_lives_on_while_libvirtd_is_gone(virt: PrivateLibvirt) -> None:
    apply("libvirt_domain", {**GUEST, "state": "running"})
    before = virt.virsh("dumpxml", NAME)
    assert not Path(f"/etc/libvirt/qemu/{NAME}.xml").exists(), "it is not in this machine's libvirtd"
    virt.kill()
    assert "start libvirtd" in refused("libvirt_domain", {"name": NAME, "state": "paused"}, "libvirt_unreachable")
    assert "cannot connect" in str(check("libvirt_domain", {**GUEST, "state": "running"})["warnings"])
    virt.start()
    settled("libvirt_domain", {**GUEST, "state": "running"})
    assert virt.virsh("dumpxml", NAME) == before


def test_a_guest_that_crashes(virt: PrivateLibvirt) -> None:
    apply("libvirt_domain", {**GUEST, "state": "running"})
    virt.run("sh", "-c", f"kill -9 $(cat /run/libvirt/qemu/{NAME}.pid)")
    deadline = time.monotonic() + 60
    while virt.virsh("domstate", NAME).strip() != "shut off":
        assert time.monotonic() < deadline, "libvirt does not see that its emulator is gone"
        time.sleep(0.1)
    assert cycle("libvirt_domain", {"name": NAME, "state": "running"})["actions"] == [{"action": "start_domain", "target": NAME}]


def test_a_guest_that_crashes_while_it_is_asked_to_shut_down(virt: PrivateLibvirt) -> None:
    apply("libvirt_domain", {**GUEST, "state": "running"})
    off = {"name": NAME, "state": "shutoff", "timeout": 60}
    result = run_module("libvirt_domain", off, env={"VIRTOPS_KILL": f"1:/run/libvirt/qemu/{NAME}.pid"})
    assert not result["failed"] and result["resource"]["state"] == "shutoff", result
    settled("libvirt_domain", off)


def test_a_guest_that_ignores_a_shutdown(virt: PrivateLibvirt) -> None:
    apply("libvirt_domain", {**GUEST, "state": "running"})
    for state in ("shutoff", "absent"):
        assert "force: true" in refused("libvirt_domain", {"name": NAME, "state": state, "timeout": 1}, "shutdown_timeout")
    settled("libvirt_domain", {**GUEST, "state": "running"})
    cycle("libvirt_domain", {"name": NAME, "state": "absent", "timeout": 0, "force": True})


def test_a_name_that_another_uuid_has(virt: PrivateLibvirt) -> None:
    apply("libvirt_domain", GUEST)
    xml = f"<domain><uuid>{UUID}</uuid><memory>65536</memory></domain>"
    for mode in (True, False):
        assert NAME in refused("libvirt_domain", {"name": NAME, "xml": xml}, "uuid_mismatch", check_mode=mode)
    settled("libvirt_domain", GUEST)


def test_a_mac_address_that_another_guest_has(virt: PrivateLibvirt) -> None:
    nic = {"type": "user", "mac": "52:54:00:00:B0:07"}
    apply("libvirt_domain", {**GUEST, "name": OTHER, "interfaces": [nic]})
    options = {**GUEST, "interfaces": [nic]}
    for run in (check, apply):
        assert f"52:54:00:00:b0:07 is that of the guest {OTHER}" in str(run("libvirt_domain", options)["warnings"])
    settled("libvirt_domain", options)


def test_a_disk_that_another_guest_writes_to(virt: PrivateLibvirt) -> None:
    path = _image(virt, "/var/lib/libvirt/images/vt-fl.qcow2")
    guest = {**GUEST, "state": "running", "disks": [{"path": path}]}
    apply("libvirt_domain", {**guest, "name": OTHER})
    message = refused("libvirt_domain", guest, "start_failed")
    assert path in message and "lock" in message
    assert virt.virsh("domstate", OTHER).strip() == "running"
    apply("libvirt_domain", {"name": OTHER, "state": "absent", "force": True, "timeout": 0})
    assert [step["action"] for step in cycle("libvirt_domain", guest)["actions"]] == ["start_domain"]


def test_a_network_that_is_not_there(virt: PrivateLibvirt) -> None:
    guest = {**GUEST, "state": "running", "interfaces": [{"source": NAME}]}
    assert f"'{NAME}'" in refused("libvirt_domain", guest, "start_failed")
    apply("libvirt_network", MADE["network"][1])
    try:
        assert [step["action"] for step in cycle("libvirt_domain", guest)["actions"]] == ["start_domain"]
    finally:
        apply("libvirt_domain", {"name": NAME, "state": "absent", "force": True, "timeout": 0})
        apply("libvirt_network", MADE["network"][2])


def test_an_image_that_the_emulator_may_not_read(virt: PrivateLibvirt) -> None:
    folder = "/var/lib/libvirt/vt-fl-closed"
    virt.run("install", "-d", "-m", "700", folder)
    guest = {**GUEST, "state": "running", "disks": [{"path": _image(virt, f"{folder}/vt.qcow2")}]}
    message = refused("libvirt_domain", guest, "start_failed")
    assert f"{folder}/vt.qcow2" in message and "Permission denied" in message
    virt.run("chmod", "711", folder)
    assert [step["action"] for step in cycle("libvirt_domain", guest)["actions"]] == ["start_domain"]
