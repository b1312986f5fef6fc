# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Routes of an interface in a network namespace."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure

DEFAULT = "default"

ROUTES: Dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {"to": {"type": "str", "required": True}, "via": {"type": "str"}},
}


@dataclass(frozen=True)
class Route:
    """to: "default" or a network with its prefix. via: the gateway; None where to is on the link."""

    to: str
    via: Optional[str] = None

    @property
    def family(self) -> int:
        return ipaddress.ip_address(self.via).version if self.via else ipaddress.ip_network(self.to).version

    def shown(self) -> Dict[str, str]:
        return {"to": self.to, **({"via": self.via} if self.via else {})}


def from_option(given: Optional[List[Mapping[str, Any]]], name: str) -> Optional[Tuple[Route, ...]]:
    """The option routes of the interface name. None leaves alone, () is none."""
    if given is None:
        return None
    found: Dict[Tuple[str, int], Route] = {}
    for item in given:
        route = _route(item["to"], item["via"], name)
        if (route.to, route.family) in found:
            raise Failure(f"interfaces: {name}: {route.to} is routed twice; give each destination once", "duplicate_route")
        found[route.to, route.family] = route
    return ordered(found.values())


def ordered(routes: Any) -> Tuple[Route, ...]:
    """As they are shown and compared, which is also an order to add them in: a network on the link may be the way to a gateway."""
    return tuple(sorted(routes, key=lambda route: (route.via is not None, route.to == DEFAULT, route.to, route.family)))


def _route(to: str, via: Optional[str], name: str) -> Route:
    try:
        network = None if to == DEFAULT else ipaddress.ip_network(to)
        gateway = None if via is None else ipaddress.ip_address(via)
        if network is not None and network.prefixlen == 0:
            network = None
        if (network is None and gateway is None) or (gateway is not None and network is not None and network.version != gateway.version):
            raise ValueError
        if gateway is not None and "%" in str(gateway):
            raise ValueError
    except ValueError:
        raise Failure(
            f"interfaces: {name}: {to!r}{f' via {via!r}' if via else ''} is not a route; write to as default, 198.51.100.0/24 or 2001:db8::/64, "
            "and via as an address of the same family, which default needs",
            "invalid_route",
        ) from None
    return Route(DEFAULT if network is None else str(network), None if gateway is None else str(gateway))


def shared_default(routes: List[Optional[Tuple[Route, ...]]]) -> Optional[int]:
    """The family whose default route more than one interface has: the kernel would give it to the last one."""
    families = [route.family for some in routes for route in some or () if route.to == DEFAULT]
    return next((family for family in families if families.count(family) > 1), None)


def unreachable(routes: Tuple[Route, ...], addresses: Tuple[str, ...]) -> Optional[Route]:
    """The first route whose gateway is on no network of the interface's, which the kernel would refuse."""
    networks = [ipaddress.ip_interface(text).network for text in addresses] + [ipaddress.ip_network(item.to) for item in routes if not item.via]
    for route in routes:
        if route.via:
            gateway = ipaddress.ip_address(route.via)
            if not gateway.is_link_local and not any(gateway.version == network.version and gateway in network for network in networks):
                return route
    return None


def parse(entries: List[Dict[str, Any]]) -> Tuple[Route, ...]:
    """What somebody set, from "ip -j route show": neither the kernel's own nor what DHCP or a router said."""
    found = []
    for entry in entries:
        if entry.get("protocol", "boot") not in ("boot", "static") or entry.get("type", "unicast") != "unicast":
            continue
        to, via = entry["dst"], entry.get("gateway")
        found.append(Route(to if to == DEFAULT else str(ipaddress.ip_network(to)), via))
    return ordered(route for route in found if route.via or route.to != DEFAULT)
