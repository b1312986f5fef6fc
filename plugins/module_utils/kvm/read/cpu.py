# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The CPU: what /proc/cpuinfo shows, what the CPU itself says, and what the firmware did about it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Optional, Tuple

from ...engine.host import Host
from ..sections.machine import Cpu
from .kernel_log import first_line, kernel_log
from .registers import Registers

# Source: the implementer field of MIDR_EL1, arch/arm64/include/asm/cputype.h.
_ARM_VENDORS = {"0x41": "ARM", "0x43": "Cavium", "0x46": "Fujitsu", "0x48": "HiSilicon", "0x4e": "NVIDIA", "0x61": "Apple", "0xc0": "Ampere"}
# Source: arch/x86/include/asm/cpufeatures.h and vmxfeatures.h.
_FEATURES = (
    "vpid",
    "unrestricted_guest",
    "flexpriority",
    "ept_ad",
    "apicv",
    "posted_intr",
    "vmcs_shadowing",
    "nrip_save",
    "avic",
    "x2avic",
    "vgif",
    "v_vmsave_vmload",
    "flushbyasid",
    "decodeassists",
    "sev",
    "sev_es",
    "sev_snp",
    "tdx_host_platform",
)
# Leaf, the bit of ecx in it, and its name in manuals, by the vendor of the CPU.
_VMX = (0x1, 5, "CPUID leaf 1 ECX bit 5 (VMX)")
_SVM = (0x80000001, 2, "CPUID leaf 0x80000001 ECX bit 2 (SVM)")
_CPUID = {"GenuineIntel": _VMX, "CentaurHauls": _VMX, "  Shanghai  ": _VMX, "AuthenticAMD": _SVM, "HygonGenuine": _SVM}
# Source: Intel SDM, IA32_FEATURE_CONTROL: bit 0 locks, bit 2 is VMX outside of SMX. AMD APM, VM_CR: bit 4 is SVMDIS.
_FEATURE_CONTROL, _VM_CR = 0x3A, 0xC0010114
# Words of the kernel's messages, over its versions. Source: feat_ctl.c and amd.c of arch/x86/kernel/cpu, arch/x86/kvm, arch/arm64/kvm/arm.c.
_LOG = (("VMX", "disabled by BIOS"), ("VMX not enabled", "BIOS"), ("SVM disabled", "BIOS"), ("kvm", "disabled by bios"), ("HYP mode not available",))


def cpuinfo_field(cpuinfo: str, *names: str) -> Optional[str]:
    """The first value of the first of these fields in the text of /proc/cpuinfo."""
    for name in names:
        match = re.search(rf"^{re.escape(name)}\s*:[ \t]*(\S.*?)\s*$", cpuinfo, re.MULTILINE)
        if match:
            return match[1]
    return None


def parse_cpu(cpuinfo: str) -> Cpu:
    """The first CPU in the text of /proc/cpuinfo. Linux before 5.11 has ept among the flags, later ones in "vmx flags"."""
    flags = set((cpuinfo_field(cpuinfo, "flags", "features") or "").split())
    everything = flags | set((cpuinfo_field(cpuinfo, "vmx flags") or "").split())
    implementer = cpuinfo_field(cpuinfo, "CPU implementer")
    vendor = cpuinfo_field(cpuinfo, "vendor_id") or (_ARM_VENDORS.get(implementer, implementer) if implementer else None)
    part = cpuinfo_field(cpuinfo, "CPU part")
    return Cpu(
        vendor=vendor,
        model=cpuinfo_field(cpuinfo, "model name", "Model", "cpu") or (f"part {part}" if part else None),
        virtualization=next((flag for flag in ("vmx", "svm", "sie") if flag in flags), None),
        nested_paging=next((flag for flag in ("ept", "npt") if flag in everything), None),
        features=tuple(feature for feature in _FEATURES if feature in everything),
    )


def read_cpu(host: Host, cpuinfo: str, registers: Registers) -> Cpu:
    cpu = parse_cpu(cpuinfo)
    offered, cpuid_evidence = _offered(cpu, registers)
    off, evidence = _firmware_off(host, cpu, registers)
    if off is None and offered and not cpu.virtualization:
        off, evidence = True, "the kernel hides the flag of a feature that the CPU has"
    return replace(cpu, offered=offered, firmware_off=off, firmware_evidence="; ".join(filter(None, (cpuid_evidence, evidence))))


def _offered(cpu: Cpu, registers: Registers) -> Tuple[Optional[bool], str]:
    leaf, bit, name = _CPUID.get(cpu.vendor or "", (0, 0, ""))
    answer = registers.cpuid(leaf) if name else None
    if answer is None:
        return None, ""
    there = bool(answer[2] >> bit & 1)
    return there, f"{name} is {int(there)}"


def _firmware_off(host: Host, cpu: Cpu, registers: Registers) -> Tuple[Optional[bool], str]:
    """None where neither a register nor the kernel's log tells."""
    msr = _switch(cpu, registers)
    if msr[0] is not None:
        return msr
    if cpu.virtualization and host.exists("/dev/kvm"):
        return False, ""
    log = kernel_log(host)
    for words in _LOG:
        line = first_line(log, *words)
        if line:
            return True, f"the kernel's log says: {line}"
    return None, ""


def _switch(cpu: Cpu, registers: Registers) -> Tuple[Optional[bool], str]:
    """The firmware's switch itself, as kvm-ok reads it."""
    family = _CPUID.get(cpu.vendor or "")
    if family is _VMX:
        control = registers.msr(_FEATURE_CONTROL)
        if control is not None:
            return control & 1 == 1 and control >> 2 & 1 == 0, f"MSR 0x3A is {control:#x}"
    if family is _SVM:
        control = registers.msr(_VM_CR)
        if control is not None:
            return control >> 4 & 1 == 1, f"MSR 0xC0010114 is {control:#x}"
    return None, ""
