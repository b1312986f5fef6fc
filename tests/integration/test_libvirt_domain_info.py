# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of guests is what their module takes: fed back, nothing changes. The golden domains are in test_libvirt_domain.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.modules import apply, check, refused, run_module, settled
from support.virsh import clear, virsh

MODULE, NAME = "libvirt_domain_info", "vt-op-guest"
BASE: dict[str, Any] = {"name": NAME, "type": "qemu", "memory": "64M"}
MANY: dict[str, Any] = {
    **BASE,
    "machine": "q35",
    "title": "A <title> & more",
    "description": "Two\nlines",
    "current_memory": "48M",
    "vcpus": 1,
    "max_vcpus": 2,
    "cpu": {"mode": "custom", "model": "qemu64"},
    "disks": [{"path": "/srv/vt-none.qcow2", "serial": "A1"}, {"device": "cdrom"}, {"path": "/dev/vt-none", "bus": "scsi"}],
    "interfaces": [{"type": "user", "boot_order": 1}, {"source": "vt-none", "model": "e1000"}, {"type": "bridge", "source": "vt-none"}],
    "kernel": "/boot/vt",
    "cmdline": "a='b'",
    "console_log": "/var/log/libvirt/vt-op.log",
    "graphics": {"type": "vnc", "listen": "127.0.0.1", "password": "vt-hid"},
    "rng": {"model": "virtio"},
    "guest_agent": True,
    "autostart": True,
}


def remove() -> None:
    clear(
        ("destroy", NAME),
        ("undefine", NAME, "--managed-save", "--nvram"),
    )


@pytest.fixture(autouse=True)
def clean(libvirtd):
    remove()
    yield
    remove()


def read(**options: Any) -> dict[str, Any]:
    found = run_module(MODULE, {"name": NAME, "addresses": [], **options})
    assert not found["failed"] and not found["changed"], found
    return found


def fed_back(state: str) -> dict[str, Any]:
    """The guest as read, after it was given back by both ways and changed nothing."""
    (guest,) = read()["guests"]
    assert guest["state"] == state
    settled("libvirt_domain", guest)
    assert check("virt_host", {"guests": [guest]})["actions"] == []
    return guest


def test_a_guest_made_by_options():
    apply("libvirt_domain", MANY)
    guest = fed_back("shutoff")
    assert set(MANY) <= set(guest) and "vt-hid" not in json.dumps(read())
    for name in ("title", "description", "vcpus", "max_vcpus", "kernel", "cmdline", "console_log", "autostart"):
        assert guest[name] == MANY[name]
    assert guest["cpu"].items() >= MANY["cpu"].items()  # and what libvirt takes for the rest
    assert [disk["target"] for disk in guest["disks"]] == ["vda", "sda", "sdb"] and guest["interfaces"][1]["model"] == "e1000"
    assert "vt-hid" in virsh("dumpxml", "--inactive", "--security-info", NAME)


def test_where_the_guest_is_gone_it_is_made_again():
    apply("libvirt_domain", {**MANY, "graphics": {"type": "vnc"}})
    before, (guest,) = virsh("dumpxml", "--inactive", NAME), read()["guests"]
    remove()
    apply("libvirt_domain", guest)
    assert sorted(virsh("dumpxml", "--inactive", NAME).splitlines()) == sorted(before.splitlines())  # controllers may swap places


def test_the_states_and_what_is_pending():
    apply("libvirt_domain", {**BASE, "state": "running"})
    fed_back("running")
    assert read()["details"][NAME]["pending"] == [] and read()["details"][NAME]["id"] > 0
    virsh("setvcpus", NAME, "2", "--maximum", "--config")
    virsh("suspend", NAME)
    fed_back("paused")
    details = read()["details"][NAME]
    assert details["pending"] == ["vcpu@current", "vcpu"] and details["state"] == "paused"
    apply("libvirt_domain", {"name": NAME, "state": "saved"})
    fed_back("saved")
    assert read()["details"][NAME]["pending"] == ["vcpu@current", "vcpu"]
    apply("libvirt_domain", {"name": NAME, "state": "shutoff", "force": True})
    assert read()["details"][NAME]["pending"] == []


def test_a_transient_guest_is_in_the_details_alone():
    virsh("create", "/dev/stdin", stdin=f"<domain type='qemu'><name>{NAME}</name><memory>65536</memory><os><type>hvm</type></os></domain>")
    found = read()
    assert found["guests"] == [] and found["details"][NAME]["persistent"] is False and found["details"][NAME]["pending"] == []


def test_leases_of_libvirts_own_test_driver():
    """Its guest has an interface on its network, which gave it an address."""
    details = run_module(MODULE, {"uri": "test:///default", "name": "test"})["details"]["test"]
    (entry,) = details["addresses"]
    assert details["state"] == "running" and entry["mac"] in details["macs"] and "lease" in entry["sources"] and entry["prefix"] == 24
    assert run_module(MODULE, {"uri": "test:///default", "addresses": []})["details"]["test"]["addresses"] == []


def test_all_guests_and_none():
    apply("libvirt_domain", BASE)
    assert NAME in [guest["name"] for guest in run_module(MODULE, {"addresses": []})["guests"]]
    assert read(name="vt-op-none")["guests"] == []


def test_bad_input_is_refused():
    refused(MODULE, {"uri": "qemu+unix:///system?socket=/nowhere"}, "libvirt_unreachable")
    refused(MODULE, {"addresses": ["hearsay"]}, "invalid_options")
