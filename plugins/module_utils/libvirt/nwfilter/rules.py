# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a filter's XML is spelled. Source: libvirt's formatnwfilter and src/conf/nwfilter_conf.c."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from ..spelling import number, uuid_text
from ..xmlmerge import Key, Rules
from ..xmltree import Node

#: The protocols of a rule. Of each a rule has any number, and their order counts, as that of the rules does.
PROTOCOLS = ["all", "all-ipv6", "ah", "ah-ipv6", "arp", "esp", "esp-ipv6", "icmp", "icmpv6", "igmp", "ip", "ipv6", "mac", "rarp", "sctp"]
PROTOCOLS += ["sctp-ipv6", "stp", "tcp", "tcp-ipv6", "udp", "udp-ipv6", "udplite", "udplite-ipv6", "vlan"]


def _key(path: str, node: Node, place: int) -> Key:
    if path in ("rule", "filterref") or path.startswith("rule/"):
        return path, str(place)
    if path == "filterref/parameter":
        return path, node.attributes.get("name")
    return "", ""


def _spell(path: str, node: Node) -> Node:
    if path == "uuid":
        return replace(node, text=uuid_text(node.text, "uuid"))
    if path == "rule":
        return _rule(node)
    if path.startswith("rule/"):
        return replace(node, text="", owned=frozenset({"@*"}))
    return replace(node, text=node.text.strip())


def _rule(node: Node) -> Node:
    """Rules are told apart by their place, so one says all of itself: what it does not name is not there."""
    said = dict(node.attributes)
    said["priority"] = number(said.get("priority", "500"))
    if said.pop("statematch", "true").lower() in ("false", "0"):
        said["statematch"] = "false"
    return replace(node, attributes=said, text="", owned=frozenset({*PROTOCOLS, "@*"}))


def _same(field: str, observed: Optional[str], desired: str) -> bool:
    return observed == desired


RULES = Rules(
    spell=_spell, key=_key, same=_same, implied=lambda path, node: False, prune=lambda path, observed, wish: observed, opaque=lambda path: False
)
