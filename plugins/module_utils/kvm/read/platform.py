# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel, what this machine runs in, and what hypervisors it runs itself."""

from __future__ import annotations

import os
import re
from typing import Dict, Iterator, Optional, Sequence, Tuple

from ...engine.host import Host
from ..sections.machine import Platform, Running
from .hypervisor import Finding, confidential_guest, hypervisor, xen_dom0
from .registers import Registers

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
# Source: include/linux/proc_ns.h. These inodes are the same on every machine, and no other namespace has them.
_INITIAL_NAMESPACES = {"pid": 0xEFFFFFFC, "uts": 0xEFFFFFFE, "ipc": 0xEFFFFFFF, "cgroup": 0xEFFFFFFB}
_INITIAL_USERS = 0xEFFFFFFD
_CONTAINER_FILES = {"/run/.containerenv": "podman", "/.dockerenv": "docker"}
# A module of the kernel → the hypervisor that it drives.
_DRIVERS = {"vboxdrv": "virtualbox", "vmmon": "vmware"}
# Source: Hyper-V's specification, leaf 0x40000003, the privileges of a partition in ebx.
_CREATE_PARTITIONS = 1


def read_platform(host: Host, cpuinfo: str, registers: Registers) -> Platform:
    inodes = {kind: _namespace_inode(host, kind) for kind in NAMESPACES}
    name, evidence = hypervisor(host, cpuinfo, registers)
    contained, container_evidence = container(host, inodes)
    loads, reason = _loads_modules(host)
    return Platform(
        machine=(host.try_read("/proc/sys/kernel/arch") or os.uname().machine).strip(),
        kernel=(host.try_read("/proc/sys/kernel/osrelease") or "").strip(),
        hypervisor=name,
        hypervisor_evidence=evidence,
        container=contained,
        container_evidence=container_evidence,
        loads_modules=loads,
        module_evidence=reason,
        namespaces=tuple(kind for kind in NAMESPACES if inodes[kind] is not None),
        unprivileged=os.geteuid() != 0,
        runs=tuple(running(host, registers)),
        confidential_guest=confidential_guest(cpuinfo, registers),
        private_users=None if inodes["user"] is None else inodes["user"] != _INITIAL_USERS,
        chroot=_chroot(host),
    )


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
    if re.search(r"microsoft|wsl", host.try_read("/proc/sys/kernel/osrelease") or "", re.IGNORECASE):
        return "wsl", "the kernel's release names Microsoft or WSL"
    if host.is_dir("/proc/vz") and not host.is_dir("/proc/bc"):
        return "openvz", "/proc/vz is there, and /proc/bc is not"
    for path, name in _CONTAINER_FILES.items():
        if host.exists(path):
            return name, f"{path} is there"
    if inodes.get("pid") not in (None, _INITIAL_NAMESPACES["pid"]):
        return "unknown", "this process is in a pid namespace of its own, and no file says whose"
    return "none", "no sign of a container"


def running(host: Host, registers: Registers) -> Iterator[Running]:
    """The hypervisors that this machine runs, each by what only it leaves behind."""
    modules = host.list("/sys/module")
    backend = kvm_backend(modules)
    if backend:
        yield Running("kvm", 1, f"/sys/module/{backend}")
    elif host.exists("/dev/kvm"):
        yield Running("kvm", 1, "/dev/kvm")
    if xen_dom0(host):
        yield Running("xen", 1, "this is Xen's first domain, by /sys/hypervisor/properties/features or /proc/xen/capabilities")
    leaf = registers.cpuid(0x40000003)
    named = registers.cpuid(0x40000000)
    if host.exists("/dev/mshv") or (leaf and named and named[1] == 0x7263694D and leaf[1] & _CREATE_PARTITIONS):  # "Micr"
        yield Running("microsoft", 1, "the root partition of Hyper-V, by /dev/mshv or CPUID leaf 0x40000003")
    for module, name in _DRIVERS.items():
        if module in modules:
            yield Running(name, 2, f"/sys/module/{module}")


def kvm_backend(modules: Sequence[str]) -> Optional[str]:
    """What runs KVM's guests: kvm_intel, kvm_amd, or another of the names in /sys/module."""
    backends = [name for name in modules if name.startswith("kvm_")]
    return next((name for name in backends if name in ("kvm_intel", "kvm_amd")), backends[0] if backends else None)


def _chroot(host: Host) -> Optional[bool]:
    """None where this user may not see the first process."""
    try:
        own, first = os.stat(host.path("/")), os.stat(host.path("/proc/1/root"))
    except OSError:
        return None
    return (own.st_dev, own.st_ino) != (first.st_dev, first.st_ino)


def _namespace_inode(host: Host, kind: str) -> Optional[int]:
    """The inode in a link such as pid:[4026531836]; None where the kernel has no such namespace."""
    try:
        link = os.readlink(host.path(f"/proc/self/ns/{kind}"))
    except OSError:
        return None
    match = re.fullmatch(r"\w+:\[(\d+)\]", link)
    return int(match[1]) if match else None


def _loads_modules(host: Host) -> Tuple[bool, str]:
    if not host.exists("/proc/modules"):
        return False, "no /proc/modules: this kernel loads no modules at all"
    if (host.try_read("/proc/sys/kernel/modules_disabled") or "0").strip() == "1":
        return False, "kernel.modules_disabled=1 forbids loading until the next boot"
    return True, "/proc/modules is there, and kernel.modules_disabled is not set"
