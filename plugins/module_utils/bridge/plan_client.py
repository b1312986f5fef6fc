# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DHCP clients that no daemon of the network moves along: with the lease goes the client that renews it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional, Tuple

from ..engine.plan import Action
from .guard.clients import leases, moved
from .model import Desired, Link, Observed
from .plan_actions import MoveClient
from .plan_move import to_take


def leased4(before: Observed, desired: Desired) -> bool:
    """Whether the bridge has, or is about to take, an IPv4 address by DHCP."""
    held = [item for link in to_take(before, desired) for item in leases_of(link, desired)]
    return any(item.dynamic and ":" not in item.cidr for item in (*before.leased, *held))


def leases_of(link: Link, desired: Desired) -> List[Any]:
    return [item for item in link.held if item.dynamic and (desired.addresses is None or item.cidr in desired.addresses)]


def to_bridge(before: Observed, after: Observed, desired: Desired, actions: List[Action]) -> Observed:
    """From the ports that the bridge has the addresses of. Where it is to have none by DHCP, they end."""
    if desired.move is False:
        return after
    kept = after.stored.kept
    asks = kept.asks4 if kept else leased4(before, desired)
    clients = dict(after.clients)
    for name in (after.links[port.name].name for port in desired.ports or ()):
        if name in clients:
            _move(clients, name, after.name if asks and after.name not in clients else None, actions)
    return replace(after, clients=clients)


def to_port(observed: Observed, heir: Optional[str], actions: List[Action]) -> None:
    """Before the bridge leaves."""
    if observed.name in observed.clients:
        _move(dict(observed.clients), observed.name, heir, actions)


def _move(clients: Dict[str, Tuple[str, ...]], old: str, new: Optional[str], actions: List[Action]) -> None:
    argv = clients.pop(old)
    if new is None:
        actions.append(MoveClient(old, None))
        return
    clients[new] = moved(argv, old, new)
    actions.append(MoveClient(old, new, clients[new], leases(argv, old, new)))
