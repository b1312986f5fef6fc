# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges in /etc/NetworkManager/system-connections, for NetworkManager.

A profile for the bridge and one for each port, which win by their priority at the next start. NetworkManager is told of them, and not to
activate them: it takes the bridge for one that others made and leaves it alone. A port's own profile stays, because to take away one that
is active would take the interface down. It only no longer starts by itself, and a mark brings back every byte of it.
"""

from __future__ import annotations

import re
import uuid
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from ...engine.errors import Failure
from ..fields import BRIDGE_FIELDS, Value
from ..vlans import Vlans
from .ini import Section, sections, values, written
from .marks import aside, give_back, instead, marked
from .model import NETWORKMANAGER, Argv, Kept, Stored, Texts, Wanted, Words, header, is_ours, vlan_gaps
from .networkmanager_methods import ADDRESSED, is_of, method4, method6, searching

FOLDER = "/etc/NetworkManager/system-connections"
RELOAD: Argv = ("nmcli", "connection", "reload")
MODE = 0o600  # NetworkManager reads no others
_PREFIX = "virtops-"
_PRIORITY = 100  # of autoconnect; others have 0

# Source: nm-settings-keyfile(5) and nm-settings-nmcli(5), bridge and bridge-port.
_BRIDGE_KEYS = {
    "stp": "stp",
    "forward_delay": "forward-delay",
    "hello_time": "hello-time",
    "max_age": "max-age",
    "ageing_time": "ageing-time",
    "priority": "priority",
    "vlan_filtering": "vlan-filtering",
    "vlan_default_pvid": "vlan-default-pvid",
    "vlan_protocol": "vlan-protocol",
    "vlan_stats_enabled": "vlan-stats-enabled",
    "mcast_snooping": "multicast-snooping",
    "mcast_querier": "multicast-querier",
    "mcast_router": "multicast-router",
    "group_fwd_mask": "group-forward-mask",
    "group_address": "group-address",
}
_PORT_KEYS = {"priority": "priority", "cost": "path-cost", "hairpin": "hairpin-mode"}
_ROUTERS = ("disabled", "auto", "enabled")
_TIMES = tuple(field.name for field in BRIDGE_FIELDS if field.form == "seconds")
#: Keys of [ipv4] and [ipv6] that are declared of the bridge. What else a port's profile says of DNS, DHCP and rules goes on.
_DECLARED = re.compile(r"method|address(es)?\d*|gateway|routes?\d*(_options)?")
#: Sections of a port's own profile that are of the host's place in the network, or that ours has in its own words.
_NOT_OF_LINK = ("connection", "ipv4", "ipv6", "proxy", "user", "bridge-port")
#: Sections whose values may be shown; others may have passwords.
_SHOWN = ("connection", "ethernet", "802-3-ethernet", "bridge", "bridge-port", "ipv4", "ipv6", "vlan", "bond")


def _path(bridge: str) -> str:
    return f"{FOLDER}/{_PREFIX}{bridge}.nmconnection"


def _port_path(bridge: str, port: str) -> str:
    return f"{FOLDER}/{_PREFIX}{bridge}-port-{port}.nmconnection"


def own(bridge: str, files: Texts) -> List[str]:
    """The files of ours, that with the record first."""
    found = [path for path, text in sorted(files.items()) if path.startswith(f"{FOLDER}/{_PREFIX}") and is_ours(text, bridge)]
    return sorted(found, key=lambda path: path != _path(bridge))


def shown(bridge: str, files: Texts) -> Dict[str, str]:
    """The files of ours without what may be secret, and of those of others the lines with our mark."""
    hidden = {path: marked(text, bridge) for path, text in _others(files)}
    return {**{path: _without_secrets(files[path]) for path in own(bridge, files)}, **{path: text for path, text in hidden.items() if text}}


def _without_secrets(text: str) -> str:
    found: List[str] = []
    shows = True
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            shows = line.strip()[1:-1] in _SHOWN
            found.append(line if shows else f"{line}# not shown\n")
        elif shows:
            found.append(line)
    return "".join(found)


def wanted(bridge: str, kept: Optional[Kept], stored: Stored) -> Wanted:
    """Every file concerned, as it is to be. kept: None gives everything back as it was."""
    files = stored.files
    bare = {path: _given_back(text, bridge, stored) for path, text in _others(files)}
    found: Wanted = {**bare, **dict.fromkeys(own(bridge, files))}
    if kept is None:
        return found
    carried: Dict[str, List[Section]] = {}
    for path, text in bare.items():
        profile = sections(text)
        if values(profile, "connection").get("interface-name") == bridge:
            raise Failure(f"{bridge}: {path} is a profile for it already; take that out, or set persist: none", "kept_by_others")
        for port in kept.ports:
            if _is_for(profile, port, stored):
                found[path] = _set_aside(text, bridge)
                carried.setdefault(port, profile)
    found[_path(bridge)] = header(bridge, kept) + written(_bridge(bridge, kept, carried))
    for port, options in kept.ports.items():
        profile = _port(bridge, port, options, carried.get(port, []), kept.port_vlans.get(port))
        found[_port_path(bridge, port)] = header(bridge) + written(profile)
    for path in found:
        if path in files and path not in bare and not is_ours(files[path], bridge):
            raise Failure(f"{path}: was not written for {bridge} by this module; move it away, or set persist: none", "file_in_the_way")
    return found


def reload(stored: Stored) -> List[Argv]:
    return [RELOAD] if NETWORKMANAGER in stored.running else []


def warnings(bridge: str, kept: Kept, stored: Stored) -> List[str]:
    return []


def only_with_stp(stored: Stored) -> Tuple[str, ...]:
    """What a bridge without a spanning tree does not get, and has no use for. Source: nm-device-bridge.c, only_with_stp."""
    return ("forward_delay", "hello_time", "max_age", "priority")


def gaps(kept: Kept, stored: Stored) -> List[str]:
    """What cannot be kept, in words."""
    found = [f"the bridge option {name}" for name in kept.options if name not in _BRIDGE_KEYS]
    found += [
        f"{name}: {value}, because it takes whole seconds" for name, value in kept.options.items() if name in _TIMES and float(value) != int(value)
    ]
    found += [f"the option {name} of the port {port}" for port, options in kept.ports.items() for name in options if name not in _PORT_KEYS]
    if (kept.vlans or any(kept.port_vlans.values())) and not kept.options.get("vlan_filtering"):
        found.append("VLANs without vlan_filtering: true")
    profiles = [section for _path, text in _others(stored.files) for port in kept.ports for section in _of_port(text, port, stored)]
    own = values(profiles, "ipv6").get("method")
    methods = {"4": method4(kept), "6": method6(kept, own)}
    if kept.dhcp6 is False and methods["6"] == "auto":
        found.append("dhcp6: false with router advertisements, which it obeys when they ask for DHCPv6")
    lone = [address for address in kept.nameservers or () if methods["6" if ":" in address else "4"] not in ADDRESSED]
    found += [f"the name server {address} of a bridge without any such address" for address in lone]
    if kept.search and not searching(kept, profiles):
        found.append("search domains of a bridge without any address")
    return found + vlan_gaps(kept) + [f"the route {' '.join(route)}" for route in kept.routes if _route(route) is None]


# Our profiles


def _connection(name: str, kind: str, interface: str) -> List[str]:
    return [f"id={name}", f"uuid={_uuid(name)}", f"type={kind}", f"interface-name={interface}", f"autoconnect-priority={_PRIORITY}"]


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.bridge.linux.virtops"))


def is_active(bridge: str, device: str) -> bool:
    """device: what NetworkManager keeps of the bridge in /run/NetworkManager/devices."""
    return f"connection-uuid={_uuid(_PREFIX + bridge)}" in device.split()


def _bridge(bridge: str, kept: Kept, carried: Mapping[str, List[Section]]) -> List[Section]:
    profiles = [section for profile in carried.values() for section in profile] if kept.routed else []
    zone = [f"zone={value}" for key, value in values(profiles, "connection").items() if key == "zone"]
    ethernet = [f"cloned-mac-address={kept.mac}"] if kept.mac else []
    ethernet += [f"mtu={kept.mtu}"] if kept.mtu else []
    # Its own default is a spanning tree, the kernel's is none.
    options = [f"{_BRIDGE_KEYS[name]}={_value(name, value)}" for name, value in {"stp": False, **kept.options}.items() if name in _BRIDGE_KEYS]
    options += _vlans(kept.vlans)
    return [
        ("connection", [*_connection(f"{_PREFIX}{bridge}", "bridge", bridge), "autoconnect-slaves=1", *zone]),
        *([("ethernet", ethernet)] if ethernet else []),
        ("bridge", options),
        ("ipv4", _addressing("4", kept, profiles)),
        ("ipv6", _addressing("6", kept, profiles)),
    ]


def _addressing(family: str, kept: Kept, profiles: List[Section]) -> List[str]:
    addresses = [cidr for cidr in kept.addresses if is_of(family, cidr)]
    given = values(profiles, f"ipv{family}")
    method = method4(kept) if family == "4" else method6(kept, given.get("method"))
    routes = [route for route in kept.routes if (":" in route[0]) == (family == "6")]
    lines = [f"method={method}"]
    lines += [f"address{number}={cidr}" for number, cidr in enumerate(addresses, 1)]
    for number, route in enumerate(routes, 1):
        text, options = _route(route) or ("", "")
        lines.append(f"route{number}={text}")
        lines += [f"route{number}_options={options}"] if options else []
    if family == "4" and kept.asks4 and not kept.gateway_of_client:
        lines.append("never-default=true")  # of the client alone; what is declared counts
    servers = [address for address in kept.nameservers or () if is_of(family, address)]
    lines += [f"dns={''.join(f'{address};' for address in servers)}"] if servers else []
    if kept.search and family == searching(kept, profiles):
        lines.append(f"dns-search={''.join(f'{domain};' for domain in kept.search)}")
    declared = ["dns"] * (kept.nameservers is not None) + ["dns-search"] * (kept.search is not None)
    return [*lines, *(f"{key}={value}" for key, value in given.items() if key not in declared and not _DECLARED.fullmatch(key))]


def _vlans(given: Optional[Vlans]) -> List[str]:
    words = [f"{item.vid}{' pvid' * item.pvid}{' untagged' * item.untagged}" for item in given or ()]
    return [f"vlans={', '.join(words)}"] if words else []


def _port(bridge: str, port: str, options: Mapping[str, Value], carried: List[Section], vlans: Optional[Vlans]) -> List[Section]:
    kind = values(carried, "connection").get("type", "ethernet")
    of_link = [(name, lines) for name, lines in carried if name not in _NOT_OF_LINK]
    lines = [f"{_PORT_KEYS[name]}={_value(name, value)}" for name, value in options.items() if name in _PORT_KEYS]
    lines += _vlans(vlans)
    connection = [*_connection(f"{_PREFIX}{bridge}-port-{port}", kind, port), f"master={bridge}", "slave-type=bridge"]
    return [("connection", connection), *of_link, *([("bridge-port", lines)] if lines else [])]


def _value(name: str, value: Value) -> str:
    if name == "mcast_router":
        return _ROUTERS[int(value)]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value, 16)) if isinstance(value, str) and value.startswith("0x") else str(value)


def _route(words: Words) -> Optional[Tuple[str, str]]:
    """A route in ip's words → its line and its options. None where it has something that there is no word for."""
    destination, rest = words[0], list(words[1:])
    given: Dict[str, str] = {}
    while rest:
        word = rest.pop(0)
        if word == "onlink":
            given[word] = "true"
        elif not rest:
            return None
        else:
            given[word] = rest.pop(0)
    for word in ("dev", "proto"):
        given.pop(word, None)
    via = given.pop("via", None)
    if given.get("scope") == "link" and via is None:
        del given["scope"]
    metric = given.pop("metric", None)
    if set(given) - {"onlink", "table", "src", "mtu"} or via in ("inet", "inet6") or not given.get("table", "0").isdigit():
        return None
    line = "0.0.0.0/0" if destination == "default" else destination
    if via is not None or metric is not None:
        line += f",{via or ''}" + (f",{metric}" if metric is not None else "")
    return line, ",".join(f"{word}={value}" for word, value in sorted(given.items()))


# Profiles of others


def _others(files: Texts) -> Iterator[Tuple[str, str]]:
    for path, text in files.items():
        if path.startswith(FOLDER + "/") and not path.startswith(f"{FOLDER}/{_PREFIX}"):
            yield path, text


def _is_for(profile: List[Section], port: str, stored: Stored) -> bool:
    name = values(profile, "connection").get("interface-name")
    if name:
        return name == port
    mac = values(profile, "ethernet", "802-3-ethernet").get("mac-address", "").lower()
    return bool(mac) and mac == stored.macs.get(port)


def _of_port(text: str, port: str, stored: Stored) -> List[Section]:
    profile = sections(text)
    return profile if _is_for(profile, port, stored) else []


def _set_aside(text: str, bridge: str) -> str:
    found: List[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            inside = line.strip() == "[connection]"
            found.append(line)
            if inside:
                found += instead(bridge, "autoconnect=false\n")
        elif inside and line.partition("=")[0].strip() == "autoconnect":
            found += aside(bridge, [line])
        else:
            found.append(line)
    return "".join(found)


def _given_back(text: str, bridge: str, stored: Stored) -> str:
    """Whoever edits a profile with nmcli loses our marks, and the profile keeps the value of ours."""
    found = give_back(text, bridge)
    ports = stored.kept.ports if stored.kept and stored.backend == NETWORKMANAGER else {}
    if found == text and any(_is_for(sections(text), port, stored) for port in ports):
        return "".join(line for line in text.splitlines(keepends=True) if line.strip() != "autoconnect=false")
    return found
