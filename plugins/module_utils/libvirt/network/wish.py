# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network's options as the XML they wish for."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import Any, List, Mapping, Optional

from ...engine.errors import Failure
from ..spelling import mac_address
from ..xmltree import Node, element, plain_text


def wish_from_options(params: Mapping[str, Any]) -> Node:
    children: List[Optional[Node]] = [
        _forward(params["forward"]),
        _bridge(params["bridge"]),
        element("mtu", size=str(_at_least(params["mtu"], 68, "mtu"))) if params["mtu"] is not None else None,
        element("mac", address=mac_address(params["mac"], "mac")) if params["mac"] is not None else None,
        element("domain", name=plain_text(params["domain"], "domain")) if params["domain"] else None,
    ]
    wish = element("network", *children)
    owned = set()
    if params["domain"] == "":
        owned.add("domain")
    if params["ips"] is not None:
        wish = wish.with_children(*(_ip(entry) for entry in params["ips"]))
        owned.add("ip")
    if (params["forward"] or {}).get("mode") == "none":
        owned.add("forward")
    return replace(wish, owned=frozenset(owned))


def _interface_name(text: str, what: str) -> str:
    """Source: the kernel's dev_valid_name, IFNAMSIZ."""
    if not re.fullmatch(r"[^\s/:\x00-\x20'\"<>&]{1,15}", text) or text in (".", ".."):
        raise Failure(f"{what}: {text!r} cannot name an interface; use up to 15 letters, digits, dots and dashes", "invalid_name")
    return text


def _at_least(value: int, least: int, what: str) -> int:
    if value < least:
        raise Failure(f"{what}: {value} is too small; {least} is the least", "invalid_value")
    return value


def _forward(options: Optional[Mapping[str, Any]]) -> Optional[Node]:
    if not options:
        return None
    if options["mode"] == "none":
        if options["dev"]:
            raise Failure("forward: mode none forwards nothing, so there is no dev; leave one of them out", "invalid_value")
        return None
    dev = _interface_name(options["dev"], "forward.dev") if options["dev"] else None
    forward = element("forward", mode=options["mode"], dev=dev)
    return replace(forward, owned=frozenset({"@dev", "interface"})) if options["dev"] == "" else forward


def _bridge(options: Optional[Mapping[str, Any]]) -> Optional[Node]:
    if not options:
        return None
    stp, delay = options["stp"], options["delay"]
    return element(
        "bridge",
        name=_interface_name(options["name"], "bridge.name") if options["name"] is not None else None,
        stp=None if stp is None else ("on" if stp else "off"),
        delay=None if delay is None else str(_at_least(delay, 0, "bridge.delay")),
    )


def _interface(text: str, prefix: Optional[int], what: str) -> Any:
    """The ipaddress interface of an address with its prefix, in either of the two places."""
    if prefix is None and "/" not in text:
        raise Failure(f"{what}: {text} has no prefix; add prefix, for example 24", "invalid_address")
    try:
        return ipaddress.ip_interface(text if prefix is None else f"{text}/{prefix}")
    except ValueError as error:
        raise Failure(f"{what}: {error}; write an address such as 192.168.100.1 and a prefix such as 24", "invalid_address") from error


def _inside(text: str, interface: Any, what: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise Failure(f"{what}: {error}", "invalid_address") from error
    if address not in interface.network:
        raise Failure(f"{what}: {text} is not in {interface.network}; use an address of the network", "invalid_address")
    return str(address)


def _ip(options: Mapping[str, Any]) -> Node:
    interface = _interface(options["address"], options["prefix"], "ips.address")
    version = interface.version
    wish = element("ip", family=f"ipv{version}", address=str(interface.ip), prefix=str(interface.network.prefixlen))
    dhcp = options["dhcp"]
    if dhcp is None:
        return wish
    if not dhcp["ranges"] and not dhcp["hosts"] and dhcp["ranges"] is not None and dhcp["hosts"] is not None:
        return replace(wish, owned=frozenset({"dhcp"}))  # an empty <dhcp/> is not printed
    owned, children = set(), []
    if dhcp["ranges"] is not None:
        owned.add("range")
        children += [_range(entry, interface) for entry in dhcp["ranges"]]
    if dhcp["hosts"] is not None:
        owned.add("host")
        children += [_host(entry, interface) for entry in dhcp["hosts"]]
    return wish.with_children(replace(element("dhcp", *children), owned=frozenset(owned)))


def _range(entry: Mapping[str, str], interface: Any) -> Node:
    start, end = (_inside(entry[key], interface, f"ips.dhcp.ranges.{key}") for key in ("start", "end"))
    if int(ipaddress.ip_address(start)) > int(ipaddress.ip_address(end)):
        raise Failure(f"ips.dhcp.ranges: {start} comes after {end}; swap start and end", "invalid_address")
    return element("range", start=start, end=end)


def _host(entry: Mapping[str, Optional[str]], interface: Any) -> Node:
    if not entry["mac"] and not entry["name"]:
        raise Failure(f"ips.dhcp.hosts: {entry['ip']} has neither mac nor name; add one of them", "invalid_value")
    if interface.version == 6 and entry["mac"]:
        raise Failure("ips.dhcp.hosts: DHCPv6 knows machines by name, not by mac; use name", "invalid_value")
    return element(
        "host",
        mac=mac_address(entry["mac"], "ips.dhcp.hosts.mac") if entry["mac"] else None,
        name=plain_text(entry["name"], "ips.dhcp.hosts.name") if entry["name"] else None,
        ip=_inside(entry["ip"] or "", interface, "ips.dhcp.hosts.ip"),
    )
