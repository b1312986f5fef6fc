# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Huge pages: how many of one size, on the whole host or on one NUMA node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.units import format_size, optional_size

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "size": {"type": "str"},
        "count": {"type": "int", "required": True},
        "minimum": {"type": "int"},
        "numa_node": {"type": "int"},
        "persistent": {"type": "bool", "default": True},
    },
}


@dataclass(frozen=True)
class Desired:
    """size: bytes of a page, None for the kernel's default. minimum: with how many a grant is good enough."""

    count: int
    minimum: int
    size: Optional[int] = None
    node: Optional[int] = None
    persistent: bool = True


@dataclass(frozen=True)
class Rival:
    """A line in a file that is not ours, or for another part of the host, that sets pages of this size at boot."""

    file: str
    line: int
    text: str

    def describe(self) -> Dict[str, Any]:
        return {"file": self.file, "line": self.line, "text": self.text}


@dataclass(frozen=True)
class Observed:
    """size: bytes of a page. default: the size that vm.nr_hugepages counts. sizes, nodes: what this host has; none without hugetlbfs.

    count: the pages of the pool, without the surplus, which goes away by itself. free: of count and surplus together.
    reserved: free ones that are promised already.
    available: bytes that can still be taken from this host or node without swapping.
    kept: what our file gives at the next boot, None without one.
    """

    size: int
    default: int
    sizes: Tuple[int, ...] = ()
    nodes: Tuple[int, ...] = ()
    count: int = 0
    surplus: int = 0
    free: int = 0
    reserved: int = 0
    available: int = 0
    kept: Optional[int] = None
    rivals: Tuple[Rival, ...] = ()

    @property
    def used(self) -> int:
        return self.count + self.surplus - self.free


def knob(size: int, node: Optional[int], file: str = "nr_hugepages") -> str:
    """The kernel's own file for the pages of a size. Source: Documentation/admin-guide/mm/hugetlbpage.rst."""
    base = "/sys/kernel/mm" if node is None else f"/sys/devices/system/node/node{node}"
    return f"{base}/hugepages/hugepages-{size // 1024}kB/{file}"


def kept_path(size: int, default: int, node: Optional[int]) -> str:
    """The file that gives the pages again at boot.

    A sysctl.d file where vm.nr_hugepages can say it, because that is where people look. It counts pages of the default size on the whole
    host only; for all others there is no sysctl, so systemd-tmpfiles writes the kernel's file. Both run early in the boot, before guests.
    """
    if size == default and node is None:
        return "/etc/sysctl.d/virtops-hugepages.conf"
    return f"/etc/tmpfiles.d/virtops-hugepages-{size // 1024}kB{'' if node is None else f'-node{node}'}.conf"


def label(size: int, node: Optional[int]) -> str:
    return f"huge pages of {format_size(size)}" + ("" if node is None else f" on NUMA node {node}")


def from_params(params: Mapping[str, Any]) -> Desired:
    count, minimum, node = params["count"], params["minimum"], params["numa_node"]
    size = optional_size(params["size"], "size")
    if count < 0:
        raise Failure(f"count: {count} is no number of pages; use 0 to give them all back", "invalid_count")
    if minimum is not None and not 0 <= minimum <= count:
        raise Failure(f"minimum: {minimum} is not between 0 and count ({count}); a grant cannot be good enough with it", "invalid_minimum")
    if node is not None and node < 0:
        raise Failure(f"numa_node: {node} is no NUMA node; count them from 0, or leave it out for the whole host", "invalid_numa_node")
    return Desired(count, count if minimum is None else minimum, size, node, params["persistent"])
