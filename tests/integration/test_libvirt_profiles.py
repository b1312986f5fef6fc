# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Guests made of profiles, one by one and many in one task."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.modules import apply, check, cycle, refused, run_module, settled
from support.virsh import clear, virsh

NAMES = [f"vt-op-{number}" for number in range(3)]
PROFILES: dict[str, dict[str, Any]] = {
    "plain": {"type": "qemu", "memory": "64M", "rng": {"model": "virtio"}, "graphics": {"type": "vnc", "listen": "127.0.0.1", "password": "vt-hid"}},
    "large": {"memory": "96M", "autostart": True},
}


@pytest.fixture(autouse=True)
def clean(libvirtd):
    for _when in ("before", "after"):
        for name in NAMES:
            clear(("undefine", name))
        if _when == "before":
            yield


def test_a_guest_of_profiles():
    options = {"name": NAMES[0], "profiles": PROFILES}
    made = cycle("libvirt_domain", {**options, "profile": ["plain"], "graphics": {"port": 5998}})
    assert "vt-hid" not in json.dumps(made)
    xml = virsh("dumpxml", "--inactive", "--security-info", NAMES[0])
    assert "<rng" in xml and "passwd='vt-hid'" in xml and "port='5998'" in xml and "65536" in xml
    assert cycle("libvirt_domain", {**options, "profile": "plain,large"})["resource"]["autostart"]
    settled("libvirt_domain", {**options, "profile": ["plain", "large"], "memory": None, "title": ""})


def test_what_a_profile_says_is_checked_and_what_there_is_not_refused():
    base = {"name": NAMES[0], "profiles": {"a": {"memory": "64M", "vcpus": "many"}, "b": {"graphics": {"type": "vnc", "colour": "red"}}}}
    refused("libvirt_domain", {**base, "profile": ["a"]}, "invalid_options")
    refused("libvirt_domain", {**base, "profile": ["b"]}, "invalid_options")
    assert "a, b" in refused("libvirt_domain", {**base, "profile": ["c"]}, "unknown_profile")
    refused("libvirt_domain", {**base, "profiles": {"a": {"name": "x"}}, "profile": ["a"]}, "invalid_profile")


def test_many_guests_of_profiles_in_one_task():
    options = {"profiles": PROFILES, "guests": [{"name": name, "profile": ["plain"]} for name in NAMES[:2]]}
    options["guests"].append({"name": NAMES[2], "profile": ["plain", "large"], "vcpus": 2})
    predicted, made = check("virt_host", options), apply("virt_host", options)
    assert predicted["actions"] == made["actions"] and [guest["name"] for guest in made["resource"]["guests"]] == NAMES
    assert "vt-hid" not in json.dumps(made)
    assert not apply("virt_host", options)["changed"]
    assert "98304" in virsh("dumpxml", "--inactive", NAMES[2])
    failed = run_module("virt_host", {**options, "guests": [{"name": NAMES[0], "profile": ["none"]}]})
    assert failed["failed"] and "guests[0] vt-op-0: profile" in failed["msg"]
