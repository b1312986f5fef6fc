# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The huge pages of this host, as sysfs shows them, and the files that give them again at boot."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

from ..engine.host import Host
from .model import Desired, Observed, Rival, kept_path, knob

_KIB = 1024
_POOLS = "/sys/kernel/mm/hugepages"
_NODES = "/sys/devices/system/node"

# Source: sysctl.d(5) and tmpfiles.d(5): a file hides those of the same name in the directories after its own.
_DIRECTORIES = ("/etc", "/run", "/usr/local/lib", "/usr/lib")


def parse_meminfo(text: str) -> Dict[str, int]:
    """Field → bytes, in the text of /proc/meminfo or of a node's meminfo ("Node 0 MemFree: 5 kB")."""
    found = re.findall(r"^(?:Node \d+ )?([A-Za-z()_0-9]+):\s+(\d+) kB$", text, re.MULTILINE)
    return {name: int(number) * _KIB for name, number in found}


def parse_kept(text: str) -> Optional[int]:
    """The count in a file of ours: "vm.nr_hugepages = 8" or "w /sys/... - - - - 8"."""
    match = re.search(r"^(?:vm\.nr_hugepages\s*=|w .*nr_hugepages .*)\s(\d+)$", text, re.MULTILINE)
    return int(match[1]) if match else None


def read(host: Host, desired: Desired) -> Observed:
    meminfo = parse_meminfo(host.try_read("/proc/meminfo") or "")
    default = meminfo.get("Hugepagesize", 0)
    size, node = desired.size or default, desired.node
    sizes = tuple(sorted(int(name[len("hugepages-") : -len("kB")]) * _KIB for name in host.list(_POOLS)))
    nodes = tuple(sorted(int(name[len("node") :]) for name in host.list(_NODES) if re.fullmatch(r"node\d+", name)))
    if size not in sizes or (node is not None and node not in nodes):
        return Observed(size, default, sizes, nodes)
    surplus = _number(host, knob(size, node, "surplus_hugepages"))
    path = kept_path(size, default, node)
    return Observed(
        size,
        default,
        sizes,
        nodes,
        count=_number(host, knob(size, node)) - surplus,
        surplus=surplus,
        free=_number(host, knob(size, node, "free_hugepages")),
        reserved=_number(host, knob(size, None, "resv_hugepages")),
        available=_available(host, meminfo, node),
        kept=parse_kept(host.read(path) or ""),
        rivals=_rivals(host, size, default, path),
    )


def _number(host: Host, path: str) -> int:
    return int((host.read(path) or "0").strip())


def _available(host: Host, meminfo: Dict[str, int], node: Optional[int]) -> int:
    """The kernel has MemAvailable for the whole host only; a node's is counted likewise: what is free, and what it can drop."""
    whole = meminfo.get("MemAvailable", meminfo.get("MemFree", 0))
    if node is None:
        return whole
    own = parse_meminfo(host.try_read(f"{_NODES}/node{node}/meminfo") or "")
    return min(whole, sum(own.get(name, 0) for name in ("MemFree", "Active(file)", "Inactive(file)", "SReclaimable")))


def _rivals(host: Host, size: int, default: int, own: str) -> Tuple[Rival, ...]:
    pool = re.escape(f"hugepages-{size // _KIB}kB/nr_hugepages")
    found = _matching(host, "tmpfiles.d", rf"w\S*\s+\S*/{pool}\s.*", own)
    if size == default:
        found += _matching(host, "sysctl.d", r"-?vm[./]nr_hugepages\s*=.*", own)
    return tuple(found)


def _matching(host: Host, directory: str, pattern: str, own: str) -> List[Rival]:
    paths: Dict[str, str] = {}
    for base in _DIRECTORIES:
        for name in host.list(f"{base}/{directory}"):
            if name.endswith(".conf"):
                paths.setdefault(name, f"{base}/{directory}/{name}")
    found: List[Rival] = []
    for path in sorted(paths.values()):
        lines = (host.try_read(path) or "").splitlines() if path != own else []
        found += [Rival(path, number, line.strip()) for number, line in enumerate(lines, start=1) if re.fullmatch(pattern, line.strip())]
    return found
