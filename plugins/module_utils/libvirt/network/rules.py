# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the members of a network's XML are told apart and spelled. Source: libvirt's formatnetwork and src/conf/network_conf.c."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import Dict, Optional, Tuple

from ...engine.errors import Failure
from ..spelling import mac_address, pci_address, uuid_text
from ..xmlmerge import Key, Rules
from ..xmltree import Node

DNSMASQ = "{http://libvirt.org/schemas/network/dnsmasq/1.0}"

#: Lists, and the attributes (or children@attribute) that name a member. Empty: told apart by content and position.
_LISTS: Dict[str, Tuple[str, ...]] = {
    "ip/dhcp/range": ("@start", "@end"),
    "ip/dhcp/host": (),
    "route": ("@address", "@prefix"),
    "forward/interface": ("@dev",),
    "forward/address": (),
    "portgroup": ("@name",),
    "dns/host": ("@ip",),
    "dns/host/hostname": ("",),
    "dns/txt": ("@name",),
    "dns/srv": ("@service", "@protocol", "@domain", "@target"),
    "dns/forwarder": (),
    "vlan/tag": ("@id",),
    "portgroup/vlan/tag": ("@id",),
    f"{DNSMASQ}options/{DNSMASQ}option": ("@value",),
}

#: Forward modes that hand out an interface of the host to each guest.
POOLS_OF_INTERFACES = ("bridge", "private", "vepa", "passthrough")

#: field → the value that libvirt does not print.
_UNSAID = {
    "@connections": None,
    "@ipv6": "no",
    "@trustGuestRxFilters": "no",
    "bridge@macTableManager": "kernel",
    "dns@enable": "yes",
    "dns@forwardPlainNames": "yes",
    "domain@localOnly": "no",
    "forward@managed": "no",
    "forward/nat@ipv6": "no",
    "ip@localPtr": "no",
    "portgroup@default": "no",
    "portgroup@trustGuestRxFilters": "no",
}

#: Attributes that libvirt itself prints without escaping (seen in 9.0), so that a quote in them would become XML of its own.
_UNESCAPED = {"domain": "name", "ip/dhcp/host": "name", "portgroup": "name"}


def _simple(text: str, what: str) -> None:
    if re.search("['\"<>&]", text):
        raise Failure(f"{what}: {text!r} is not a name; use letters, digits, dots and dashes", "invalid_name")


def _key(path: str, node: Node, place: int) -> Key:
    if path == "ip":
        return node.attributes.get("family") or "ipv4", node.attributes.get("address")
    if path == "ip/dhcp/host":  # one of them is enough to name a machine, and either may change
        return "host", node.attributes.get("mac") or node.attributes.get("id") or node.attributes.get("name") or node.attributes.get("ip")
    if path in _LISTS:
        values = [node.get(name) or "" for name in _LISTS[path]]
        return path, "-".join(values) if any(values) else None
    return "", ""


def _spell(path: str, node: Node) -> Node:
    attributes = dict(node.attributes)
    if path in _UNESCAPED:
        _simple(attributes.get(_UNESCAPED[path], ""), f"{path} {_UNESCAPED[path]}")
    if path in ("ip", "route"):
        attributes = _address(attributes)
        if path == "route" and attributes.get("family") == "ipv4":
            del attributes["family"]
    elif path == "mac" and "address" in attributes:
        attributes["address"] = mac_address(attributes["address"], "mac")
    elif path == "ip/dhcp/host" and "mac" in attributes:
        attributes["mac"] = mac_address(attributes["mac"], "dhcp host")
    elif path in ("ip/dhcp/range/lease", "ip/dhcp/host/lease") and attributes.get("expiry") == "0":  # never, in any unit
        attributes.pop("unit", None)
    elif path == "uuid":
        return replace(node, text=uuid_text(node.text, "uuid"))
    elif path == "forward/address":
        return pci_address(node)
    return replace(node, attributes=attributes, text=node.text if path in ("title", "description") else node.text.strip())


def _address(attributes: Dict[str, str]) -> Dict[str, str]:
    """A netmask as a prefix, and no family where it is IPv4's: both are libvirt's way to say less."""
    if "netmask" in attributes and "address" in attributes:
        try:
            network = ipaddress.ip_network(f"0.0.0.0/{attributes['netmask']}")
        except ValueError:
            return attributes  # libvirt says what is wrong with it
        attributes["prefix"] = str(network.prefixlen)
        del attributes["netmask"]
    return attributes


def _same(field: str, observed: Optional[str], desired: str) -> bool:
    if observed is None:
        return (field == "ip@family" and desired == "ipv4") or (field in _UNSAID and _UNSAID[field] in (None, desired))
    if field == "@connections":  # a count of the running network's users
        return True
    return observed == desired


def _implied(path: str, node: Node) -> bool:
    if path == "forward" and node.attributes.get("mode") == "none":
        return True
    return path in ("ip/dhcp", "dns") and not (node.attributes or node.children)


def _prune(path: str, observed: Node, wish: Node) -> Node:
    if path == "":
        return _of_another_mode(observed, wish)
    if path == "forward":
        if wish.attributes.get("mode", observed.attributes.get("mode")) != observed.attributes.get("mode"):
            return observed.without("nat", "interface", "address", "driver", "pf", "@dev", "@managed")
        if wish.attributes.get("dev", observed.attributes.get("dev")) != observed.attributes.get("dev"):
            return observed.without("interface")
    return observed


def _of_another_mode(observed: Node, wish: Node) -> Node:
    """Without what a network of the wished mode cannot have. Source: virNetworkDefParseXML."""
    mode, old = wish.get("forward@mode"), observed.get("forward@mode")
    if mode == old or mode not in (*POOLS_OF_INTERFACES, "hostdev"):
        return observed
    rest = observed.without("mac", "ip", "dns", "domain", "route", "mtu")
    return rest if old in POOLS_OF_INTERFACES and mode == "bridge" else rest.without("bridge")


RULES = Rules(spell=_spell, key=_key, same=_same, implied=_implied, prune=_prune, opaque=lambda path: path == "metadata")


def shared(path: str) -> bool:
    """Lists that libvirt adds to by itself."""
    return path == "forward/interface"
