# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges in /etc/systemd/network, for systemd-networkd.

The first file that matches an interface is the only one that counts for it, so ours sort before all others, and those of a port stay as
they are: they count again as soon as ours are gone. What they say besides addresses and routes goes on in ours.
"""

from __future__ import annotations

import fnmatch
import re
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from ...engine.errors import Failure
from ..fields import Value
from ..vlans import Vlans
from .ini import Section, sections, written
from .model import NETWORKD, Argv, Kept, Stored, Texts, Wanted, Words, header, is_ours, vlan_gaps

FOLDERS = ("/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network")
FOLDER = FOLDERS[0]
RELOAD: Argv = ("networkctl", "reload")
MODE = 0o644
_PREFIX = "00-virtops-"

# Source: systemd.netdev(5), section [Bridge].
_BRIDGE_KEYS = {
    "stp": "STP",
    "forward_delay": "ForwardDelaySec",
    "hello_time": "HelloTimeSec",
    "max_age": "MaxAgeSec",
    "ageing_time": "AgeingTimeSec",
    "priority": "Priority",
    "vlan_filtering": "VLANFiltering",
    "vlan_default_pvid": "DefaultPVID",
    "vlan_protocol": "VLANProtocol",
    "mcast_snooping": "MulticastSnooping",
    "mcast_querier": "MulticastQuerier",
    "mcast_igmp_version": "MulticastIGMPVersion",
    "group_fwd_mask": "GroupForwardMask",
}
# Source: systemd.network(5), section [Bridge]. UseBPDU and AllowPortToBeRoot are left out: releases differ in which way round they mean them.
_PORT_KEYS = {
    "priority": "Priority",
    "cost": "Cost",
    "hairpin": "HairPin",
    "fastleave": "FastLeave",
    "learning": "Learning",
    "flood": "UnicastFlood",
    "isolated": "Isolated",
    "mcast_flood": "MulticastFlood",
    "mcast_router": "MulticastRouter",
    "mcast_to_unicast": "MulticastToUnicast",
    "neigh_suppress": "NeighborSuppression",
}
_ROUTERS = ("no", "query", "permanent", "temporary")
_ROUTE_KEYS = {
    "via": "Gateway",
    "metric": "Metric",
    "proto": "Protocol",
    "src": "PreferredSource",
    "table": "Table",
    "scope": "Scope",
    "mtu": "MTUBytes",
    "pref": "IPv6Preference",
}
#: Of a port's own file: what is said of the host's place in the network goes to the bridge, what is said of the link stays with the port.
_TO_BRIDGE = re.compile(r"(DNS|Domains|NTP|LLMNR|MulticastDNS|DNSOverTLS|DNSSEC|DNSDefaultRoute|IPv6AcceptRA|IPv6PrivacyExtensions|IPForward)=")
_TO_PORT = re.compile(r"(VLAN|MACVLAN|MACVTAP|LLDP|EmitLLDP)=")


def _record_path(bridge: str) -> str:
    return f"{FOLDER}/{_PREFIX}bridge-{bridge}.netdev"


def _network_path(bridge: str) -> str:
    return f"{FOLDER}/{_PREFIX}bridge-{bridge}.network"


def _port_path(port: str) -> str:
    return f"{FOLDER}/{_PREFIX}port-{port}.network"


def own(bridge: str, files: Texts) -> List[str]:
    """The files of ours, that with the record first."""
    record = _record_path(bridge)
    found = [path for path, text in sorted(files.items()) if path.startswith(f"{FOLDER}/{_PREFIX}") and is_ours(text, bridge)]
    return sorted(found, key=lambda path: path != record)


def shown(bridge: str, files: Texts) -> Dict[str, str]:
    return {name: files[name] for name in own(bridge, files)}


def wanted(bridge: str, kept: Optional[Kept], stored: Stored) -> Wanted:
    """Every file concerned, as it is to be. kept: None takes ours away, after which the others count again."""
    files = stored.files
    found: Wanted = dict.fromkeys(own(bridge, files))
    if kept is None:
        return found
    _refuse(bridge, kept, stored)
    carried = {port: sections(_text_for(port, stored)) for port in kept.ports}
    found[_record_path(bridge)] = header(bridge, kept) + written(_netdev(bridge, kept))
    found[_network_path(bridge)] = header(bridge) + written(_network(bridge, kept, carried))
    for port, options in kept.ports.items():
        found[_port_path(port)] = header(bridge) + written([*_port(bridge, port, options, carried[port]), *_vlans(kept.port_vlans.get(port))])
    for path in found:
        if path in files and not is_ours(files[path], bridge):
            raise Failure(f"{path}: was not written for {bridge} by this module; move it away, or set persist: none", "file_in_the_way")
    return found


def warnings(bridge: str, kept: Kept, stored: Stored) -> List[str]:
    """Sections of the ports' own files that have no effect meanwhile."""
    known = ("Match", "Link", "Network", "Address", "Route", "DHCP", "DHCPv4", "DHCPv6", "IPv6AcceptRA", "Bridge")
    return [
        f"{port}: section [{name}] of its own .network file has no effect while it is a port of {bridge}; give it a file of its own for {bridge}"
        for port in kept.ports
        for name, _lines in sections(_text_for(port, stored))
        if name not in known
    ]


def reload(stored: Stored) -> List[Argv]:
    return [RELOAD] if NETWORKD in stored.running else []


def only_with_stp(stored: Stored) -> Tuple[str, ...]:
    return ()


def gaps(kept: Kept, stored: Stored) -> List[str]:
    """What cannot be kept, in words."""
    found = [f"the bridge option {name}" for name in kept.options if name not in _BRIDGE_KEYS]
    if kept.options.get("priority") == 0:
        found.append("the bridge option priority: 0")  # it takes 0 for not set
    found += [f"the option {name} of the port {port}" for port, options in kept.ports.items() for name in options if name not in _PORT_KEYS]
    found += vlan_gaps(kept)
    return found + [f"the route {' '.join(route)}" for route in kept.routes if _route(route) is None]


def _refuse(bridge: str, kept: Kept, stored: Stored) -> None:
    for path, text in stored.files.items():
        name = path.rpartition("/")[2]
        if name.startswith(_PREFIX):
            continue
        if path.endswith(".netdev") and f"Name={bridge}" in text.split():
            raise Failure(f"{bridge}: {path} describes it already; take that file out, or set persist: none", "kept_by_others")
        for link in (bridge, *kept.ports):
            if path.endswith(".network") and name < _PREFIX and _matches(text, link, stored):
                raise Failure(
                    f"{link}: {path} counts before every file of this module's; give it a name after {_PREFIX}, or set persist: none",
                    "kept_by_others",
                )


# Our files


def _netdev(bridge: str, kept: Kept) -> List[Section]:
    mac = [f"MACAddress={kept.mac}"] if kept.mac else []
    options = [f"{_BRIDGE_KEYS[name]}={_value(value)}" for name, value in kept.options.items() if name in _BRIDGE_KEYS]
    return [("NetDev", [f"Name={bridge}", "Kind=bridge", *mac]), *([("Bridge", options)] if options else [])]


def _network(bridge: str, kept: Kept, carried: Dict[str, List[Section]]) -> List[Section]:
    link = [f"MTUBytes={kept.mtu}"] if kept.mtu else []
    if not kept.routed:
        link.append("RequiredForOnline=no")
    lines = ["ConfigureWithoutCarrier=yes"]  # guests come and go, its addresses stay
    clients = ["ipv4"] * kept.asks4 + ["ipv6"] * bool(kept.dhcp6)
    lines += [f"DHCP={'yes' if len(clients) == 2 else clients[0]}"] if clients else []
    lines += [f"Address={cidr}" for cidr in kept.addresses]
    accept_ra = None if kept.accept_ra is None else (_value(kept.accept_ra),)
    said = (("IPv6AcceptRA", accept_ra), ("DNS", kept.nameservers), ("Domains", kept.search))
    lines += [f"{key}={value}" for key, values in said for value in values or ()]
    declared = tuple(f"{key}=" for key, values in said if values is not None)
    found: List[Section] = [("Match", [f"Name={bridge}"])]
    found += [("Link", link)] if link else []
    others: List[Section] = []
    if kept.dhcp6 and kept.accept_ra is False:
        others.append(("DHCPv6", ["WithoutRA=solicit"]))  # else the client waits for a router that says so
    if kept.dhcp6 is False:
        others.append(("IPv6AcceptRA", ["DHCPv6Client=no"]))
    for name, given in (section for port in kept.ports if kept.routed for section in carried[port]):
        if name == "Network":
            lines += [line for line in given if _TO_BRIDGE.match(line) and not line.startswith(declared)]
        elif name in ("DHCP", "DHCPv4", "DHCPv6", "IPv6AcceptRA"):
            others.append((name, given))
    if kept.asks4 and not kept.gateway_of_client:
        others.append(("DHCPv4", ["UseGateway=no"]))
    routes = [("Route", _route(route) or []) for route in kept.routes]
    return [*found, ("Network", list(dict.fromkeys(lines))), *others, *routes, *_vlans(kept.vlans)]


def _vlans(given: Optional[Vlans]) -> List[Section]:
    return [
        ("BridgeVLAN", [f"VLAN={item.vid}", *([f"PVID={item.vid}"] * item.pvid), *([f"EgressUntagged={item.vid}"] * item.untagged)])
        for item in given or ()
    ]


def _port(bridge: str, port: str, options: Mapping[str, Value], carried: List[Section]) -> List[Section]:
    kept = [line for name, lines in carried if name == "Network" for line in lines if _TO_PORT.match(line)]
    links = [(name, lines) for name, lines in carried if name == "Link"]
    values = [
        f"{_PORT_KEYS[name]}={_ROUTERS[int(value)] if name == 'mcast_router' else _value(value)}"
        for name, value in options.items()
        if name in _PORT_KEYS
    ]
    return [("Match", [f"Name={port}"]), *links, ("Network", [f"Bridge={bridge}", *kept]), *([("Bridge", values)] if values else [])]


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(int(value, 16)) if isinstance(value, str) and value.startswith("0x") else str(value).replace("802.1Q", "802.1q")


def _route(words: Words) -> Optional[List[str]]:
    """A route in ip's words → the lines of its section. None where it has something that there is no key for."""
    destination, rest = words[0], list(words[1:])
    lines = [f"Destination={'0.0.0.0/0' if destination == 'default' else destination}"]
    if "proto" not in rest:
        rest += ["proto", "boot"]
    while rest:
        word = rest.pop(0)
        if word == "onlink":
            lines.append("GatewayOnLink=yes")
            continue
        if not rest:
            return None
        value = rest.pop(0)
        if word == "dev":
            continue
        if word not in _ROUTE_KEYS or value in ("inet", "inet6") or (word == "table" and not value.isdigit()):
            return None
        lines.append(f"{_ROUTE_KEYS[word]}={value}")
    return lines


# Files of others


def _matches(text: str, link: str, stored: Stored) -> bool:
    """Whether a file is for the interface, as far as its names and MAC addresses tell."""
    lines = [line for name, lines in sections(text) if name == "Match" for line in lines]
    given = {key: value.split() for key, _equals, value in (line.partition("=") for line in lines)}
    macs = [mac.lower() for key in ("MACAddress", "PermanentMACAddress") for mac in given.get(key, [])]
    if not given.get("Name") and not macs:
        return False
    if macs and stored.macs.get(link) not in macs:
        return False
    patterns = given.get("Name", [])
    if patterns and patterns[0].startswith("!"):
        return not any(fnmatch.fnmatchcase(link, pattern.lstrip("!")) for pattern in patterns)
    return not patterns or any(fnmatch.fnmatchcase(link, pattern) for pattern in patterns)


def _others(stored: Stored) -> Iterator[Tuple[str, str]]:
    """The .network files that are not ours, in the order in which they count: by name, and of one name that of the first folder."""
    names: Dict[str, str] = {}
    for folder in FOLDERS:
        for path, text in stored.files.items():
            if path.startswith(f"{folder}/") and path.endswith(".network") and not path.startswith(f"{FOLDER}/{_PREFIX}"):
                names.setdefault(path.rpartition("/")[2], text)
    yield from sorted(names.items())


def _text_for(port: str, stored: Stored) -> str:
    return next((text for _name, text in _others(stored) if _matches(text, port, stored)), "")
