# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the CPU brings, what the firmware keeps back, and what KVM was told not to use."""

from __future__ import annotations

from .. import remedies
from ..model import FAIL, PASS, UNKNOWN, WARN, Facts
from ..spec import Request
from .rule import Rule, Verdict, need


def _virtualization(facts: Facts, request: Request) -> Verdict:
    cpu = need(facts, "cpu", facts.cpu)
    told = f"; {cpu.firmware_evidence}" if cpu.firmware_evidence else ""
    if cpu.virtualization and cpu.firmware_off:
        return FAIL, f"{cpu.virtualization} in /proc/cpuinfo, but the firmware has switched it off{told}", remedies.virtualization(facts)
    if cpu.virtualization:
        return PASS, f"{cpu.virtualization} in /proc/cpuinfo", ""
    if facts.platform.machine != "x86_64":
        if cpu.firmware_off:
            return FAIL, cpu.firmware_evidence, "use firmware (or a hypervisor) that starts the kernel at EL2"
        return UNKNOWN, f"{facts.platform.machine} has no flag for it in /proc/cpuinfo", "see kvm.proof"
    if cpu.firmware_off:
        who = "what this machine runs under" if remedies.is_guest(facts) else "the firmware"
        return FAIL, f"the CPU has it, and {who} has switched it off: no vmx or svm in /proc/cpuinfo{told}", remedies.virtualization(facts)
    if "xen" in (running.name for running in facts.platform.runs):
        return (
            FAIL,
            f"Xen keeps it for itself: no vmx or svm in /proc/cpuinfo{told}",
            "boot without Xen to use KVM, or manage its guests by Xen's own tools",
        )
    if cpu.offered is False and not remedies.is_guest(facts):
        return FAIL, f"this CPU has no virtualization: no vmx or svm in /proc/cpuinfo{told}", remedies.no_feature(facts)
    return FAIL, f"no vmx or svm in /proc/cpuinfo{told}", remedies.virtualization(facts)


def _nested_paging(facts: Facts, request: Request) -> Verdict:
    cpu = need(facts, "cpu", facts.cpu)
    if cpu.nested_paging:
        value = facts.kvm.parameters.get(cpu.nested_paging) if facts.kvm else None
        if facts.kvm and value in ("N", "0"):
            evidence = f"{cpu.nested_paging} in /proc/cpuinfo, but /sys/module/{facts.kvm.module}/parameters/{cpu.nested_paging} is {value}"
            return WARN, f"{evidence}: KVM keeps shadow page tables, which is slow", remedies.parameter(facts, cpu.nested_paging, "true")
        return PASS, f"{cpu.nested_paging} in /proc/cpuinfo", ""
    if facts.platform.machine != "x86_64":
        return UNKNOWN, f"{facts.platform.machine} has no flag for it in /proc/cpuinfo", ""
    if not cpu.virtualization:
        return UNKNOWN, "the CPU shows no virtualization at all", "see cpu.virtualization"
    return WARN, "no ept or npt in /proc/cpuinfo: KVM keeps shadow page tables, which is slow", remedies.virtualization(facts)


RULES = (
    Rule("cpu.virtualization", ("cpu",), _virtualization),
    Rule("cpu.nested_paging", ("cpu",), _nested_paging),
)
