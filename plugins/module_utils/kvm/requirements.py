# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts and requirements → checks. A requirement that cannot be proven is not met: it fails, with the reason."""

from __future__ import annotations

from collections import defaultdict
from typing import Callable, Dict, List, Mapping, Tuple

from ..engine.units import human_size
from . import remedies
from .checks import Unseen, Verdict, controller_remedy, guarded, missing_controllers, need, proof_verdict
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
    min_memory, min_vcpus = wanted.min_memory, wanted.min_vcpus
    if min_memory is not None:
        stated["min_memory"] = lambda: _memory(facts, left, min_memory)
    if min_vcpus is not None:
        stated["min_vcpus"] = lambda: _vcpus(facts, left, min_vcpus)
    if wanted.min_disk:
        stated["min_disk"] = lambda: _disk(facts, left, wanted.min_disk)
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
