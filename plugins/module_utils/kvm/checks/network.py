# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether guests reach the network, and the host keeps reaching it once they do."""

from __future__ import annotations

from ipaddress import ip_network
from typing import List

from .. import remedies
from ..model import PASS, UNKNOWN, WARN, Facts
from ..sections.system import Network, Subnet
from ..spec import Request
from .rule import Rule, Verdict, need

_TABLES = {"ip": "iptables", "ip6": "ip6tables"}


def _bridge_filter(facts: Facts, request: Request) -> Verdict:
    """A policy of DROP for forwarded packets cuts off bridged guests too, once br_netfilter puts bridged packets through it."""
    network = need(facts, "network", facts.network)
    on = [family for family in _TABLES if network.bridge_filter.get(family)]
    if not on:
        said = "off in net.bridge.bridge-nf-call-*" if network.bridge_filter else "not in this kernel (no /proc/sys/net/bridge)"
        return PASS, f"the filter over bridges is {said}", ""
    if network.forward_reason:
        return (
            UNKNOWN,
            f"bridged packets go through the host's filter, which could not be read: {network.forward_reason}",
            remedies.unread_filter(facts),
        )
    dropping = [rule for rule in network.forward if rule.family in on and rule.policy == "drop" and not rule.bridged]
    names = ", ".join(f"net.bridge.bridge-nf-call-{_TABLES[family]}" for family in on)
    if not dropping:
        said = "; ".join(dict.fromkeys(rule.evidence for rule in network.forward)) or "nothing filters forwarded packets"
        return PASS, f"{names}: 1; {said}", ""
    evidence = "; ".join(dict.fromkeys(rule.evidence for rule in dropping))
    return WARN, f"{names}: 1, and {evidence}: bridged guests are cut off", _bridge_remedy(dropping[0].family)


def _bridge_remedy(family: str) -> str:
    switch = f"sysctl net.bridge.bridge-nf-call-{_TABLES[family]}=0 (and a file in /etc/sysctl.d)"
    return f"{switch}; or let bridged packets through: {_TABLES[family]} -I FORWARD -m physdev --physdev-is-bridged -j ACCEPT"


def _subnets(facts: Facts, request: Request) -> Verdict:
    network = need(facts, "network", facts.network)
    found = clashes(network)
    if found:
        return WARN, "; ".join(found), "give the virtual network another subnet, one that no route of this host covers"
    if network.virtual_reason:
        return UNKNOWN, f"libvirt's networks could not be read: {network.virtual_reason}", remedies.unread_filter(facts)
    subnets = ", ".join(f"{subnet.subnet} ({subnet.owner})" for subnet in network.virtual) or "none"
    return PASS, f"virtual subnets: {subnets}; none meets one of the {len(network.routes)} routes of the host (/proc/net/route)", ""


def clashes(network: Network) -> List[str]:
    """Virtual subnets that overlap with a route of the host, or with each other."""
    found = []
    for index, virtual in enumerate(network.virtual):
        for other in (*network.routes, *network.virtual[index + 1 :]):
            if _overlap(virtual, other) and virtual.interface != other.interface:
                found.append(f"{virtual.subnet} of {virtual.owner} meets {other.subnet} of {other.owner}")
    return found


def _overlap(one: Subnet, other: Subnet) -> bool:
    first, second = ip_network(one.subnet), ip_network(other.subnet)
    return first.version == second.version and first.overlaps(second)


RULES = (
    Rule("network.bridge_filter", ("network",), _bridge_filter),
    Rule("network.subnets", ("network",), _subnets),
)
