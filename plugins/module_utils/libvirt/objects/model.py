# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every object of libvirt that has a definition has in common: networks, pools, filters. What differs comes in as a Kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from ...engine.errors import Failure
from ..record import without_record
from ..uri import URI_SPEC
from ..xmlmerge import Rules, canonical, claim, overlay
from ..xmltree import Node, object_name, parse


def _anything_goes(name: str, definition: Node) -> None:
    """No refusals of our own."""


def _nothing_at_once(kind: Kind, name: str, active: Node, definition: Node, wish: Node) -> Tuple[Tuple[Any, ...], Node]:
    """What runs stays as it is until it starts again."""
    return (), active


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    noun: what actions and sentences call it. root: the outermost element of its XML.
    shared: the lists (by path) that libvirt itself adds to. remembers: whether its XML has metadata, where a request is remembered.
    needs: the options that make one, for the sentence that says so.
    possible: name, definition; refuses what libvirt would.
    unseen: paths below the root that are a state and no definition, such as a pool's capacity.
    live: kind, name, what runs, the new definition, the wish → the steps that change what runs, and what runs after them.
    """

    noun: str
    root: str
    rules: Rules = field(repr=False)
    needs: str
    shared: Callable[[str], bool] = lambda path: False
    remembers: bool = False
    possible: Callable[[str, Node], None] = _anything_goes
    unseen: Tuple[str, ...] = ()
    live: Callable[[Kind, str, Node, Node, Node], Tuple[Tuple[Any, ...], Node]] = field(default=_nothing_at_once, repr=False)


@dataclass(frozen=True)
class Desired:
    """wish: what the definition must contain; says nothing where only the state is asked for. restart: whether it may be restarted."""

    name: str
    state: str
    wish: Node
    autostart: Optional[bool] = None
    restart: bool = False


@dataclass(frozen=True)
class Observed:
    """inactive: the definition, None where there is no such object. active: the running one, None where it is not running.

    persistent: whether it is still there after it stops. uuid_holder: who else has the UUID that the wish names.
    record: what the last define of a request that libvirt did not keep whole left behind: digests of the request and of its outcome.
    """

    inactive: Optional[Node] = None
    active: Optional[Node] = None
    autostart: bool = False
    persistent: bool = True
    uuid_holder: Optional[str] = None
    record: Tuple[str, ...] = ()


#: The options that these modules share.
COMMON: Dict[str, Any] = {
    "uri": URI_SPEC,
    "name": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "active", "inactive", "absent"], "default": "active"},
    "autostart": {"type": "bool"},
    "xml": {"type": "str"},
    "restart": {"type": "str", "choices": ["never", "if_required"], "default": "never"},
}


def name_and_wish(params: Mapping[str, Any], kind: Kind, options: Node) -> Tuple[str, Node]:
    """Which object the task speaks of, and what its definition must contain: the xml, with the options on top.

    options: what the options alone wish for, not yet in canonical form.
    """
    base = canonical(parse(params["xml"], "xml", kind.root), kind.rules) if params["xml"] is not None else Node(kind.root)
    in_xml = name_in(base)
    name = object_name(params["name"] if params["name"] is not None else in_xml, kind.noun)
    if in_xml and in_xml != name:
        raise Failure(f"name: the task says {name!r} and its xml says {in_xml!r}; leave one of them out", "invalid_xml")
    base = without_record(base.without("name", "@name", *kind.unseen))
    return name, overlay(claim(base, kind.rules, kind.shared), canonical(options, kind.rules), kind.rules)


def name_in(definition: Node) -> str:
    """Networks and pools have their name in an element, filters in an attribute; a pool without one is called as its source."""
    return (definition.get("name") or definition.get("@name") or definition.get("source/name") or "").strip()
