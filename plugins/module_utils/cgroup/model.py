# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cgroups: what is wanted of one, and what is there, in the file system or as a slice of systemd's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from .convert import UNLIMITED, refuse_swap
from .fields import FIELDS, field_of, option_specs
from .fields_io import named_devices
from .fields_other import HUGEPAGES, RESERVED, hugepage_fields, page_name
from .knob import Around, Field, Knob, Value, size
from .names import cgroup_name, drop_in_path, unit_path
from .unified import parse_unified, unified_controller

AUTO, SYSTEMD, CGROUPFS = "auto", "systemd", "cgroupfs"

#: The controllers that a cgroup without any limits is made in.
DEFAULT_CONTROLLERS = ("cpu", "memory", "pids")


def _resources() -> Dict[str, Any]:
    groups = option_specs()
    groups["memory"]["options"]["check_before_update"] = {"type": "bool", "default": True}
    return {**groups, "unified": {"type": "dict"}}


SPEC: Dict[str, Any] = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "manager": {"type": "str", "choices": [AUTO, SYSTEMD, CGROUPFS], "default": AUTO},
        "resources": {"type": "dict", "options": _resources()},
        "processes": {"type": "list", "elements": "int"},
        "delegate": {"type": "dict", "options": {"user": {"type": "str"}, "controllers": {"type": "list", "elements": "str"}}},
        "shares_conversion": {"type": "str", "choices": ["current", "linear"], "default": "current"},
        "on_unsupported": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
        "force": {"type": "bool", "default": False},
    },
}


@dataclass(frozen=True)
class Desired:
    """values: "cpu.shares" → 512, only what the user said. unified: files of cgroup v2 → text.

    implied: limits that follow from others, dropped where they are not supported.
    processes: numbers of processes that are to be in it. user: who may make cgroups below it. given: controllers for those below.
    """

    name: str
    present: bool = True
    manager: str = AUTO
    values: Mapping[str, Value] = field(default_factory=dict)
    unified: Mapping[str, str] = field(default_factory=dict)
    implied: FrozenSet[str] = frozenset()
    processes: Tuple[int, ...] = ()
    user: Optional[str] = None
    given: FrozenSet[str] = frozenset()
    linear: bool = False
    check_usage: bool = True
    warn_unsupported: bool = False
    force: bool = False

    @property
    def paths(self) -> List[str]:
        """Of block devices that are named by their paths."""
        return sorted({name for value in self.values.values() if isinstance(value, tuple) for name in named_devices(value)})


@dataclass(frozen=True)
class Level:
    """A cgroup on the way down to the one asked for: the root first, its parent last.

    enabled, available: cgroup v2's cgroup.subtree_control and cgroup.controllers. busy: it holds processes itself.
    lists: cpuset.cpus and cpuset.mems, the effective ones on cgroup v2. foreign: it is systemd's, above what was delegated.
    """

    path: str
    exists: bool = True
    enabled: FrozenSet[str] = frozenset()
    available: FrozenSet[str] = frozenset()
    busy: bool = False
    lists: Mapping[str, str] = field(default_factory=dict)
    foreign: bool = False


@dataclass(frozen=True)
class Place:
    """Where the cgroup is in one hierarchy. version: 1 or 2. controllers: all that the hierarchy has.

    below: the cgroups below it, the deepest first. populated: it or one of them holds processes.
    absent: files that this kernel does not have in a cgroup.
    members: which of the processes that are asked for are in it. owner: the user whom it belongs to.
    given: cgroup v2's cgroup.subtree_control, the controllers of those below it.
    """

    path: str
    version: int
    controllers: FrozenSet[str]
    exists: bool = False
    levels: Tuple[Level, ...] = ()
    below: Tuple[str, ...] = ()
    populated: bool = False
    absent: FrozenSet[str] = frozenset()
    members: FrozenSet[int] = frozenset()
    owner: str = ""
    given: FrozenSet[str] = frozenset()


@dataclass(frozen=True)
class Slice:
    """A slice unit. settings: of the file that this collection owns, None without it. properties: what systemd applies.

    enabled: it starts at boot. fragment: the unit file that systemd loaded. foreign: the unit file is somebody else's, so that ours is a drop-in.
    directory: of the cgroup, where it is one of cgroup v2. files: what the kernel says in it.
    """

    unit: str
    settings: Optional[Mapping[str, str]] = None
    properties: Mapping[str, str] = field(default_factory=dict)
    active: bool = False
    enabled: bool = False
    reload_needed: bool = False
    fragment: str = ""
    foreign: bool = False
    drop_ins: Tuple[str, ...] = ()
    populated: bool = False
    directory: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The file that this collection owns, or would own."""
        return drop_in_path(self.unit) if self.foreign else unit_path(self.unit)


@dataclass(frozen=True)
class Observed:
    """hierarchy: v1, hybrid or v2. slice: with systemd as the manager. places: all hierarchies, with cgroupfs as the manager.

    knobs: the texts of the cgroup's files. usage: what it uses now: bytes of memory, pids. page: bytes.
    devices: paths of block devices → MAJOR:MINOR. page_sizes: of huge pages. delegated: within a unit that systemd keeps out of.
    living: which of the processes that are asked for there are.
    """

    manager: str
    hierarchy: str
    places: Tuple[Place, ...] = ()
    knobs: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, int] = field(default_factory=dict)
    page: int = 4096
    slice: Optional[Slice] = None
    devices: Mapping[str, str] = field(default_factory=dict)
    page_sizes: Tuple[str, ...] = ()
    delegated: str = ""
    living: FrozenSet[int] = frozenset()

    def around(self, knobs: Mapping[str, str], desired: Optional[Desired] = None) -> Around:
        return Around(knobs, self.page, desired.linear if desired else False, self.devices)

    @property
    def fields(self) -> Tuple[Field, ...]:
        """The whole table, with the limits of huge pages of the sizes that this host has."""
        return (*FIELDS, *(item for name in self.page_sizes for item in hugepage_fields(name)))

    def place(self, controller: str) -> Optional[Place]:
        return next((place for place in self.places if controller in place.controllers), None)

    def knob(self, item: Field) -> Optional[Knob]:
        """The limit's knob on this host, None where it has none."""
        if self.manager == SYSTEMD:
            return item.systemd if self.hierarchy == "v2" or item.path in V1_PROPERTIES else None
        if item.group == HUGEPAGES and item.name.partition(".")[0] not in self.page_sizes:
            return None
        for version in (1, 2):
            for knob in item.knobs(version):
                place = self.place(knob.controller)
                if place and place.version == version and knob.key not in place.absent:
                    return knob
        return None


#: What systemd still applies where the host runs cgroup v1.
V1_PROPERTIES = frozenset({"cpu.shares", "cpu.weight", "cpu.quota", "cpu.period", "memory.limit", "pids.limit"})

#: Pairs of options that are one limit in two units, which no conversion makes the same.
_TWINS = tuple((item.twin, item.path) for item in FIELDS if item.twin)


def from_params(params: Mapping[str, Any]) -> Desired:
    groups = params["resources"] or {}
    values: Dict[str, Value] = {}
    for item in FIELDS:
        raw = (groups.get(item.group) or {}).get(item.name) if item.name else groups.get(item.group)
        if raw is not None:
            values[item.path] = item.parse(raw, f"resources.{item.path}")
    implied = {f"{path}{RESERVED}" for path in _hugepages(groups.get(HUGEPAGES) or [], values)}
    # Source: opencontainers/cgroups: memory without limit and swap not mentioned is "both without limit".
    if values.get("memory.limit") == UNLIMITED and "memory.swap" not in values and "memory.swap_max" not in values:
        values["memory.swap"] = UNLIMITED
        implied.add("memory.swap")
    _consistent(values)
    unified = {str(file): parse_unified(str(file), raw) for file, raw in (groups.get("unified") or {}).items()}
    return Desired(
        cgroup_name(params["name"]),
        present=params["state"] == "present",
        manager=params["manager"],
        values=values,
        unified=unified,
        implied=frozenset(implied),
        processes=_processes(params.get("processes") or []),
        user=(params.get("delegate") or {}).get("user"),
        given=_given((params.get("delegate") or {}).get("controllers") or []),
        linear=params["shares_conversion"] == "linear",
        check_usage=(groups.get("memory") or {}).get("check_before_update", True),
        warn_unsupported=params["on_unsupported"] == "warn",
        force=params["force"],
    )


def _hugepages(limits: List[Dict[str, Any]], values: Dict[str, Value]) -> List[str]:
    """Adds the limits of huge pages to the values, and returns their paths."""
    paths = []
    for item in limits:
        what = f"resources.{HUGEPAGES}: {item['page_size']}"
        path = f"{HUGEPAGES}.{page_name(item['page_size'], what)}"
        if path in values:
            raise Failure(f"{what}: this page size is there twice; give each once", "conflicting_resources")
        values[path] = values[f"{path}{RESERVED}"] = size(item["limit"], f"{what}: limit")
        paths.append(path)
    return paths


def _processes(numbers: List[int]) -> Tuple[int, ...]:
    for number in numbers:
        if number < 1:
            raise Failure(f"processes: {number} is not the number of a process; give numbers from 1 on", "out_of_range")
    return tuple(sorted(set(numbers)))


def _given(names: List[str]) -> FrozenSet[str]:
    for name in names:
        if not re.fullmatch(r"[a-z_]+", name):
            raise Failure(f"delegate.controllers: {name!r} is not the name of a controller; give names such as memory", "invalid_controller")
    return frozenset(names)


def _consistent(values: Mapping[str, Value]) -> None:
    for one, other in _TWINS:
        if one in values and other in values:
            raise Failure(
                f"resources: {one} and {other.partition('.')[2]} are the same limit in two units; give one of them", "conflicting_resources"
            )
    if values.get("cpu.idle") and ("cpu.shares" in values or "cpu.weight" in values):
        raise Failure("resources.cpu: an idle cgroup has no shares or weight; leave them out, or set idle: false", "conflicting_resources")
    runtime, rt_period = values.get("cpu.realtime_runtime"), values.get("cpu.realtime_period")
    if runtime is not None and rt_period is not None and int(str(runtime)) > int(str(rt_period)):
        raise Failure(
            f"resources.cpu.realtime_runtime: {runtime} is more than the period of {rt_period}; lower it to that at most", "conflicting_resources"
        )
    quota, burst = (int(str(values.get(path, nothing))) for path, nothing in (("cpu.quota", UNLIMITED), ("cpu.burst", 0)))
    if quota != UNLIMITED and burst > quota:
        raise Failure(f"resources.cpu.burst: {burst} is more than the quota of {quota}; lower it to the quota at most", "conflicting_resources")
    limit, swap = (int(str(values.get(path, UNLIMITED))) for path in ("memory.limit", "memory.swap"))
    if UNLIMITED not in (limit, swap):
        refuse_swap(limit, swap)


def controllers(desired: Desired, observed: Observed) -> FrozenSet[str]:
    """The controllers that the cgroup is needed in. Without limits, one that is there already does, wherever it is."""
    found = {knob.controller for knob in (observed.knob(field_of(path)) for path in desired.values) if knob}
    found |= {unified_controller(file) for file in desired.unified}
    found = {controller for controller in found if observed.place(controller)}
    there = {controller for place in observed.places if place.exists for controller in place.controllers}
    return frozenset(found or there or {controller for controller in DEFAULT_CONTROLLERS if observed.place(controller)})
