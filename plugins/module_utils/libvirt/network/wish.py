# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network's options as the XML they wish for."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, List, Mapping, Optional, Set

from ...engine.errors import Failure
from ..spelling import mac_address
from ..xmltree import Node, attributes_of, element, plain_text
from . import wish_ip
from .rules import DNSMASQ
from .wish_text import any_address, interface_name, number, says_nothing, yes_no

Options = Mapping[str, Any]


def wish_from_options(params: Options) -> Node:
    domain = params["domain"]
    children: List[Optional[Node]] = [
        _forward(params["forward"]),
        _bridge(params["bridge"]),
        element("mtu", size=number(params["mtu"], 68, "mtu")) if params["mtu"] is not None else None,
        element("mac", address=mac_address(params["mac"], "mac")) if params["mac"] is not None else None,
        _domain(domain, params["domain_local_only"]),
        *_port(params, ""),
    ]
    owned = _emptied(params)
    if domain == "":
        owned.add("domain")
    if (params["forward"] or {}).get("mode") == "none":
        owned.add("forward")
    if params["isolated"] is not None:
        owned.add("port")
        children.append(element("port", isolated="yes") if params["isolated"] else None)
    if params["dns"] is not None:
        if says_nothing(params["dns"]):
            owned.add("dns")
        else:
            children.append(wish_ip.dns(params["dns"]))
    for tag, option, node_of in (("ip", "ips", wish_ip.ip), ("route", "routes", wish_ip.route), ("portgroup", "portgroups", _portgroup)):
        if params[option] is not None:
            owned.add(tag)
            children += [node_of(entry) for entry in params[option]]
    if params["dnsmasq_options"] is not None:
        owned.add(f"{DNSMASQ}options")
        children += _dnsmasq(params["dnsmasq_options"])
    rx = yes_no(params["trust_guest_rx_filters"])
    wish = element("network", *children, ipv6=yes_no(params["ipv6"]), trustGuestRxFilters=rx)
    return replace(wish, owned=frozenset(owned))


def _domain(name: Optional[str], local_only: Optional[bool]) -> Optional[Node]:
    if not name and local_only is None:
        return None
    if name == "":
        raise Failure("domain: it is taken away, so domain_local_only says nothing; leave one of them out", "invalid_value")
    return element("domain", name=plain_text(name, "domain") if name else None, localOnly=yes_no(local_only))


def _forward(options: Optional[Options]) -> Optional[Node]:
    if not options:
        return None
    if options["mode"] == "none":
        said = sorted(name for name, value in options.items() if name != "mode" and value)
        if said:
            raise Failure(f"forward: mode none forwards nothing, so there is no {said[0]}; leave one of them out", "invalid_value")
        return None
    if options["dev"] and options["interfaces"]:
        raise Failure("forward: dev is the only interface, and interfaces are all of them; leave one of them out", "invalid_value")
    devices = [options["dev"]] if options["dev"] else options["interfaces"] or []
    names = [interface_name(name, "forward.dev" if options["dev"] else "forward.interfaces") for name in devices]
    owned: Set[str] = set()
    if options["dev"] == "" or options["interfaces"] is not None:
        owned |= {"@dev", "interface"}
    if options["addresses"] is not None:
        owned.add("address")
    interfaces = [element("interface", dev=name) for name in names] if options["interfaces"] else []
    forward = element(
        "forward",
        _nat(options["nat"]),
        element("pf", dev=interface_name(options["pf"], "forward.pf")) if options["pf"] else None,
        element("driver", name=plain_text(options["driver"], "forward.driver")) if options["driver"] else None,
        *interfaces,
        *(_pci(text) for text in options["addresses"] or []),
        mode=options["mode"],
        dev=names[0] if names else None,
        managed=yes_no(options["managed"]),
    )
    return replace(forward, owned=frozenset(owned))


def _nat(options: Optional[Options]) -> Optional[Node]:
    if options is None:
        return None
    nat = element("nat", ipv6=yes_no(options["ipv6"]))
    addresses, ports = options["addresses"], options["ports"]
    if addresses is not None:
        nat = replace(nat, owned=frozenset({"address"}))
        if not says_nothing(addresses):
            first = any_address(addresses["start"] or "", "forward.nat.addresses.start")
            nat = nat.with_children(element("address", start=first, end=any_address(addresses["end"] or first, "forward.nat.addresses.end")))
    if ports is not None:
        if ports["start"] is None or ports["end"] is None:
            raise Failure("forward.nat.ports: a range has both ends; add start and end, 1024 and 65535 are libvirt's own", "missing_option")
        start, end = (number(ports[key], 1, f"forward.nat.ports.{key}") for key in ("start", "end"))
        nat = nat.with_children(element("port", start=start, end=end))
    return nat


def _pci(text: str) -> Node:
    match = re.fullmatch(r"(?:([0-9a-fA-F]{1,4}):)?([0-9a-fA-F]{1,2}):([0-9a-fA-F]{1,2})\.([0-7])", text)
    if not match:
        raise Failure(f"forward.addresses: {text!r} is no PCI address; write one such as 0000:03:00.1, as lspci -D prints it", "invalid_address")
    domain, bus, slot, function = (f"0x{part or '0'}" for part in match.groups())
    return element("address", type="pci", domain=domain, bus=bus, slot=slot, function=function)


def _bridge(options: Optional[Options]) -> Optional[Node]:
    if not options:
        return None
    stp = options["stp"]
    return element(
        "bridge",
        name=interface_name(options["name"], "bridge.name") if options["name"] is not None else None,
        zone=plain_text(options["zone"], "bridge.zone") if options["zone"] is not None else None,
        stp=None if stp is None else ("on" if stp else "off"),
        delay=number(options["delay"], 0, "bridge.delay"),
        macTableManager=options["mac_table_manager"],
    )


# What networks and portgroups have in common.


def _emptied(options: Options) -> Set[str]:
    """Those of the parts that an empty dict takes away."""
    return {part for part in ("vlan", "virtualport", "bandwidth") if options[part] is not None and _takes_away(part, options[part])}


def _takes_away(part: str, options: Options) -> bool:
    return says_nothing(options) or (part == "vlan" and options["tags"] == []) or (part == "virtualport" and options["type"] == "")


def _port(options: Options, where: str) -> List[Optional[Node]]:
    parts = {"vlan": _vlan, "virtualport": _virtualport, "bandwidth": _bandwidth}
    return [make(options[name], where + name) for name, make in parts.items() if options[name] is not None and not _takes_away(name, options[name])]


def _vlan(options: Options, what: str) -> Node:
    tags = options["tags"]
    if not tags:
        raise Failure(f"{what}: a trunk has tags; add tags", "missing_option")
    if options["trunk"] is False and len(tags) > 1:
        raise Failure(f"{what}: more than one tag is a trunk; leave trunk out, or name one tag", "invalid_value")
    trunk = options["trunk"] or len(tags) > 1 or any(tag["native_mode"] for tag in tags)
    children = []
    for tag in tags:
        if not 0 <= tag["id"] <= 4095:
            raise Failure(f"{what}.tags: {tag['id']} is no VLAN; use 0 to 4095", "invalid_value")
        children.append(replace(element("tag", id=str(tag["id"]), nativeMode=tag["native_mode"]), owned=frozenset({"@*"})))
    return replace(element("vlan", *children, trunk="yes" if trunk else None), owned=frozenset({"@trunk", "tag"}))


def _virtualport(options: Options, what: str) -> Node:
    parameters = options["parameters"]
    wish = element("virtualport", type=plain_text(options["type"], f"{what}.type") if options["type"] else None)
    if parameters is None:
        return wish
    values = {name: plain_text(str(value), f"{what}.parameters.{name}") for name, value in parameters.items()}
    for name in values:
        if not re.fullmatch("[A-Za-z]+", name):
            raise Failure(f"{what}.parameters: {name!r} is no name of a parameter; use libvirt's, such as profileid", "invalid_name")
    child = Node("parameters", values, owned=frozenset({"@*"}))
    return replace(wish.with_children(*([child] if values else [])), owned=frozenset({"parameters"}))


def _bandwidth(options: Options, what: str) -> Node:
    children = []
    for way in ("inbound", "outbound"):
        rates = options[way]
        if rates is not None:
            said = attributes_of({name: number(rates[name], 1, f"{what}.{way}.{name}") for name in ("average", "peak", "burst")})
            children += [Node(way, said, owned=frozenset({"@*"}))] if said else []
    return replace(element("bandwidth", *children), owned=frozenset({"inbound", "outbound"}))


def _portgroup(options: Options) -> Node:
    wish = element(
        "portgroup",
        *_port(options, "portgroups."),
        name=plain_text(options["name"], "portgroups.name"),
        default=yes_no(options["default"]),
        trustGuestRxFilters=yes_no(options["trust_guest_rx_filters"]),
    )
    return replace(wish, owned=frozenset(_emptied(options)))


def _dnsmasq(options: List[str]) -> List[Node]:
    values = [element(f"{DNSMASQ}option", value=plain_text(text, "dnsmasq_options")) for text in options]
    if not values:
        return []
    return [replace(element(f"{DNSMASQ}options", *values), owned=frozenset({f"{DNSMASQ}option"}))]
