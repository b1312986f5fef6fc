# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a network is to what it should be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Tuple

from ...engine.errors import Failure
from ...engine.plan import HIDDEN, Action, Plan
from ..xmlmerge import differences, merge, project
from ..xmltree import Node, element, pretty
from .model import Desired, Observed
from .rules import RULES


@dataclass(frozen=True)
class DefineNetwork(Action):
    """changes: the fields that differ; None for a new network. definition: the whole new one. wish: what it must contain."""

    changes: Optional[Tuple[str, ...]]
    definition: Node = field(metadata=HIDDEN)
    wish: Node = field(metadata=HIDDEN)


@dataclass(frozen=True)
class StartNetwork(Action):
    pass


@dataclass(frozen=True)
class StopNetwork(Action):
    pass


@dataclass(frozen=True)
class SetAutostart(Action):
    enabled: bool


@dataclass(frozen=True)
class UndefineNetwork(Action):
    pass


def state_of(observed: Observed) -> str:
    if observed.inactive is None:
        return "absent"
    return "active" if observed.active else "inactive"


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    shown: Dict[str, Any] = {"name": desired.name, "state": state_of(observed)}
    if observed.inactive is None:
        return shown
    shown.update(autostart=observed.autostart, persistent=observed.persistent)
    part = project(observed.inactive, desired.wish, RULES)
    if part and desired.wish.says_something:
        shown["xml"] = pretty(part)
    if pending_fields(observed, desired):
        shown["pending"] = list(pending_fields(observed, desired))
    return shown


def pending_fields(observed: Observed, desired: Desired) -> Tuple[str, ...]:
    """What is defined as wished, and not so in the running network."""
    if observed.active is None:
        return ()
    undefined = differences(observed.inactive, desired.wish, RULES)
    return tuple(field for field in differences(observed.active, desired.wish, RULES) if field not in undefined)


def facts(observed: Observed) -> Dict[str, Any]:
    node = observed.active or observed.inactive
    return {"uuid": node.get("uuid"), "bridge": node.get("bridge@name")} if node else {}


def nothing(desired: Desired) -> Observed:
    return Observed()


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if desired.state == "absent":
        return _absent(observed, desired)
    actions: List[Action] = []
    define, definition = _define(observed, desired)
    after = replace(observed, inactive=definition, uuid_holder=None)
    if define:
        actions.append(define)
        after = replace(after, persistent=True)
    running = observed.active is not None
    wanted = {"active": True, "inactive": False}.get(desired.state, running)
    restart = running and wanted and desired.restart and differences(observed.active, desired.wish, RULES)
    if running and (restart or not wanted):
        actions.append(StopNetwork(desired.name))
        after = replace(after, active=None)
    if wanted and after.active is None:
        actions.append(StartNetwork(desired.name))
        after = replace(after, active=definition)
    if desired.autostart is not None and desired.autostart != observed.autostart:
        actions.append(SetAutostart(desired.name, desired.autostart))
        after = replace(after, autostart=desired.autostart)
    return Plan(tuple(actions), after, pending=pending_fields(after, desired))


def _define(observed: Observed, desired: Desired) -> Tuple[Optional[DefineNetwork], Node]:
    name, wish = desired.name, desired.wish
    if observed.uuid_holder:
        raise Failure(f"network {name}: its uuid is that of the network {observed.uuid_holder}; leave the uuid out", "uuid_in_use")
    if observed.inactive is None:
        if not wish.says_something:
            raise Failure(f"network {name}: there is none, and the task does not say what it should be; give bridge, ips or xml", "network_not_found")
        definition = _possible(name, merge(element("network", element("name", text=name)), wish, RULES))
        return DefineNetwork(name, None, definition, wish), definition
    if wish.get("uuid") not in (None, observed.inactive.get("uuid")):
        raise Failure(f"network {name}: it has the uuid {observed.inactive.get('uuid')}, which cannot change; leave uuid out", "uuid_mismatch")
    changes = differences(observed.inactive, wish, RULES)
    if not changes and observed.persistent:
        return None, observed.inactive
    definition = _possible(name, merge(observed.inactive, wish, RULES))
    return DefineNetwork(name, changes, definition, wish), definition


def _possible(name: str, definition: Node) -> Node:
    """The definition, refused where libvirt would. Source: virNetworkDefParseXML."""
    mode = definition.get("forward@mode") or ("nat" if definition.find("forward") else "none")
    if mode in ("nat", "route", "open") and not definition.all("ip"):
        raise Failure(f"network {name}: forward mode {mode} needs an address; add ips, or use mode bridge or none", "missing_option")
    return definition


def _absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    actions: List[Action] = []
    if observed.active is not None:
        actions.append(StopNetwork(desired.name))
    if observed.inactive is not None and observed.persistent:
        actions.append(UndefineNetwork(desired.name))
    return Plan(tuple(actions), Observed())
