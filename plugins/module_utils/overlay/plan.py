# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the mount that is there to the one that should be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import HIDDEN, Action, Plan
from .model import (
    ABSENT,
    ALWAYS,
    AUTO,
    FSTAB,
    MOUNTED,
    NEVER,
    NONE,
    SYSTEMD,
    Desired,
    Directory,
    Kept,
    Mount,
    Observed,
    different,
    different_flags,
    wanted_layers,
    wanted_options,
)
from .options import FLAGS, Layers, Options, Shown, Value, is_userspace, kernel_defaults, render
from .refuse import lower_too_long_for_fstab, refuse_directories, refuse_layers, refuse_recreation, refuse_unmounting


@dataclass(frozen=True)
class MakeDirectory(Action):
    """like: the directory whose owner and mode it gets. An upper directory lends its own to the root of the overlay."""

    like: Optional[str] = None


@dataclass(frozen=True)
class MountOverlay(Action):
    """options: the whole string for mount -o, layers included."""

    options: str


@dataclass(frozen=True)
class Remount(Action):
    """Unmount and mount with other layers or options: the kernel changes neither of a mount that exists.

    lazy: without waiting for those who use it, who go on with the old layers. previous: what to go back to.
    """

    options: str
    lazy: bool = False
    previous: str = field(default="", metadata=HIDDEN)


@dataclass(frozen=True)
class SetFlags(Action):
    """Flags of the mount that change while it is in use: all those that are to be on."""

    flags: Tuple[str, ...]


@dataclass(frozen=True)
class Unmount(Action):
    pass


@dataclass(frozen=True)
class WriteFstab(Action):
    """The line of /etc/fstab for the path."""

    kept: Kept = field(metadata=HIDDEN)


@dataclass(frozen=True)
class RemoveFstab(Action):
    pass


@dataclass(frozen=True)
class WriteUnit(Action):
    """The mount unit of systemd's for the path."""

    kept: Kept = field(metadata=HIDDEN)


@dataclass(frozen=True)
class EnableUnit(Action):
    pass


@dataclass(frozen=True)
class RemoveUnit(Action):
    """enabled: whether it has to be disabled first."""

    enabled: bool = True


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    mount = observed.mount
    shown: Dict[str, Any] = {"path": observed.path, "mounted": mount is not None}
    if mount is not None:
        shown.update(_layers_shown(mount.layers))
        named = wanted_options(observed, desired)
        # What the kernel shows in another way, or not at all, is shown as it was asked for.
        shown["options"] = {
            name: wanted if desired.options and mount.shown.has(name, wanted) else mount.shown.value(name)
            for name, wanted in sorted(named.items())
            if not is_userspace(name)
        }
    shown["boot"] = {}
    for name, kept in ((SYSTEMD, observed.unit), (FSTAB, observed.fstab)):
        if kept is not None:
            shown["boot"][name] = {"enabled": kept.enabled, "options": render(kept.layers, kept.options, userspace=True)}
    return shown


def _layers_shown(layers: Layers) -> Dict[str, Any]:
    return {"lowerdir": list(layers.lower), "upperdir": layers.upper, "workdir": layers.work}


def nothing(desired: Desired) -> Observed:
    defaults = kernel_defaults({})
    return Observed(desired.path, directories={path: Directory() for path in desired.directories()}, defaults=defaults)


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    return _mounted(observed, desired) if desired.state == MOUNTED else _unmounted(observed, desired)


def _unmounted(observed: Observed, desired: Desired) -> Plan[Observed]:
    refuse_unmounting(observed, desired)
    actions: List[Action] = [Unmount(observed.path) for _layer in range(observed.stacked)]
    after = replace(observed, mount=None, stacked=0, holders=())
    if desired.state == ABSENT:
        actions, after = _keep(actions, after, NONE, None)
    return Plan(tuple(actions), after)


def _mounted(observed: Observed, desired: Desired) -> Plan[Observed]:
    layers = wanted_layers(observed, desired)
    options = _options_to_mount(observed, desired)
    refuse_layers(layers, options, desired)
    fields = different(observed, desired)
    backend = _backend(observed, desired)
    pending: Tuple[str, ...] = ()
    actions: List[Action] = []
    after = observed
    if observed.mount is None or fields:
        refuse_directories(observed, layers, desired)
    if observed.mount is None:
        actions, after = _make_directories(observed, layers)
        actions.append(MountOverlay(observed.path, render(layers, options, userspace=False)))
        after = replace(after, mount=_mount(observed, layers, options), stacked=1)
    elif fields and desired.recreate == NEVER:
        if backend == NONE:
            raise Failure(
                f"{desired.path}: {', '.join(fields)} changes only by mounting it anew; allow that with recreate, or keep it for the next boot "
                "with persistent",
                "recreate_needed",
            )
        pending = fields
        actions, after = _set_flags(observed, desired, pending)
    elif fields:
        refuse_recreation(observed, layers, desired, fields)
        actions, after = _make_directories(observed, layers)
        lazy = desired.recreate == ALWAYS and bool(observed.holders)
        previous = render(observed.mount.layers, observed.mount.shown.kept(), userspace=False)
        actions.append(Remount(observed.path, render(layers, options, userspace=False), lazy, previous))
        after = replace(after, mount=_mount(observed, layers, options), holders=())
    else:
        actions, after = _set_flags(observed, desired, ())
    actions, after = _keep(actions, after, backend, _kept(observed, desired, layers, options, backend))
    return Plan(tuple(actions), after, pending=pending, warnings=_warnings(observed, layers, options, backend))


def _options_to_mount(observed: Observed, desired: Desired) -> Dict[str, Value]:
    """What to give to mount(8): what the user said, and unless that is {}, what was there and he did not name."""
    there: Options = {}
    kept = observed.unit or observed.fstab
    if desired.options != {}:
        there = observed.mount.shown.kept() if observed.mount else kept.options if kept else {}
    return _over(there, desired.options or {})


def _over(there: Options, said: Options) -> Dict[str, Value]:
    """Options with others on top of them; of noatime and strictatime the one that was said."""
    excluded = {"noatime": "strictatime", "strictatime": "noatime"}
    gone = {excluded[name] for name, value in said.items() if value is True and name in excluded}
    return {**{name: value for name, value in there.items() if name not in gone}, **said}


def _mount(observed: Observed, layers: Layers, options: Options) -> Mount:
    """The mount as it will be seen."""
    flags = frozenset(name for name in FLAGS if options.get(name) is True)
    kernel = {name: value for name, value in options.items() if value is not False and name not in FLAGS and not is_userspace(name)}
    writable = layers.upper is not None
    return Mount(0, layers, Shown(kernel, flags, observed.defaults, writable, super_ro=not writable or "ro" in flags))


def _make_directories(observed: Observed, layers: Layers) -> Tuple[List[Action], Observed]:
    actions: List[Action] = []
    for name, found in observed.directories.items():
        if not found.kind:
            actions.append(MakeDirectory(name, layers.lower[0] if name == layers.upper else None))
    made = {name: replace(found, kind="directory") for name, found in observed.directories.items()}
    return actions, replace(observed, directories=made)


def _set_flags(observed: Observed, desired: Desired, pending: Tuple[str, ...]) -> Tuple[List[Action], Observed]:
    mount = observed.mount
    wanted = {name: value for name, value in different_flags(observed, desired).items() if f"options.{name}" not in pending}
    if mount is None or not wanted:
        return [], observed
    flags = mount.shown.flags - {name for name, value in wanted.items() if not value}
    for name in (name for name, value in wanted.items() if value):
        flags = (flags - {"noatime", "strictatime"} if name in ("noatime", "strictatime") else flags) | {name}
    after = replace(observed, mount=replace(mount, shown=replace(mount.shown, flags=flags)))
    return [SetFlags(observed.path, tuple(sorted(flags)))], after


def _backend(observed: Observed, desired: Desired) -> str:
    """auto: where it is kept already, else with systemd where that runs."""
    if desired.persistent == SYSTEMD and not observed.systemd:
        raise Failure(f"persistent: systemd does not run on this host; use fstab for {desired.path}, or none", "systemd_missing")
    if desired.persistent != AUTO:
        return desired.persistent
    if observed.unit is not None:
        return SYSTEMD
    return FSTAB if observed.fstab is not None or not observed.systemd else SYSTEMD


def _kept(observed: Observed, desired: Desired, layers: Layers, options: Options, backend: str) -> Optional[Kept]:
    """What is to be kept for the next boot: what is kept now, with what the user said on top of it."""
    if desired.options == {}:
        return Kept(layers, {})
    first, second = (observed.unit, observed.fstab) if backend == SYSTEMD else (observed.fstab, observed.unit)
    old = first or second
    base = options if old is None else _over(old.options, desired.options or {})
    return Kept(layers, {name: value for name, value in base.items() if value is not False})


def _keep(actions: List[Action], after: Observed, backend: str, kept: Optional[Kept]) -> Tuple[List[Action], Observed]:
    """Exactly one of the two has it, or none."""
    path = after.path
    if after.unit is not None and backend != SYSTEMD:
        actions = [*actions, RemoveUnit(path, after.unit.enabled)]
        after = replace(after, unit=None)
    if after.fstab is not None and backend != FSTAB:
        actions = [*actions, RemoveFstab(path)]
        after = replace(after, fstab=None)
    if backend == FSTAB and kept is not None and after.fstab != kept:
        actions = [*actions, WriteFstab(path, kept)]
        after = replace(after, fstab=kept)
    if backend == SYSTEMD and kept is not None:
        enabled = after.unit is not None and after.unit.enabled
        if after.unit != replace(kept, enabled=enabled):
            actions = [*actions, WriteUnit(path, kept)]
        if not enabled:
            actions = [*actions, EnableUnit(path)]
        after = replace(after, unit=kept)
    return actions, after


def _warnings(observed: Observed, layers: Layers, options: Options, backend: str) -> Tuple[str, ...]:
    found = []
    if observed.stacked > 1:
        found.append(
            f"{observed.path}: {observed.stacked} overlay mounts cover each other there, and only the topmost is looked at; "
            "state: unmounted takes all of them away"
        )
    if backend == FSTAB and lower_too_long_for_fstab(layers) and observed.modern_mount:
        found.append(
            f"{observed.path}: this version of mount(8) takes 255 bytes of lower directories from fstab, so it will not be mounted at boot; "
            "use persistent: systemd, or shorter paths"
        )
    if backend != NONE and options.get("volatile") is True:
        found.append(
            f"{observed.path}: the kernel mounts a volatile overlay once, so it will not be mounted at boot unless its workdir is emptied before; "
            "use persistent: none"
        )
    return tuple(found)
