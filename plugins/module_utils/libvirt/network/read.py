# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network, and the interfaces of running guests on it."""

from __future__ import annotations

import os
from typing import Any, Iterator, Optional, Tuple

from ..connection import Connection
from ..objects.access import Access
from ..objects.model import Desired
from ..uri import is_local
from ..xmltree import Node, parse
from .kind import NETWORK
from .model import Observed, Plug

ACCESS = Access(NETWORK, "network", "listAllNetworks", "VIR_NETWORK_XML_INACTIVE")


def read(connection: Connection, desired: Desired) -> Observed:
    base = ACCESS.read(connection, desired)
    return Observed(**vars(base), plugs=plugs_of(connection, desired.name) if base.active is not None else ())


def plugs_of(connection: Connection, network: str) -> Tuple[Plug, ...]:
    with connection.explained(f"network {network}: the guests on it cannot be listed"):
        guests = connection.virt.listAllDomains(connection.api.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        return tuple(sorted((plug for guest in guests for plug in _plugs(connection, guest, network)), key=lambda plug: (plug.guest, plug.device)))


def _plugs(connection: Connection, guest: Any, network: str) -> Iterator[Plug]:
    try:
        interfaces = connection.once(("interfaces", guest.UUIDString(), guest.ID()), lambda: _interfaces(guest))
    except connection.api.libvirtError as error:
        if error.get_error_code() == connection.api.VIR_ERR_NO_DOMAIN:  # it ended meanwhile
            return
        raise
    for interface in interfaces:
        device = interface.get("target@dev")
        if interface.get("source@network") == network and device:
            here, master = _tap(connection, device)
            isolated = interface.get("port@isolated") == "yes"
            yield Plug(guest.name(), interface.get("mac@address") or "", device, here, master, isolated, interface.get("source@portgroup"))


def _interfaces(guest: Any) -> Tuple[Node, ...]:
    """Read once a task for all its networks; a guest that was started again has another ID."""
    devices = parse(guest.XMLDesc(0), "libvirt's XML of a guest", "domain").find("devices")
    return tuple(devices.all("interface")) if devices else ()


def _tap(connection: Connection, device: str) -> Tuple[bool, Optional[str]]:
    """Whether the interface is a tap of this very machine, and the bridge that it is plugged into."""
    folder = f"/sys/class/net/{device}"
    if not is_local(connection.uri) or not connection.host.exists(f"{folder}/tun_flags"):
        return False, None
    if not connection.host.exists(f"{folder}/master"):
        return True, None
    return True, os.path.basename(connection.host.realpath(f"{folder}/master"))
