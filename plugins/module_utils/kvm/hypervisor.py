# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this machine itself runs under: a hypervisor, a container, or nothing.

CPUID has the hypervisor's signature, but Python cannot read it. What can be read is judged in the order of systemd's
src/basic/virt.c, and what stays open is called unknown.
"""

from __future__ import annotations

import re
from typing import Dict, Optional, Tuple

from ..engine.host import Host

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
    "Xen": "xen",
    "Bochs": "bochs",
    "Parallels": "parallels",
    "BHYVE": "bhyve",
    "Hyper-V": "microsoft",
    "Virtual Machine": "microsoft",
    "Apple Virtualization": "apple",
}
_CLOCKSOURCES = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
_CLOCKS = {"kvm-clock": "kvm", "hyperv": "microsoft", "xen": "xen"}
_DEVICE_TREE = "/proc/device-tree"
_SYSINFO_NAMES = {"KVM": "kvm", "z/VM": "zvm"}
# Source: include/linux/proc_ns.h. These inodes are the same on every machine, and no other namespace has them.
_INITIAL_NAMESPACES = {"pid": 0xEFFFFFFC, "uts": 0xEFFFFFFE, "ipc": 0xEFFFFFFF, "cgroup": 0xEFFFFFFB}
_CONTAINER_FILES = {"/run/.containerenv": "podman", "/.dockerenv": "docker"}


def hypervisor(host: Host, cpuinfo: str) -> Finding:
    """none, a name, or unknown where a hypervisor is there that does not say its name."""
    xen = (host.try_read("/sys/hypervisor/type") or "").strip()
    if xen:
        return xen, f"/sys/hypervisor/type is {xen}"
    is_x86 = bool(re.search(r"^flags\s*:", cpuinfo, re.MULTILINE))
    flagged = bool(re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.MULTILINE))
    if is_x86 and not flagged:
        return "none", "no hypervisor flag in /proc/cpuinfo"
    dmi = {name: (host.try_read(f"{_DMI}/{name}") or "").strip() for name in _DMI_FILES}
    vendor, clock = dmi_name(dmi), _clock(host.try_read(_CLOCKSOURCES) or "")
    # DMI says QEMU for KVM and for software emulation; the clock that the kernel may use tells them apart.
    found = clock if clock and (vendor is None or vendor[0] == "qemu") else vendor
    found = found or _device_tree(host) or _sysinfo(host.try_read("/proc/sysinfo") or "")
    if found:
        return found
    if flagged:
        return "unknown", "hypervisor flag in /proc/cpuinfo, but no name of it in DMI, the clock sources or the device tree"
    if any(dmi.values()) or host.is_dir(_DEVICE_TREE):
        return "none", f"no hypervisor in {_DMI} or {_DEVICE_TREE}"
    return "unknown", "this architecture has no hypervisor flag, and DMI and device tree are not there"


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


def container(host: Host, inodes: Dict[str, Optional[int]]) -> Finding:
    """none, or the name of what keeps this container. inodes: of this process's namespaces.

    Marker files alone do not make a container: a machine that boots an image made for containers has them as well.
    """
    if all(inodes.get(kind) == initial for kind, initial in _INITIAL_NAMESPACES.items()):
        return "none", "this process is in the first pid, uts, ipc and cgroup namespace"
    for path in ("/run/systemd/container", "/run/host/container-manager"):
        name = (host.try_read(path) or "").strip()
        if name:
            return name, f"{path} is {name}"
    match = re.search(r"(?:^|\0)container=([^\0]+)", host.try_read("/proc/1/environ") or "")
    if match:
        return match[1], f"container={match[1]} in /proc/1/environ"
    for path, name in _CONTAINER_FILES.items():
        if host.exists(path):
            return name, f"{path} is there"
    if inodes.get("pid") not in (None, _INITIAL_NAMESPACES["pid"]):
        return "unknown", "this process is in a pid namespace of its own, and no file says whose"
    return "none", "no sign of a container"
