# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host → Facts. Parsers take text; a section that cannot be read says why and leaves the others alone."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import stat
from typing import Callable, Dict, List, Optional, Set, Tuple, TypeVar

from ..engine.errors import Failure
from ..engine.host import Host
from . import hypervisor
from .model import Capacity, Cgroup, Cpu, Device, Devices, Disk, Facts, Iommu, Kvm, Memory, NumaNode, Platform, Proof, skipped
from .probe import probe
from .spec import Request

Section = TypeVar("Section")
Prober = Callable[[str], Proof]

KVM_DEVICE = "/dev/kvm"
VENDOR_MODULES = ("kvm_intel", "kvm_amd")
# Source: the implementer field of MIDR_EL1, arch/arm64/include/asm/cputype.h.
_ARM_VENDORS = {"0x41": "ARM", "0x43": "Cavium", "0x46": "Fujitsu", "0x48": "HiSilicon", "0x4e": "NVIDIA", "0x61": "Apple", "0xc0": "Ampere"}
_CPUS = "/sys/devices/system/cpu"
_NODES = "/sys/devices/system/node"
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


def read(host: Host, request: Request, prober: Prober = probe) -> Facts:
    """The sections that the request needs. prober: runs the guest."""
    wanted = request.reads()
    unseen: Dict[str, str] = {}
    cpuinfo = host.try_read("/proc/cpuinfo") or ""

    def section(name: str, reader: Callable[[], Section]) -> Optional[Section]:
        if name not in wanted:
            return None
        try:
            return reader()
        except Failure as failure:
            unseen[name] = failure.message
        except Exception as error:  # a file of a shape that no kernel had so far must not cost the other sections
            unseen[name] = f"{type(error).__name__}: {error}"
        return None

    proof = skipped("the subset kvm was not asked for")
    if "kvm" in wanted:
        proof = prober(host.path(KVM_DEVICE)) if request.probe else skipped("kvm_probe is false, so no guest was run")
    return Facts(
        platform=_platform(host, cpuinfo),
        proof=proof,
        cpu=section("cpu", lambda: parse_cpu(cpuinfo)),
        kvm=section("kvm", lambda: _kvm(host, proof)),
        iommu=section("iommu", lambda: Iommu(len(host.list("/sys/kernel/iommu_groups")))),
        memory=section("memory", lambda: parse_memory(host.read("/proc/meminfo") or "")),
        devices=section("devices", lambda: Devices(_device(host, "/dev/vhost-net"), _device(host, "/dev/net/tun"))),
        cgroup=section("cgroup", lambda: _cgroup(host)),
        capacity=section("capacity", lambda: _capacity(host, request.disk_paths)),
        unseen=unseen,
    )


# CPU and platform


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
    nested = flags | set((cpuinfo_field(cpuinfo, "vmx flags") or "").split())
    implementer = cpuinfo_field(cpuinfo, "CPU implementer")
    vendor = cpuinfo_field(cpuinfo, "vendor_id") or (_ARM_VENDORS.get(implementer, implementer) if implementer else None)
    part = cpuinfo_field(cpuinfo, "CPU part")
    return Cpu(
        vendor=vendor,
        model=cpuinfo_field(cpuinfo, "model name", "Model", "cpu") or (f"part {part}" if part else None),
        virtualization=next((flag for flag in ("vmx", "svm", "sie") if flag in flags), None),
        nested_paging=next((flag for flag in ("ept", "npt") if flag in nested), None),
    )


def _platform(host: Host, cpuinfo: str) -> Platform:
    inodes = {kind: _namespace_inode(host, kind) for kind in _NAMESPACES}
    name, evidence = hypervisor.hypervisor(host, cpuinfo)
    container, container_evidence = hypervisor.container(host, inodes)
    loads, reason = _loads_modules(host)
    return Platform(
        machine=(host.try_read("/proc/sys/kernel/arch") or os.uname().machine).strip(),
        kernel=(host.try_read("/proc/sys/kernel/osrelease") or "").strip(),
        hypervisor=name,
        hypervisor_evidence=evidence,
        container=container,
        container_evidence=container_evidence,
        loads_modules=loads,
        module_evidence=reason,
        namespaces=tuple(kind for kind in _NAMESPACES if inodes[kind] is not None),
        unprivileged=os.geteuid() != 0,
    )


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


# Devices


def _status(host: Host, path: str) -> Optional[os.stat_result]:
    try:
        return os.stat(host.path(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _device(host: Host, path: str, opened: Optional[Tuple[Optional[bool], Optional[str]]] = None) -> Device:
    """opened: whether it opens and the error's name, where that is known already."""
    status = _status(host, path)
    if status is None:
        return Device(path, False)
    opens, error = opened or _opens(host.path(path))
    return Device(path, True, _owner(status.st_uid), _group(status.st_gid), f"{stat.S_IMODE(status.st_mode):04o}", opens, error)


def _opens(real: str) -> Tuple[Optional[bool], Optional[str]]:
    """A node in /dev can be there without a driver behind it, so the only way to know is to open it."""
    try:
        os.close(os.open(real, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return False, errno.errorcode.get(error.errno or 0, str(error.errno))
    return True, None


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _kvm(host: Host, proof: Proof) -> Kvm:
    backends = [name for name in host.list("/sys/module") if name.startswith("kvm_")]
    module = next((name for name in backends if name in VENDOR_MODULES), backends[0] if backends else None)
    nested = (host.try_read(f"/sys/module/{module}/parameters/nested") or "").strip() if module else ""
    return Kvm(
        device=_device(host, KVM_DEVICE, _opened_by(proof)),
        module=module,
        nested=nested in ("Y", "1") if nested else None,
    )


def _opened_by(proof: Proof) -> Optional[Tuple[Optional[bool], Optional[str]]]:
    """What the proof showed of opening the device: opening it once more could hang here where the child hung."""
    if proof.stage in ("skipped", "fork"):
        return None
    if proof.stage == "open":
        return (False, proof.errno) if proof.errno else (None, None)
    return True, None


# Control groups


def parse_cgroup_mounts(mounts: str) -> Tuple[str, Dict[str, List[str]]]:
    """The text of /proc/self/mounts → the mode, and mount point → options of each hierarchy (none for version 2)."""
    found: Dict[str, List[str]] = {}
    versions = set()
    for line in mounts.splitlines():
        words = line.split()
        if len(words) > 3 and words[2] in ("cgroup", "cgroup2"):
            versions.add(words[2])
            found[words[1]] = words[3].split(",") if words[2] == "cgroup" else []
    if versions == {"cgroup2"}:
        return "unified", found
    if versions == {"cgroup"}:
        return "legacy", found
    return ("hybrid" if versions else "none"), found


def parse_enabled_controllers(proc_cgroups: str) -> List[str]:
    """The names of the enabled controllers in the text of /proc/cgroups: "name hierarchy cgroups enabled"."""
    rows = [line.split() for line in proc_cgroups.splitlines() if line and not line.startswith("#")]
    return [row[0] for row in rows if len(row) == 4 and row[3] == "1"]


def _cgroup(host: Host) -> Cgroup:
    mode, mounts = parse_cgroup_mounts(host.read("/proc/self/mounts") or "")
    enabled = parse_enabled_controllers(host.try_read("/proc/cgroups") or "")
    controllers: Set[str] = set()
    for point, options in mounts.items():
        controllers.update(name for name in options if name in enabled)
        if not options:
            controllers.update((host.try_read(f"{point}/cgroup.controllers") or "").split())
    return Cgroup(mode, tuple(sorted(controllers)))


# Capacity


def parse_memory(text: str) -> Memory:
    """The text of /proc/meminfo, whose kB are KiB. Linux before 3.14 has no MemAvailable."""
    values = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    if "MemTotal" not in values:
        raise Failure("no MemTotal in /proc/meminfo", "unexpected_output")
    return Memory(values["MemTotal"], values.get("MemAvailable"), values.get("SwapTotal"))


def parse_cpu_list(text: str) -> List[int]:
    """A list of the kernel's, such as 0-3,8."""
    numbers: List[int] = []
    for part in text.strip().split(","):
        if part:
            first, _dash, last = part.partition("-")
            numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


def _capacity(host: Host, paths: Tuple[str, ...]) -> Capacity:
    online = parse_cpu_list(host.try_read(f"{_CPUS}/online") or "")
    siblings = {(host.try_read(f"{_CPUS}/cpu{number}/topology/thread_siblings_list") or "").strip() for number in online}
    return Capacity(
        threads=len(online) or os.cpu_count() or 1,
        cores=None if not siblings or "" in siblings else len(siblings),
        numa_nodes=tuple(_numa_nodes(host)),
        disks=tuple(_disk(host, path) for path in paths),
    )


def _numa_nodes(host: Host) -> List[NumaNode]:
    numbers = sorted(int(name[4:]) for name in host.list(_NODES) if re.fullmatch(r"node\d+", name))
    nodes = []
    for number in numbers:
        total = re.search(r"MemTotal:\s+(\d+) kB", host.try_read(f"{_NODES}/node{number}/meminfo") or "")
        cpus = (host.try_read(f"{_NODES}/node{number}/cpulist") or "").strip()
        nodes.append(NumaNode(number, cpus, int(total[1]) * 1024 if total else None))
    return nodes


def _disk(host: Host, path: str) -> Disk:
    """What may still be written at a path, or at its nearest parent where it is not there yet."""
    real = os.path.realpath(host.path(path))
    while not os.path.lexists(real):
        real = os.path.dirname(real)
    try:
        numbers = os.statvfs(real)
    except OSError as error:
        return Disk(path, None, None, None, f"{path}: {error.strerror}")
    while not os.path.ismount(real):
        real = os.path.dirname(real)
    mount = real[len(host.root) :] if host.root and real.startswith(host.root) else real
    return Disk(path, mount or "/", numbers.f_blocks * numbers.f_frsize, numbers.f_bavail * numbers.f_frsize)
