# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges: what is wanted of one, and what is there."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from . import model_words as words
from . import vlans as vlan_lists
from .fields import BRIDGE_FIELDS, PORT_FIELDS, Value, parsed
from .guard.restore import PORT_STATES as KERNEL_STATES
from .model_rollback import Rollback, rollback
from .model_words import INHERIT, MAC
from .persist.model import Stored
from .vlans import Vlans

#: By their numbers. The last, blocking, is left out: without a spanning tree the kernel makes it forwarding at once.
PORT_STATES = KERNEL_STATES[:-1]
DEFAULT_ROUTE = "default_route"

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "mac_address": {"type": "str"},
        "mtu": {"type": "int"},
        "addresses": {"type": "list", "elements": "str"},
        "ports": {
            "type": "list",
            "elements": "dict",
            "options": {
                "name": {"type": "str", "required": True},
                **{item.name: item.spec() for item in PORT_FIELDS},
                "vlans": vlan_lists.SPEC,
                "state": {"type": "str", "choices": list(PORT_STATES)},
            },
        },
        "purge_ports": {"type": "bool", "default": False},
        "move_addresses": {"type": "bool"},
        "gateway4": {"type": "str"},
        "gateway6": {"type": "str"},
        "dhcp4": {"type": "bool"},
        "dhcp6": {"type": "bool"},
        "accept_ra": {"type": "bool"},
        "dns": {
            "type": "dict",
            "options": {"nameservers": {"type": "list", "elements": "str"}, "search": {"type": "list", "elements": "str"}},
        },
        "persist": {"type": "str", "choices": ["auto", "networkd", "networkmanager", "netplan", "ifupdown", "none"]},
        "rollback_timeout": {"type": "int"},
        "confirm": {"type": "str", "choices": ["connection", "gateway", "none"]},
        "verify_hosts": {"type": "list", "elements": "str"},
        "rollback_id": {"type": "str"},
        **{item.name: item.spec() for item in BRIDGE_FIELDS},
        "vlans": vlan_lists.SPEC,
        "force": {"type": "bool", "default": False},
    },
}

_LOWEST_MTU, _HIGHEST_MTU = 68, 65535


@dataclass(frozen=True)
class WantedPort:
    """A port that is to be in the bridge. options: only what the user said. vlans, state: None leaves alone."""

    name: str
    options: Mapping[str, Value] = field(default_factory=dict)
    vlans: Optional[Vlans] = None
    state: Optional[str] = None


@dataclass(frozen=True)
class Desired:
    """options: of the bridge, only what the user said. ports, addresses, vlans: None leaves alone, () empties. vlans: of the bridge itself.

    purge: ports that are not listed are released. move: what ports have goes to the bridge; None where there is something.
    gateways: (4 or 6, address). rollback: None where nobody watches over the change. persist: the back end that keeps the bridge; None
    leaves that to the one that does so already.
    """

    name: str
    present: bool = True
    options: Mapping[str, Value] = field(default_factory=dict)
    mac: Optional[str] = None
    mtu: Optional[int] = None
    ports: Optional[Tuple[WantedPort, ...]] = None
    purge: bool = False
    addresses: Optional[Tuple[str, ...]] = None
    force: bool = False
    move: Optional[bool] = None
    gateways: Tuple[Tuple[str, str], ...] = ()
    rollback: Optional[Rollback] = None
    persist: Optional[str] = None
    vlans: Optional[Vlans] = None
    dhcp4: Optional[bool] = None
    dhcp6: Optional[bool] = None
    accept_ra: Optional[bool] = None
    nameservers: Optional[Tuple[str, ...]] = None
    search: Optional[Tuple[str, ...]] = None

    @property
    def has_vlans(self) -> bool:
        """Whether something is said of VLANs, of the bridge or of a port."""
        return self.vlans is not None or any(port.vlans is not None for port in self.ports or ())


@dataclass(frozen=True)
class Address:
    """automatic: the kernel's own (link-local), never taken away unasked. secondary: goes when its primary goes.

    dynamic: with a lifetime, kept by a client (DHCP, router advertisements). words: how ip makes the same one elsewhere.
    """

    cidr: str
    automatic: bool = False
    secondary: bool = False
    dynamic: bool = False
    words: Tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Link:
    """A network interface that is asked to become a port.

    name: its real name, where the user gave an alternative one. kind: bridge, tun, veth, ...; empty for hardware.
    master: the bridge or bond that it belongs to. default_route, carries_session: the host is reached through it.
    addresses: the global ones. held: the same with everything that it takes to move them. routes: in ip's words.
    """

    name: str
    mac: Optional[str] = None
    mtu: int = 1500
    kind: str = ""
    master: Optional[str] = None
    up: bool = False
    loopback: bool = False
    ethernet: bool = True
    wireless: bool = False
    default_route: bool = False
    carries_session: bool = False
    addresses: Tuple[str, ...] = ()
    held: Tuple[Address, ...] = ()
    routes: Tuple[Tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Port:
    """A port of the bridge. state: of the spanning tree, the kernel's word. carrier: whether somebody is at the other end."""

    name: str
    kind: str = ""
    mtu: int = 1500
    up: bool = True
    options: Mapping[str, Value] = field(default_factory=dict)
    mac: Optional[str] = None
    vlans: Vlans = ()
    state: str = ""
    carrier: bool = True

    @property
    def of_guest(self) -> bool:
        """Tap devices belong to a running guest: its hypervisor put them here and takes them away."""
        return self.kind == "tun"


@dataclass(frozen=True)
class Observed:
    """kind: what the link of this name is; None where there is none. mac_fixed: whether it stays when ports change.

    links: what was asked for as a port → the interface. addresses: without those that have a lifetime (DHCP, router
    advertisements), which their own client keeps. default_route: whether the host is reached through the bridge.
    elsewhere: the addresses of the host's other interfaces, as (interface, address with prefix). leased: the addresses with a lifetime.
    routes: by way of the bridge, in ip's words, without those that the kernel makes. carries_session: this task came over it.
    stored: the network configuration. vlans: of the bridge itself. Those of it and of its ports are only read where they are of interest.
    accept_ra: the kernel's own value of it, or that of new interfaces where there is no bridge yet; None without IPv6. resolver: the name
    servers and search domains that systemd-resolved has for it; None where that does not run. resolv_conf: all that the host asks.
    clients: interface → how its DHCP client was started, where it has one of its own.
    """

    name: str
    kind: Optional[str] = None
    up: bool = False
    mac: Optional[str] = None
    mac_fixed: bool = False
    mtu: int = 1500
    options: Mapping[str, Value] = field(default_factory=dict)
    ports: Tuple[Port, ...] = ()
    addresses: Tuple[Address, ...] = ()
    links: Mapping[str, Link] = field(default_factory=dict)
    default_route: bool = False
    elsewhere: Tuple[Tuple[str, str], ...] = ()
    leased: Tuple[Address, ...] = ()
    routes: Tuple[Tuple[str, ...], ...] = ()
    carries_session: bool = False
    stored: Stored = field(default_factory=Stored)
    vlans: Vlans = ()
    accept_ra: Optional[str] = None
    resolver: Optional[Tuple[Tuple[str, ...], Tuple[str, ...]]] = None
    resolv_conf: Tuple[str, ...] = ()
    clients: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        return self.kind is not None


def from_params(params: Mapping[str, Any]) -> Desired:
    ports = _ports(params["ports"])
    if params["purge_ports"] and ports is None:
        raise Failure("purge_ports: says nothing without ports; list the ports that stay, or ports: [] for none", "missing_ports")
    mac = None if params["mac_address"] is None else words.mac(params["mac_address"])
    if mac == INHERIT and not ports:
        raise Failure("mac_address: inherit takes the address of the first port; list it in ports", "missing_ports")
    mtu = params["mtu"]
    if mtu is not None and not _LOWEST_MTU <= mtu <= _HIGHEST_MTU:
        raise Failure(f"mtu: {mtu} is out of range; the kernel takes {_LOWEST_MTU} to {_HIGHEST_MTU} for a bridge", "out_of_range")
    return Desired(
        words.name(params["name"], "name"),
        present=params["state"] == "present",
        options=parsed(BRIDGE_FIELDS, params),
        mac=mac,
        mtu=mtu,
        ports=ports,
        purge=params["purge_ports"] or ports == (),
        addresses=None if params["addresses"] is None else tuple(dict.fromkeys(words.address(text) for text in params["addresses"])),
        force=params["force"],
        move=params["move_addresses"],
        gateways=tuple((family, words.gateway(params[f"gateway{family}"], family)) for family in ("4", "6") if params[f"gateway{family}"]),
        rollback=rollback(params),
        persist=params["persist"],
        vlans=vlan_lists.parsed(params["vlans"], "vlans"),
        dhcp4=params["dhcp4"],
        dhcp6=params["dhcp6"],
        accept_ra=params["accept_ra"],
        nameservers=_listed(params["dns"], "nameservers", words.server),
        search=_listed(params["dns"], "search", words.domain),
    )


def _listed(dns: Optional[Mapping[str, Any]], key: str, checked: Callable[[str], str]) -> Optional[Tuple[str, ...]]:
    given = (dns or {}).get(key)
    return None if given is None else tuple(dict.fromkeys(checked(text) for text in given))


def _ports(given: Optional[List[Mapping[str, Any]]]) -> Optional[Tuple[WantedPort, ...]]:
    if given is None:
        return None
    found: Dict[str, WantedPort] = {}
    for item in given:
        name = item["name"]  # a MAC address and default_route as well; not limited to 15 characters: an alternative name may be longer
        if MAC.fullmatch(name.lower()):
            name = name.lower().replace("-", ":")
        elif not name or re.search(r"[\s/:]", name):
            raise Failure(f"ports: {name!r} is not the name of an interface; use a name without spaces, / and :", "invalid_name")
        if name in found:
            raise Failure(f"ports: {name} is listed twice; list it once with all its options", "duplicate_port")
        place = f"ports: {name}: "
        found[name] = WantedPort(name, parsed(PORT_FIELDS, item, place), vlan_lists.parsed(item.get("vlans"), f"{place}vlans"), item.get("state"))
    return tuple(found.values())


def network(cidr: str) -> str:
    """The network that an address is in: 203.0.113.1/24 → 203.0.113.0/24."""
    return str(ipaddress.ip_interface(cidr).network)


def clash(cidr: str, others: Tuple[Tuple[str, str], ...]) -> Optional[Tuple[str, str]]:
    """The first of the others, (interface, address), whose network overlaps that of the address."""
    ours = ipaddress.ip_interface(cidr).network
    for interface, other in others:
        theirs = ipaddress.ip_interface(other).network
        if ours.version == theirs.version and ours.overlaps(theirs):
            return interface, other
    return None


def is_link_local(cidr: str) -> bool:
    """Whether the kernel gives the address link scope by itself: IPv6 fe80::/10."""
    found = ipaddress.ip_interface(cidr)
    return found.version == 6 and found.ip.is_link_local
