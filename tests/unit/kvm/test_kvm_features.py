# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the CPU and the firmware keep back, and who else runs here."""

from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.kvm.model import FAIL
from kvm_bench import by_id


@pytest.mark.parametrize(
    ("name", "evidence", "remedy"),
    [
        (
            "intel, off in firmware",
            ("the CPU has it, and the firmware has switched", "(VMX) is 1", "VMX (outside TXT) disabled by BIOS"),
            "VT-x",
        ),
        ("amd, off in firmware", ("the firmware has switched it off", "MSR 0xC0010114 is 0x18"), "SVM Mode"),
        ("amd of old, off in firmware", ("svm in /proc/cpuinfo, but the firmware", "on CPU 3"), "SVM Mode"),
        ("no feature", ("this CPU has no virtualization", "(VMX) is 0"), "use another machine"),
        ("kvm guest", ("no vmx or svm in /proc/cpuinfo", "(SVM) is 0"), "host-passthrough"),
        ("vmware guest", ("no vmx or svm",), "vhv.enable"),
        ("virtualbox guest", ("no vmx or svm",), "--nested-hw-virt on"),
        ("amazon", ("no vmx or svm",), "bare-metal instance"),
        ("hyper-v root", ("no vmx or svm",), "ExposeVirtualizationExtensions"),
        ("xen dom0", ("Xen keeps it for itself",), "boot without Xen"),
        ("aarch64 guest", ("HYP mode not available",), "EL2"),
    ],
)
def test_a_switch_in_the_firmware_is_told_from_a_missing_feature(machine, name, evidence, remedy):
    found = by_id(machine(name).report())["cpu.virtualization"]
    assert found["status"] == FAIL
    assert all(words in found["evidence"] for words in evidence), found
    assert remedy in found["remedy"]


def test_where_the_cpu_cannot_be_asked_the_firmware_is_looked_at_first(machine):
    bench = machine("kvm guest", {"/proc/cpuinfo": "vendor_id\t: GenuineIntel\nflags\t\t: fpu lm\n"})
    assert "VT-x" in by_id(bench.report())["cpu.virtualization"]["remedy"]


@pytest.mark.parametrize(
    ("name", "evidence", "remedy"),
    [
        ("sev-snp", "on: SEV, SEV-ES, SEV-SNP", ""),
        ("tdx", "on: TDX", ""),
        ("s390x", "on: Secure Execution", ""),
        ("sev, not on", "the CPU has SEV, SEV-ES, SEV-SNP, and none is on", "sev_snp: true"),
        ("intel", "this machine runs no confidential guests", "use a machine with"),
        ("amazon", "this machine runs no confidential guests", "ask for confidential guests where this machine is hosted"),
    ],
)
def test_confidential_guests(machine, name, evidence, remedy):
    found = by_id(machine(name).report())["confidential.guests"]
    assert found["evidence"].startswith(evidence) and remedy in found["remedy"]


def test_a_parameter_that_turns_nested_paging_off_is_named(machine):
    found = by_id(machine("sev, not on").report())["cpu.nested_paging"]
    assert "/sys/module/kvm_amd/parameters/npt is N" in found["evidence"]
    assert "kvm_module with name kvm_amd and parameters {npt: true}" in found["remedy"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("virtualbox host", "modprobe -r vboxnetadp"), ("xen dom0", "boot without Xen"), ("hyper-v root", "use another machine for KVM")],
)
def test_another_hypervisor_is_in_the_way(machine, name, words):
    assert words in by_id(machine(name).report())["platform.runs"]["remedy"]
