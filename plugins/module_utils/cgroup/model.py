# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cgroups: what is wanted of one, and what is there, in the file system or as a slice of systemd's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from .convert import UNLIMITED, refuse_swap
from .fields import BY_PATH, FIELDS, Around, Field, Knob, Value, parse_unified, unified_controller

AUTO, SYSTEMD, CGROUPFS = "auto", "systemd", "cgroupfs"

#: The controllers that a cgroup without any limits is made in.
DEFAULT_CONTROLLERS = ("cpu", "memory", "pids")


def _group(name: str) -> Dict[str, Any]:
    options: Dict[str, Any] = {item.name: {"type": item.type} for item in FIELDS if item.group == name}
    if name == "memory":
        options["check_before_update"] = {"type": "bool", "default": True}
    return {"type": "dict", "options": options}


SPEC: Dict[str, Any] = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "manager": {"type": "str", "choices": [AUTO, SYSTEMD, CGROUPFS], "default": AUTO},
        "resources": {"type": "dict", "options": {**{name: _group(name) for name in ("cpu", "memory", "pids")}, "unified": {"type": "dict"}}},
        "shares_conversion": {"type": "str", "choices": ["current", "linear"], "default": "current"},
        "on_unsupported": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
        "force": {"type": "bool", "default": False},
    },
}


@dataclass(frozen=True)
class Desired:
    """values: "cpu.shares" → 512, only what the user said. unified: files of cgroup v2 → text.

    implied: limits that follow from others, dropped where they are not supported.
    """

    name: str
    present: bool = True
    manager: str = AUTO
    values: Mapping[str, Value] = field(default_factory=dict)
    unified: Mapping[str, str] = field(default_factory=dict)
    implied: FrozenSet[str] = frozenset()
    linear: bool = False
    check_usage: bool = True
    warn_unsupported: bool = False
    force: bool = False

    def around(self, knobs: Mapping[str, str], page: int) -> Around:
        return Around(knobs, page, self.linear)


@dataclass(frozen=True)
class Level:
    """A cgroup on the way down to the one asked for: the root first, its parent last.

    enabled, available: cgroup v2's cgroup.subtree_control and cgroup.controllers. busy: it holds processes itself.
    lists: cpuset.cpus and cpuset.mems, the effective ones on cgroup v2.
    """

    path: str
    exists: bool = True
    enabled: FrozenSet[str] = frozenset()
    available: FrozenSet[str] = frozenset()
    busy: bool = False
    lists: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where the cgroup is in one hierarchy. version: 1 or 2. controllers: all that the hierarchy has.

    below: the cgroups below it, the deepest first. populated: it or one of them holds processes.
    absent: files that this kernel does not have in a cgroup. name: of a v1 hierarchy without controllers (systemd).
    """

    path: str
    version: int
    controllers: FrozenSet[str]
    exists: bool = False
    levels: Tuple[Level, ...] = ()
    below: Tuple[str, ...] = ()
    populated: bool = False
    absent: FrozenSet[str] = frozenset()


@dataclass(frozen=True)
class Slice:
    """A slice unit. settings: of the file that this collection owns, None without it. properties: what systemd applies.

    fragment: the unit file that systemd loaded. foreign: that file is somebody else's.
    """

    unit: str
    settings: Optional[Mapping[str, str]] = None
    properties: Mapping[str, str] = field(default_factory=dict)
    active: bool = False
    reload_needed: bool = False
    fragment: str = ""
    foreign: bool = False
    drop_ins: Tuple[str, ...] = ()
    populated: bool = False


@dataclass(frozen=True)
class Observed:
    """hierarchy: v1, hybrid or v2. slice: with systemd as the manager. places: all hierarchies, with cgroupfs as the manager.

    knobs: the texts of the cgroup's files. usage: bytes of memory that it uses now. page: bytes.
    """

    manager: str
    hierarchy: str
    places: Tuple[Place, ...] = ()
    knobs: Mapping[str, str] = field(default_factory=dict)
    usage: Optional[int] = None
    page: int = 4096
    slice: Optional[Slice] = None

    def place(self, controller: str) -> Optional[Place]:
        return next((place for place in self.places if controller in place.controllers), None)

    def knob(self, item: Field) -> Optional[Knob]:
        """The limit's knob on this host, None where it has none."""
        if self.manager == SYSTEMD:
            return item.systemd if self.hierarchy == "v2" or item.path in V1_PROPERTIES else None
        for knob, version in ((item.v1, 1), (item.v2, 2)):
            place = self.place(knob.controller) if knob else None
            if knob and place and place.version == version and knob.key not in place.absent:
                return knob
        return None


#: What systemd still applies where the host runs cgroup v1.
V1_PROPERTIES = frozenset({"cpu.shares", "cpu.weight", "cpu.quota", "cpu.period", "memory.limit", "pids.limit"})


def from_params(params: Mapping[str, Any]) -> Desired:
    groups = params["resources"] or {}
    values: Dict[str, Value] = {}
    for item in FIELDS:
        raw = (groups.get(item.group) or {}).get(item.name)
        if raw is not None:
            values[item.path] = item.parse(raw, f"resources.{item.path}")
    implied: FrozenSet[str] = frozenset()
    # Source: opencontainers/cgroups: memory without limit and swap not mentioned is "both without limit".
    if values.get("memory.limit") == UNLIMITED and "memory.swap" not in values:
        values["memory.swap"] = UNLIMITED
        implied = frozenset({"memory.swap"})
    _consistent(values)
    unified = {str(file): parse_unified(str(file), raw) for file, raw in (groups.get("unified") or {}).items()}
    return Desired(
        _name(params["name"]),
        present=params["state"] == "present",
        manager=params["manager"],
        values=values,
        unified=unified,
        implied=implied,
        linear=params["shares_conversion"] == "linear",
        check_usage=(groups.get("memory") or {}).get("check_before_update", True),
        warn_unsupported=params["on_unsupported"] == "warn",
        force=params["force"],
    )


def _consistent(values: Mapping[str, Value]) -> None:
    if "cpu.shares" in values and "cpu.weight" in values:
        raise Failure("resources.cpu: shares and weight are the same limit in two units; give one of them", "conflicting_resources")
    if values.get("cpu.idle") and ("cpu.shares" in values or "cpu.weight" in values):
        raise Failure("resources.cpu: an idle cgroup has no shares or weight; leave them out, or set idle: false", "conflicting_resources")
    quota, burst = values.get("cpu.quota", UNLIMITED), values.get("cpu.burst", 0)
    if quota != UNLIMITED and int(burst) > int(quota):
        raise Failure(f"resources.cpu.burst: {burst} is more than the quota of {quota}; lower it to the quota at most", "conflicting_resources")
    limit, swap = values.get("memory.limit"), values.get("memory.swap")
    if limit is not None and swap not in (None, UNLIMITED):
        refuse_swap(int(limit), int(swap or 0))


def _name(text: str) -> str:
    parts: List[str] = text.split("/")
    if text.startswith("/"):
        raise Failure(f"name: {text!r} starts with /; write it relative to the root of the hierarchy, for example virtops/web", "invalid_name")
    for part in parts:
        if part in ("", ".", "..", "tasks") or part.startswith("cgroup.") or len(part.encode()) > 255 or re.search(r"[\x00-\x20\x7f]", part):
            raise Failure(
                f"name: {text!r} is not a path of cgroups; join names without spaces by single slashes, for example virtops/web", "invalid_name"
            )
    return text


# A slice's name is a path by itself: a-b.slice is below a.slice. Source: systemd.slice(5), unit_name_is_valid().
_SLICE = re.compile(r"[A-Za-z0-9:_.\\]+(-[A-Za-z0-9:_.\\]+)*\.slice")


def slice_unit(name: str) -> str:
    """The unit of a name, with or without .slice."""
    unit = name if name.endswith(".slice") else f"{name}.slice"
    if not _SLICE.fullmatch(unit) or len(unit) > 255:
        raise Failure(
            f"name: {name!r} is not the name of a slice, which systemd needs here; use letters, digits, _ and ., and single dashes for levels "
            "(virtops-web is below virtops)",
            "invalid_name",
        )
    return unit


def unit_path(unit: str) -> str:
    return f"/etc/systemd/system/{unit}"


def slice_path(unit: str) -> str:
    """Where systemd puts a slice: a-b.slice is /a.slice/a-b.slice."""
    parts = unit[: -len(".slice")].split("-")
    return "".join(f"/{'-'.join(parts[:depth])}.slice" for depth in range(1, len(parts) + 1))


def controllers(desired: Desired, observed: Observed) -> FrozenSet[str]:
    """The controllers that the cgroup is needed in. Without limits, one that is there already does, wherever it is."""
    found = {knob.controller for knob in (observed.knob(BY_PATH[path]) for path in desired.values) if knob}
    found |= {unified_controller(file) for file in desired.unified}
    found = {controller for controller in found if observed.place(controller)}
    there = {controller for place in observed.places if place.exists for controller in place.controllers}
    return frozenset(found or there or {controller for controller in DEFAULT_CONTROLLERS if observed.place(controller)})
