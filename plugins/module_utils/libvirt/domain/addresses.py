# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The IP addresses of a running guest, asked of everyone who may know."""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, Iterable, List, Mapping, Tuple

from ..connection import Connection
from ..xmltree import parse
from .wish import GUEST_AGENT

#: Who may know → libvirt's name for that. Source: virDomainInterfaceAddressesSource.
SOURCES = {
    "lease": "VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE",
    "agent": "VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT",
    "arp": "VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP",
}


def addresses_of(connection: Connection, guest: Any, sources: Iterable[str]) -> List[Dict[str, Any]]:
    """One entry for each address of each interface, with all who know of it. Who cannot be asked knows of none."""
    answers: Dict[str, Mapping[str, Any]] = {}
    for source in sources:
        try:
            if source == "agent" and not agent_listens(guest):
                continue  # an agent that is not there would be waited for
            answers[source] = guest.interfaceAddresses(getattr(connection.api, SOURCES[source]), 0)
        except connection.api.libvirtError:  # a network that is not running, a driver that has no such thing
            continue
    return merged(answers)


def agent_listens(guest: Any) -> bool:
    devices = parse(guest.XMLDesc(0), "libvirt's XML", "domain").find("devices")
    channels = devices.all("channel") if devices else []
    return any(channel.get("target@name") == GUEST_AGENT and channel.get("target@state") == "connected" for channel in channels)


def merged(answers: Mapping[str, Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """answers: source → what libvirt's interfaceAddresses gives. Loopback addresses are nobody's to reach."""
    found: Dict[Tuple[str, str], Dict[str, Any]] = {}
    for source, interfaces in answers.items():
        for name, interface in interfaces.items():
            for one in interface.get("addrs") or []:
                address = ipaddress.ip_address(one["addr"].partition("%")[0])
                if address.is_loopback:
                    continue
                key = (interface.get("hwaddr") or "", str(address))
                entry = found.setdefault(key, {"mac": key[0], "address": key[1], "sources": []})
                entry["sources"].append(source)
                if source == "agent":
                    entry["name"] = name
                if source != "arp":  # a neighbour's prefix is not known
                    entry["prefix"] = one["prefix"]
    return [found[key] for key in sorted(found)]
