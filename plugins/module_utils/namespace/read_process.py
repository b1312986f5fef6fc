# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The process of a set, as its unit or the files beside the namespaces show it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Dict, List, Optional, Set, Tuple

from ..engine.host import Host
from .commands import process_file
from .model import Observed
from .model_process import Wanted, wanted
from .unit import DIRECTORY, TARGET, declared, process_unit_name, process_unit_path


def read_process(host: Host, observed: Observed) -> Observed:
    """observed: with the processes that live in the namespaces."""
    name = observed.name
    if not observed.systemd:
        text = host.try_read(process_file(name, "json"))
        return replace(observed, process=wanted(json.loads(text)) if text else None, process_pids=_family(host, observed, _number(host, name)))
    kept = process_unit_name(name) in host.list(f"{DIRECTORY}/{TARGET}.wants")
    texts = [host.read(process_unit_path(name, boot)) for boot in (True, False)]
    text = texts[0] if texts[0] is not None else texts[1]
    if text is None:
        return observed
    said = declared(text)
    shown = host.run(["systemctl", "show", "--property=MainPID", "--value", process_unit_name(name)]).stdout.strip()
    pids = _family(host, observed, int(shown or "0"))
    return replace(observed, process=wanted(said) if said else None, process_pids=pids, process_unit=text, process_boot=kept and texts[0] is not None)


def _number(host: Host, name: str) -> int:
    text = (host.try_read(process_file(name, "pid")) or "").strip()
    return int(text) if text.isdigit() else 0


def _family(host: Host, observed: Observed, first: int) -> Tuple[int, ...]:
    """A process and its descendants, where it lives in the namespaces. Else its number is an old one's, and none is."""
    parents: Dict[int, int] = {}
    for item in observed.processes:
        fields = (host.try_read(f"/proc/{item.pid}/stat") or "").rpartition(")")[2].split()
        if fields:
            parents[item.pid] = int(fields[1])
    if first not in parents:
        return ()
    found: Set[int] = {first}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return tuple(sorted(found))
        found |= more


def lacks(host: Host, process: Wanted) -> Optional[Tuple[str, str]]:
    """What the process needs and is not there: a sentence and a code."""
    if process.root and not host.is_dir(process.root):
        return f"process: root: there is no directory {process.root}; make or mount it first", "root_missing"
    if process.cgroup and not host.is_dir("/run/systemd/system") and not cgroup_directories(host, process.cgroup):
        return f"process: cgroups_path: there is no cgroup {process.cgroup}; make it first with container_cgroup", "cgroup_missing"
    return None


def cgroup_directories(host: Host, cgroup: str) -> List[str]:
    """Where the cgroup is, in each hierarchy that has it."""
    fields = [line.partition(" - ") for line in (host.read("/proc/self/mountinfo") or "").splitlines()]
    mounts = [left.split()[4] for left, _dash, right in fields if right.split()[0] in ("cgroup", "cgroup2")]
    return [f"{mount}/{cgroup}" for mount in dict.fromkeys(mounts) if host.is_dir(f"{mount}/{cgroup}")]
