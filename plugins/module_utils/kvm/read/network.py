# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may cut guests off the network: a filter over bridges, and virtual subnets in the way of real ones."""

from __future__ import annotations

import re
import socket
import struct
from ipaddress import ip_interface, ip_network
from typing import Dict, List, Optional, Tuple
from xml.etree import ElementTree

from ...engine.errors import Failure
from ...engine.host import Host
from ..sections.system import Network, Subnet
from .forward import read_forward
from .memory import number

_NETWORKS = "/etc/libvirt/qemu/networks"
_BRIDGE = "/proc/sys/net/bridge"
# Names that container engines and libvirt give to the bridges that they make themselves.
_VIRTUAL = re.compile(r"docker0|br-[0-9a-f]{12}|virbr\d+|podman\d+|cni-?podman\d+|cni\d+|lxcbr\d+|lxdbr\d+|incusbr\d+")
# Source: include/uapi/linux/route.h and ipv6_route.h
_UP, _REJECT, _CACHE, _LOCAL = 0x1, 0x200, 0x01000000, 0x80000000


def read_network(host: Host) -> Network:
    forward, reason = read_forward(host)
    networks, networks_reason = _libvirt_networks(host)
    routes = parse_routes(host.try_read("/proc/net/route") or "") + parse_routes6(host.try_read("/proc/net/ipv6_route") or "")
    bridges = {network.interface for network in networks if network.interface}
    virtual = list(dict.fromkeys([*networks, *(route for route in routes if _is_virtual(route) and route.owner not in bridges)]))
    return Network(
        bridge_filter={name: on for name, on in _bridge_filter(host).items() if on is not None},
        forward=tuple(forward),
        forward_reason=reason,
        virtual=tuple(virtual),
        virtual_reason=networks_reason,
        routes=tuple(dict.fromkeys(route for route in routes if not _is_virtual(route) and route.owner not in bridges)),
    )


def _is_virtual(route: Subnet) -> bool:
    return bool(_VIRTUAL.fullmatch(route.owner))


def _bridge_filter(host: Host) -> Dict[str, Optional[bool]]:
    files = {"ip": "bridge-nf-call-iptables", "ip6": "bridge-nf-call-ip6tables", "arp": "bridge-nf-call-arptables"}
    numbers = {family: number(host, f"{_BRIDGE}/{file}") for family, file in files.items()}
    return {family: None if value is None else value == 1 for family, value in numbers.items()}


def parse_routes(text: str) -> List[Subnet]:
    """The text of /proc/net/route, whose addresses are hexadecimal in the order of the machine's bytes. No default routes."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and int(words[3], 16) & _UP and not int(words[3], 16) & _REJECT and words[7] != "00000000":
            address, mask = (socket.inet_ntoa(struct.pack("=I", int(words[column], 16))) for column in (1, 7))
            found.append(Subnet(str(ip_network(f"{address}/{mask}", strict=False)), words[0], words[0]))
    return found


def parse_routes6(text: str) -> List[Subnet]:
    """The text of /proc/net/ipv6_route. Neither default routes, nor addresses of this host, nor link-local or multicast ones."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 10 or words[9] == "lo" or int(words[8], 16) & (_REJECT | _CACHE | _LOCAL) or words[1] in ("00", "80"):
            continue
        subnet = ip_network((int(words[0], 16).to_bytes(16, "big"), int(words[1], 16)), strict=False)
        if not subnet.is_link_local and not subnet.is_multicast:
            found.append(Subnet(str(subnet), words[9], words[9]))
    return found


def _libvirt_networks(host: Host) -> Tuple[List[Subnet], str]:
    """Of all networks that are defined, running or not; and why they could not be seen."""
    found: List[Subnet] = []
    try:
        for name in host.list(_NETWORKS):
            if name.endswith(".xml"):
                found += parse_libvirt_network(host.read(f"{_NETWORKS}/{name}") or "", f"{_NETWORKS}/{name}")
    except Failure as failure:
        return [], failure.message
    return found, ""


def parse_libvirt_network(text: str, path: str) -> List[Subnet]:
    """Failure C(unexpected_output): it is no XML, or its addresses are none."""
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # libvirt's own files, which root alone writes
        bridge = root.find("bridge")
        interface = bridge.get("name") if bridge is not None else None
        owner = f"libvirt's network {root.findtext('name')}"
        return [Subnet(_subnet(ip), owner, interface) for ip in root.findall("ip") if ip.get("address")]
    except (ElementTree.ParseError, ValueError) as error:
        raise Failure(f"{path}: {error}", "unexpected_output") from error


def _subnet(ip: ElementTree.Element) -> str:
    """Libvirt's own default where neither prefix nor netmask is given is that of the address class. Source: formatnetwork."""
    address = ip.get("address", "")
    length = ip.get("prefix") or ip.get("netmask")
    if length is None:
        first = int(address.split(".")[0]) if "." in address else 0
        length = "64" if ":" in address else "8" if first < 128 else "16" if first < 192 else "24"
    return str(ip_interface(f"{address}/{length}").network)
