# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts and requirements → checks. A requirement that cannot be proven is not met: it fails, with the reason."""

from __future__ import annotations

from collections import defaultdict
from typing import Callable, Dict, List, Mapping, Tuple

from ..engine.units import format_size, human_size
from . import remedies
from .checks.containers import controller_remedy, missing_controllers
from .checks.devices import groups_verdict
from .checks.kvm import proof_verdict
from .checks.rule import Unseen, Verdict, guarded, need
from .headroom import Headroom, headroom
from .model import FAIL, PASS, Check, Facts
from .spec import Request


def run_requirements(facts: Facts, request: Request) -> Tuple[Check, ...]:
    """One check for each requirement that was stated."""
    wanted = request.requirements
    left = headroom(facts, request.reserve)
    stated: Dict[str, Callable[[], Verdict]] = {}
    if wanted.kvm:
        stated["kvm"] = lambda: _kvm(facts)
    if wanted.nested:
        stated["nested"] = lambda: _nested(facts)
    if wanted.iommu:
        stated["iommu"] = lambda: groups_verdict(facts, FAIL)
    if wanted.sev_snp:
        stated["sev_snp"] = lambda: _confidential(facts, "sev_snp", "SEV-SNP")
    if wanted.tdx:
        stated["tdx"] = lambda: _confidential(facts, "tdx", "TDX")
    min_memory, min_vcpus = wanted.min_memory, wanted.min_vcpus
    if min_memory is not None:
        stated["min_memory"] = lambda: _memory(facts, left, min_memory)
    if min_vcpus is not None:
        stated["min_vcpus"] = lambda: _vcpus(facts, left, min_vcpus)
    if wanted.min_disk:
        stated["min_disk"] = lambda: _disk(facts, left, wanted.min_disk)
    if wanted.hugepages:
        stated["hugepages"] = lambda: _hugepages(facts, wanted.hugepages)
    if wanted.modules:
        stated["modules"] = lambda: _modules(facts, wanted.modules)
    if wanted.controllers:
        stated["controllers"] = lambda: _controllers(facts, wanted.controllers)
    return tuple(guarded(f"requirement.{name}", judge, otherwise=FAIL) for name, judge in stated.items())


def _kvm(facts: Facts) -> Verdict:
    _status, evidence, remedy = proof_verdict(facts, facts.proof)
    return PASS if facts.proof.accelerated else FAIL, evidence, remedy


def _nested(facts: Facts) -> Verdict:
    kvm = need(facts, "kvm", facts.kvm)
    if kvm.nested is None:
        return FAIL, f"no parameter nested of {kvm.module or 'kvm_intel or kvm_amd'} in /sys/module", remedies.nested(facts)
    evidence = f"/sys/module/{kvm.module}/parameters/nested is {'on' if kvm.nested else 'off'}"
    return (PASS, evidence, "") if kvm.nested else (FAIL, evidence, remedies.nested(facts))


def _confidential(facts: Facts, key: str, name: str) -> Verdict:
    feature = getattr(need(facts, "confidential", facts.confidential), key)
    return (PASS, feature.evidence, "") if feature.on else (FAIL, feature.evidence, remedies.confidential(facts, name))


def _hugepages(facts: Facts, wanted: Mapping[int, int]) -> Verdict:
    """Pages in all, whoever uses them now, so that a host with guests passes again."""
    there = {pool.size: pool.total for pool in need(facts, "memory", facts.memory).hugepages}
    said = [f"{format_size(size)}: {there.get(size, 'none of this size')}, required: {count}" for size, count in wanted.items()]
    evidence = f"{'; '.join(said)} (/sys/kernel/mm/hugepages)"
    if all(there.get(size, 0) >= count for size, count in wanted.items()):
        return PASS, evidence, ""
    missing = [f"{format_size(size)}: {count}" for size, count in wanted.items() if there.get(size, 0) < count]
    return FAIL, evidence, f"virtops.linux.hugepages with {', '.join(missing)}; where memory is too fragmented, hugepages= on the kernel command line"


def _modules(facts: Facts, wanted: Tuple[str, ...]) -> Verdict:
    there = need(facts, "modules", facts.modules)
    missing = [name for name in wanted if not there[name]]
    if missing:
        return (
            FAIL,
            f"not loaded: {', '.join(missing)} (/sys/module and modules.builtin)",
            "; ".join(remedies.module(facts, name) for name in missing),
        )
    return PASS, f"loaded, or built in: {', '.join(wanted)} (/sys/module and modules.builtin)", ""


def _memory(facts: Facts, left: Headroom, wanted: int) -> Verdict:
    if left.memory is None:
        raise Unseen(facts.unseen.get("memory", "memory was not read"))
    evidence = f"{human_size(left.memory) if left.memory > 0 else 'nothing'} for guests after the host's reserve, {human_size(wanted)} required"
    if left.memory >= wanted:
        return PASS, evidence, ""
    return FAIL, evidence, f"add {human_size(wanted - left.memory)} of memory, or lower host_reserve.memory"


def _vcpus(facts: Facts, left: Headroom, wanted: int) -> Verdict:
    if left.vcpus is None:
        raise Unseen(facts.unseen.get("capacity", "the CPUs were not counted"))
    evidence = f"threads for guests after the host's reserve: {max(0, left.vcpus)}, required: {wanted}"
    return (PASS, evidence, "") if left.vcpus >= wanted else (FAIL, evidence, "use a machine with more CPUs, or lower host_reserve.vcpus")


def _disk(facts: Facts, left: Headroom, wanted: Mapping[str, int]) -> Verdict:
    """Paths on one file system share its space, so what they require of it adds up."""
    capacity = need(facts, "capacity", facts.capacity)
    paths: Dict[str, List[str]] = defaultdict(list)
    said: List[str] = [disk.reason for disk in capacity.disks if disk.path in wanted and disk.free is None]
    status = FAIL if said else PASS
    for path in wanted:
        if path in left.mounts:
            paths[left.mounts[path]].append(path)
    for mount, on_it in paths.items():
        required = sum(wanted[path] for path in on_it)
        free = left.disk[mount]
        said.append(f"{', '.join(on_it)}: {human_size(max(0, free))} on {mount} after the host's reserve, {human_size(required)} required")
        status = FAIL if free < required else status
    return status, "; ".join(said), "" if status == PASS else "free some space, mount a larger file system there, or lower host_reserve.disk"


def _controllers(facts: Facts, wanted: Tuple[str, ...]) -> Verdict:
    missing, evidence = missing_controllers(facts, wanted)
    return (FAIL, evidence, controller_remedy(missing)) if missing else (PASS, evidence, "")
