# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what an object of libvirt is to what it should be. The same for every kind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Tuple, TypeVar

from ...engine.errors import NotReady
from ...engine.plan import HIDDEN, Action, Plan
from ..define import described, redefined, refuse_taken_uuid, unmet
from ..xmlmerge import merge
from ..xmltree import Node, element
from .model import Desired, Kind, Observed

Seen = TypeVar("Seen", bound=Observed)


@dataclass(frozen=True)
class Step(Action):
    """A step on an object of some kind, called define_network, start_pool, ... in results."""

    of: Kind = field(metadata=HIDDEN)

    @property
    def kind(self) -> str:
        return f"{super().kind}_{self.of.noun}"

    @property
    def subject(self) -> str:
        """How sentences begin."""
        return f"{self.of.noun} {self.target}"


@dataclass(frozen=True)
class Define(Step):
    """changes: the fields that differ; None for a new object. definition: the whole new one. wish: what it must contain.

    previous: the definition to go back to where a kind cannot remember what libvirt did not keep; None for a new object.
    """

    changes: Optional[Tuple[str, ...]]
    definition: Node = field(metadata=HIDDEN)
    wish: Node = field(metadata=HIDDEN)
    previous: Optional[Node] = field(metadata=HIDDEN)


@dataclass(frozen=True)
class Start(Step):
    pass


@dataclass(frozen=True)
class Stop(Step):
    pass


@dataclass(frozen=True)
class SetAutostart(Step):
    enabled: bool

    @property
    def kind(self) -> str:
        return "set_autostart"


@dataclass(frozen=True)
class Undefine(Step):
    pass


def state_of(observed: Observed) -> str:
    if observed.inactive is None:
        return "absent"
    return "active" if observed.active else "inactive"


def view(observed: Observed, desired: Desired, kind: Kind) -> Dict[str, Any]:
    return described(desired.name, state_of(observed), observed, desired.wish, pending_fields(observed, desired, kind), kind.rules)


def pending_fields(observed: Observed, desired: Desired, kind: Kind) -> Tuple[str, ...]:
    return unmet(observed.inactive, observed.active, desired.wish, kind.rules)


def plan(observed: Seen, desired: Desired, kind: Kind) -> Plan[Seen]:
    if desired.state == "absent":
        return _absent(observed, desired, kind)
    actions: List[Action] = []
    define, definition, warnings = _define(observed, desired, kind)
    after = replace(observed, inactive=definition, uuid_holder=None)
    if define:
        actions.append(define)
        after = replace(after, persistent=True, record=())
    running = observed.active is not None
    wanted = {"active": True, "inactive": False}.get(desired.state, running)
    restart = False
    if after.active is not None and wanted:
        steps, active = kind.live(kind, desired.name, after.active, definition, desired.wish)
        updated = replace(after, active=active)
        restart = desired.restart and bool(pending_fields(updated, desired, kind))
        if not restart:  # which brings all of it
            actions += steps
            after = updated
    if running and (restart or not wanted):
        actions.append(Stop(desired.name, kind))
        after = replace(after, active=None)
    if wanted and after.active is None:
        actions.append(Start(desired.name, kind))
        after = replace(after, active=definition)
    if desired.autostart is not None and desired.autostart != observed.autostart:
        actions.append(SetAutostart(desired.name, kind, desired.autostart))
        after = replace(after, autostart=desired.autostart)
    return Plan(tuple(actions), after, pending_fields(after, desired, kind), warnings)


def _define(observed: Observed, desired: Desired, kind: Kind) -> Tuple[Optional[Define], Node, Tuple[str, ...]]:
    name, wish, noun = desired.name, desired.wish, kind.noun
    refuse_taken_uuid(f"{noun} {name}", observed.uuid_holder)
    if observed.inactive is None:
        if not wish.says_something:
            raise NotReady(f"{noun} {name}: there is none, and the task does not say what it should be; give {kind.needs}", f"{noun}_not_found")
        definition = merge(_named(name, kind), wish, kind.rules)
        kind.possible(name, definition)
        return Define(name, kind, None, definition, wish, None), definition, ()
    change, warnings = redefined(f"{noun} {name}", observed, observed.inactive, wish, kind.rules)
    if change is None:
        return None, observed.inactive, warnings
    kind.possible(name, change[1])
    return Define(name, kind, change[0], change[1], wish, observed.inactive), change[1], warnings


def _named(name: str, kind: Kind) -> Node:
    if kind.root == "filter":
        return element(kind.root, name=name)
    return element(kind.root, element("name", text=name))


def _absent(observed: Seen, desired: Desired, kind: Kind) -> Plan[Seen]:
    actions: List[Action] = []
    if observed.active is not None:
        actions.append(Stop(desired.name, kind))
    if observed.inactive is not None and observed.persistent:
        actions.append(Undefine(desired.name, kind))
    after = replace(observed, inactive=None, active=None, autostart=False, persistent=True, uuid_holder=None, record=())
    return Plan(tuple(actions), after)
