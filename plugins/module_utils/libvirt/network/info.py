# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All networks, with their leases."""

from __future__ import annotations

from typing import Any, Dict, List

from ..connection import Connection
from ..objects.info import SPEC, gatherer
from ..objects.model import Observed
from . import model
from .plan import facts
from .read import ACCESS, plugs_of


def _details(connection: Connection, network: Any, observed: Observed) -> Dict[str, Any]:
    plugs = plugs_of(connection, network.name()) if observed.active is not None else ()
    return {
        **facts(model.Observed(**vars(observed), plugs=plugs)),
        "persistent": observed.persistent,
        "active": observed.active is not None,
        "leases": _leases(connection, network, observed),
    }


def _leases(connection: Connection, network: Any, observed: Observed) -> List[Dict[str, Any]]:
    if observed.active is None:
        return []
    try:
        leases = network.DHCPLeases()
    except connection.api.libvirtError:  # a network without DHCP, or a driver without leases
        return []
    return [
        {"mac": lease.get("mac"), "address": lease.get("ipaddr"), "hostname": lease.get("hostname"), "expires": lease.get("expirytime")}
        for lease in leases or []
    ]


gather = gatherer(ACCESS, "networks", _details)
__all__ = ["SPEC", "gather"]
