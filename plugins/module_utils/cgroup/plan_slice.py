# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Slices of systemd's, kept as unit files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Mapping

from ..engine.errors import Failure
from ..engine.plan import Action, Plan
from .model import Desired, Observed, Slice, unit_path
from .render import IDLE_HAS_NO_WEIGHT, render


@dataclass(frozen=True)
class WriteUnit(Action):
    """target: the slice. settings: all of its unit file's."""

    settings: Mapping[str, str]


@dataclass(frozen=True)
class RemoveUnit(Action):
    pass


@dataclass(frozen=True)
class ReloadManager(Action):
    """systemd reads its unit files again, and applies what changed at once."""


@dataclass(frozen=True)
class StartSlice(Action):
    pass


@dataclass(frozen=True)
class StopSlice(Action):
    pass


SYSTEMD_ITSELF = "systemd"


def plan_slice(observed: Observed, current: Slice, desired: Desired) -> Plan[Observed]:
    if current.foreign:
        where = current.fragment or unit_path(current.unit)
        raise Failure(f"{current.unit}: {where} was written by others; use another name, or remove that file", "unit_not_ours")
    return _present(observed, current, desired) if desired.present else _absent(observed, current)


def _present(observed: Observed, current: Slice, desired: Desired) -> Plan[Observed]:
    before = dict(current.settings or {})
    if before.get("CPUWeight") == "idle" and {"cpu.shares", "cpu.weight"} & set(desired.values) and desired.values.get("cpu.idle") is not False:
        raise Failure(f"{current.unit}: {IDLE_HAS_NO_WEIGHT}", "conflicting_resources")
    settings = {**before, **render(observed, desired, before)}
    actions: List[Action] = []
    if current.settings is None or settings != before:
        actions += [WriteUnit(current.unit, settings), ReloadManager(SYSTEMD_ITSELF)]
    elif current.reload_needed or not current.fragment:
        actions.append(ReloadManager(SYSTEMD_ITSELF))
    else:
        _refuse_overridden(current, settings)
    if not current.active:
        actions.append(StartSlice(current.unit))
    after = replace(
        current,
        settings=settings,
        properties={**current.properties, **settings},
        active=True,
        reload_needed=False,
        fragment=unit_path(current.unit),
    )
    return Plan(tuple(actions), replace(observed, slice=after))


def _refuse_overridden(current: Slice, settings: Mapping[str, str]) -> None:
    differing = sorted(key for key, text in settings.items() if current.properties.get(key, "") != text)
    if differing:
        others = ", ".join(current.drop_ins) or "systemctl set-property"
        raise Failure(
            f"{current.unit}: systemd does not apply {', '.join(differing)} as the unit file says; "
            f"remove what overrides it ({others}), or what this systemd does not know",
            "unit_overridden",
        )


def _absent(observed: Observed, current: Slice) -> Plan[Observed]:
    if current.settings is None and not current.active:
        return Plan((), observed)
    if current.populated:
        raise Failure(
            f"{current.unit}: holds processes, and stopping a slice stops them too; stop what runs in it first (systemd-cgls -u {current.unit})",
            "cgroup_populated",
        )
    actions: List[Action] = []
    if current.active:
        actions.append(StopSlice(current.unit))
    if current.settings is not None:
        actions += [RemoveUnit(current.unit), ReloadManager(SYSTEMD_ITSELF)]
    return Plan(tuple(actions), replace(observed, slice=Slice(current.unit)))
