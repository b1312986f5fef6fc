# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cgroups that are directories of the cgroup file systems, on hosts that systemd does not run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action, Plan
from .convert import numbers, refuse_swap
from .lines import writes
from .model import Desired, Level, Observed, Place, controllers
from .render import IDLE_HAS_NO_WEIGHT, refuse_below_usage, render

_LISTS = ("cpuset.cpus", "cpuset.mems")


@dataclass(frozen=True)
class CreateCgroup(Action):
    """target: the directory. Those above it are made with it."""


@dataclass(frozen=True)
class EnableControllers(Action):
    """cgroup v2: give the cgroups below target these controllers."""

    controllers: Tuple[str, ...]


@dataclass(frozen=True)
class WriteKnob(Action):
    file: str
    value: str


@dataclass(frozen=True)
class AttachProcess(Action):
    """target: the cgroup."""

    process: int


@dataclass(frozen=True)
class ChangeOwner(Action):
    """The cgroup itself, and the files by which processes come into it and controllers to those below."""

    user: str


@dataclass(frozen=True)
class MoveProcesses(Action):
    """All processes of target and of the cgroups below it."""

    to: str


@dataclass(frozen=True)
class RemoveCgroup(Action):
    pass


def plan_cgroupfs(observed: Observed, desired: Desired) -> Plan[Observed]:
    return _present(observed, desired) if desired.present else _absent(observed, desired)


def _present(observed: Observed, desired: Desired) -> Plan[Observed]:
    wanted = render(observed, desired, dict(observed.knobs))
    _refuse(observed, desired, wanted)
    needed = controllers(desired, observed)
    if not needed:
        raise Failure(f"{desired.name}: this host's cgroups have none of the controllers cpu, memory and pids; boot a kernel that does", "no_cgroups")
    actions: List[Action] = []
    inherited: Dict[str, str] = {}
    places: List[Place] = []
    untouched = not wanted and any(place.exists for place in observed.places)
    for place in observed.places:
        mine = frozenset() if untouched else place.controllers & needed
        if mine:
            if not place.exists:
                actions.append(CreateCgroup(place.path))
            levels = _enable(place, mine, wanted, actions) if place.version == 2 else _inherit(place, wanted, observed.knobs, actions, inherited)
            place = replace(place, exists=True, levels=levels)
        places.append(place)
    changed = {file: text for file, text in wanted.items() if observed.knobs.get(file) != text}
    for file in in_order(observed.knobs, changed):
        home = _home(places, file)
        actions += [WriteKnob(home.path, name, text) for name, text in writes(file, observed.knobs.get(file, ""), changed[file])]
    places = [_delegated(place, desired, actions) for place in places]
    places = [_attached(place, observed, desired, actions) for place in places]
    return Plan(tuple(actions), replace(observed, places=tuple(places), knobs={**observed.knobs, **inherited, **changed}))


def _delegated(place: Place, desired: Desired, actions: List[Action]) -> Place:
    if not place.exists:
        return place
    lacking = tuple(sorted(desired.given - place.given)) if place.version == 2 else ()
    if lacking:
        missing = sorted(desired.given - place.controllers)
        if missing:
            raise Failure(
                f"{place.path}: delegate.controllers: {', '.join(missing)} is not to be had here; leave it out, or boot a kernel that has it",
                "unavailable_controllers",
            )
        levels: List[Action] = []
        place = replace(place, levels=_give(place, desired.given, levels), given=place.given | desired.given)
        actions += [*levels, EnableControllers(place.path, lacking)]
    if desired.user is not None and place.owner != desired.user:
        actions.append(ChangeOwner(place.path, desired.user))
        place = replace(place, owner=desired.user)
    return place


def _attached(place: Place, observed: Observed, desired: Desired, actions: List[Action]) -> Place:
    missing = [process for process in desired.processes if process not in observed.living]
    if missing:
        raise Failure(f"processes: {missing[0]} does not run on this host; leave it out, or start it first", "no_such_process")
    outside = [process for process in desired.processes if process not in place.members]
    if not place.exists or not outside:
        return place
    if place.version == 2 and place.given:
        raise Failure(
            f"{place.path}: gives controllers to cgroups below it, and cgroup v2 then lets it hold no processes; put them into one of those",
            "cgroup_has_children",
        )
    actions += [AttachProcess(place.path, process) for process in outside]
    return replace(place, members=place.members | set(outside))


def _home(places: List[Place], file: str) -> Place:
    return next(place for place in places if file.partition(".")[0] in place.controllers)


def _enable(place: Place, mine: FrozenSet[str], wanted: Mapping[str, str], actions: List[Action]) -> Tuple[Level, ...]:
    """cgroup v2: the controllers of the limits, from the root down. A cgroup without limits needs none."""
    return _give(place, frozenset(file.partition(".")[0] for file in wanted) & mine, actions)


def _give(place: Place, limited: FrozenSet[str], actions: List[Action]) -> Tuple[Level, ...]:
    levels = []
    for level in place.levels:
        lacking = tuple(sorted(limited - level.enabled))
        if lacking and level.foreign:
            raise Failure(
                f"{level.path}: systemd gives it no {', '.join(lacking)} to pass on; name the controllers in Delegate= of the unit",
                "unavailable_controllers",
            )
        if lacking and level.busy:
            raise Failure(
                f"{level.path}: holds processes itself, and cgroup v2 then allows no limits below it; move them to a cgroup of their own first",
                "cgroup_populated",
            )
        if lacking:
            actions.append(EnableControllers(level.path, lacking))
        levels.append(replace(level, exists=True, enabled=level.enabled | limited))
    return tuple(levels)


def _inherit(
    place: Place, wanted: Mapping[str, str], knobs: Mapping[str, str], actions: List[Action], inherited: Dict[str, str]
) -> Tuple[Level, ...]:
    """cgroup v1: a cpuset without CPUs or memory nodes can hold no process and no child with any, so each takes its parent's."""
    levels = [replace(level, exists=True) for level in place.levels]
    if "cpuset" not in place.controllers:
        return tuple(levels)
    for file in _LISTS:
        above = ""
        for index, level in enumerate(levels):
            if not level.lists.get(file):
                actions.append(WriteKnob(level.path, file, above))
                levels[index] = replace(level, lists={**level.lists, file: above})
            above = levels[index].lists[file]
        if not knobs.get(file) and file not in wanted:
            actions.append(WriteKnob(place.path, file, above))
            inherited[file] = above
    return tuple(levels)


def in_order(old: Mapping[str, str], new: Mapping[str, str]) -> List[str]:
    """The files of new in an order in which the kernel takes each: no state in between contradicts itself."""
    files = list(new)

    def first(file: str, then: str) -> None:
        if file in files and then in files and files.index(file) > files.index(then):
            files.remove(file)
            files.insert(files.index(then), file)

    first("cpu.idle", "cpu.shares")  # neither shares nor weight can be written while idle is on
    first("cpu.idle", "cpu.weight")
    quota = "cpu.cfs_quota_us"
    for share, period, usual in ((quota, "cpu.cfs_period_us", "100000"), ("cpu.rt_runtime_us", "cpu.rt_period_us", "1000000")):
        if period in new:
            # The share of a CPU, quota by period, may at no time be more than the parent's.
            longer = int(new[period]) > int(old.get(period, usual))
            first(*((period, share) if longer else (share, period)))
    for burst, bandwidth in (("cpu.cfs_burst_us", quota), ("cpu.max.burst", "cpu.max")):
        if burst in new:
            # A burst may at no time be more than the quota.
            lower = int(new[burst]) < int(old.get(burst, "0"))
            first(*((burst, bandwidth) if lower else (bandwidth, burst)))
    limit, swap = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
    if limit in new and swap in new:
        # Memory alone may at no time be allowed more than memory and swap together.
        # Source: opencontainers/cgroups fs/memory.go setMemoryAndSwap().
        grows = new[swap] == "-1" or 0 <= int(old.get(limit, "-1")) < int(new[swap])
        first(*((swap, limit) if grows else (limit, swap)))
    return files


def _refuse(observed: Observed, desired: Desired, wanted: Mapping[str, str]) -> None:
    """What the kernel would not take, or would take badly."""
    after = {**observed.knobs, **wanted}
    if after.get("cpu.idle") == "1" and ({"cpu.shares", "cpu.weight"} & set(wanted)):
        raise Failure(f"{desired.name}: {IDLE_HAS_NO_WEIGHT}", "conflicting_resources")
    for burst, bandwidth in (("cpu.cfs_burst_us", "cpu.cfs_quota_us"), ("cpu.max.burst", "cpu.max")):
        quota = after.get(bandwidth, "max").split()[0]
        if {burst, bandwidth} & set(wanted) and quota not in ("max", "-1") and int(after.get(burst, "0")) > int(quota):
            raise Failure(
                f"{desired.name}: a burst of {after[burst]} microseconds is more than the quota of {quota}; change resources.cpu.burst too",
                "conflicting_resources",
            )
    limit, swap = after.get("memory.limit_in_bytes", "-1"), after.get("memory.memsw.limit_in_bytes", "-1")
    if swap != "-1" and any(file.endswith("limit_in_bytes") for file in wanted):
        refuse_swap(int(limit), int(swap))
    refuse_below_usage(observed, desired, observed.knobs, wanted)
    for file in _LISTS:
        if file in wanted:
            _refuse_list(observed, desired, file, wanted[file])


def _refuse_list(observed: Observed, desired: Desired, file: str, text: str) -> None:
    place = observed.place("cpuset")
    lists = [level.lists[file] for level in place.levels if level.lists.get(file)] if place else []
    allowed: Optional[str] = lists[-1] if lists else None
    if allowed is not None and not (numbers(text) or set()) <= (numbers(allowed) or set()):
        what = "CPUs" if file == "cpuset.cpus" else "memory nodes"
        raise Failure(f"{desired.name}: cannot have the {what} {text}; its parent has {allowed} to give", "unavailable_cpus")


def _absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    actions: List[Action] = []
    places: List[Place] = []
    there = [place for place in observed.places if place.exists]
    for place in there:
        if place.populated and not desired.force:
            raise Failure(
                f"{place.path}: holds processes; stop them first, or set force: true to move them to the cgroup above it", "cgroup_populated"
            )
    for place in observed.places:
        places.append(replace(place, exists=False, below=(), populated=False, members=frozenset(), given=frozenset(), owner=""))
        if place.exists:
            if place.populated:
                actions.append(MoveProcesses(place.path, _shelter(place)))
            actions.extend(RemoveCgroup(path) for path in (*place.below, place.path))
    return Plan(tuple(actions), replace(observed, places=tuple(places), knobs={}, usage={}))


def _shelter(place: Place) -> str:
    """The nearest cgroup above that may hold processes: on cgroup v2, the root or one that gives no controllers to those below."""
    for level in reversed(place.levels):
        if place.version == 1 or not level.enabled:
            return level.path
    return place.levels[0].path
