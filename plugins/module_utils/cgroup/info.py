# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What cgroups are limited to, what they use, and what the limits have done."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from ..engine.host import Host
from .model import SYSTEMD, Desired, Observed
from .names import cgroup_name
from .plan import facts, resources_in
from .read import parse_mountinfo, read

SPEC: Dict[str, Any] = {"argument_spec": {"names": {"type": "list", "elements": "str"}}}

Stats = Dict[str, Dict[str, int]]

# What is shown → the files that say so, in the order of preference: (file, key). The key "" is of a file with a number alone.
# The last figure is the unit: v1 counts times in nanoseconds.
_USAGE: Tuple[Tuple[str, str, str, int], ...] = (
    ("cpu_usec", "cpu.stat", "usage_usec", 1),
    ("cpu_usec", "cpuacct.usage", "", 1000),
    ("memory", "memory.current", "", 1),
    ("memory", "memory.usage_in_bytes", "", 1),
    ("memory_peak", "memory.peak", "", 1),
    ("memory_peak", "memory.max_usage_in_bytes", "", 1),
    ("swap", "memory.swap.current", "", 1),
    ("pids", "pids.current", "", 1),
)
_EVENTS: Tuple[Tuple[str, str, str, int], ...] = (
    ("periods", "cpu.stat", "nr_periods", 1),
    ("throttled", "cpu.stat", "nr_throttled", 1),
    ("throttled_usec", "cpu.stat", "throttled_usec", 1),
    ("throttled_usec", "cpu.stat", "throttled_time", 1000),
    ("oom_kill", "memory.events", "oom_kill", 1),
    ("oom_kill", "memory.oom_control", "oom_kill", 1),
    ("memory_high", "memory.events", "high", 1),
    ("memory_max", "memory.events", "max", 1),
    ("memory_max", "memory.failcnt", "", 1),
    ("pids_max", "pids.events", "max", 1),
)
_PRESSURE = ("cpu", "io", "memory")


def gather(host: Host, params: Mapping[str, Any]) -> Dict[str, Any]:
    names = params["names"]
    if names is None:
        names = _names(host)
    found = [(name, read(host, Desired(cgroup_name(name)))) for name in dict.fromkeys(names)]
    managed = [shown for shown in (_as_options(name, observed) for name, observed in found) if shown]
    return {"cgroups": managed, "details": [_details(host, name, observed) for name, observed in found]}


def _names(host: Host) -> List[str]:
    """All cgroups, or all slices where systemd runs the host."""
    slices_only = host.is_dir("/run/systemd/system")
    found: Dict[str, None] = {}
    for mount in parse_mountinfo(host.read("/proc/self/mountinfo") or ""):
        for path in _below(host, mount.path):
            name = path.rpartition("/")[2] if slices_only else path
            if not slices_only or name.endswith(".slice"):
                found[name] = None
    return sorted(found)


def _below(host: Host, root: str, name: str = "") -> List[str]:
    found: List[str] = []
    for child in host.list(f"{root}/{name}" if name else root):
        path = f"{name}/{child}" if name else child
        if host.is_dir(f"{root}/{path}"):
            found += [path, *_below(host, root, path)]
    return found


def _there(observed: Observed) -> bool:
    if observed.slice:
        return observed.slice.active or observed.slice.settings is not None
    return any(place.exists for place in observed.places)


def _as_options(name: str, observed: Observed) -> Optional[Dict[str, Any]]:
    """The options of container_cgroup that change nothing. None for a slice of others: its limits are not ours to repeat."""
    if not _there(observed):
        return {"name": name, "state": "absent"}
    if observed.slice and observed.slice.settings is None:
        return None
    texts = observed.slice.settings if observed.slice else observed.knobs
    resources = resources_in(observed, texts or {})
    return {"name": name, "state": "present", **({"resources": resources} if resources else {})}


def _details(host: Host, name: str, observed: Observed) -> Dict[str, Any]:
    known = facts(observed)
    there = _there(observed)
    shown: Dict[str, Any] = {"name": name, "exists": there, "manager": observed.manager, "hierarchy": observed.hierarchy}
    if observed.slice:
        current = observed.slice
        shown.update(
            active=current.active,
            enabled=current.enabled,
            managed=current.settings is not None,
            unit_file=current.fragment,
            drop_ins=list(current.drop_ins),
        )
        paths = [current.directory] if current.directory else []
    else:
        paths = [place.path for place in observed.places if place.exists]
    if there:
        texts = _texts(host, paths)
        shown.update(
            paths=paths,
            effective=known.get("effective", {}),
            usage=_figures(texts, _USAGE),
            events=_figures(texts, _EVENTS),
            pressure={what: parse_pressure(texts[f"{what}.pressure"]) for what in _PRESSURE if texts.get(f"{what}.pressure")},
            processes=_processes(host, paths, below=observed.manager == SYSTEMD),
        )
    return shown


def _texts(host: Host, paths: List[str]) -> Dict[str, str]:
    files = {*(file for _what, file, _key, _unit in (*_USAGE, *_EVENTS)), *(f"{what}.pressure" for what in _PRESSURE)}
    found: Dict[str, str] = {}
    for path in paths:
        for file in files:
            text = host.try_read(f"{path}/{file}")
            if text:
                found.setdefault(file, text)
    return found


def _figures(texts: Mapping[str, str], wanted: Tuple[Tuple[str, str, str, int], ...]) -> Dict[str, int]:
    found: Dict[str, int] = {}
    for what, file, key, unit in wanted:
        words = dict(line.split(None, 1) for line in texts.get(file, "").splitlines() if len(line.split()) == 2)
        text = words.get(key, "") if key else texts.get(file, "").strip()
        if text.isdigit() and what not in found:
            found[what] = int(text) // unit
    return found


def parse_pressure(text: str) -> Dict[str, Dict[str, float]]:
    """ "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and the same for full. Percents, and microseconds in total."""
    found: Dict[str, Dict[str, float]] = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        values = (pair.split("=", 1) for pair in pairs)
        found[kind] = {key: int(value) if key == "total" else float(value) for key, value in values}
    return found


def _processes(host: Host, paths: List[str], below: bool) -> List[int]:
    """Of a slice, those in the units within it: it holds none itself."""
    found: Set[int] = set()
    for path in paths:
        inner = [f"{path}/{name}" for name in _below(host, path)] if below else []
        for directory in (path, *inner):
            found.update(int(word) for word in (host.try_read(f"{directory}/cgroup.procs") or "").split())
    return sorted(found)
