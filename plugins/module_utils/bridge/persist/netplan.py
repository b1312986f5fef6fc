# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges in /etc/netplan, for netplan, whatever it renders for.

Netplan merges its files, and nothing in one takes away what another says. So what a port's own definition says of addresses is commented
out where it stands, line by line, with a mark that brings back every byte of it; what it says of the link stays.
"""

from __future__ import annotations

import json
import re
from typing import Dict, Iterator, List, Mapping, Optional, Set, Tuple

from ...engine.errors import Failure
from ..fields import BRIDGE_FIELDS, Value
from . import networkmanager
from .marks import aside, give_back, instead, marked
from .model import NETWORKD, NETWORKMANAGER, Argv, Kept, Stored, Texts, Wanted, Words, header, is_ours
from .netplan_text import Definition, body, definitions, is_content, keys, renderer, without_keys
from .networkd import RELOAD as RELOAD_NETWORKD

FOLDERS = ("/run/netplan", "/etc/netplan", "/lib/netplan")  # a file's name counts in the first one alone
FOLDER = "/etc/netplan"
GENERATE: Argv = ("netplan", "generate")
MODE = 0o600
_PREFIX = "90-virtops-"

# Source: netplan(5), bridges.
_BRIDGE_KEYS = {
    "stp": "stp",
    "forward_delay": "forward-delay",
    "hello_time": "hello-time",
    "max_age": "max-age",
    "ageing_time": "ageing-time",
    "priority": "priority",
}
_PORT_KEYS = {"cost": "path-cost", "priority": "port-priority"}
_TIMES = tuple(field.name for field in BRIDGE_FIELDS if field.form == "seconds")
_ROUTE_KEYS = {"via": "via", "metric": "metric", "src": "from", "table": "table", "scope": "scope", "mtu": "mtu"}
#: Of a port's own definition: what goes on on the bridge, and what is declared of the bridge in its own words. The rest is of the link.
_TO_BRIDGE = (
    "nameservers",
    "routing-policy",
    "dhcp4-overrides",
    "dhcp6",
    "dhcp6-overrides",
    "dhcp-identifier",
    "accept-ra",
    "ipv6-privacy",
    "ipv6-address-generation",
    "ipv6-address-token",
    "ipv6-mtu",
    "link-local",
)
_DECLARED = ("addresses", "dhcp4", "gateway4", "gateway6", "routes", "critical", "optional-addresses")
#: A definition on one line that only says what is declared of the bridge.
_SIMPLE = re.compile(r"\{(\s*(dhcp4|dhcp6|optional):\s*\w+\s*,?)*\s*\}")


def _path(bridge: str) -> str:
    return f"{FOLDER}/{_PREFIX}{bridge}.yaml"


def own(bridge: str, files: Texts) -> List[str]:
    return [_path(bridge)] if is_ours(files.get(_path(bridge), ""), bridge) else []


def shown(bridge: str, files: Texts) -> Dict[str, str]:
    """The file of ours, and of those of others the lines with our mark alone: others may have passwords."""
    hidden = {path: marked(text, bridge) for path, text in _others(files)}
    return {**{path: files[path] for path in own(bridge, files)}, **{path: text for path, text in hidden.items() if text}}


def wanted(bridge: str, kept: Optional[Kept], stored: Stored) -> Wanted:
    """Every file concerned, as it is to be. kept: None gives everything back as it was."""
    files = stored.files
    found: Wanted = {path: give_back(text, bridge) for path, text in _others(files)}
    if kept is None:
        return {**found, **dict.fromkeys(own(bridge, files))}
    if _path(bridge) in files and not own(bridge, files):
        raise Failure(f"{_path(bridge)}: was not written for {bridge} by this module; move it away, or set persist: none", "file_in_the_way")
    names: Dict[str, str] = {}
    carried: Dict[str, List[str]] = {}
    for path, text in sorted(_others(found), key=_by_name):
        taken: List[Definition] = []
        for item in definitions(path, text):
            if item.name == bridge:
                raise Failure(f"{bridge}: {path} describes it already; take that out, or set persist: none", "kept_by_others")
            for port in kept.ports:
                if item.is_for(port, stored.macs.get(port)):
                    names[port] = item.name
                    taken.append(item)
                    for key, span in keys(text, item).items():
                        if key in _TO_BRIDGE:
                            carried.setdefault(key, body(text, span, indent=6))
        found[path] = _set_aside(path, text, taken, bridge)
    carried = _said_by_nobody(kept, carried) if kept.routed else {}
    if kept.asks4 and not kept.gateway_of_client:
        carried["dhcp4-overrides"] = _without_routes(bridge, carried.get("dhcp4-overrides", []))
    return {**found, _path(bridge): header(bridge, kept) + "".join(f"{line}\n" for line in _lines(bridge, kept, names, carried))}


def _said_by_nobody(kept: Kept, carried: Mapping[str, List[str]]) -> Dict[str, List[str]]:
    """What the ports' own definitions say, without what tasks have said of the bridge."""
    found = dict(carried)
    for key, said in (("dhcp6", kept.dhcp6), ("accept-ra", kept.accept_ra)):
        if said is not None:
            found.pop(key, None)
    servers = found.pop("nameservers", [])
    declared = [key for key, said in (("addresses", kept.nameservers), ("search", kept.search)) if said is not None]
    left = without_keys(servers, declared) if declared else servers
    return {**found, "nameservers": left} if left else found


def daemon(stored: Stored) -> str:
    """The one that everything is rendered for."""
    return _renderer(stored)


def reload(stored: Stored) -> List[Argv]:
    """What netplan renders, also for daemons that do not run now; then those that run read it. Not netplan apply, which takes links down."""
    daemons = ((NETWORKD, RELOAD_NETWORKD), (NETWORKMANAGER, networkmanager.RELOAD))
    return [GENERATE, *(argv for name, argv in daemons if name in stored.running and name == _renderer(stored))]


def warnings(bridge: str, kept: Kept, stored: Stored) -> List[str]:
    return []


def only_with_stp(stored: Stored) -> Tuple[str, ...]:
    return networkmanager.only_with_stp(stored) if _renderer(stored) == NETWORKMANAGER else ()


def gaps(kept: Kept, stored: Stored) -> List[str]:
    """What cannot be kept, in words."""
    found = [f"the bridge option {name}" for name in kept.options if name not in _BRIDGE_KEYS]
    if kept.options.get("priority") == 0:
        found.append("the bridge option priority: 0")  # it takes 0 for not set
    mtus = [stored.mtus[port] for port in kept.ports if port in stored.mtus]
    if _renderer(stored) == NETWORKD and kept.mtu and mtus and kept.mtu != min(mtus):
        # It has the bridge made with its MTU and set it no more, so that the kernel takes that of the ports.
        found.append(f"an mtu of {kept.mtu} over ports of {min(mtus)}")
    if _renderer(stored) == NETWORKMANAGER:
        fractions = [(name, value) for name, value in kept.options.items() if name in _TIMES and float(value) != int(value)]
        found += [f"{name}: {value}, because NetworkManager takes whole seconds" for name, value in fractions]
    for port, options in kept.ports.items():
        found += [f"the option {name} of the port {port}" for name, value in options.items() if name not in _PORT_KEYS or not value]
    if kept.vlans is not None or kept.port_vlans:
        found.append("VLANs of the bridge and of its ports")
    return found + [f"the route {' '.join(route)}" for route in kept.routes if _route(route) is None]


# Our file


def _lines(bridge: str, kept: Kept, names: Mapping[str, str], carried: Mapping[str, List[str]]) -> Iterator[str]:
    yield "network:"
    yield "  version: 2"
    unknown = [port for port in kept.ports if port not in names]
    if unknown:
        yield "  ethernets:"
        yield from (f"    {_text(port)}: {{}}" for port in unknown)
    yield "  bridges:"
    yield f"    {_text(bridge)}:"
    members = {names.get(port, port): options for port, options in kept.ports.items()}
    yield f"      interfaces: [{', '.join(map(_text, members))}]"
    if kept.mac:
        yield f"      macaddress: {_text(kept.mac)}"
    if kept.mtu:
        yield f"      mtu: {kept.mtu}"
    yield "      parameters:"
    # Its own default is a spanning tree, the kernel's is none.
    for name, value in {"stp": False, **kept.options}.items():
        if name in _BRIDGE_KEYS:
            yield f"        {_BRIDGE_KEYS[name]}: {_value(value)}"
    for option, key in _PORT_KEYS.items():
        given = {member: options[option] for member, options in members.items() if option in options}
        if given:
            yield f"        {key}:"
            yield from (f"          {_text(member)}: {value}" for member, value in given.items())
    if kept.asks4:
        yield "      dhcp4: true"
    for key, said in (("dhcp6", kept.dhcp6), ("accept-ra", kept.accept_ra)):
        if said is not None:
            yield f"      {key}: {_value(said)}"
    if kept.addresses:
        yield "      addresses:"
        yield from (f"        - {_text(cidr)}" for cidr in kept.addresses)
    elif not kept.routed:
        yield "      optional: true"
    if kept.routes:
        yield "      routes:"
        for route in kept.routes:
            yield from (f"        {'- ' if not number else '  '}{line}" for number, line in enumerate(_route(route) or []))
    for key, lines in carried.items():
        if key != "nameservers":
            yield from lines
    servers = [_listed(key, said) for key, said in (("addresses", kept.nameservers), ("search", kept.search)) if said]
    if servers or "nameservers" in carried:
        yield from carried.get("nameservers", ["      nameservers:"])
        yield from servers


def _listed(key: str, given: Tuple[str, ...]) -> str:
    return f"        {key}: [{', '.join(map(_text, given))}]"


def _without_routes(bridge: str, overrides: List[str]) -> List[str]:
    """What is said of the client, with the default route left to what is declared."""
    if not overrides:
        return ["      dhcp4-overrides:", "        use-routes: false"]
    if not overrides[0].endswith(":"):
        raise Failure(
            f"{bridge}: the dhcp4-overrides of its port are on one line, which use-routes cannot be added to; write a key a line, "
            "or set persist: none",
            "backend_unsuitable",
        )
    indent = overrides[1][: len(overrides[1]) - len(overrides[1].lstrip())]
    return [*(line for line in overrides if not line.lstrip().startswith("use-routes:")), f"{indent}use-routes: false"]


def _text(text: str) -> str:
    return json.dumps(text)  # what is a string in JSON is one in YAML


def _value(value: Value) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _route(words: Words) -> Optional[List[str]]:
    """A route in ip's words → its lines. None where it has something that there is no key for."""
    destination, rest = words[0], list(words[1:])
    default = "::/0" if ":" in destination else "0.0.0.0/0"
    lines = [f"to: {_text(default if destination == 'default' else destination)}"]
    while rest:
        word = rest.pop(0)
        if word == "onlink":
            lines.append("on-link: true")
            continue
        if not rest:
            return None
        value = rest.pop(0)
        if word in ("dev", "proto"):
            continue
        if word not in _ROUTE_KEYS or value in ("inet", "inet6") or (word == "table" and not value.isdigit()):
            return None
        lines.append(f"{_ROUTE_KEYS[word]}: {value if value.isdigit() else _text(value)}")
    return lines


# Files of others


def _others(files: Mapping[str, Optional[str]]) -> List[Tuple[str, str]]:
    """The files that count and are not ours."""
    found: Dict[str, Tuple[str, str]] = {}
    for folder in FOLDERS:
        for path, text in files.items():
            if path.startswith(f"{folder}/") and not path.startswith(f"{FOLDER}/{_PREFIX}"):
                found.setdefault(path.rpartition("/")[2], (path, text or ""))
    return list(found.values())


def _renderer(stored: Stored) -> str:
    found = [renderer(text) for _path, text in sorted(_others(stored.files), key=_by_name)]
    return NETWORKMANAGER if [name for name in found if name][-1:] == ["NetworkManager"] else NETWORKD


def _by_name(item: Tuple[str, str]) -> str:
    """The order in which netplan merges its files."""
    return item[0].rpartition("/")[2]


def _set_aside(path: str, text: str, items: List[Definition], bridge: str) -> str:
    """The file without what the definitions say of addresses."""
    lines = text.splitlines(keepends=True)
    hidden: Set[int] = set()
    emptied: Dict[int, str] = {}
    for item in items:
        taken = [span for key, span in keys(text, item).items() if key in (*_TO_BRIDGE, *_DECLARED)]
        if item.inline not in ("", "{}"):
            if not _SIMPLE.fullmatch(item.inline):
                raise Failure(
                    f"{path}: has the definition of {item.name} on one line, which cannot be taken apart; write a key a line, or set persist: none",
                    "backend_unsuitable",
                )
            taken = [(item.start, item.start)]
        if taken and not path.startswith(f"{FOLDER}/"):
            raise Failure(f"{path}: has the addresses of {item.name}; move it to {FOLDER}, or set persist: none", "kept_by_others")
        hidden.update(number for start, end in taken for number in range(start, end) if is_content(lines[number]))
        if taken and not any(is_content(lines[number]) and number not in hidden for number in range(item.start + 1, item.end)):
            hidden.add(item.start)
            emptied[item.start] = f"{lines[item.start].partition(':')[0]}: {{}}\n"
    found: List[str] = []
    for number, line in enumerate(lines):
        found += aside(bridge, [line]) if number in hidden else [line]
        found += instead(bridge, emptied[number]) if number in emptied else []
    return "".join(found)
