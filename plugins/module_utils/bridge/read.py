# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges and interfaces as ip and sysfs show them."""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import replace
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Set, Tuple

from ..engine.errors import Failure, NotReady
from ..engine.host import Host
from .fields import BRIDGE_FIELDS, PORT_FIELDS, Field, Value
from .model import Address, Desired, Link, Observed, Port

PACKAGE = "iproute2"

# Source: include/uapi/linux/netdevice.h: NET_ADDR_SET, an address that was set and that ports do not change.
_ADDRESS_SET = "3"


def read(host: Host, desired: Desired) -> Observed:
    ip = host.require("ip", PACKAGE)
    links = _json(host.run([ip, "-j", "-d", "addr", "show"]).stdout)
    routed = default_route_devices(_json(_routes(host, ip, "-4")) + _json(_routes(host, ip, "-6")))
    session = session_address(os.environ.get("SSH_CONNECTION", ""))
    observed = parse_bridge(links, desired.name, routed)
    if observed.exists:
        assigned = host.try_read(f"/sys/class/net/{desired.name}/addr_assign_type") or ""
        observed = replace(observed, mac_fixed=assigned.strip() == _ADDRESS_SET)
    if desired.present:
        wanted = _wanted_links(host, links, desired, routed, session)
        observed = replace(observed, links=wanted, elsewhere=addresses_elsewhere(links, {desired.name, *(link.name for link in wanted.values())}))
    return observed


def _routes(host: Host, ip: str, family: str) -> str:
    # A kernel without IPv6 answers with an error, and has no default route there.
    return host.run([ip, "-j", family, "route", "show", "default"], check=False).stdout


def _wanted_links(host: Host, links: List[Dict[str, Any]], desired: Desired, routed: FrozenSet[str], session: Optional[str]) -> Dict[str, Link]:
    found: Dict[str, Link] = {}
    for port in desired.ports or ():
        link = parse_link(links, port.name, routed, session)
        if link is None:
            raise NotReady(f"{port.name}: no such interface on this host, so it cannot be a port of {desired.name}; create it first", "port_missing")
        base = f"/sys/class/net/{link.name}"
        found[port.name] = replace(link, wireless=host.exists(f"{base}/wireless") or host.exists(f"{base}/phy80211"))
    return found


def _json(text: str) -> List[Dict[str, Any]]:
    """ip's JSON: a list, in which some versions leave empty objects, or no text at all where there is nothing."""
    if not text.strip():
        return []
    try:
        return [item for item in json.loads(text) if item]
    except ValueError as error:
        raise Failure(f"ip: its answer is not JSON ({error}); install an iproute2 of version 4.18 or newer", "tool_unsuitable") from error


def default_route_devices(routes: List[Dict[str, Any]]) -> FrozenSet[str]:
    """The interfaces of default routes, those of several next hops included."""
    found: Set[str] = set()
    for route in routes:
        for hop in [route, *route.get("nexthops", [])]:
            if "dev" in hop:
                found.add(hop["dev"])
    return frozenset(found - {"lo"})


def session_address(ssh_connection: str) -> Optional[str]:
    """This host's address in the text of SSH_CONNECTION: "CLIENT PORT SERVER PORT"."""
    words = ssh_connection.split()
    return words[2] if len(words) == 4 else None


def parse_bridge(links: List[Dict[str, Any]], name: str, routed: FrozenSet[str]) -> Observed:
    """The bridge and its ports in the output of "ip -j -d addr show"."""
    item = next((item for item in links if item["ifname"] == name), None)
    if item is None:
        return Observed(name)
    info = item.get("linkinfo", {})
    return Observed(
        name,
        kind=info.get("info_kind", ""),
        up="UP" in item["flags"],
        mac=item.get("address"),
        mtu=item["mtu"],
        options=_values(BRIDGE_FIELDS, info.get("info_data", {})),
        ports=tuple(_port(port) for port in links if port.get("master") == name),
        addresses=_addresses(item),
        default_route=name in routed,
    )


def _port(item: Dict[str, Any]) -> Port:
    info = item.get("linkinfo", {})
    return Port(
        item["ifname"],
        kind=info.get("info_kind", ""),
        mtu=item["mtu"],
        up="UP" in item["flags"],
        options=_values(PORT_FIELDS, info.get("info_slave_data", {})),
    )


def _values(fields: Tuple[Field, ...], data: Mapping[str, Any]) -> Dict[str, Value]:
    return {field.name: field.read(data[field.key]) for field in fields if field.key in data}


def _addresses(item: Dict[str, Any]) -> Tuple[Address, ...]:
    found = []
    for entry in item.get("addr_info", []):
        if "local" not in entry or entry.get("dynamic"):
            continue
        cidr = ipaddress.ip_interface(f"{entry['local']}/{entry['prefixlen']}").with_prefixlen
        found.append(Address(cidr, automatic=entry["scope"] != "global", secondary=bool(entry.get("secondary"))))
    return tuple(found)


def addresses_elsewhere(links: List[Dict[str, Any]], ours: Set[str]) -> Tuple[Tuple[str, str], ...]:
    """The global addresses of all interfaces but ours: the bridge, its ports to be, and the ports that it has."""
    others = [item for item in links if item["ifname"] not in ours and item.get("master") not in ours]
    return tuple(
        (item["ifname"], f"{entry['local']}/{entry['prefixlen']}")
        for item in others
        for entry in item.get("addr_info", [])
        if "local" in entry and entry.get("scope") == "global"
    )


def parse_link(links: List[Dict[str, Any]], name: str, routed: FrozenSet[str], session: Optional[str]) -> Optional[Link]:
    """An interface by its name or an alternative name in the output of "ip -j -d addr show"."""
    item = next((item for item in links if item["ifname"] == name or name in item.get("altnames", [])), None)
    if item is None:
        return None
    local = [entry for entry in item.get("addr_info", []) if "local" in entry]
    return Link(
        item["ifname"],
        mac=item.get("address"),
        mtu=item["mtu"],
        kind=item.get("linkinfo", {}).get("info_kind", ""),
        master=item.get("master"),
        up="UP" in item["flags"],
        loopback="LOOPBACK" in item["flags"],
        ethernet=item.get("link_type") == "ether",
        default_route=item["ifname"] in routed,
        carries_session=session is not None and any(entry["local"] == session for entry in local),
        addresses=tuple(f"{entry['local']}/{entry['prefixlen']}" for entry in local if entry.get("scope") == "global"),
    )
