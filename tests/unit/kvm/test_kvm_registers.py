# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The CPU asked past the kernel, on the real one and on leaves that real ones gave."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read import registers
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.hypervisor import confidential_guest, signature
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.kernel_log import first_line, kernel_log
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.registers import Registers, valid
from kvm_machine import FakeRegisters, Machine
from kvm_machines import MACHINES
from support.hosts import FakeHost

# Captured: an EPYC of the fourth generation under KVM.
LEAVES = {
    0x0: (0x1C, 0x68747541, 0x444D4163, 0x69746E65),
    0x1: (0xA10F11, 0x20800, 0xFFFA3203, 0x178BFBFF),
    0x21: (0, 0, 0, 0),
    0x40000000: (0x40000001, 0x4B4D564B, 0x564B4D56, 0x4D),
    0x80000000: (0x80000021, 0x68747541, 0x444D4163, 0x69746E65),
    0x80000001: (0xA10F11, 0x40000000, 0x4003F3, 0x2FD3FBFF),
    0x8000001F: (0, 0, 0, 0),
}


def test_leaves_that_the_cpu_does_not_have_are_left_out():
    there = valid(LEAVES)
    assert 0x21 not in there and 0x40000000 in there and 0x8000001F in there
    bare = valid({**LEAVES, 0x1: (0xA10F11, 0, 0x7FFA3203, 0)})
    assert 0x40000000 not in bare
    assert valid({**LEAVES, 0x80000000: (0x80000008, 0, 0, 0)}).keys() & {0x80000001, 0x8000001F} == {0x80000001}
    assert valid({}) == {}


def test_the_real_cpu_answers_an_ordinary_process(tmp_path):
    """No /dev/cpu in this tree: the instruction itself answers, and says what /proc/cpuinfo says."""
    asked = Registers(FakeHost(tmp_path))
    vendor = b"".join(word.to_bytes(4, "little") for word in (asked.cpuid(0)[1], asked.cpuid(0)[3], asked.cpuid(0)[2]))
    cpuinfo = Path("/proc/cpuinfo").read_text()
    assert f"vendor_id\t: {vendor.decode()}\n" in cpuinfo
    assert bool(asked.cpuid(1)[2] >> 31 & 1) is (" hypervisor " in cpuinfo)
    assert asked.msr(0x3A) is None


def test_device_and_instruction_agree(tmp_path):
    from_instruction = registers._from_instruction()
    from_device = Registers(FakeHost(tmp_path))._from_device()
    assert from_device == {} and from_instruction
    # what the two say of features is one; the initial APIC number in ebx of leaf 1 is that of the CPU which answered
    real = Registers(type("Real", (), {"path": staticmethod(lambda path: path)})())._from_device() or from_instruction
    assert {leaf: (row[0], row[2] & ~(1 << 27), row[3]) for leaf, row in real.items()} == {
        leaf: (row[0], row[2] & ~(1 << 27), row[3]) for leaf, row in from_instruction.items()
    }


def test_a_hypervisor_that_nobody_knows_has_no_name():
    machine = MACHINES["kvm guest"]
    assert signature(FakeRegisters(machine))[0] == "kvm"
    strange = Machine("", {}, machine.guest, {}, (), cpuid={0x40000000: (0, 1, 2, 3)})
    assert signature(FakeRegisters(strange)) is None


@pytest.mark.parametrize(
    ("cpuinfo", "cpuid", "msr", "kind"),
    [
        ("flags\t\t: fpu hypervisor tdx_guest\n", {}, {}, "tdx"),
        ("flags\t\t: fpu hypervisor\n", {0x8000001F: (0x2, 0, 0, 0)}, {0xC0010131: 0x1}, "sev"),
        ("flags\t\t: fpu hypervisor\n", {0x8000001F: (0x2, 0, 0, 0)}, {0xC0010131: 0x3}, "sev_es"),
        ("flags\t\t: fpu hypervisor\n", {0x8000001F: (0x2, 0, 0, 0)}, {0xC0010131: 0x7}, "sev_snp"),
        ("flags\t\t: fpu hypervisor\n", {0x8000001F: (0x0, 0, 0, 0)}, {0xC0010131: 0x7}, None),
        ("flags\t\t: fpu hypervisor\n", {}, {}, None),
    ],
)
def test_confidential_guests_know_it(cpuinfo, cpuid, msr, kind):
    machine = Machine("", {}, MACHINES["intel"].guest, {}, (), cpuid=cpuid, msr=msr)
    assert confidential_guest(cpuinfo, FakeRegisters(machine)) == kind


def test_the_kernel_log_is_read_record_by_record(tmp_path):
    text = "6,1,0,-;Linux version 6.1.0\n SUBSYSTEM=acpi\n4,2,10,-;x86/cpu: VMX (outside TXT) disabled by BIOS; really\n"
    log = kernel_log(FakeHost(tmp_path, {"/dev/kmsg": text}))
    assert log == ["Linux version 6.1.0", "x86/cpu: VMX (outside TXT) disabled by BIOS; really"]
    assert first_line(log, "vmx", "bios") == log[1] and first_line(log, "svm") is None
    assert kernel_log(FakeHost(tmp_path / "none")) is None and first_line(None, "svm") is None
