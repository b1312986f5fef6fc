# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges and interfaces as ip and sysfs show them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Set, Tuple

from ..engine.errors import Failure, NotReady
from ..engine.host import Host
from .fields import BRIDGE_FIELDS, PORT_FIELDS, Field, Value
from .guard import clients, names
from .guard.restore import accept_ra_knob
from .guard.routes import Words, address_words, cidr, described, devices, is_of_kernel
from .model import DEFAULT_ROUTE, Address, Desired, Link, Observed, Port
from .persist.read import stored
from .plan_move import uplink
from .vlans import Vlans, from_kernel

PACKAGE = "iproute2"

# Source: include/uapi/linux/netdevice.h: NET_ADDR_SET, an address that was set and that ports do not change.
ADDRESS_SET = "3"


def read(host: Host, desired: Desired) -> Observed:
    ip = host.require("ip", PACKAGE)
    links = from_json(host.run([ip, "-j", "-d", "addr", "show"]).stdout)
    routes = {family: from_json(_routes(host, ip, family)) for family in ("4", "6")}
    routed = default_route_devices([*routes["4"], *routes["6"]])
    session = session_address(os.environ.get("SSH_CONNECTION", ""))
    observed = replace(parse_bridge(links, desired.name, routed), stored=stored(host, desired.name, links), clients=_clients(host))
    if observed.exists:
        assigned = host.try_read(f"/sys/class/net/{desired.name}/addr_assign_type") or ""
        observed = replace(
            observed,
            mac_fixed=assigned.strip() == ADDRESS_SET,
            routes=tuple(words for words in _of_device(routes, desired.name) if not is_of_kernel(words)),
            carries_session=session is not None and any(item.cidr.split("/")[0] == session for item in (*observed.addresses, *observed.leased)),
        )
    if observed.exists and (desired.has_vlans or observed.options.get("vlan_filtering")):
        observed = with_vlans(observed, vlans(host))
    if desired.present:
        observed = _names(host, observed, desired)
        wanted = _wanted_links(host, links, desired, routes, session, observed)
        observed = replace(observed, links=wanted, elsewhere=addresses_elsewhere(links, {desired.name, *(link.name for link in wanted.values())}))
    return observed


def _clients(host: Host) -> Dict[str, Tuple[str, ...]]:
    return {link: client.argv for link, client in clients.running(host.list(clients.FOLDER), host.try_read).items()}


def _names(host: Host, observed: Observed, desired: Desired) -> Observed:
    """What of the network is not ip's: read where somebody speaks of it."""
    if desired.accept_ra is not None:
        default = (host.try_read("/proc/sys/net/ipv6/conf/default/accept_ra") or "").strip()
        found = (host.try_read(accept_ra_knob(observed.name)) or "").strip() if observed.exists else default
        observed = replace(observed, accept_ra=found or None)
    if desired.nameservers is not None or desired.search is not None:
        tool = host.which(names.TOOL) if host.exists(names.RUNNING) else None
        observed = replace(observed, resolv_conf=tuple(resolver_words(host.try_read("/etc/resolv.conf") or "")))
        if tool:
            said = [names.of_link(host.run([tool, word, observed.name], check=False).stdout) if observed.exists else () for word in names.WORDS]
            observed = replace(observed, resolver=(said[0], said[1]))
    return observed


def resolver_words(text: str) -> List[str]:
    lines = [line.split() for line in text.splitlines()]
    return [word for words in lines if words and words[0] in ("nameserver", "search", "domain") for word in words[1:]]


def vlans(host: Host) -> Dict[str, Vlans]:
    """Interface → its VLANs. A kernel without them answers with an error, or with none."""
    return from_kernel(from_json(host.run([host.require("bridge", PACKAGE), "-j", "vlan", "show"], check=False).stdout))


def with_vlans(observed: Observed, found: Mapping[str, Vlans]) -> Observed:
    ports = tuple(replace(port, vlans=found.get(port.name, ())) for port in observed.ports)
    return replace(observed, vlans=found.get(observed.name, ()), ports=ports)


def _routes(host: Host, ip: str, family: str) -> str:
    # A kernel without IPv6 answers with an error, and has no routes there.
    return host.run([ip, "-j", f"-{family}", "route", "show", "table", "all"], check=False).stdout


def _of_device(routes: Mapping[str, List[Dict[str, Any]]], name: str) -> List[Words]:
    return [words for family in ("4", "6") for words in described(routes[family], family, name)]


def _wanted_links(
    host: Host, links: List[Dict[str, Any]], desired: Desired, routes: Mapping[str, List[Dict[str, Any]]], session: Optional[str], bridge: Observed
) -> Dict[str, Link]:
    found: Dict[str, Link] = {}
    routed = default_route_devices([*routes["4"], *routes["6"]])
    for port in desired.ports or ():
        name = _with_default_route(routes, bridge) if port.name == DEFAULT_ROUTE else port.name
        link = parse_link(links, name, routed, session)
        if link is None:
            raise NotReady(f"{name}: no such interface on this host, so it cannot be a port of {desired.name}; create it first", "port_missing")
        base = f"/sys/class/net/{link.name}"
        found[port.name] = replace(
            link,
            wireless=host.exists(f"{base}/wireless") or host.exists(f"{base}/phy80211"),
            routes=tuple(_of_device(routes, link.name)),
        )
    return found


def _with_default_route(routes: Mapping[str, List[Dict[str, Any]]], bridge: Observed) -> str:
    """The interface that the host is reached through; where that is the bridge already, the port that it had it from."""
    for family in ("4", "6"):
        defaults = [route for route in routes[family] if route.get("dst") == "default" and route.get("table", "main") == "main" and devices(route)]
        for route in sorted(defaults, key=lambda route: int(route.get("metric", 0))):
            device = devices(route)[0]
            if device != bridge.name:
                return device
            port = uplink(bridge)
            if port is not None:
                return port.name
            raise Failure(
                f"{bridge.name}: holds the default route, and none of its ports has its MAC address, so default_route names no port; "
                "name the port itself",
                "no_default_route",
            )
    raise NotReady(
        f"{DEFAULT_ROUTE}: this host has no default route, so it names no port; name the interface, or add the route first", "no_default_route"
    )


def from_json(text: str) -> List[Dict[str, Any]]:
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
        if route.get("dst") == "default" and route.get("table", "main") == "main":
            found.update(devices(route))
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
        addresses=tuple(address for address in _addresses(item) if not address.dynamic),
        leased=tuple(address for address in _addresses(item) if address.dynamic),
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
        mac=item.get("address"),
        state=info.get("info_slave_data", {}).get("state", ""),
        carrier="LOWER_UP" in item["flags"],
    )


def _values(fields: Tuple[Field, ...], data: Mapping[str, Any]) -> Dict[str, Value]:
    return {field.name: field.read(data[field.shown_as]) for field in fields if field.shown_as in data}


def _addresses(item: Dict[str, Any]) -> Tuple[Address, ...]:
    return tuple(
        Address(
            cidr(entry),
            automatic=entry["scope"] != "global",
            secondary=bool(entry.get("secondary")),
            dynamic=bool(entry.get("dynamic")),
            words=address_words(entry),
        )
        for entry in item.get("addr_info", [])
        if "local" in entry
    )


def addresses_elsewhere(links: List[Dict[str, Any]], ours: Set[str]) -> Tuple[Tuple[str, str], ...]:
    """The global addresses of all interfaces but ours: the bridge, its ports to be, and the ports that it has."""
    others = [item for item in links if item["ifname"] not in ours and item.get("master") not in ours]
    return tuple(
        (item["ifname"], f"{entry['local']}/{entry['prefixlen']}")
        for item in others
        for entry in item.get("addr_info", [])
        if "local" in entry and entry.get("scope") == "global"
    )


def _is_mac_of(name: str, item: Dict[str, Any]) -> bool:
    """Whether this is the interface that a MAC address names: not a bridge, a VLAN or a guest's device that has the same."""
    kind = item.get("linkinfo", {}).get("info_kind", "")
    return ":" in name and name in (item.get("permaddr"), item.get("address")) and kind in ("", "veth", "dummy", "bond", "team")


def parse_link(links: List[Dict[str, Any]], name: str, routed: FrozenSet[str], session: Optional[str]) -> Optional[Link]:
    """An interface by its name or an alternative name in the output of "ip -j -d addr show"."""
    item = next((item for item in links if item["ifname"] == name or name in item.get("altnames", []) or _is_mac_of(name, item)), None)
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
        held=tuple(address for address in _addresses(item) if not address.automatic),
    )
