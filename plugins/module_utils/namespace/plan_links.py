# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the links that are in a network namespace to those that should be."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Tuple

from ..engine.errors import Failure, NotReady
from ..engine.plan import Action
from . import actions as do
from .model import Desired, Interface, Observed, WantedInterface
from .model_routes import unreachable

VETH = "veth"


def links(observed: Observed, desired: Desired) -> Tuple[List[Action], Observed]:
    steps: List[Action] = []
    if desired.interfaces == ():
        steps = [do.RemoveInterface(desired.name, item.name, item.kind == VETH) for item in observed.interfaces]
        return steps, replace(observed, interfaces=())
    for wanted in desired.interfaces or ():
        more, found = _interface(observed, desired.name, wanted)
        steps += more
        others = [item for item in observed.interfaces if item.name != wanted.name]
        observed = replace(observed, interfaces=tuple(sorted([*others, found], key=lambda item: item.name)))
    return steps, observed


def _interface(observed: Observed, name: str, wanted: WantedInterface) -> Tuple[List[Action], Interface]:
    steps: List[Action] = []
    found = observed.interface(wanted.name)
    if wanted.bridge and wanted.bridge not in observed.links:
        raise NotReady(f"interfaces: {wanted.name}: no bridge {wanted.bridge} on this host; create it first", "bridge_missing")
    if found is None:
        found, step = _made(observed, name, wanted)
        steps.append(step)
    elif (found.kind == VETH and found.peer is not None) != (wanted.peer is not None) or (wanted.peer and found.peer != wanted.peer):
        raise Failure(
            f"interfaces: {wanted.name}: is there already and is not the end of {wanted.peer or wanted.link}; use another name, or remove it first",
            "name_taken",
        )
    peer = wanted.peer
    if peer and wanted.bridge is not None and (found.master or "") != wanted.bridge:
        steps.append(do.SetBridge(name, peer, wanted.bridge))
        found = replace(found, master=wanted.bridge or None)
    if wanted.mtu is not None and found.mtu != wanted.mtu:
        steps.append(do.SetMtu(name, wanted.name, wanted.mtu))
        found = replace(found, mtu=wanted.mtu)
    steps += _superfluous(name, wanted, found)
    if wanted.addresses is not None:
        steps += [do.RemoveAddress(name, wanted.name, text) for text in found.addresses if text not in wanted.addresses]
        steps += [do.AddAddress(name, wanted.name, text) for text in wanted.addresses if text not in found.addresses]
        found = replace(found, addresses=tuple(sorted(wanted.addresses)))
    if not found.up:
        steps.append(do.BringUp(name, wanted.name))
        found = replace(found, up=True)
    if wanted.routes is not None:
        moved = any(isinstance(step, do.RemoveAddress) for step in steps)
        steps += _missing(name, wanted, found, moved)
        found = replace(found, routes=wanted.routes)
    if peer and not found.peer_up:
        steps.append(do.BringPeerUp(name, peer))
        found = replace(found, peer_up=True)
    return steps, found


def _superfluous(name: str, wanted: WantedInterface, found: Interface) -> List[Action]:
    """Routes that are to go, before the addresses whose going might take them along."""
    kept = {(route.to, route.family) for route in wanted.routes or ()}
    gone = [route for route in found.routes if wanted.routes is not None and (route.to, route.family) not in kept]
    return [do.RemoveRoute(name, wanted.name, route.to, route.via, route.family) for route in gone]


def _missing(name: str, wanted: WantedInterface, found: Interface, moved: bool) -> List[Action]:
    """moved: an address went, and the kernel may have taken away routes by it. So all that are to be are said again."""
    lost = unreachable(wanted.routes or (), found.addresses)
    if lost:
        networks = ", ".join(found.addresses) or "it has none"
        raise Failure(
            f"interfaces: {wanted.name}: {lost.via}, the gateway to {lost.to}, is on none of its networks ({networks}); give it an address there",
            "gateway_unreachable",
        )
    return [do.AddRoute(name, wanted.name, route.to, route.via, route.family) for route in wanted.routes or () if moved or route not in found.routes]


def _made(observed: Observed, name: str, wanted: WantedInterface) -> Tuple[Interface, Action]:
    if wanted.peer is not None:
        if wanted.peer in observed.links:
            raise Failure(f"interfaces: {wanted.name}: the host has a link {wanted.peer} already; use another name for the peer", "name_taken")
        return Interface(wanted.name, VETH, peer=wanted.peer), do.AddVeth(name, wanted.name, wanted.peer)
    link = wanted.link or ""
    if link not in observed.links:
        raise NotReady(f"interfaces: {wanted.name}: no link {link} on this host; create it first", "link_missing")
    # Its addresses stay behind when it moves; so does its being up.
    there = observed.links[link]
    return Interface(wanted.name, there.kind, mtu=there.mtu), do.MoveLink(name, wanted.name, link)
