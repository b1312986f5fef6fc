# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much is there, how much is left, and how much was promised already."""

from __future__ import annotations

from ...engine.units import human_size
from .. import remedies
from ..headroom import headroom
from ..model import FAIL, PASS, UNKNOWN, WARN, Facts
from ..spec import Request
from .rule import Rule, Verdict, need

#: Below this share of free inodes, a file system is about to take no more files, whatever space is left.
_FEW_INODES = 0.02


def _memory(facts: Facts, request: Request) -> Verdict:
    memory = need(facts, "memory", facts.memory)
    left = memory.total - request.reserve.memory
    available = "unknown" if memory.available is None else human_size(memory.available)
    evidence = f"{human_size(memory.total)} in all, {available} available (/proc/meminfo), {human_size(request.reserve.memory)} kept for the host"
    if left <= 0:
        return FAIL, f"{evidence}: nothing is left for guests", "add memory, or lower host_reserve.memory"
    if memory.available is not None and memory.available < request.reserve.memory:
        return WARN, f"{evidence}: less is available than the host is to keep", "stop or move guests"
    return PASS, f"{evidence}: {human_size(left)} for guests", ""


def _cpus(facts: Facts, request: Request) -> Verdict:
    capacity = need(facts, "capacity", facts.capacity)
    left = capacity.threads - request.reserve.vcpus
    nodes = len(capacity.numa_nodes) or "unknown"
    cores = "unknown" if capacity.cores is None else capacity.cores
    counts = f"threads online: {capacity.threads}, cores: {cores}, NUMA nodes: {nodes} (/sys/devices/system)"
    evidence = f"{counts}, kept for the host: {request.reserve.vcpus}"
    if left <= 0:
        return FAIL, f"{evidence}: nothing is left for guests", "lower host_reserve.vcpus"
    return PASS, f"{evidence}, left for guests: {left}", ""


def _disk(facts: Facts, request: Request) -> Verdict:
    disks = need(facts, "capacity", facts.capacity).disks
    if not disks:
        return UNKNOWN, "no path was asked for", "name some in disk_paths"
    left = headroom(facts, request.reserve).disk
    unseen = [disk.reason for disk in disks if disk.free is None]
    seen = [disk for disk in disks if disk.free is not None]
    evidence = "; ".join([*(f"{disk.path}: {human_size(disk.free or 0)} free on {disk.mount}" for disk in seen), *unseen])
    evidence = f"{evidence}; {human_size(request.reserve.disk)} kept for the host on each file system"
    full = [disk.path for disk in seen if left[disk.mount or ""] <= 0]
    if full:
        return FAIL, f"{evidence}: nothing is left at {', '.join(full)}", "free some space, or lower host_reserve.disk"
    return (UNKNOWN, evidence, remedies.unseen_disk(facts)) if unseen else (PASS, evidence, "")


def _inodes(facts: Facts, request: Request) -> Verdict:
    disks = [disk for disk in need(facts, "capacity", facts.capacity).disks if disk.free is not None]
    if not disks:
        return UNKNOWN, "no file system was measured", "see capacity.disk"
    counted = [disk for disk in disks if disk.inodes is not None and disk.inodes_free is not None]
    if not counted:
        return PASS, f"{', '.join(sorted({disk.mount or '' for disk in disks}))}: inodes are made as they are needed", ""
    evidence = "; ".join(f"{disk.path}: {disk.inodes_free} of {disk.inodes} inodes free on {disk.mount}" for disk in counted)
    low = [disk for disk in counted if (disk.inodes_free or 0) < (disk.inodes or 0) * _FEW_INODES]
    if low:
        status = WARN if all(disk.inodes_free for disk in low) else FAIL
        return status, evidence, "remove small files there, or make the file system with more inodes (mkfs.ext4 -N)"
    return PASS, evidence, ""


def _promised(facts: Facts, request: Request) -> Verdict:
    capacity = need(facts, "capacity", facts.capacity)
    promised = capacity.promised
    if promised is None:
        remedy = "run the task with become: true" if facts.platform.unprivileged else ""
        return UNKNOWN, f"what guests were promised is not known: {capacity.promised_reason}", remedy
    if not promised.guests:
        return PASS, "no guest is defined in /etc/libvirt/qemu, and none runs in /run/libvirt/qemu", ""
    left = headroom(facts, request.reserve)
    share = f"{promised.vcpus} vCPUs on {capacity.threads} threads and {human_size(promised.memory)} of memory"
    evidence = f"guests: {promised.guests}, running: {promised.running}; promised: {share} (/etc/libvirt/qemu)"
    if left.memory is not None and promised.memory > left.memory:
        said = f"{evidence}, where {human_size(max(0, left.memory))} are for guests"
        return WARN, f"{said}: they cannot all run without swapping", "move guests, or give them less memory"
    return PASS, evidence, ""


RULES = (
    Rule("capacity.memory", ("memory", "capacity"), _memory),
    Rule("capacity.cpus", ("capacity",), _cpus),
    Rule("capacity.disk", ("capacity",), _disk),
    Rule("capacity.inodes", ("capacity",), _inodes),
    Rule("capacity.promised", ("capacity",), _promised),
)
