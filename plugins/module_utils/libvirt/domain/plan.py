# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a guest is to what it should be: define it, bring it up, change what runs, bring it down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional, Tuple

from ...engine.plan import Action, Plan
from ..define import described, unmet
from ..xmlmerge import differences
from ..xmltree import Node, element
from .actions import DefineDomain, SetAutostart, StartDomain
from .model import Desired, Observed
from .plan_define import define
from .plan_live import balloon_reaches, go_live
from .plan_live_part import Guest
from .plan_state import absent, down, stop, up
from .plan_wait import possible
from .rules import RULES, runtime


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    return described(desired.name, observed.state, observed, desired.wish, pending_fields(observed, desired), RULES)


def facts(observed: Observed) -> Dict[str, Any]:
    tree = observed.inactive
    if tree is None:
        return {}
    devices = tree.find("devices")
    return {
        "uuid": tree.get("uuid"),
        "type": tree.attributes.get("type"),
        "macs": [nic.get("mac@address") for nic in devices.all("interface")] if devices else [],
    }


def nothing(desired: Desired) -> Observed:
    """No guest. A task that asks for no more than a state speaks of a guest that an earlier task is about to define: it is taken as shut off,
    or as running where only a guest that runs can be so."""
    if desired.wish.says_something or desired.state == "absent":
        return Observed()
    tree = element("domain", element("name", text=desired.name))
    return Observed(inactive=tree, active=tree, state="running") if desired.state == "saved" else Observed(inactive=tree, state="shutoff")


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if desired.state == "absent":
        return absent(observed, desired)
    change, definition, warnings = define(observed, desired)
    actions: List[Action] = []
    after = replace(observed, inactive=definition, uuid_holder=None, mac_holders=(), state="shutoff" if observed.inactive is None else observed.state)
    if change:
        actions.append(change)
        after = replace(after, persistent=True, record=())
    steps, after = up(after, desired, observed.inactive if change else None)
    actions += steps
    if after.active is not None and after.state in ("running", "paused") and desired.state in ("present", "running", "paused"):
        steps, after, more = _converge_running(observed, after, desired, change)
        actions += steps
        warnings += more
    steps, after = down(after, desired)
    actions += steps
    if desired.autostart is not None and desired.autostart != observed.autostart:
        actions.append(SetAutostart(desired.name, desired.autostart))
        after = replace(after, autostart=desired.autostart)
    possible(observed, after, desired)
    return Plan(tuple(actions), after, pending=pending_fields(after, desired), warnings=warnings)


def pending_fields(observed: Observed, desired: Desired) -> Tuple[str, ...]:
    """What is defined as wished, and not so in the guest that runs, or that will when its saved memory is loaded."""
    active = observed.active or observed.saved
    if active is None or observed.inactive is None:
        return ()
    fields = unmet(observed.inactive, runtime(active, desired.wish, observed.inactive), desired.wish, RULES)
    return tuple(field for field in fields if field != "currentMemory" or not balloon_reaches(active, desired.wish))


def _converge_running(
    before: Observed, observed: Observed, desired: Desired, change: Optional[DefineDomain]
) -> Tuple[List[Action], Observed, Tuple[str, ...]]:
    """At once what can be, and where the task allows a restart, the rest with that."""
    active, definition = observed.active, observed.inactive
    if active is None or definition is None:
        return [], observed, ()
    asked = bool(change and "currentMemory" in (change.changes or ()))
    guest = Guest(desired.name, active, observed.state == "running", observed.balloon, asked, desired.timeout, desired.force, observed.cpus)
    live = go_live(guest, desired.wish, definition)
    after = replace(observed, active=live.active)
    if desired.restart == "never" or not pending_fields(after, desired):
        return list(live.actions), after, live.warnings
    paused = "paused" in (desired.state, observed.state if desired.state == "present" else "")
    steps = [stop(observed.state, desired), StartDomain(desired.name, paused or None, _what_ran(before, active), restart=True)]
    return steps, replace(observed, active=definition, state="paused" if paused else "running", balloon=False), ()


def _what_ran(before: Observed, active: Node) -> Node:
    """The definition that is known to start: that of what runs. A definition that was changed meanwhile may be none."""
    inactive = before.inactive
    if inactive is not None and not differences(runtime(active, inactive, inactive), inactive, RULES):
        return inactive
    return active if inactive is not None and inactive.find("resource") else active.without("resource")  # where libvirt itself put it
