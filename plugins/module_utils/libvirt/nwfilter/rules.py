# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a filter's XML is spelled. Source: libvirt's formatnwfilter and src/conf/nwfilter_conf.c."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import Optional

from ..spelling import number, uuid_text
from ..xmlmerge import Key, Rules
from ..xmltree import Node

#: The protocols of a rule. Of each a rule has any number, and their order counts, as that of the rules does.
PROTOCOLS = ["all", "all-ipv6", "ah", "ah-ipv6", "arp", "esp", "esp-ipv6", "icmp", "icmpv6", "igmp", "ip", "ipv6", "mac", "rarp", "sctp"]
PROTOCOLS += ["sctp-ipv6", "stp", "tcp", "tcp-ipv6", "udp", "udp-ipv6", "udplite", "udplite-ipv6", "vlan"]

_MAC = re.compile("[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){5}")
_VARIABLE = re.compile(r"\$(?P<name>[A-Za-z0-9_]+)(\[\s*(?P<index>@?[0-9]+)\s*\])?")
#: Fields that are words or texts of the user's.
_TEXTS = {"comment", "ipset", "state", "match", "flags"}


def _key(path: str, node: Node, place: int) -> Key:
    if path in ("rule", "filterref") or path.startswith("rule/"):
        return path, str(place)
    if path == "filterref/parameter":
        return f"{path}/{node.attributes.get('name')}", None  # a variable may have several values
    return "", ""


def _spell(path: str, node: Node) -> Node:
    if path == "uuid":
        return replace(node, text=uuid_text(node.text, "uuid"))
    if path == "rule":
        return _rule(node)
    if path.startswith("rule/"):
        said = {name: _value(name, value) for name, value in node.attributes.items()}
        return replace(node, attributes=said, text="", owned=frozenset({"@*"}))
    return replace(node, text=node.text.strip())


def _value(name: str, value: str) -> str:
    """A field of a rule as libvirt prints it; what is none of these stays as it is."""
    if name in _TEXTS:
        return value
    variable = _VARIABLE.fullmatch(value.strip())
    if variable:
        index = "" if variable["index"] in (None, "@0") else f"[{variable['index']}]"
        return f"${variable['name']}{index}"
    if name == "ipsetflags":
        return value.lower()
    if _MAC.fullmatch(value):
        return ":".join(f"{int(part, 16):02x}" for part in value.split(":"))
    if name.endswith(("ipmask", "ipaddr", "ipfrom", "ipto")):
        return _address(value, mask=name.endswith("mask"))
    if value.lower().startswith("0x"):
        digits = number(value)
        return f"0x{int(digits):x}" if digits.isdigit() else value
    return number(value)


def _address(value: str, mask: bool) -> str:
    try:
        return str(ipaddress.ip_network(f"0.0.0.0/{value}").prefixlen) if mask and "." in value else str(ipaddress.ip_address(value))
    except ValueError:
        return value


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
