# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Slices of systemd's, kept as unit files, or as drop-ins beside the unit files of others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Mapping

from ..engine.errors import Failure
from ..engine.plan import Action, Plan
from .fields import REPEATED
from .fields_cpu import unit_period
from .fields_io import limited_devices, stale
from .fields_other import all_devices_again
from .lines import writes
from .model import Desired, Observed, Slice
from .names import drop_in_path, unit_path
from .render import IDLE_HAS_NO_WEIGHT, refuse_below_usage, render

_SHORTEST_QUOTA = 1000  # microseconds; the kernel's


@dataclass(frozen=True)
class WriteUnit(Action):
    """target: the slice. file: its unit file, or a drop-in. settings: all that are in it."""

    file: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class RemoveUnit(Action):
    file: str


@dataclass(frozen=True)
class ReloadManager(Action):
    """systemd reads its unit files again, and applies what changed at once."""


@dataclass(frozen=True)
class EnableSlice(Action):
    """Nothing starts a slice at boot while nothing runs in it."""


@dataclass(frozen=True)
class DisableSlice(Action):
    pass


@dataclass(frozen=True)
class StartSlice(Action):
    pass


@dataclass(frozen=True)
class StopSlice(Action):
    pass


@dataclass(frozen=True)
class ClearStale(Action):
    """The limit of a device that the unit does not name any more. systemd 252 leaves it to the kernel. target: the cgroup."""

    file: str
    value: str


SYSTEMD_ITSELF = "systemd"


def plan_slice(observed: Observed, current: Slice, desired: Desired) -> Plan[Observed]:
    if desired.present and (desired.processes or desired.user is not None or desired.given):
        raise Failure(
            f"{current.unit}: a slice holds units, not processes, and cannot be delegated; start a service or scope in it "
            f"(Slice={current.unit}, Delegate=yes), or name a cgroup within a delegated one",
            "slices_hold_units",
        )
    return _present(observed, current, desired) if desired.present else _absent(observed, current)


def _present(observed: Observed, current: Slice, desired: Desired) -> Plan[Observed]:
    before = dict(current.settings or {})
    if before.get("CPUWeight") == "idle" and {"cpu.shares", "cpu.weight"} & set(desired.values) and desired.values.get("cpu.idle") is not False:
        raise Failure(f"{current.unit}: {IDLE_HAS_NO_WEIGHT}", "conflicting_resources")
    wanted = render(observed, desired, before)
    settings = {**before, **wanted}
    _refuse_short_quota(observed, current, settings)
    refuse_below_usage(observed, desired, before, wanted)
    actions: List[Action] = []
    kept = current.settings is not None or bool(settings) or not current.foreign
    if kept and (current.settings is None or settings != before):
        actions += [WriteUnit(current.unit, current.file, settings), ReloadManager(SYSTEMD_ITSELF)]
    elif current.reload_needed or not current.fragment:
        actions.append(ReloadManager(SYSTEMD_ITSELF))
    else:
        _refuse_overridden(current, settings)
    if not current.enabled and not current.foreign:  # whoever made the unit decides when it starts
        actions.append(EnableSlice(current.unit))
    if not current.active:
        actions.append(StartSlice(current.unit))
    files = _clear_stale(current, settings, actions) if current.settings is not None else dict(current.files)
    after = replace(
        current,
        settings=settings if kept else None,
        properties={**current.properties, **settings},
        active=True,
        enabled=current.enabled or not current.foreign,
        reload_needed=False,
        fragment=current.fragment if current.foreign else unit_path(current.unit),
        drop_ins=tuple(dict.fromkeys((*current.drop_ins, current.file))) if current.foreign and kept else current.drop_ins,
        files=files,
    )
    return Plan(tuple(actions), replace(observed, slice=after))


def _clear_stale(current: Slice, settings: Mapping[str, str], actions: List[Action]) -> Dict[str, str]:
    files = dict(current.files)
    for file, named in limited_devices(settings).items():
        old = files.get(file, "")
        new = stale(file, old, named)
        actions += [ClearStale(current.directory, name, text) for name, text in writes(file, old, new)]
        if file in files:
            files[file] = new
    return files


def _refuse_short_quota(observed: Observed, current: Slice, settings: Mapping[str, str]) -> None:
    """systemd would silently take another period."""
    if not settings.get("CPUQuota"):
        return
    period = unit_period(observed.around(settings))
    quota = int(settings["CPUQuota"].rstrip("%")) * period // 100
    if quota < _SHORTEST_QUOTA:
        raise Failure(
            f"{current.unit}: CPUQuota={settings['CPUQuota']} of {period} microseconds is less than the {_SHORTEST_QUOTA} that the kernel takes; "
            "set resources.cpu.quota too, or a longer period",
            "conflicting_resources",
        )


def comparable(key: str, text: str) -> str:
    """systemd shows settings that are there several times in an order of its own."""
    return "\n".join(sorted(text.split("\n"))) if key in REPEATED else text


def _refuse_overridden(current: Slice, settings: Mapping[str, str]) -> None:
    differing = sorted(key for key, text in settings.items() if comparable(key, current.properties.get(key, "")) != comparable(key, text))
    if differing:
        others = ", ".join(path for path in current.drop_ins if path != drop_in_path(current.unit)) or "systemctl set-property"
        raise Failure(
            f"{current.unit}: systemd does not apply {', '.join(differing)} as {current.file} says; "
            f"remove what overrides it ({others}), or what this systemd does not know",
            "unit_overridden",
        )


def _absent(observed: Observed, current: Slice) -> Plan[Observed]:
    if current.foreign:
        if current.settings is None:
            return Plan((), observed)
        actions: List[Action] = []
        opened = all_devices_again(current.settings) if current.active else {}
        if opened:
            actions += [WriteUnit(current.unit, current.file, opened), ReloadManager(SYSTEMD_ITSELF)]
        actions += [RemoveUnit(current.unit, current.file), ReloadManager(SYSTEMD_ITSELF)]
        files = _clear_stale(current, {}, actions)
        return Plan(tuple(actions), replace(observed, slice=replace(current, settings=None, properties={}, files=files)))
    if current.settings is None and not current.active:
        return Plan((), observed)
    if current.populated:
        raise Failure(
            f"{current.unit}: holds processes, and stopping a slice stops them too; stop what runs in it first (systemd-cgls -u {current.unit})",
            "cgroup_populated",
        )
    actions = []
    if current.active:
        actions.append(StopSlice(current.unit))
    if current.enabled:
        actions.append(DisableSlice(current.unit))
    if current.settings is not None:
        actions += [RemoveUnit(current.unit, current.file), ReloadManager(SYSTEMD_ITSELF)]
    return Plan(tuple(actions), replace(observed, slice=Slice(current.unit)))
