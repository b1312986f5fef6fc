# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the namespaces that are there to those that should be."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Dict, List, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action, Plan
from . import actions as do
from .commands import NETNS, commands
from .model import FILES, Desired, Interface, Link, Observed, WantedInterface, needed_types
from .model_routes import Route
from .plan_links import VETH, links
from .plan_process import ended, process
from .unit import unit_text

_MOST_NAMED = 5
#: What is kept for the next boot, in words that JSON has.
_KEPT = ("types", "hostname", "loopback", "interfaces")


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    shown: Dict[str, Any] = {"name": observed.name, "types": list(observed.types)}
    if "pid" in observed.types:
        shown["init"] = observed.init
    if desired.hostname is not None and "uts" in observed.types:
        shown["hostname"] = observed.hostname
    for name, wanted, found in (
        ("uid_mappings", desired.uid_mappings, observed.uid_mappings),
        ("gid_mappings", desired.gid_mappings, observed.gid_mappings),
    ):
        if wanted is not None and "user" in observed.types:
            shown[name] = [dict(zip(("container_id", "host_id", "size"), item)) for item in found]
    if desired.loopback is not None and "network" in observed.types:
        shown["loopback"] = observed.loopback
    if desired.interfaces is not None and "network" in observed.types:
        wanted_items = {item.name: item for item in desired.interfaces}
        shown["interfaces"] = [
            _shown(item, wanted_items.get(item.name)) for item in observed.interfaces if item.name in wanted_items or not wanted_items
        ]
    if desired.process is not None:
        shown["process"] = {**observed.process.shown(), "running": bool(observed.process_pids)} if observed.process else None
    shown["persistent"] = observed.kept is not None and observed.enabled
    if observed.kept is not None:
        shown["boot"] = dict(observed.kept)
    return shown


def _shown(item: Interface, wanted: Optional[WantedInterface]) -> Dict[str, Any]:
    shown = {"name": item.name, "peer": item.peer, "bridge": item.master, "up": item.up, "mtu": item.mtu, "addresses": list(item.addresses)}
    # Others change by themselves: the kernel takes away those whose address goes.
    return {**shown, "routes": [route.shown() for route in item.routes]} if wanted and wanted.routes is not None else shown


def facts(observed: Observed) -> Dict[str, Any]:
    return {"process_pids": [pid for pid in observed.process_pids if pid]}  # a prediction knows no number


def nothing(desired: Desired) -> Observed:
    links = {name: Link() for item in desired.interfaces or () for name in (item.link, item.bridge) if name}
    return Observed(desired.name, links=links, limits=dict.fromkeys(FILES, 1))


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    return _present(observed, desired) if desired.present else _absent(observed, desired)


def _present(observed: Observed, desired: Desired) -> Plan[Observed]:
    types = _wanted_types(observed, desired)
    persistent = _persistent(observed, desired, types)
    steps, after = _namespaces(observed, desired, types)
    more, after = _settings(after, desired)
    steps += more
    more, after = links(after, desired)
    steps += more
    more, after = _keep(after, desired, persistent)
    steps += more
    # Last: where systemd runs the process, its unit asks for the one that keeps the set.
    same = bool(observed.process_pids) and observed.types == types and ("pid" not in types or observed.init)
    more, after = process(after, desired, same, persistent)
    warnings = []
    if desired.persistent is None and "user" in types and observed.systemd:
        warnings.append(f"{desired.name}: a set with a user namespace lasts until the next boot")
    return Plan(tuple(steps + more), after, warnings=tuple(warnings))


def _wanted_types(observed: Observed, desired: Desired) -> Tuple[str, ...]:
    types = observed.types if desired.types is None else desired.types
    if not types:
        raise Failure(f"{desired.name}: there is no such set yet; say its types", "missing_types")
    for option, kind in needed_types(desired).items():
        if kind not in types:
            raise Failure(f"{option}: {desired.name} has no {kind} namespace; add it to types", "missing_type")
    surplus = [kind for kind in observed.types if kind not in types]
    missing = [kind for kind in types if kind not in observed.types]
    if surplus:
        raise Failure(f"{desired.name}: has {', '.join(surplus)} as well, and nothing leaves a set alone; use state: absent first", "recreate_needed")
    late = [kind for kind in missing if kind in ("user", "pid") or "user" in observed.types]
    if observed.types and late:
        raise Failure(f"{desired.name}: {', '.join(late)} can only be made together with the others; use state: absent first", "recreate_needed")
    for kind in missing:
        _refuse_type(observed, kind)
    if "network" in missing and observed.netns:
        raise Failure(f"{desired.name}: {NETNS}/{desired.name} exists and is another network namespace; use another name", "name_taken")
    return types


def _refuse_type(observed: Observed, kind: str) -> None:
    limit = observed.limits.get(kind)
    if limit is None:
        raise Failure(f"types: this kernel has no {kind} namespaces; leave it out, or boot another kernel", "unsupported_by_kernel")
    if limit == 0:
        raise Failure(f"types: user.max_{FILES[kind]}_namespaces is 0, which forbids {kind} namespaces; raise it with sysctl", "forbidden_by_kernel")


def _namespaces(observed: Observed, desired: Desired, types: Tuple[str, ...]) -> Tuple[List[Action], Observed]:
    name = desired.name
    steps: List[Action] = []
    there = observed.types
    if not observed.directory:
        steps.append(do.MakeDirectory(name))
    if "pid" in there and not observed.init:
        if "user" in there:
            raise Failure(f"{name}: the init of its pid namespace has ended; use state: absent first", "recreate_needed")
        dead = tuple(kind for kind in ("mount", "pid") if kind in there)
        steps.append(do.RemoveNamespaces(name, dead))
        there = tuple(kind for kind in there if kind not in dead)
    missing = tuple(kind for kind in types if kind not in there)
    if "pid" in missing:
        # A user namespace owns only what is made with it, at once. Else what can be is made before, so that a boot need not wait for init.
        with_init = missing if "user" in missing else tuple(kind for kind in missing if kind in ("mount", "pid"))
        before = tuple(kind for kind in missing if kind not in with_init)
        if before:
            steps.append(do.CreateNamespaces(name, before))
        steps.append(do.StartInit(name, with_init, tuple(kind for kind in types if kind not in with_init)))
    elif missing:
        steps.append(do.CreateNamespaces(name, missing))
    if "network" in types and observed.netns != "here":
        steps.append(do.NameNetwork(name))
    netns = "here" if "network" in types else observed.netns
    return steps, replace(observed, directory=True, types=types, init="pid" in types, netns=netns)


def _settings(observed: Observed, desired: Desired) -> Tuple[List[Action], Observed]:
    name = desired.name
    steps: List[Action] = []
    for which, wanted, found in (("uid", desired.uid_mappings, observed.uid_mappings), ("gid", desired.gid_mappings, observed.gid_mappings)):
        if wanted is None or wanted == found:
            continue
        if found:
            raise Failure(
                f"{which}_mappings: those of {name} are written already, and the kernel takes them once; use state: absent first", "recreate_needed"
            )
        steps.append(do.WriteMapping(name, which, wanted))
        observed = replace(observed, uid_mappings=wanted) if which == "uid" else replace(observed, gid_mappings=wanted)
    if desired.hostname is not None and desired.hostname != observed.hostname:
        steps.append(do.SetHostname(name, desired.hostname))
        observed = replace(observed, hostname=desired.hostname)
    if desired.loopback is not None and desired.loopback != observed.loopback:
        steps.append(do.SetLoopback(name, desired.loopback))
        observed = replace(observed, loopback=desired.loopback)
    return steps, observed


def _persistent(observed: Observed, desired: Desired, types: Tuple[str, ...]) -> bool:
    if desired.persistent and not observed.systemd:
        raise Failure(
            f"persistent: nothing but systemd would make {desired.name} again at boot, and it does not run here; use false", "systemd_missing"
        )
    if desired.persistent and "user" in types:
        raise Failure(f"persistent: {desired.name} has a user namespace and lasts until the next boot; leave persistent out", "not_persistent")
    return observed.systemd and "user" not in types if desired.persistent is None else desired.persistent


def _keep(observed: Observed, desired: Desired, persistent: bool) -> Tuple[List[Action], Observed]:
    name = desired.name
    if not persistent:
        steps: List[Action] = [do.RemoveUnit(name)] if observed.kept is not None else []
        return steps, replace(observed, kept=None, enabled=False)
    steps = []
    said = {key: value for key, value in asdict(replace(desired, types=observed.types)).items() if key in _KEPT and value is not None}
    kept = _plain({**(observed.kept or {}), **said})
    if kept != observed.kept:
        steps.append(do.WriteUnit(name, boot_text(name, kept)))
    if not observed.enabled:
        steps.append(do.EnableUnit(name))
    return steps, replace(observed, kept=kept, enabled=True)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def boot_text(name: str, kept: Dict[str, Any]) -> str:
    """The unit whose commands are those that make this set on a host that has nothing of it."""
    interfaces: Optional[Tuple[WantedInterface, ...]] = None
    if "interfaces" in kept:
        interfaces = tuple(_kept_interface(item) for item in kept["interfaces"])
    desired = Desired(name, True, tuple(kept["types"]), kept.get("hostname"), loopback=kept.get("loopback"), interfaces=interfaces, persistent=False)
    start = [words for action in plan(nothing(desired), desired).actions for words in commands(action)]
    there = Observed(name, types=desired.types or (), directory=True, netns="here" if "network" in kept["types"] else "")
    stop = [words for action in plan(there, Desired(name, present=False)).actions for words in commands(action)]
    return unit_text(name, kept, start, stop)


def _kept_interface(item: Dict[str, Any]) -> WantedInterface:
    addresses = tuple(item["addresses"]) if "addresses" in item else None
    routes = tuple(Route(**route) for route in item["routes"]) if "routes" in item else None
    return WantedInterface(**{**item, "addresses": addresses, "routes": routes})


def _absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    name = desired.name
    inside = [item for item in observed.processes if not item.keeper and item.pid not in observed.process_pids]
    if inside and not desired.force:
        named = ", ".join(f"{item.pid} ({item.command})" for item in inside[:_MOST_NAMED])
        more = f" and {len(inside) - _MOST_NAMED} more" if len(inside) > _MOST_NAMED else ""
        raise Failure(
            f"{name}: processes live in its namespaces: {named}{more}; end them, or set force: true to have them ended",
            "namespace_in_use",
            processes=[{"pid": item.pid, "command": item.command} for item in inside],
        )
    steps = ended(observed)
    if inside:
        steps.append(do.EndProcesses(name, tuple(item.pid for item in inside)))
    keepers = tuple(item.pid for item in observed.processes if item.keeper and item.pid not in observed.process_pids)
    if keepers:
        steps.append(do.StopInit(name, keepers))
    # With the namespace these would go at some later time, and links that are not hardware would be lost.
    steps += [do.RemoveInterface(name, item.name, item.kind == VETH) for item in observed.interfaces]
    if observed.netns == "here":
        steps.append(do.UnnameNetwork(name))
    if observed.types:
        steps.append(do.RemoveNamespaces(name, observed.types))
    if observed.directory:
        steps.append(do.RemoveDirectory(name))
    if observed.kept is not None:
        steps.append(do.RemoveUnit(name))
    netns = "" if observed.netns == "here" else observed.netns
    return Plan(tuple(steps), Observed(name, netns=netns, limits=observed.limits, systemd=observed.systemd))
