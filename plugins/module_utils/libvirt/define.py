# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all definitions have in common, whichever kind of object they define."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Optional, Tuple

from ..engine.errors import Failure
from .xmlmerge import Rules, differences, merge, project
from .xmltree import Node, pretty, render

#: The fields that differ, and the whole new definition.
Change = Tuple[Tuple[str, ...], Node]


def digest(node: Node) -> str:
    """A short name of a request or of a definition, to recognise it again."""
    marks = sorted(node.owned), sorted(node.absent)
    return hashlib.sha256(f"{render(node)}{marks}".encode("utf-8", "replace")).hexdigest()[:24]


def refuse_taken_uuid(what: str, holder: Optional[str]) -> None:
    """what: the kind and the name, C(guest web). holder: who else has the UUID that the wish names."""
    if holder:
        raise Failure(f"{what}: its uuid is that of the {what.partition(' ')[0]} {holder}; leave the uuid out", "uuid_in_use")


def redefined(what: str, observed: Any, inactive: Node, wish: Node, rules: Rules) -> Tuple[Optional[Change], Tuple[str, ...]]:
    """How the definition of something that there is has to change, and warnings. None: there is nothing to define.

    observed: has persistent, and record: what an earlier request that libvirt did not keep whole left behind.
    """
    uuid = inactive.get("uuid")
    if wish.get("uuid") not in (None, uuid):
        raise Failure(f"{what}: it has the uuid {uuid}, which cannot change; leave uuid out", "uuid_mismatch")
    changes = differences(inactive, wish, rules)
    if changes and observed.record == (digest(wish), digest(inactive)):
        return None, (f"{what}: libvirt does not keep {', '.join(changes)}; leave these out of the definition",)
    if not changes and observed.persistent:
        return None, ()
    return (changes, merge(inactive, wish, rules)), ()


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
