# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges in /etc/network/interfaces.d, for ifupdown and its kin.

The stanza says everything to ip itself, in hooks that may run again at any time: so every option is kept, the package bridge-utils is not
needed, and what comes up at boot is what a task made. Stanzas of a port would give it its addresses back, so they are commented out where
they stand, line by line, with a mark that brings back every byte of them.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Optional, Tuple

from ...engine.errors import Failure
from .. import vlans as vlan_lists
from ..fields import bridge_field, port_field
from .marks import aside, give_back, instead, mark, marked
from .model import ACCEPT_RA, Argv, Kept, Stored, Texts, Wanted, header, is_ours

MAIN = "/etc/network/interfaces"
FOLDER = "/etc/network/interfaces.d"
READS_FOLDER = f"source {FOLDER}/*\n"
MODE = 0o644

_SOURCED = re.compile(r"^\s*(source|source-directory|source-dir)\s+(/etc/network/|)interfaces\.d(/\*)?\s*$", re.MULTILINE)
_STANZAS = ("iface", "mapping", "auto", "source", "source-directory", "source-dir", "no-auto-down", "no-scripts", "rename", "template")
_LISTS = ("auto", "no-auto-down", "no-scripts")
#: Options of a port's stanza that the bridge has in its own words, or whose meaning goes with the addresses.
_REPLACED = ("address", "netmask", "broadcast", "network", "gateway", "pointopoint", "metric", "scope", "mtu", "hwaddress", "label")


def path(bridge: str) -> str:
    return f"{FOLDER}/virtops-{bridge.replace('.', '_')}"


def own(bridge: str, files: Texts) -> List[str]:
    """The files of ours, that with the record first."""
    return [path(bridge)] if is_ours(files.get(path(bridge), ""), bridge) else []


def shown(bridge: str, files: Texts) -> Dict[str, str]:
    """The files of ours, and of those of others the lines with our mark alone: other stanzas may have passwords."""
    hidden = {name: marked(text, bridge) for name, text in _stanza_files(files)}
    return {**{name: files[name] for name in own(bridge, files)}, **{name: text for name, text in hidden.items() if text}}


def reload(stored: Stored) -> List[Argv]:
    """Nothing: it is read at boot, and by ifup."""
    return []


def wanted(bridge: str, kept: Optional[Kept], stored: Stored) -> Wanted:
    """Every file concerned, as it is to be. kept: None gives everything back as it was."""
    files = stored.files
    found: Wanted = {}
    for name, text in _stanza_files(files):
        found[name] = _without(give_back(text, bridge), bridge, list(kept.ports) if kept else [])
    if kept is None:
        return {**found, **dict.fromkeys(own(bridge, files))}
    if path(bridge) in files and not own(bridge, files):
        raise Failure(f"{path(bridge)}: was not written by this module; move it away, or set persist: none", "file_in_the_way")
    for name, given in found.items():
        if any(_words(entry)[:2] == ["iface", bridge] for entry in _entries(given or "")):
            raise Failure(f"{bridge}: {name} has a stanza for it already; take that out, or set persist: none", "kept_by_others")
    if not _SOURCED.search(files.get(MAIN, "")):
        raise Failure(
            f"{MAIN}: does not read {FOLDER}, so the bridge would not come up after a reboot; add the line source {FOLDER}/*, or set persist: none",
            "backend_unsuitable",
        )
    return {**found, path(bridge): header(bridge, kept) + _stanza(bridge, kept, _hidden(found, bridge))}


def only_with_stp(stored: Stored) -> Tuple[str, ...]:
    return ()


def gaps(kept: Kept, stored: Stored) -> List[str]:
    """What cannot be kept: of what ip does, nothing."""
    asked = [name for name, wanted in (("dhcp4", kept.asks4), ("dhcp6", kept.dhcp6)) if wanted]
    clients = "dhclient, dhcpcd or udhcpc"
    return [f"{name}, because no client for it is installed ({clients})" for name in asked if not stored.has_client]


def warnings(bridge: str, kept: Kept, stored: Stored) -> List[str]:
    """Lines of the ports' stanzas that run no longer."""
    return [
        f"{port}: its stanza's line {line!r} has no effect while it is a port of {bridge}; have the bridge's own hooks do the same"
        for port, lines in _hidden(wanted(bridge, kept, stored), bridge).items()
        for line in lines
        if line.split()[0] not in _REPLACED and not line.startswith("dns-")
    ]


# Our stanza


def _stanza(bridge: str, kept: Kept, hidden: Dict[str, List[str]]) -> str:
    return "".join(f"{line}\n" for line in _lines(bridge, kept, hidden))


def _lines(bridge: str, kept: Kept, hidden: Dict[str, List[str]]) -> Iterator[str]:
    for port in kept.ports:
        yield f"iface {port} inet manual"
        yield ""
    yield f"auto {bridge}"
    yield f"iface {bridge} inet {'dhcp' if kept.asks4 else 'manual'}"
    address = f" address {kept.mac}" if kept.mac else ""
    yield f"    pre-up [ -d /sys/class/net/{bridge} ] || ip link add name {bridge}{address} type bridge"
    for words in _settings(bridge, kept):
        yield f"    pre-up ip {words}"
    for port, options in kept.ports.items():
        mtu = next((line.split()[1] for line in hidden.get(port, []) if line.startswith("mtu ")), None)
        if mtu:
            yield f"    pre-up ip link set dev {port} mtu {mtu}"
        yield f"    pre-up ip link set dev {port} master {bridge}"
        for name, value in options.items():
            item = port_field(name)
            text = ("on" if value else "off") if item.form == "flag" else item.write(value)
            yield f"    pre-up ip link set dev {port} type bridge_slave {item.key} {text}"
        yield from (f"    pre-up bridge {line}" for line in _vlan_lines(port, kept.port_vlans.get(port)))
        yield f"    pre-up ip link set dev {port} up"
    yield from (f"    pre-up bridge {line}" for line in _vlan_lines(bridge, kept.vlans, of_bridge=True))
    if kept.accept_ra is not None:
        knob = f"/proc/sys/net/ipv6/conf/{bridge}/accept_ra"
        yield f"    pre-up [ ! -e {knob} ] || echo {ACCEPT_RA[kept.accept_ra]} > {knob}"
    if kept.mtu:
        yield f"    pre-up ip link set dev {bridge} mtu {kept.mtu}"
    yield f"    pre-up ip link set dev {bridge} up"
    for cidr in kept.addresses:
        yield f"    up ip address replace {cidr} dev {bridge}"
    for route in kept.routes:
        yield f"    up ip route replace {' '.join(route)}"
    for key, values in (("dns-nameservers", kept.nameservers), ("dns-search", kept.search)):
        if values:
            yield f"    {key} {' '.join(values)}"
    yield from (f"    {line}" for lines in hidden.values() for line in lines if line.startswith("dns-") and not _replaced(line, kept))
    yield f"    post-down ip link delete dev {bridge}"
    if kept.dhcp6:
        yield ""
        yield f"iface {bridge} inet6 dhcp"
        if kept.accept_ra is not None:
            yield f"    accept_ra {ACCEPT_RA[kept.accept_ra]}"


def _replaced(line: str, kept: Kept) -> bool:
    """Whether a line on name servers of a port's is not the bridge's, because that has its own."""
    key = line.split()[0]
    return (kept.nameservers is not None and key.startswith("dns-nameserver")) or (kept.search is not None and key in ("dns-search", "dns-domain"))


def _vlan_lines(link: str, given: Optional[vlan_lists.Vlans], of_bridge: bool = False) -> Tuple[str, ...]:
    return () if given is None else vlan_lists.lines(link, given, of_bridge)


def _settings(bridge: str, kept: Kept) -> Iterator[str]:
    """STP off first and on last: with STP on, the kernel takes fewer forward delays."""
    names = [name for name in kept.options if name != "stp"]
    if "stp" in kept.options:
        names = [*names, "stp"] if kept.options["stp"] else ["stp", *names]
    for name in names:
        item = bridge_field(name)
        yield f"link set dev {bridge} type bridge {item.key} {item.write(kept.options[name])}"
    if kept.mac:
        yield f"link set dev {bridge} address {kept.mac}"


# Stanzas of others


def _stanza_files(files: Texts) -> List[Tuple[str, str]]:
    return [
        (name, text) for name, text in files.items() if name == MAIN or (name.startswith(FOLDER + "/") and not name.startswith(f"{FOLDER}/virtops-"))
    ]


def _entries(text: str) -> Iterator[List[str]]:
    """The lines of a file, those that a backslash joins together. Every line with its end."""
    entry: List[str] = []
    for line in text.splitlines(keepends=True):
        comment = not entry and line.lstrip().startswith("#")
        entry.append(line)
        if comment or not line.rstrip("\n").endswith("\\"):
            yield entry
            entry = []
    if entry:
        yield entry


def _words(entry: List[str]) -> List[str]:
    return " ".join(line.rstrip("\n").rstrip("\\") for line in entry).split()


def hide(text: str, bridge: str, port: str) -> str:
    """The file without a port's stanzas, every line of them kept behind a mark."""
    found: List[str] = []
    inside = False
    for entry in _entries(text):
        words = _words(entry)
        first = words[0] if words else ""
        if first in _STANZAS or first.startswith("allow-"):
            inside = first == "iface" and _is_for(port, words[1:2])
        listed = (first in _LISTS or first.startswith("allow-")) and _is_for(port, words[1:])
        if (inside and first and not first.startswith("#")) or listed:
            found += aside(bridge, entry)
            rest = [words[0], *(word for word in words[1:] if not _is_for(port, [word]))]
            if listed and len(rest) > 1:
                found += instead(bridge, " ".join(rest) + "\n")
        else:
            found += entry
    return "".join(found)


def _is_for(port: str, names: List[str]) -> bool:
    """Whether one of the names is the interface, or a further address of it: eth0:1."""
    return any(name.partition(":")[0] == port for name in names)


def _without(text: str, bridge: str, ports: List[str]) -> str:
    for port in ports:
        text = hide(text, bridge, port)
    return text


def _hidden(files: Wanted, bridge: str) -> Dict[str, List[str]]:
    """port → the option lines of its stanzas that are behind the mark."""
    found: Dict[str, List[str]] = {}
    sign = mark(bridge, ":")
    for text in files.values():
        port = ""
        for entry in _entries("".join(line[len(sign) :] for line in (text or "").splitlines(keepends=True) if line.startswith(sign))):
            words = _words(entry)
            if words[0] == "iface":
                port = words[1].partition(":")[0]
            elif port and words[0] not in _LISTS and not words[0].startswith("allow-"):
                found.setdefault(port, []).append(" ".join(words))
    return found
