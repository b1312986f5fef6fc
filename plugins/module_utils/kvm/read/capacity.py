# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much of a machine this is: CPUs, nodes, and the file systems that guests' disks go to."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Tuple

from ...engine.host import Host
from ..child import Say, in_child
from ..sections.system import Capacity, Disk, NumaNode
from .promised import read_promised

_CPUS = "/sys/devices/system/cpu"
_NODES = "/sys/devices/system/node"
_SECONDS = 1.0
_SILENT: Dict[str, Any] = {"mount": None, "total": None, "free": None}


def parse_cpu_list(text: str) -> List[int]:
    """A list of the kernel's, such as 0-3,8."""
    numbers: List[int] = []
    for part in text.strip().split(","):
        if part:
            first, _dash, last = part.partition("-")
            numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


def read_capacity(host: Host, paths: Tuple[str, ...]) -> Capacity:
    online = parse_cpu_list(host.try_read(f"{_CPUS}/online") or "")
    siblings = {(host.try_read(f"{_CPUS}/cpu{number}/topology/thread_siblings_list") or "").strip() for number in online}
    promised, reason = read_promised(host)
    return Capacity(
        threads=len(online) or os.cpu_count() or 1,
        cores=None if not siblings or "" in siblings else len(siblings),
        numa_nodes=tuple(_numa_nodes(host)),
        disks=tuple(_disks(host, paths)),
        promised=promised,
        promised_reason=reason,
    )


def _numa_nodes(host: Host) -> List[NumaNode]:
    numbers = sorted(int(name[4:]) for name in host.list(_NODES) if re.fullmatch(r"node\d+", name))
    nodes = []
    for number in numbers:
        total = re.search(r"MemTotal:\s+(\d+) kB", host.try_read(f"{_NODES}/node{number}/meminfo") or "")
        cpus = (host.try_read(f"{_NODES}/node{number}/cpulist") or "").strip()
        nodes.append(NumaNode(number, cpus, int(total[1]) * 1024 if total else None))
    return nodes


def _disks(host: Host, paths: Tuple[str, ...]) -> List[Disk]:
    """In a process of its own: a file system of a server that is gone does not answer, and whoever asks it waits with it."""

    def work(say: Say) -> None:
        for path in paths:
            say(**{path: _measure(host, path)})

    said = in_child(work, _SECONDS).said if paths else {}
    return [Disk(path=path, **{**_SILENT, **said.get(path, {"reason": f"{path}: no answer within {_SECONDS:g} second"})}) for path in paths]


def _measure(host: Host, path: str) -> Dict[str, Any]:
    """What may still be written at a path, or at its nearest parent where it is not there yet."""
    try:
        real = os.path.realpath(host.path(path))
        while not os.path.lexists(real):
            real = os.path.dirname(real)
        numbers = os.statvfs(real)
    except OSError as error:
        return {"reason": f"{path}: {error.strerror}"}
    while not os.path.ismount(real):
        real = os.path.dirname(real)
    mount = real[len(host.root) :] if host.root and real.startswith(host.root) else real
    return {
        "mount": mount or "/",
        "total": numbers.f_blocks * numbers.f_frsize,
        "free": numbers.f_bavail * numbers.f_frsize,
        "inodes": numbers.f_files or None,  # btrfs and others make inodes as they need them, and say 0
        "inodes_free": numbers.f_favail if numbers.f_files else None,
    }
