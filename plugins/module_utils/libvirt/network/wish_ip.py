# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses, DHCP, routes and DNS of a network as the XML they wish for."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any, List, Mapping, Optional, Set

from ...engine.errors import Failure
from ..spelling import mac_address
from ..xmltree import Node, element, plain_text
from .wish_text import any_address, inside, number, says_nothing, with_prefix, yes_no

Options = Mapping[str, Any]


def ip(options: Options) -> Node:
    interface = with_prefix(options["address"], options["prefix"], "ips.address")
    wish = element(
        "ip",
        family=f"ipv{interface.version}",
        address=str(interface.ip),
        prefix=str(interface.network.prefixlen),
        localPtr=yes_no(options["local_ptr"]),
    )
    root, dhcp = options["tftp_root"], options["dhcp"]
    if root == "":
        wish = replace(wish, owned=wish.owned | {"tftp"})
    elif root is not None:
        wish = wish.with_children(element("tftp", root=plain_text(root, "ips.tftp_root")))
    return wish if dhcp is None else _with_dhcp(wish, dhcp, interface)


def _with_dhcp(wish: Node, dhcp: Options, interface: Any) -> Node:
    if dhcp["ranges"] == [] and dhcp["hosts"] == [] and dhcp["bootp"] is None:
        return replace(wish, owned=wish.owned | {"dhcp"})  # an empty <dhcp/> is not printed
    owned: Set[str] = set()
    children: List[Node] = []
    if dhcp["ranges"] is not None:
        owned.add("range")
        children += [_range(entry, interface) for entry in dhcp["ranges"]]
    if dhcp["hosts"] is not None:
        owned.add("host")
        children += [_host(entry, interface) for entry in dhcp["hosts"]]
    if dhcp["bootp"] is not None:
        owned.add("bootp")
        children += _bootp(dhcp["bootp"])
    return wish.with_children(replace(element("dhcp", *children), owned=frozenset(owned)))


def _range(entry: Options, interface: Any) -> Node:
    start, end = (inside(entry[key], interface, f"ips.dhcp.ranges.{key}") for key in ("start", "end"))
    if int(ipaddress.ip_address(start)) > int(ipaddress.ip_address(end)):
        raise Failure(f"ips.dhcp.ranges: {start} comes after {end}; swap start and end", "invalid_address")
    return element("range", _lease(entry["lease"], "ips.dhcp.ranges.lease"), start=start, end=end)


def _host(entry: Options, interface: Any) -> Node:
    if not entry["mac"] and not entry["name"] and not entry["id"]:
        raise Failure(f"ips.dhcp.hosts: {entry['ip']} has neither mac nor name; add one of them", "invalid_value")
    if interface.version == 6 and entry["mac"]:
        raise Failure("ips.dhcp.hosts: DHCPv6 knows machines by name or id, not by mac; use one of these", "invalid_value")
    if interface.version == 4 and entry["id"]:
        raise Failure("ips.dhcp.hosts: libvirt knows machines by id with IPv6 only; use mac", "invalid_value")
    return element(
        "host",
        _lease(entry["lease"], "ips.dhcp.hosts.lease"),
        mac=mac_address(entry["mac"], "ips.dhcp.hosts.mac") if entry["mac"] else None,
        id=plain_text(entry["id"], "ips.dhcp.hosts.id") if entry["id"] else None,
        name=plain_text(entry["name"], "ips.dhcp.hosts.name") if entry["name"] else None,
        ip=inside(entry["ip"] or "", interface, "ips.dhcp.hosts.ip"),
    )


def _lease(options: Optional[Options], what: str) -> Optional[Node]:
    return None if options is None else element("lease", expiry=number(options["expiry"], 0, f"{what}.expiry"), unit=options["unit"])


def _bootp(options: Options) -> List[Node]:
    if says_nothing(options):
        return []
    if options["file"] is None:
        raise Failure("ips.dhcp.bootp: there is no file to boot; add file", "missing_option")
    server = options["server"]
    wish = element(
        "bootp", file=plain_text(options["file"], "ips.dhcp.bootp.file"), server=any_address(server, "ips.dhcp.bootp.server") if server else None
    )
    return [replace(wish, owned=frozenset({"@*"}))]


def route(options: Options) -> Node:
    interface = with_prefix(options["address"], options["prefix"], "routes.address")
    if interface.ip != interface.network.network_address:
        raise Failure(f"routes.address: {interface} is an address in a network; the network is {interface.network}", "invalid_address")
    wish = element(
        "route",
        family=f"ipv{interface.version}",
        address=str(interface.ip),
        prefix=str(interface.network.prefixlen),
        gateway=any_address(options["gateway"], "routes.gateway"),
        metric=number(options["metric"], 1, "routes.metric"),
    )
    return replace(wish, owned=frozenset({"@metric"}))


def dns(options: Options) -> Node:
    lists = {"forwarder": ("forwarders", _forwarder), "host": ("hosts", _name), "txt": ("txt", _txt), "srv": ("srv", _srv)}
    wish = element("dns", enable=yes_no(options["enable"]), forwardPlainNames=yes_no(options["forward_plain_names"]))
    for tag, (option, node_of) in lists.items():
        if options[option] is not None:
            wish = replace(wish.with_children(*(node_of(entry) for entry in options[option])), owned=wish.owned | {tag})
    return wish


def _forwarder(entry: Options) -> Node:
    if not entry["address"] and not entry["domain"]:
        raise Failure("dns.forwarders: one has neither address nor domain; add one of them", "missing_option")
    return element(
        "forwarder",
        domain=plain_text(entry["domain"], "dns.forwarders.domain") if entry["domain"] else None,
        addr=any_address(entry["address"], "dns.forwarders.address") if entry["address"] else None,
    )


def _name(entry: Options) -> Node:
    names = [element("hostname", text=plain_text(name, "dns.hosts.hostnames")) for name in entry["hostnames"]]
    if not names:
        raise Failure(f"dns.hosts: {entry['ip']} has no name; add hostnames", "missing_option")
    return replace(element("host", *names, ip=any_address(entry["ip"], "dns.hosts.ip")), owned=frozenset({"hostname"}))


def _txt(entry: Options) -> Node:
    return element("txt", name=plain_text(entry["name"], "dns.txt.name"), value=plain_text(entry["value"], "dns.txt.value"))


def _srv(entry: Options) -> Node:
    wish = element(
        "srv",
        service=plain_text(entry["service"], "dns.srv.service"),
        protocol=plain_text(entry["protocol"], "dns.srv.protocol"),
        domain=plain_text(entry["domain"], "dns.srv.domain") if entry["domain"] else None,
        target=plain_text(entry["target"], "dns.srv.target") if entry["target"] else None,
        port=number(entry["port"], 1, "dns.srv.port"),
        priority=number(entry["priority"], 0, "dns.srv.priority"),
        weight=number(entry["weight"], 0, "dns.srv.weight"),
    )
    return replace(wish, owned=frozenset({"@*"}))
