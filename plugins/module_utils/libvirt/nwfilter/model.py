# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network filters: what is wanted of one, and what is there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from ...engine.errors import Failure
from ..objects import model as objects
from ..objects.model import Desired, Kind, name_and_wish
from ..uri import URI_SPEC
from ..xmltree import Node, element, plain_text
from .rules import PROTOCOLS, RULES

NWFILTER = Kind("nwfilter", "filter", RULES, "rules, filterrefs or xml")

_CHAIN = re.compile("(root|mac|vlan|stp|arp|rarp|ipv4|ipv6)(-[A-Za-z0-9_.:-]+)?")
_ATTRIBUTE = re.compile("[A-Za-z][A-Za-z0-9_]*")

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "uri": URI_SPEC,
        "name": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "xml": {"type": "str"},
        "chain": {"type": "str"},
        "priority": {"type": "int"},
        "filterrefs": {
            "type": "list",
            "elements": "dict",
            "options": {"filter": {"type": "str", "required": True}, "parameters": {"type": "dict"}},
        },
        "rules": {
            "type": "list",
            "elements": "dict",
            "options": {
                "action": {"type": "str", "choices": ["accept", "drop", "reject", "return", "continue"], "required": True},
                "direction": {"type": "str", "choices": ["in", "out", "inout"], "required": True},
                "priority": {"type": "int"},
                "statematch": {"type": "bool"},
                "protocol": {"type": "str", "choices": PROTOCOLS},
                "match": {"type": "dict"},
            },
        },
    },
    "required_one_of": [["name", "xml"]],
}


@dataclass(frozen=True)
class Observed(objects.Observed):
    """users: guests and filters that refer to it, where that decides what may be done."""

    users: Tuple[str, ...] = ()


def from_params(params: Mapping[str, Any]) -> Desired:
    name, wish = name_and_wish(params, NWFILTER, _wish_from_options(params))
    return Desired(name, params["state"], wish)


def _wish_from_options(params: Mapping[str, Any]) -> Node:
    chain = params["chain"]
    if chain is not None and not _CHAIN.fullmatch(chain):
        raise Failure(f"chain: {chain!r} is no chain; use root, mac, ipv4, arp and so on, or one with a suffix such as ipv4-web", "invalid_value")
    owned: Set[str] = set()
    children: List[Node] = []
    if params["filterrefs"] is not None:
        owned.add("filterref")
        children += [_filterref(entry) for entry in params["filterrefs"]]
    if params["rules"] is not None:
        owned.add("rule")
        children += [_rule(entry) for entry in params["rules"]]
    wish = element("filter", *children, chain=chain, priority=_priority(params["priority"], "priority"))
    return replace(wish, owned=frozenset(owned))


def _priority(value: Optional[int], what: str) -> Optional[str]:
    """Source: virNWFilterDefParseXML and virNWFilterRuleParse, NWFILTER_MIN_FILTER_PRIORITY to NWFILTER_MAX_FILTER_PRIORITY."""
    if value is not None and not -1000 <= value <= 1000:
        raise Failure(f"{what}: {value}; use -1000 (first) to 1000 (last)", "invalid_value")
    return None if value is None else str(value)


def _pairs(values: Optional[Mapping[str, Any]], what: str) -> Dict[str, str]:
    pairs = {}
    for name, value in (values or {}).items():
        if not _ATTRIBUTE.fullmatch(name):
            raise Failure(f"{what}: {name!r} is not a name; use letters and digits, as in srcipaddr", "invalid_name")
        pairs[name] = ("yes" if value else "no") if isinstance(value, bool) else plain_text(str(value), f"{what}.{name}")
    return pairs


def _filterref(entry: Mapping[str, Any]) -> Node:
    children = []
    for name, given in (entry["parameters"] or {}).items():
        for value in given if isinstance(given, list) else [given]:
            children += [element("parameter", name=key, value=text) for key, text in _pairs({name: value}, "filterrefs.parameters").items()]
    reference = element("filterref", *children, filter=plain_text(entry["filter"], "filterrefs.filter"))
    return replace(reference, owned=frozenset({"parameter"}))


def _rule(entry: Mapping[str, Any]) -> Node:
    match = _pairs(entry["match"], "rules.match")
    if match and not entry["protocol"]:
        raise Failure("rules: match needs a protocol, which says what its fields mean; add protocol, for example tcp", "missing_option")
    return element(
        "rule",
        Node(entry["protocol"], match) if entry["protocol"] else None,
        action=entry["action"],
        direction=entry["direction"],
        priority=_priority(entry["priority"], "rules.priority"),
        statematch="false" if entry["statematch"] is False else None,
    )
