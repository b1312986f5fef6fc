# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges as they are, for bridge_info: first as options of bridge, then all that can be told of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping

from ..engine.host import Host
from .attached import guests, namespaces
from .model import Observed, Port
from .persist.model import NONE
from .persist.read import stored
from .plan import port_options
from .plan_persist import shown
from .read import ADDRESS_SET, PACKAGE, from_json, parse_bridge, parse_link, vlans, with_vlans
from .vlans import shown as shown_vlans

SPEC: Dict[str, Any] = {"argument_spec": {"name": {"type": "str"}}}

Json = Dict[str, Any]
_DEFAULT_MTU = 1500


def gather(host: Host, params: Mapping[str, Any]) -> Json:
    """bridges: options of bridge that change nothing. details: by name, what no option says."""
    ip = host.require("ip", PACKAGE)
    links = from_json(host.run([ip, "-j", "-d", "addr", "show"]).stdout)
    names = [item["ifname"] for item in links if item.get("linkinfo", {}).get("info_kind") == "bridge"]
    wanted = [name for name in names if params["name"] in (None, name)]
    if not wanted:
        return {"bridges": [], "details": {}}
    memberships = vlans(host)
    observed = [with_vlans(_bridge(host, links, name), memberships) for name in wanted]
    return {"bridges": [options(links, item) for item in observed], "details": _details(host, links, observed)}


def _bridge(host: Host, links: List[Json], name: str) -> Observed:
    assigned = host.try_read(f"/sys/class/net/{name}/addr_assign_type") or ""
    return replace(parse_bridge(links, name, frozenset()), mac_fixed=assigned.strip() == ADDRESS_SET, stored=stored(host, name, links))


def options(links: List[Json], observed: Observed) -> Json:
    """The bridge as options of bridge. Ports of guests and containers come and go with those, so they are no declaration."""
    of_containers = {item["ifname"] for item in links if "link_netnsid" in item}
    ports = [port for port in observed.ports if not port.of_guest and port.name not in of_containers]
    filtering = bool(observed.options.get("vlan_filtering"))
    shown_ports = [port_options(port, filtering) for port in sorted(ports, key=lambda port: port.name)]
    found: Json = {"name": observed.name, "state": "present", **observed.options}
    if observed.mac_fixed:
        found["mac_address"] = observed.mac
    if filtering:
        found["vlans"] = shown_vlans(observed.vlans)
    if observed.mtu != min([port.mtu for port in observed.ports], default=_DEFAULT_MTU):
        found["mtu"] = observed.mtu
    found["addresses"] = [item.cidr for item in observed.addresses if not item.automatic]
    if shown_ports:
        found["ports"] = shown_ports
    holding = [link for link in (parse_link(links, port.name, frozenset(), None) for port in ports) if link is not None and link.held]
    if holding:
        found["move_addresses"] = False
    if observed.stored.backend != NONE:
        found["persist"] = observed.stored.backend
    return found


def _details(host: Host, links: List[Json], observed: List[Observed]) -> Json:
    by_name = {item["ifname"]: item for item in links}
    table = from_json(host.run([host.require("bridge", PACKAGE), "-j", "fdb", "show"], check=False).stdout)
    taps, containers = guests(host), namespaces(host)
    found: Json = {}
    for item in observed:
        link = by_name[item.name]
        ports = [_port(by_name[port.name], port, taps, containers) for port in sorted(item.ports, key=lambda port: port.name)]
        found[item.name] = {
            "up": item.up,
            "operstate": link.get("operstate", "").lower(),
            "mac_address": item.mac,
            "mtu": item.mtu,
            "leased": [address.cidr for address in item.leased],
            "vlans": shown_vlans(item.vlans),
            "ports": ports,
            "fdb": [parse_entry(entry) for entry in table if _is_of(entry, item)],
            "backend": item.stored.backend,
            "files": shown(item),
        }
    return found


def _port(link: Json, port: Port, taps: Mapping[str, Json], containers: Mapping[int, Json]) -> Json:
    info = link.get("linkinfo", {})
    return {
        "name": link["ifname"],
        "kind": info.get("info_kind", ""),
        "up": "UP" in link["flags"],
        "mac_address": link.get("address"),
        "mtu": link["mtu"],
        "state": port.state,
        "vlans": shown_vlans(port.vlans),
        "attached": taps.get(link["ifname"]) or containers.get(link.get("link_netnsid", -1)) or {},
    }


def _is_of(entry: Json, bridge: Observed) -> bool:
    """Of the forwarding table, not of the filters that each interface has for itself (multicast, mostly)."""
    return entry.get("master") == bridge.name or (entry.get("ifname") == bridge.name and not _is_group(entry["mac"]))


def _is_group(mac: str) -> bool:
    return bool(int(mac[:2], 16) & 1)


def parse_entry(entry: Json) -> Json:
    """An item of "bridge -j fdb show". local: an address of the bridge or of a port itself."""
    found = {"mac": entry["mac"], "port": entry["ifname"], "local": entry.get("state") == "permanent", "static": entry.get("state") == "static"}
    return {**found, "vlan": entry["vlan"]} if "vlan" in entry else found
