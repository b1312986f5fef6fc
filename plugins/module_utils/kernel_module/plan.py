# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a kernel module is to what it should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action, Plan
from .compare import CONSEQUENCE, conflicts, differing, obstacles, told, waiting, wanted
from .model import ALIAS, AUTO, FALSE, FORBIDDEN, FORCE, INSTALL, NEVER, NO_BLACKLIST, Desired, Holder, Kept, Observed, fits, kept_after, same


@dataclass(frozen=True)
class LoadModule(Action):
    """parameters: given to modprobe, on top of what modprobe.d says."""

    parameters: Mapping[str, str]


@dataclass(frozen=True)
class UnloadModule(Action):
    pass


@dataclass(frozen=True)
class ReloadModule(Action):
    """dependents: the modules above it, which are unloaded before it, in this order, and loaded again after it."""

    parameters: Mapping[str, str]
    dependents: Optional[Tuple[str, ...]] = None


@dataclass(frozen=True)
class SetParameter(Action):
    """target: the module."""

    parameter: str
    value: str


@dataclass(frozen=True)
class WriteOptions(Action):
    """The modprobe.d file that this collection owns for the module."""

    parameters: Mapping[str, str]
    blacklist: Optional[str] = None


@dataclass(frozen=True)
class RemoveOptions(Action):
    pass


@dataclass(frozen=True)
class EnableAutoload(Action):
    pass


@dataclass(frozen=True)
class DisableAutoload(Action):
    pass


@dataclass(frozen=True)
class RebuildInitramfs(Action):
    """target: the image, which holds the module and a copy of its options."""


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    shown: Dict[str, Any] = {"name": observed.name, "loaded": observed.loaded, "builtin": observed.builtin}
    if desired.parameters is not None or desired.reloaded:
        shown["parameters"] = _shown(observed.parameters, wanted(observed, desired))
    shown["persistent"] = {"autoload": observed.autoload, "options": dict(observed.options or {}), "blacklist": observed.blacklist}
    shown["reboot_required"] = bool(waiting(observed, desired))
    shown["conflicts"] = [line.describe() for line in conflicts(observed, desired)]
    return shown


def _shown(running: Mapping[str, str], asked: Mapping[str, str]) -> Dict[str, str]:
    """The running values of what was asked for, spelled as it was asked where both mean the same: 1, though the kernel shows Y."""
    return {key: text if same(running[key], text) else running[key] for key, text in asked.items() if key in running}


def facts(observed: Observed) -> Dict[str, Any]:
    return {"holders": [holder.describe() for holder in obstacles(observed)]}


def nothing(desired: Desired) -> Observed:
    return Observed(None if desired.name == AUTO else desired.name)


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if observed.name is None and desired.present:
        if desired.ignore_missing:
            return Plan((), observed, warnings=(observed.reason,))
        raise Failure(observed.reason, "module_missing")
    made = _present(observed, desired) if desired.present else _absent(observed, desired)
    return replace(made, pending=waiting(made.after, desired), warnings=(*made.warnings, *told(observed, desired)))


def _and(things: List[Holder]) -> str:
    return "; ".join(str(thing) for thing in things)


def _in_use(name: str, what: str, things: List[Holder], way_out: str) -> Failure:
    return Failure(f"{name}: {what}: in use by {_and(things)}; {way_out}", "module_in_use", holders=[thing.describe() for thing in things])


def _check_parameters(name: str, observed: Observed, desired: Desired) -> None:
    """The kernel passes over unknown parameters with no more than a line in its log, and refuses to load for a wrong value."""
    for key, text in (desired.parameters or {}).items():
        if observed.types is None:
            continue
        if key not in observed.types and key not in observed.parameters:
            takes = ", ".join(sorted(observed.types)) or "none"
            raise Failure(f"{name}: the module has no parameter {key}; it takes {takes}", "unknown_parameter")
        kind = observed.types.get(key, "")
        if not fits(kind, text):
            raise Failure(f"{name}: {key}={text!r} is not a value of its type ({kind}); the kernel would not load the module", "invalid_parameter")


# Present


def _present(observed: Observed, desired: Desired) -> Plan[Observed]:
    name = observed.name or ""
    if observed.builtin:
        return _built_in(name, observed, desired)
    _check_parameters(name, observed, desired)
    if not observed.loaded:
        return _load(name, observed, desired)
    actions: List[Action] = []
    warnings: List[str] = []
    after = observed
    given = desired.parameters or {}
    needs_reload: Dict[str, str] = {}
    for key, text in differing(observed, desired).items():
        if key in observed.writable:
            actions.append(SetParameter(name, key, text))
            after = replace(after, parameters={**after.parameters, key: text})
        else:
            needs_reload[key] = text
    hidden = sorted(key for key in given if key not in observed.parameters)
    if hidden:
        warnings.append(f"{name}: the running module does not show {', '.join(hidden)}, so it is only sure to hold once the module is loaded again")
    if needs_reload or observed.outdated:
        refusal = _against_reload(name, observed, desired, needs_reload)
        if refusal is None:
            actions = [ReloadModule(name, dict(given), observed.dependents or None)]
            after = replace(after, parameters={**after.parameters, **wanted(observed, desired)}, outdated=False)
        elif desired.reload == FORCE or not desired.persistent:
            raise refusal
        elif desired.reload != NEVER:
            warnings.append(refusal.message)
    kept, after = _keep(name, after, desired)
    # Files come last: a value that the kernel refuses is not there at the next boot either. But a line of ours that keeps the module out goes first.
    ordered = [*kept, *actions] if observed.blacklist != NO_BLACKLIST else [*actions, *kept]
    return Plan(tuple(ordered), after, warnings=(*warnings, *_images_left(name, after)))


def _against_reload(name: str, observed: Observed, desired: Desired, parameters: Mapping[str, str]) -> Optional[Failure]:
    what = " and ".join(f"{key} is {observed.parameters[key]}, and {text} needs a reload" for key, text in parameters.items())
    what = what or "another build is installed, which needs a reload"
    if desired.reload == NEVER:
        way_out = "set reload: if_unused to reload it now, or persistent: true and reboot"
        return Failure(f"{name}: {what}, which reload: never forbids; {way_out}", "parameter_read_only")
    if observed.holders:
        return _in_use(name, what, list(observed.holders), "stop that and run this again, or set reload: never and reboot")
    return None


def _built_in(name: str, observed: Observed, desired: Desired) -> Plan[Observed]:
    actions: List[Action] = []
    warnings: List[str] = []
    after = observed
    for key, text in (desired.parameters or {}).items():
        current = observed.parameters.get(key)
        if current is not None and same(current, text):
            continue
        if key in observed.writable:
            actions.append(SetParameter(name, key, text))
            after = replace(after, parameters={**after.parameters, key: text})
        elif current is None and desired.ignore_missing:
            warnings.append(f"{name}: built into this kernel, and shows no parameter {key}; it is passed over")
        else:
            raise Failure(
                f"{name}: built into this kernel, so {key}={text} must be on the kernel command line; add {name}.{key}={text} and reboot",
                "builtin_parameter",
            )
    return Plan(tuple(actions), after, warnings=tuple(warnings))


def _load(name: str, observed: Observed, desired: Desired) -> Plan[Observed]:
    if not observed.loadable:
        raise Failure(f"{name}: this kernel loads no modules at all; boot another kernel", "module_loading_unavailable")
    blocking = [line for line in observed.lines if line.kind in (FALSE, FORBIDDEN)]
    if blocking:
        raise Failure(f"{name}: {blocking[0]}, {CONSEQUENCE[blocking[0].kind]}; take it out there", "module_blocked")
    kept, after = _keep(name, observed, desired)
    after = replace(after, loaded=True, parameters={**observed.parameters, **wanted(observed, desired)})
    loading = [LoadModule(name, dict(desired.parameters or {}))]
    ordered = [*kept, *loading] if observed.blacklist != NO_BLACKLIST else [*loading, *kept]
    return Plan(tuple(ordered), after, warnings=_images_left(name, after))


def _keep(name: str, observed: Observed, desired: Desired) -> Tuple[List[Action], Observed]:
    """What the next boot is told: our two files, and the initramfs images that hold a copy."""
    if not desired.persistent:
        return [], observed
    actions: List[Action] = []
    after = observed
    if observed.autoload != desired.present:
        actions.append(EnableAutoload(name) if desired.present else DisableAutoload(name))
        after = replace(after, autoload=desired.present)
    old = Kept(observed.options, observed.blacklist)
    new = kept_after(old, desired)
    if new != old:
        blacklist = None if new.blacklist == NO_BLACKLIST else new.blacklist
        actions.insert(0 if desired.present else len(actions), RemoveOptions(name) if new.empty else WriteOptions(name, new.options or {}, blacklist))
        after = replace(after, options=new.options, blacklist=new.blacklist)
        if desired.rebuild:
            actions += [RebuildInitramfs(image) for image in observed.images]
            after = replace(after, images=())
    return actions, after


def _images_left(name: str, after: Observed) -> Tuple[str, ...]:
    if not after.images:
        return ()
    return (f"{name}: {', '.join(after.images)} holds the module with its old options; rebuild it, or the next boot still has them",)


# Absent


def _absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    name = observed.name or desired.name
    if name == AUTO:
        return Plan((), observed)
    if observed.builtin:
        raise Failure(f"{name}: built into this kernel, so it cannot be unloaded", "module_builtin")
    actions, after = _keep(name, observed, desired)
    warnings: List[str] = []
    if observed.loaded:
        users = obstacles(observed)
        if not users:
            actions.append(UnloadModule(name))
            after = replace(after, loaded=False, parameters={}, writable=frozenset())
        elif desired.blacklist in (ALIAS, INSTALL):
            warnings.append(f"{name}: loaded until the next boot: in use by {_and(users)}")
        else:
            way_out = "stop that first, or set blacklist: install to have it gone at the next boot"
            raise _in_use(name, "cannot be unloaded", users, way_out)
    return Plan(tuple(actions), after, warnings=(*warnings, *_images_left(name, after)))
