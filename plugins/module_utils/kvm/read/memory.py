# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Memory: how much, in which pages, and what the kernel does to make more of it."""

from __future__ import annotations

import re
from typing import Dict, List, Optional

from ...engine.errors import Failure
from ...engine.host import Host
from ..sections.system import HugePages, Memory, NodePages, SamePages

_HUGE = "/sys/kernel/mm/hugepages"
_NODES = "/sys/devices/system/node"
_THP = "/sys/kernel/mm/transparent_hugepage"
_KSM = "/sys/kernel/mm/ksm"


def parse_meminfo(text: str) -> Dict[str, int]:
    """The text of /proc/meminfo, whose kB are KiB: name → bytes."""
    values = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    if "MemTotal" not in values:
        raise Failure("no MemTotal in /proc/meminfo", "unexpected_output")
    return values


def read_memory(host: Host) -> Memory:
    """Linux before 3.14 has no MemAvailable."""
    values = parse_meminfo(host.read("/proc/meminfo") or "")
    return Memory(
        total=values["MemTotal"],
        available=values.get("MemAvailable"),
        swap=values.get("SwapTotal"),
        swap_free=values.get("SwapFree"),
        overcommit=number(host, "/proc/sys/vm/overcommit_memory"),
        commit_limit=values.get("CommitLimit"),
        committed=values.get("Committed_AS"),
        hugepages=tuple(_huge_pages(host)),
        transparent=chosen(host.try_read(f"{_THP}/enabled") or ""),
        transparent_defrag=chosen(host.try_read(f"{_THP}/defrag") or ""),
        same_pages=_same_pages(host),
    )


def number(host: Host, path: str) -> Optional[int]:
    """The number in a file of the kernel's."""
    text = (host.try_read(path) or "").strip()
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def chosen(text: str) -> Optional[str]:
    """The word in brackets: always [madvise] never."""
    match = re.search(r"\[([^\]]+)\]", text)
    return match[1] if match else None


def _huge_pages(host: Host) -> List[HugePages]:
    sizes = sorted(int(match[1]) for match in map(re.compile(r"hugepages-(\d+)kB").fullmatch, host.list(_HUGE)) if match)
    return [_pages_of(host, kib) for kib in sizes]


def _pages_of(host: Host, kib: int) -> HugePages:
    def count(name: str) -> int:
        return number(host, f"{_HUGE}/hugepages-{kib}kB/{name}") or 0

    return HugePages(
        size=kib * 1024,
        total=count("nr_hugepages"),
        free=count("free_hugepages"),
        reserved=count("resv_hugepages"),
        surplus=count("surplus_hugepages"),
        nodes=tuple(_nodes(host, kib)),
    )


def _nodes(host: Host, kib: int) -> List[NodePages]:
    found = []
    for node in sorted(int(name[4:]) for name in host.list(_NODES) if re.fullmatch(r"node\d+", name)):
        folder = f"{_NODES}/node{node}/hugepages/hugepages-{kib}kB"
        total, free = number(host, f"{folder}/nr_hugepages"), number(host, f"{folder}/free_hugepages")
        if total is not None and free is not None:
            found.append(NodePages(node, total, free))
    return found


def _same_pages(host: Host) -> Optional[SamePages]:
    run = number(host, f"{_KSM}/run")
    if run is None:
        return None
    across = number(host, f"{_KSM}/merge_across_nodes")
    shared, sharing = number(host, f"{_KSM}/pages_shared"), number(host, f"{_KSM}/pages_sharing")
    return SamePages(run, shared or 0, sharing or 0, None if across is None else across == 1)
