# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all definitions have in common, whichever kind of object they define."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import HIDDEN, Action
from .xmlmerge import Rules, differences, merge, project
from .xmltree import Node, pretty


@dataclass(frozen=True)
class Define(Action):
    """changes: the fields that differ; None for a new object. definition: the whole new one. wish: what it must contain."""

    changes: Optional[Tuple[str, ...]]
    definition: Node = field(metadata=HIDDEN)
    wish: Node = field(metadata=HIDDEN)


def refuse_foreign_uuid(what: str, wish: Node, inactive: Optional[Node], holder: Optional[str]) -> None:
    """what: the kind and the name, C(guest web). holder: who else has the UUID that the wish names."""
    kind = what.partition(" ")[0]
    if holder:
        raise Failure(f"{what}: its uuid is that of the {kind} {holder}; leave the uuid out", "uuid_in_use")
    uuid = inactive.get("uuid") if inactive else None
    if inactive and wish.get("uuid") not in (None, uuid):
        raise Failure(f"{what}: it has the uuid {uuid}, which cannot change; leave uuid out", "uuid_mismatch")


def redefined(inactive: Node, persistent: bool, wish: Node, rules: Rules) -> Optional[Tuple[Tuple[str, ...], Node]]:
    """The fields that differ and the whole new definition; None where there is nothing to define."""
    changes = differences(inactive, wish, rules)
    return None if not changes and persistent else (changes, merge(inactive, wish, rules))


def unmet(inactive: Optional[Node], active: Optional[Node], wish: Node, rules: Rules) -> Tuple[str, ...]:
    """What is defined as wished, and not so in what runs. What libvirt does not keep will never come, so it is not waited for."""
    if active is None:
        return ()
    undefined = differences(inactive, wish, rules)
    return tuple(label for label in differences(active, wish, rules) if label not in undefined)


def described(name: str, state: str, observed: Any, wish: Node, pending: Tuple[str, ...], rules: Rules) -> Dict[str, Any]:
    """The view of an object. observed: has inactive, autostart and persistent."""
    shown: Dict[str, Any] = {"name": name, "state": state}
    if observed.inactive is None:
        return shown
    shown.update(autostart=observed.autostart, persistent=observed.persistent)
    part = project(observed.inactive, wish, rules)
    if part and wish.says_something:
        shown["xml"] = pretty(part)
    if pending:
        shown["pending"] = list(pending)
    return shown
