# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may use /dev/kvm, and what lets them."""

from __future__ import annotations

import os
import struct

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.kvm import Entry, entries_of_mode, parse_acl, permitted
from kvm_bench import by_id

ROOT, KVM, USERS = 0, 104, 100
ANN, BEN = 1000, 1001
OWNER, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
IN_KVM, NOT_IN_KVM = {USERS: "users", KVM: "kvm"}, {USERS: "users"}
LIST = [Entry(OWNER, 6, 0), Entry(USER, 6, ANN), Entry(GROUP_OBJ, 6, 0), Entry(GROUP, 6, USERS), Entry(MASK, 6, 0), Entry(OTHER, 0, 0)]


@pytest.mark.parametrize(
    ("entries", "owner", "user", "groups", "may", "through"),
    [
        (entries_of_mode(0o660), ROOT, ROOT, {0: "root"}, True, "root may"),
        (entries_of_mode(0o660), ROOT, ANN, IN_KVM, True, "the group kvm"),
        (entries_of_mode(0o660), ROOT, ANN, NOT_IN_KVM, False, "everybody"),
        (entries_of_mode(0o666), ROOT, ANN, NOT_IN_KVM, True, "everybody"),
        (entries_of_mode(0o606), ROOT, ANN, IN_KVM, False, "groups"),  # a group that has less than everybody
        (entries_of_mode(0o640), ROOT, ANN, IN_KVM, False, "groups"),
        (entries_of_mode(0o600), ANN, ANN, NOT_IN_KVM, True, "owner"),
        (entries_of_mode(0o060), ANN, ANN, IN_KVM, False, "owner"),
        (LIST, ROOT, ANN, {}, True, "names the user"),
        (LIST, ROOT, BEN, NOT_IN_KVM, True, "the group users"),
        (LIST, ROOT, BEN, {}, False, "everybody"),
        ([*LIST[:4], Entry(MASK, 4, 0), LIST[5]], ROOT, ANN, {}, False, "names the user"),
        ([*LIST[:4], Entry(MASK, 4, 0), LIST[5]], ROOT, BEN, NOT_IN_KVM, False, "groups"),
    ],
)
def test_the_algorithm_of_access_control_lists(entries, owner, user, groups, may, through):
    found, reason = permitted(entries, owner, KVM, user, groups)
    assert found is may and through in reason


def test_a_list_as_the_kernel_gives_it():
    data = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in LIST)
    assert parse_acl(data) == LIST
    assert parse_acl(struct.pack("<I", 2)) == []


def test_the_list_of_a_real_file_counts(machine):
    """setfacl -m u:nobody:rw, by the kernel's own attribute."""
    bench = machine("intel")
    device = bench.host.path("/dev/kvm")
    os.chmod(device, 0o600)
    before = by_id(bench.report(user="nobody", gather_subset=["kvm"]))["kvm.user"]
    assert before["status"] == "fail"
    entries = [(OWNER, 6, 2**32 - 1), (USER, 6, 65534), (GROUP_OBJ, 0, 2**32 - 1), (MASK, 6, 2**32 - 1), (OTHER, 0, 2**32 - 1)]
    os.setxattr(device, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries))
    after = by_id(bench.report(user="nobody", gather_subset=["kvm"]))["kvm.user"]
    assert after["status"] == "pass" and "names the user" in after["evidence"]


@pytest.mark.parametrize(
    ("user", "mode", "status", "remedy"),
    [
        ("root", 0o600, "pass", ""),
        ("nobody", 0o666, "pass", ""),
        ("65534", 0o666, "pass", ""),
        ("nobody", 0o600, "fail", "usermod -aG kvm nobody, then log in again; and chgrp kvm /dev/kvm"),
        ("vt-nobody-at-all", 0o666, "fail", "useradd -m -G kvm vt-nobody-at-all"),
    ],
)
def test_a_named_user(machine, user, mode, status, remedy):
    bench = machine("intel")
    os.chmod(bench.host.path("/dev/kvm"), mode)
    found = by_id(bench.report(user=user, gather_subset=["kvm"]))["kvm.user"]
    assert found["status"] == status and found["remedy"].startswith(remedy) and bool(found["remedy"]) is (status == "fail")


def test_a_user_of_a_group_that_the_device_has_is_sent_into_it(machine):
    bench = machine("intel")
    os.chmod(bench.host.path("/dev/kvm"), 0o660)
    os.chown(bench.host.path("/dev/kvm"), 0, 12)  # man, in every Debian
    found = by_id(bench.report(user="nobody", gather_subset=["kvm"]))["kvm.user"]
    assert found["remedy"] == "usermod -aG man nobody, then log in again"


def test_no_device_is_what_is_missing_first(machine):
    found = by_id(machine("container").report(user="nobody", gather_subset=["kvm"]))["kvm.user"]
    assert found["status"] == "fail" and "--device /dev/kvm" in found["remedy"]


def test_nobody_was_asked_for(machine):
    bench = machine("intel")
    assert "kvm.user" not in by_id(bench.report())
