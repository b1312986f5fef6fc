# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the kernel does with memory that guests will feel."""

from __future__ import annotations

from ...engine.units import format_size, human_size
from ..model import PASS, UNKNOWN, WARN, Facts
from ..spec import Request
from .rule import Rule, Verdict, need

_STRICT = 2


def _hugepages(facts: Facts, request: Request) -> Verdict:
    pools = need(facts, "memory", facts.memory).hugepages
    if not pools:
        return WARN, "no /sys/kernel/mm/hugepages: this kernel has no huge pages", "boot a kernel that has CONFIG_HUGETLBFS"
    parts = []
    for pool in pools:
        nodes = [f"node {node.id}: {node.total}" for node in pool.nodes if node.total] if len(pool.nodes) > 1 else []
        parts.append(f"{format_size(pool.size)}: {pool.total} pages, {pool.free} free" + (f" ({', '.join(nodes)})" if nodes else ""))
    return PASS, f"{'; '.join(parts)} (/sys/kernel/mm/hugepages)", ""


def _transparent(facts: Facts, request: Request) -> Verdict:
    memory = need(facts, "memory", facts.memory)
    if memory.transparent is None:
        return UNKNOWN, "no /sys/kernel/mm/transparent_hugepage: this kernel has none", ""
    evidence = f"/sys/kernel/mm/transparent_hugepage/enabled is {memory.transparent}"
    if memory.transparent == "never":
        return (
            WARN,
            f"{evidence}: guests without huge pages of their own run on small ones",
            "virtops.linux.memory_sharing, or echo madvise > that file",
        )
    return PASS, f"{evidence}, defrag is {memory.transparent_defrag}", ""


def _same_pages(facts: Facts, request: Request) -> Verdict:
    memory = need(facts, "memory", facts.memory)
    if memory.same_pages is None:
        return UNKNOWN, "no /sys/kernel/mm/ksm: this kernel does not merge same pages", ""
    state = {0: "stopped", 1: "merging", 2: "stopped, with everything taken apart"}.get(memory.same_pages.run, "of a kind not known here")
    said = f"pages kept: {memory.same_pages.shared}, standing for {memory.same_pages.sharing} more"
    evidence = f"{state}; {said} (/sys/kernel/mm/ksm)"
    nodes = len(facts.capacity.numa_nodes) if facts.capacity else 1
    if memory.same_pages.run == 1 and memory.same_pages.merge_across_nodes and nodes > 1:
        remedy = "virtops.linux.memory_sharing; or echo 2 > run, echo 0 > merge_across_nodes, echo 1 > run, in /sys/kernel/mm/ksm"
        return WARN, f"{evidence}; pages are merged across the {nodes} NUMA nodes, so guests read memory far away", remedy
    return PASS, evidence, ""


def _overcommit(facts: Facts, request: Request) -> Verdict:
    memory = need(facts, "memory", facts.memory)
    if memory.overcommit is None:
        return UNKNOWN, "no /proc/sys/vm/overcommit_memory", ""
    evidence = f"vm.overcommit_memory is {memory.overcommit}"
    if memory.overcommit == _STRICT and memory.commit_limit is not None and memory.committed is not None:
        said = f"{human_size(memory.committed)} of {human_size(memory.commit_limit)} are committed (/proc/meminfo)"
        return WARN, f"{evidence}: guests do not start beyond the limit, however much memory is free; {said}", "sysctl vm.overcommit_memory=0"
    return PASS, evidence, ""


def _swap(facts: Facts, request: Request) -> Verdict:
    memory = need(facts, "memory", facts.memory)
    if not memory.swap:
        return PASS, "no swap (/proc/meminfo)", ""
    if memory.swap_free is None:
        return UNKNOWN, f"{human_size(memory.swap)} of swap, and no SwapFree in /proc/meminfo", ""
    used = memory.swap - memory.swap_free
    evidence = f"{human_size(used)} of {human_size(memory.swap)} of swap in use (/proc/meminfo)"
    if used * 2 > memory.swap:
        return WARN, f"{evidence}: guests wait for the disk", "add memory, or move guests to another host"
    return PASS, evidence, ""


RULES = (
    Rule("memory.hugepages", ("memory",), _hugepages),
    Rule("memory.transparent_hugepages", ("memory",), _transparent),
    Rule("memory.same_page_merging", ("memory",), _same_pages),
    Rule("memory.overcommit", ("memory",), _overcommit),
    Rule("memory.swap", ("memory",), _swap),
)
