# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a kernel module is to what it should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action, Plan
from .model import AUTO, Desired, Observed, same


@dataclass(frozen=True)
class LoadModule(Action):
    """parameters: given to modprobe, on top of what modprobe.d says."""

    parameters: Mapping[str, str]


@dataclass(frozen=True)
class UnloadModule(Action):
    pass


@dataclass(frozen=True)
class SetParameter(Action):
    """target: the module."""

    parameter: str
    value: str


@dataclass(frozen=True)
class WriteOptions(Action):
    """The modprobe.d file that this collection owns for the module."""

    parameters: Mapping[str, str]


@dataclass(frozen=True)
class RemoveOptions(Action):
    pass


@dataclass(frozen=True)
class EnableAutoload(Action):
    pass


@dataclass(frozen=True)
class DisableAutoload(Action):
    pass


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    shown: Dict[str, Any] = {"name": observed.name, "loaded": observed.loaded, "builtin": observed.builtin}
    if desired.parameters is not None:
        shown["parameters"] = {key: observed.parameters[key] for key in desired.parameters if key in observed.parameters}
    shown["persistent"] = {"autoload": observed.autoload, "options": dict(observed.options or {})}
    return shown


def nothing(desired: Desired) -> Observed:
    return Observed(None if desired.name == AUTO else desired.name)


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if observed.name is None:
        return _without_module(observed, desired)
    return _present(observed, desired) if desired.present else _absent(observed, desired)


def _without_module(observed: Observed, desired: Desired) -> Plan[Observed]:
    if not desired.present:
        return Plan((), observed)
    if desired.ignore_missing:
        return Plan((), observed, warnings=(observed.reason,))
    raise Failure(observed.reason, "module_missing")


def _present(observed: Observed, desired: Desired) -> Plan[Observed]:
    name = observed.name or ""
    wanted = dict(desired.parameters or {})
    actions: List[Action] = []
    after = observed
    if not observed.builtin and desired.persistent:
        actions, after = _persist(name, observed, desired)
    if not (observed.loaded or observed.builtin):
        if not observed.loadable:
            raise Failure(f"{name}: this kernel loads no modules at all; boot another kernel", "module_loading_unavailable")
        actions.append(LoadModule(name, wanted))
        after = replace(after, loaded=True, parameters={**observed.parameters, **wanted})
        return Plan(tuple(actions), after)
    pending: List[str] = []
    for key, text in wanted.items():
        current = observed.parameters.get(key)
        if current is not None and same(current, text):
            continue
        if key in observed.writable:
            actions.append(SetParameter(name, key, text))
            after = replace(after, parameters={**after.parameters, key: text})
        elif observed.builtin:
            raise Failure(
                f"{name}: built into this kernel, so {key}={text} must be on the kernel command line; add {name}.{key}={text} and reboot",
                "builtin_parameter",
            )
        elif not desired.persistent:
            raise Failure(
                f"{name}: {key} is {current}, and cannot be changed while the module is loaded; set persistent: true and reboot",
                "parameter_read_only",
            )
        else:
            pending.append(f"parameters.{key}")
    return Plan(tuple(actions), after, pending=tuple(pending))


def _persist(name: str, observed: Observed, desired: Desired) -> Tuple[List[Action], Observed]:
    actions: List[Action] = []
    after = observed
    if desired.parameters and dict(observed.options or {}) != dict(desired.parameters):
        actions.append(WriteOptions(name, desired.parameters))
        after = replace(after, options=dict(desired.parameters))
    if desired.parameters == {} and observed.options is not None:
        actions.append(RemoveOptions(name))
        after = replace(after, options=None)
    if not observed.autoload:
        actions.append(EnableAutoload(name))
        after = replace(after, autoload=True)
    return actions, after


def _absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    name = observed.name or ""
    if observed.builtin:
        raise Failure(f"{name}: built into this kernel, so it cannot be unloaded", "module_builtin")
    actions: List[Action] = []
    after = observed
    if observed.autoload:
        actions.append(DisableAutoload(name))
        after = replace(after, autoload=False)
    if observed.options is not None:
        actions.append(RemoveOptions(name))
        after = replace(after, options=None)
    if observed.loaded:
        actions.append(UnloadModule(name))
        after = replace(after, loaded=False, parameters={}, writable=frozenset())
    return Plan(tuple(actions), after)
