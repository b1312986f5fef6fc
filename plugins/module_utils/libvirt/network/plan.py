# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a network is to what it should be, with the guests that are on it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Tuple

from ...engine.errors import Failure
from ...engine.plan import HIDDEN, Action, Plan
from ..objects import plan as objects
from ..objects.model import Desired
from ..xmltree import Node
from .kind import NETWORK, has_own_bridge
from .model import Observed, Plug
from .plan_live import Update


@dataclass(frozen=True)
class StartAgain(objects.Start):
    """previous: what ran, to go back to where the new definition does not start. plugs: what was plugged in then."""

    previous: Node = field(metadata=HIDDEN)
    plugs: Tuple[Plug, ...] = field(metadata=HIDDEN)

    @property
    def kind(self) -> str:
        return "start_network"


@dataclass(frozen=True)
class PlugIn(objects.Step):
    """A guest's interface into the network's bridge, which it lost when the network stopped."""

    guest: str
    mac: str
    device: str
    bridge: str
    isolated: bool = field(default=False, metadata=HIDDEN)

    @property
    def kind(self) -> str:
        return "plug_in_interface"


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    shown = objects.view(observed, desired, NETWORK)
    loose = _loose(observed.active, observed.plugs)
    return {**shown, "unplugged": [f"{plug.guest} {plug.device}" for plug in loose]} if loose else shown


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    base = objects.plan(observed, desired, NETWORK)
    stops = any(isinstance(action, objects.Stop) for action in base.actions)
    starts = any(isinstance(action, objects.Start) for action in base.actions)
    actions, plugs = list(base.actions), observed.plugs
    warnings = list(base.warnings) + _keepers(base.actions, plugs, desired.name)
    before = observed.active
    if before is not None and stops and has_own_bridge(before):
        if starts:
            _refuse_cutting_off(before, plugs, desired.name)
            actions = [_again(action, before, plugs) for action in actions]
        elif plugs:
            warnings.append(f"network {desired.name}: it stops while {_guests(plugs)} run on it, which lose their connection until it is back")
        plugs = tuple(replace(plug, master=None) for plug in plugs)
    active = base.after.active
    bridge = (active.get("bridge@name") if active is not None else None) or ""
    loose = _loose(active, plugs)
    actions += [PlugIn(desired.name, NETWORK, plug.guest, plug.mac, plug.device, bridge, plug.isolated) for plug in loose]
    if starts and stops and not bridge and before is not None and has_own_bridge(before) and plugs:
        warnings.append(f"network {desired.name}: it has no bridge any more, so {_guests(plugs)} stay without a connection until they start again")
    plugs = tuple(replace(plug, master=bridge) if plug in loose else plug for plug in plugs) if base.after.inactive is not None else ()
    return Plan(tuple(actions), replace(base.after, plugs=plugs), base.pending, tuple(warnings))


def _loose(active: Optional[Node], plugs: Tuple[Plug, ...]) -> Tuple[Plug, ...]:
    """Those that should be in the bridge of a network that runs, and are in none."""
    if active is None or not active.get("bridge@name") or not _can_plug(active):
        return ()
    return tuple(plug for plug in plugs if plug.here and plug.master is None)


def _guests(plugs: Tuple[Plug, ...]) -> str:
    names = list(dict.fromkeys(plug.guest for plug in plugs))
    return f"the guest{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _can_plug(definition: Node) -> bool:
    """Whether the bridge takes an interface from anyone: no Open vSwitch, and no table of addresses that libvirt itself keeps."""
    return definition.find("virtualport") is None and definition.get("bridge@macTableManager") != "libvirt"


def _refuse_cutting_off(active: Node, plugs: Tuple[Plug, ...], name: str) -> None:
    lost = plugs if not _can_plug(active) else tuple(plug for plug in plugs if not plug.here)
    if lost:
        raise Failure(
            f"network {name}: a restart would cut {_guests(lost)} off for good, whose interfaces cannot be plugged in again from here; "
            "run the task on libvirt's own host, stop the guests first, or set restart: never",
            "guests_connected",
        )


def _again(action: Action, before: Node, plugs: Tuple[Plug, ...]) -> Action:
    """previous: what ran, without the counts of who uses it."""
    if not isinstance(action, objects.Start):
        return action
    return StartAgain(action.target, action.of, before.without("@connections"), plugs)


def _keepers(actions: Tuple[Action, ...], plugs: Tuple[Plug, ...], name: str) -> List[str]:
    """A portgroup is read when an interface is plugged in."""
    found: List[str] = []
    for action in actions:
        if isinstance(action, Update) and action.section == "portgroup" and action.command != "add":
            group = action.definition.attributes.get("name")
            users = tuple(plug for plug in plugs if plug.portgroup == group)
            if users:
                found.append(f"network {name}: {_guests(users)} keep what portgroup {group} was, until they start again")
    return found


def facts(observed: Observed) -> Dict[str, Any]:
    node: Optional[Node] = observed.active or observed.inactive
    if node is None:
        return {}
    return {"uuid": node.get("uuid"), "bridge": node.get("bridge@name"), "guests": list(dict.fromkeys(plug.guest for plug in observed.plugs))}


def nothing(desired: Desired) -> Observed:
    return Observed()
