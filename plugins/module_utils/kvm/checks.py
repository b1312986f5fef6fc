# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts → checks. Pure: one small function for each, in a table; one that fails takes no other along."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Callable, List, Optional, Tuple, TypeVar

from ..engine.units import human_size
from . import remedies
from .headroom import headroom
from .model import FAIL, PASS, UNKNOWN, WARN, Check, Device, Facts, Proof
from .spec import Request, Reserve

Section = TypeVar("Section")

#: status, evidence, remedy
Verdict = Tuple[str, str, str]

# What libvirt puts guests into, and container engines containers, by the names of version 2.
# Source: the cgroup checks of virt-host-validate; in version 2 devices and freezer are no controllers any more.
_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
# Version 1's name → version 2's.
_RENAMED = {"blkio": "io", "cpuacct": "cpu"}


class Unseen(Exception):
    """What a check is about could not be read. The text says why."""


@dataclass(frozen=True)
class Rule:
    """subsets: the check is made where one of them was asked for."""

    id: str
    subsets: Tuple[str, ...]
    judge: Callable[[Facts, Reserve], Verdict]


def run_checks(facts: Facts, request: Request) -> Tuple[Check, ...]:
    chosen = [rule for rule in RULES if request.subsets.intersection(rule.subsets)]
    return tuple(guarded(rule.id, partial(rule.judge, facts, request.reserve)) for rule in chosen)


def guarded(identity: str, judge: Callable[[], Verdict], otherwise: str = UNKNOWN) -> Check:
    """A check, whatever its function does. otherwise: the status where it cannot be told."""
    try:
        return Check(identity, *judge())
    except Unseen as unseen:
        return Check(identity, otherwise, f"cannot be told: {unseen}")
    except Exception as error:
        return Check(identity, otherwise, f"cannot be told: {type(error).__name__} in this check: {error}", "report this with the result's facts")


def need(facts: Facts, name: str, section: Optional[Section]) -> Section:
    """A section of the facts, or Unseen with the reason."""
    if section is None:
        raise Unseen(facts.unseen.get(name, f"the section {name} was not read"))
    return section


# Platform


def _hypervisor(facts: Facts, reserve: Reserve) -> Verdict:
    name, evidence = facts.platform.hypervisor, facts.platform.hypervisor_evidence
    if name == "unknown":
        return UNKNOWN, evidence, ""
    return PASS, "not a guest itself: " + evidence if name == "none" else f"runs under {name}: {evidence}", ""


def _container(facts: Facts, reserve: Reserve) -> Verdict:
    if not remedies.in_container(facts):
        return PASS, f"not a container: {facts.platform.container_evidence}", ""
    evidence = f"a container ({facts.platform.container}): {facts.platform.container_evidence}"
    return WARN, evidence, "check the machine that runs this container: devices, modules and control groups are its own"


def _modules(facts: Facts, reserve: Reserve) -> Verdict:
    if facts.platform.loads_modules:
        return PASS, facts.platform.module_evidence, ""
    return WARN, facts.platform.module_evidence, "what is missing has to be built into the kernel, or loaded early at boot: boot another kernel"


# CPU and KVM


def _virtualization(facts: Facts, reserve: Reserve) -> Verdict:
    cpu = need(facts, "cpu", facts.cpu)
    if cpu.virtualization:
        return PASS, f"{cpu.virtualization} in /proc/cpuinfo", ""
    if facts.platform.machine == "x86_64":
        return FAIL, "no vmx or svm in /proc/cpuinfo", remedies.virtualization(facts)
    return UNKNOWN, f"{facts.platform.machine} has no flag for it in /proc/cpuinfo", "see kvm.proof"


def _nested_paging(facts: Facts, reserve: Reserve) -> Verdict:
    cpu = need(facts, "cpu", facts.cpu)
    if cpu.nested_paging:
        return PASS, f"{cpu.nested_paging} in /proc/cpuinfo", ""
    if facts.platform.machine != "x86_64":
        return UNKNOWN, f"{facts.platform.machine} has no flag for it in /proc/cpuinfo", ""
    if not cpu.virtualization:
        return UNKNOWN, "the CPU shows no virtualization at all", "see cpu.virtualization"
    return WARN, "no ept or npt in /proc/cpuinfo: KVM keeps shadow page tables, which is slow", remedies.virtualization(facts)


def _kvm_device(facts: Facts, reserve: Reserve) -> Verdict:
    device = need(facts, "kvm", facts.kvm).device
    if not device.exists:
        return FAIL, "there is no /dev/kvm", remedies.no_device(facts)
    evidence = f"/dev/kvm is {device.owner}:{device.group} {device.mode}"
    if device.opens is None:
        return UNKNOWN, f"{evidence}; opening it did not come to an end", "see kvm.proof"
    if device.errno == "EACCES":
        return UNKNOWN, f"{evidence}; this user may not open it (EACCES)", remedies.denied(facts, device.group or "")
    if not device.opens:
        return FAIL, f"{evidence}; it cannot be opened ({device.errno})", remedies.no_device(facts)
    if not _for_others(device):
        meaning = "it opens for root alone, and libvirt's guests run as another user"
        return WARN, f"{evidence}; {meaning}", "chgrp kvm /dev/kvm; chmod 0660 /dev/kvm (where udev runs, its rules do so at boot)"
    return PASS, f"{evidence}; it opens", ""


def _for_others(device: Device) -> bool:
    """Whether the mode lets someone but root read and write."""
    mode = int(device.mode or "0", 8)
    return mode & 0o006 == 0o006 or (mode & 0o060 == 0o060 and device.group != "root")


def _kvm_proof(facts: Facts, reserve: Reserve) -> Verdict:
    return proof_verdict(facts, facts.proof)


def proof_verdict(facts: Facts, proof: Proof) -> Verdict:
    if proof.accelerated:
        return PASS, proof.reason, ""
    if proof.stage == "skipped":
        return UNKNOWN, proof.reason, "set kvm_probe: true"
    if proof.usable is None:
        return UNKNOWN, proof.reason, "dmesg says what the kernel saw; reload the KVM module, or boot another kernel, before guests run here"
    if proof.usable:
        if proof.accelerated is None:
            return WARN, proof.reason, ""
        return FAIL, proof.reason, remedies.no_acceleration(facts)
    if proof.errno == "EACCES":
        return UNKNOWN, proof.reason, remedies.denied(facts)
    if proof.errno == "EBUSY":
        return FAIL, proof.reason, "stop the other hypervisor and unload its modules (vboxdrv, vmmon)"
    return FAIL, proof.reason, remedies.no_device(facts)


# Devices


def _iommu(facts: Facts, reserve: Reserve) -> Verdict:
    groups = need(facts, "iommu", facts.iommu).groups
    if groups:
        return PASS, f"groups in /sys/kernel/iommu_groups: {groups}", ""
    return WARN, "no group in /sys/kernel/iommu_groups: devices cannot be passed to guests", remedies.iommu(facts)


def _vhost_net(facts: Facts, reserve: Reserve) -> Verdict:
    return _node(facts, need(facts, "devices", facts.devices).vhost_net, WARN, "vhost_net", "guests' networking takes a detour through QEMU")


def _tun(facts: Facts, reserve: Reserve) -> Verdict:
    return _node(facts, need(facts, "devices", facts.devices).tun, FAIL, "tun", "guests cannot be connected to a bridge or a network")


def _node(facts: Facts, device: Device, status: str, module: str, meaning: str) -> Verdict:
    if not device.exists:
        return status, f"there is no {device.path}: {meaning}", remedies.module(facts, module)
    evidence = f"{device.path} is {device.owner}:{device.group} {device.mode}"
    if device.opens:
        return PASS, f"{evidence}; it opens", ""
    if device.errno == "EACCES":
        return UNKNOWN, f"{evidence}; this user may not open it (EACCES)", remedies.denied(facts)
    return status, f"{evidence}; it cannot be opened ({device.errno}): {meaning}", remedies.module(facts, module)


# Control groups


def controllers(names: Tuple[str, ...]) -> List[str]:
    """Controllers by the names of version 2."""
    return sorted({_RENAMED.get(name, name) for name in names})


def _cgroup_mode(facts: Facts, reserve: Reserve) -> Verdict:
    mode = need(facts, "cgroup", facts.cgroup).mode
    if mode == "unified":
        return PASS, "unified: version 2 alone in /proc/self/mounts", ""
    if mode == "none":
        return FAIL, "no control groups in /proc/self/mounts", "mount -t cgroup2 none /sys/fs/cgroup, or boot with an init system that does so"
    meaning = "versions 1 and 2 side by side" if mode == "hybrid" else "version 1 alone"
    return WARN, f"{mode}: {meaning} in /proc/self/mounts", "add systemd.unified_cgroup_hierarchy=1 to the kernel command line and reboot"


def missing_controllers(facts: Facts, wanted: Tuple[str, ...]) -> Tuple[List[str], str]:
    """Those that are missing, and the evidence."""
    there = controllers(need(facts, "cgroup", facts.cgroup).controllers)
    missing = [name for name in wanted if _RENAMED.get(name, name) not in there]
    said = f"this host has {', '.join(there) or 'none'} (cgroup.controllers and /proc/cgroups)"
    return missing, f"missing: {', '.join(missing)}; {said}" if missing else said


def controller_remedy(missing: List[str]) -> str:
    if "memory" in missing:
        return "add cgroup_enable=memory to the kernel command line and reboot; in a container, delegate the controllers to it"
    return f"boot a kernel that has {', '.join(missing)}; in a container, delegate the controllers to it"


def _cgroup_controllers(facts: Facts, reserve: Reserve) -> Verdict:
    missing, evidence = missing_controllers(facts, _CONTROLLERS)
    return (WARN, evidence, controller_remedy(missing)) if missing else (PASS, evidence, "")


# Capacity


def _memory(facts: Facts, reserve: Reserve) -> Verdict:
    memory = need(facts, "memory", facts.memory)
    left = memory.total - reserve.memory
    available = "unknown" if memory.available is None else human_size(memory.available)
    evidence = f"{human_size(memory.total)} in all, {available} available (/proc/meminfo), {human_size(reserve.memory)} kept for the host"
    if left <= 0:
        return FAIL, f"{evidence}: nothing is left for guests", "add memory, or lower host_reserve.memory"
    if memory.available is not None and memory.available < reserve.memory:
        return WARN, f"{evidence}: less is available than the host is to keep", "stop or move guests"
    return PASS, f"{evidence}: {human_size(left)} for guests", ""


def _cpus(facts: Facts, reserve: Reserve) -> Verdict:
    capacity = need(facts, "capacity", facts.capacity)
    left = capacity.threads - reserve.vcpus
    nodes = len(capacity.numa_nodes) or "unknown"
    cores = "unknown" if capacity.cores is None else capacity.cores
    counts = f"threads online: {capacity.threads}, cores: {cores}, NUMA nodes: {nodes} (/sys/devices/system)"
    evidence = f"{counts}, kept for the host: {reserve.vcpus}"
    if left <= 0:
        return FAIL, f"{evidence}: nothing is left for guests", "lower host_reserve.vcpus"
    return PASS, f"{evidence}, left for guests: {left}", ""


def _disk(facts: Facts, reserve: Reserve) -> Verdict:
    disks = need(facts, "capacity", facts.capacity).disks
    if not disks:
        return UNKNOWN, "no path was asked for", "name some in disk_paths"
    left = headroom(facts, reserve).disk
    unseen = [disk.reason for disk in disks if disk.free is None]
    seen = [disk for disk in disks if disk.free is not None]
    evidence = "; ".join([*(f"{disk.path}: {human_size(disk.free or 0)} free on {disk.mount}" for disk in seen), *unseen])
    evidence = f"{evidence}; {human_size(reserve.disk)} kept for the host on each file system"
    full = [disk.path for disk in seen if left[disk.mount or ""] <= 0]
    if full:
        return FAIL, f"{evidence}: nothing is left at {', '.join(full)}", "free some space, or lower host_reserve.disk"
    return (UNKNOWN, evidence, remedies.denied(facts)) if unseen else (PASS, evidence, "")


RULES = (
    Rule("platform.hypervisor", ("cpu",), _hypervisor),
    Rule("platform.container", ("cpu",), _container),
    Rule("cpu.virtualization", ("cpu",), _virtualization),
    Rule("cpu.nested_paging", ("cpu",), _nested_paging),
    Rule("kvm.device", ("kvm",), _kvm_device),
    Rule("kvm.proof", ("kvm",), _kvm_proof),
    Rule("kernel.modules", ("kvm", "devices"), _modules),
    Rule("iommu.groups", ("iommu",), _iommu),
    Rule("device.vhost_net", ("devices",), _vhost_net),
    Rule("device.tun", ("devices",), _tun),
    Rule("cgroup.mode", ("cgroup",), _cgroup_mode),
    Rule("cgroup.controllers", ("cgroup",), _cgroup_controllers),
    Rule("capacity.memory", ("memory", "capacity"), _memory),
    Rule("capacity.cpus", ("capacity",), _cpus),
    Rule("capacity.disk", ("capacity",), _disk),
)
