# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this machine itself runs under: a hypervisor or nothing. What stays open is called unknown."""

from __future__ import annotations

import re
import struct
from typing import Dict, Optional, Tuple

from ...engine.host import Host
from .registers import Registers

#: A name and where it was read.
Finding = Tuple[str, str]

_DMI = "/sys/class/dmi/id"
_DMI_FILES = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
# How a DMI string begins → who wrote it. Source: dmi_vendors of systemd's virt.c, and its detect_vm_dmi.
_DMI_NAMES = {
    "KVM": "kvm",
    "KubeVirt": "kvm",
    "OpenStack": "kvm",
    "Amazon EC2": "amazon",
    "Google Compute Engine": "google",
    "QEMU": "qemu",
    "VMware": "vmware",
    "VMW": "vmware",
    "innotek GmbH": "virtualbox",
    "VirtualBox": "virtualbox",
    "Oracle Corporation": "virtualbox",
    "Xen": "xen",
    "Bochs": "bochs",
    "Parallels": "parallels",
    "BHYVE": "bhyve",
    "Hyper-V": "microsoft",
    "Virtual Machine": "microsoft",
    "Apple Virtualization": "apple",
}
# DMI knows better than CPUID which of the clouds and desktops built on another hypervisor this is. Source: detect_vm of virt.c.
_DMI_FIRST = ("virtualbox", "xen", "amazon", "parallels", "google")
# The signature of a hypervisor in CPUID leaf 0x40000000. Source: vm_table of virt.c.
_SIGNATURES = {
    b"XenVMMXenVMM": "xen",
    b"KVMKVMKVM\0\0\0": "kvm",
    b"Linux KVM Hv": "kvm",
    b"TCGTCGTCGTCG": "qemu",
    b"VMwareVMware": "vmware",
    b"VBoxVBoxVBox": "virtualbox",
    b"Microsoft Hv": "microsoft",
    b"bhyve bhyve ": "bhyve",
    b" lrpepyh  vr": "parallels",
    b"QNXQVMBSQG\0\0": "qnx",
    b"ACRNACRNACRN": "acrn",
    b"SRESRESRESRE": "sre",
    b"Apple VZ\0\0\0\0": "apple",
}
_CLOCKSOURCES = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
_CLOCKS = {"kvm-clock": "kvm", "hyperv": "microsoft", "xen": "xen"}
_DEVICE_TREE = "/proc/device-tree"
_SYSINFO_NAMES = {"KVM": "kvm", "z/VM": "zvm"}
_XEN_DOM0 = 1 << 11  # XENFEAT_dom0, include/xen/interface/features.h
# Source: AMD's GHCB specification, MSR SEV_STATUS.
_SEV_STATUS = 0xC0010131


def hypervisor(host: Host, cpuinfo: str, registers: Registers) -> Finding:
    """none, a name, or unknown where a hypervisor is there that does not say its name."""
    xen = (host.try_read("/sys/hypervisor/type") or "").strip()
    if xen:
        if xen == "xen" and xen_dom0(host):
            return "none", "the first domain of Xen, which has the hardware (/sys/hypervisor)"
        return xen, f"/sys/hypervisor/type is {xen}"
    if re.search(r"^vendor_id\s*:\s*User Mode Linux", cpuinfo, re.MULTILINE):
        return "uml", "vendor_id in /proc/cpuinfo is User Mode Linux"
    is_x86 = bool(re.search(r"^flags\s*:", cpuinfo, re.MULTILINE))
    flagged = bool(re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.MULTILINE))
    if is_x86 and not flagged:
        return "none", "no hypervisor flag in /proc/cpuinfo"
    dmi = {name: (host.try_read(f"{_DMI}/{name}") or "").strip() for name in _DMI_FILES}
    vendor = dmi_name(dmi)
    # DMI says QEMU for KVM and for software emulation; CPUID, or the clock that the kernel may use, tells them apart.
    inner = signature(registers) or _clock(host.try_read(_CLOCKSOURCES) or "")
    found = inner if inner and not (vendor and (vendor[0] in _DMI_FIRST or _enlightened(inner, vendor))) else vendor
    found = found or _device_tree(host) or _sysinfo(host.try_read("/proc/sysinfo") or "")
    if found:
        return found
    if flagged:
        return "unknown", "hypervisor flag in /proc/cpuinfo, but no name of it in CPUID, DMI, the clock sources or the device tree"
    if any(dmi.values()) or host.is_dir(_DEVICE_TREE):
        return "none", f"no hypervisor in {_DMI} or {_DEVICE_TREE}"
    return "unknown", "this architecture has no hypervisor flag, and DMI and device tree are not there"


def _enlightened(inner: Finding, vendor: Finding) -> bool:
    """KVM that poses as Hyper-V, for the sake of Windows guests."""
    return inner[0] == "microsoft" and vendor[0] in ("qemu", "kvm")


def signature(registers: Registers) -> Optional[Finding]:
    """What the hypervisor calls itself."""
    leaf = registers.cpuid(0x40000000)
    if leaf is None:
        return None
    text = struct.pack("<3I", *leaf[1:])
    name = _SIGNATURES.get(text)
    return (name, f"CPUID leaf 0x40000000 is {text.decode('ascii', 'replace').strip(chr(0)).strip()}") if name else None


def dmi_name(strings: Dict[str, str]) -> Optional[Finding]:
    """The hypervisor that DMI strings name. Clouds put the same vendor on their bare machines, whose product says metal."""
    if ".metal" in strings.get("product_name", ""):
        return None
    for file, text in strings.items():
        for beginning, name in _DMI_NAMES.items():
            if text.startswith(beginning):
                return name, f"{_DMI}/{file} is {text}"
    return None


def _clock(sources: str) -> Optional[Finding]:
    """The hypervisor whose clock this kernel could use."""
    for source in sources.split():
        for beginning, name in _CLOCKS.items():
            if source.startswith(beginning):
                return name, f"clock source {source} in {_CLOCKSOURCES}"
    return None


def _device_tree(host: Host) -> Optional[Finding]:
    path = f"{_DEVICE_TREE}/hypervisor/compatible"
    compatible = (host.try_read(path) or "").replace("\0", " ").strip()
    if compatible:
        name = "kvm" if "kvm" in compatible else "xen" if "xen" in compatible else "vmware" if "vmware" in compatible else "unknown"
        return name, f"{path} is {compatible}"
    if host.exists(f"{_DEVICE_TREE}/ibm,partition-name") and host.exists(f"{_DEVICE_TREE}/hmc-managed?"):
        return "powervm", f"{_DEVICE_TREE} names a partition of PowerVM"
    if "qemu" in (host.try_read(f"{_DEVICE_TREE}/compatible") or "") or host.exists(f"{_DEVICE_TREE}/fw-cfg"):
        return "qemu", f"{_DEVICE_TREE} was made by QEMU"
    return None


def _sysinfo(text: str) -> Optional[Finding]:
    """s390x: "VM00 Control Program: KVM/Linux"."""
    match = re.search(r"^VM00 Control Program:\s*(.+?)\s*$", text, re.MULTILINE)
    if not match:
        return None
    name = next((name for beginning, name in _SYSINFO_NAMES.items() if match[1].startswith(beginning)), "unknown")
    return name, f"/proc/sysinfo says {match[1]}"


def xen_dom0(host: Host) -> bool:
    """Whether this is the domain that runs the other ones. Source: detect_vm_xen_dom0 of systemd's virt.c."""
    features = (host.try_read("/sys/hypervisor/properties/features") or "").strip()
    if re.fullmatch(r"[0-9a-fA-F]+", features):
        return bool(int(features, 16) & _XEN_DOM0)
    return "control_d" in (host.try_read("/proc/xen/capabilities") or "")


def confidential_guest(cpuinfo: str, registers: Registers) -> Optional[str]:
    """sev, sev_es, sev_snp, tdx, where this machine's memory is hidden from its own hypervisor."""
    if re.search(r"^flags\s*:.*\btdx_guest\b", cpuinfo, re.MULTILINE):
        return "tdx"
    leaf = registers.cpuid(0x8000001F)
    status = registers.msr(_SEV_STATUS) if leaf and leaf[0] >> 1 & 1 else None
    for bit, name in ((2, "sev_snp"), (1, "sev_es"), (0, "sev")):
        if status is not None and status >> bit & 1:
            return name
    return None
