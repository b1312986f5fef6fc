# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses that a router or a DHCP server gives, and name servers: what is live of them, what waits, and what nobody would ever do.

They are the work of daemons. systemd-networkd does it as soon as it has read our files. Elsewhere the kernel is told of router
advertisements and systemd-resolved of name servers, and what is left is pending until the next start.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action
from .model import Address, Desired, Link, Observed
from .persist import netplan
from .persist.model import ACCEPT_RA, IFUPDOWN, NETPLAN, NETWORKD, NETWORKMANAGER, NONE, Stored
from .plan_actions import SetAcceptRa, SetDns
from .plan_client import leases_of
from .plan_move import Renewed, to_take


def _daemon(stored: Stored) -> str:
    """Whose files say what the bridge has."""
    return netplan.daemon(stored) if stored.backend == NETPLAN else stored.backend


def _serves(stored: Stored) -> bool:
    """Whether a daemon acts on our files as soon as they are read."""
    return _daemon(stored) == NETWORKD and NETWORKD in stored.running


def renewed(before: Observed, backend: str) -> Renewed:
    """Whether a lease of a port's that moves to the bridge is kept up there. backend: what is to keep the bridge."""
    serves = _serves(replace(before.stored, backend=backend))

    def by_somebody(link: Link, item: Address) -> bool:
        if serves or not item.dynamic:
            return True
        # The kernel does so for what routers advertise, unless it was told to leave that to NetworkManager.
        return NETWORKMANAGER not in before.stored.running if ":" in item.cidr else link.name in before.clients

    return by_somebody


def _in_kernel(observed: Observed) -> bool:
    """Whether router advertisements are the kernel's to obey, so that its own value counts. systemd-networkd and NetworkManager do it themselves."""
    return _daemon(observed.stored) in (NONE, IFUPDOWN)


def live_names(after: Observed, desired: Desired, actions: List[Action]) -> Observed:
    """after: as the bridge is to be, kept by whatever it is to be kept by."""
    _refuse(after, desired)
    if desired.accept_ra is not None and _in_kernel(after):
        value = ACCEPT_RA[desired.accept_ra]
        if after.accept_ra != value:
            actions.append(SetAcceptRa(after.name, desired.accept_ra, value))
        after = replace(after, accept_ra=value)
    if after.resolver is not None and not _serves(after.stored):
        wanted = (desired.nameservers, desired.search)
        changed = [None if given == there else given for given, there in zip(wanted, after.resolver)]
        if any(given is not None for given in changed):
            actions.append(SetDns(after.name, changed[0], changed[1]))
        servers, search = (there if given is None else given for given, there in zip(wanted, after.resolver))
        after = replace(after, resolver=(servers, search))
    return after


def _refuse(after: Observed, desired: Desired) -> None:
    name = after.name
    if after.stored.backend == NONE:
        for option, wanted in (("dhcp4", desired.dhcp4), ("dhcp6", desired.dhcp6)):
            if wanted:
                raise Failure(
                    f"{name}: {option} needs a network configuration that asks for the address; set persist: auto, or give addresses", "no_back_end"
                )
        if (desired.nameservers or desired.search) and after.resolver is None:
            raise Failure(f"{name}: nothing here keeps name servers for it, nor does systemd-resolved run; set persist: auto", "no_back_end")
    kept = after.stored.kept
    if desired.dhcp4 is False and kept and kept.leased and not desired.force and not any(":" not in cidr for cidr in kept.addresses):
        raise Failure(
            f"{name}: has its IPv4 address by DHCP and would have none after the next start of the network; list the one to stay in addresses, "
            "or set force: true",
            "would_cut_connection",
        )
    if desired.accept_ra is not None and after.accept_ra is None and _in_kernel(after):
        raise Failure(f"{name}: this kernel has no IPv6, so there are no router advertisements; leave accept_ra out", "unsupported_by_kernel")


def pending(before: Observed, after: Observed, desired: Desired) -> Tuple[str, ...]:
    """What is kept, and nobody does before the next start of the network."""
    if after.stored.backend == NONE or _serves(after.stored):
        return ()
    leased = list(before.leased) + [item for link in to_take(before, desired) for item in leases_of(link, desired)]
    found = [
        name
        for name, wanted, six in (("dhcp4", desired.dhcp4, False), ("dhcp6", desired.dhcp6, True))
        if wanted and not any((":" in item.cidr) == six for item in leased)
    ]
    if desired.accept_ra is not None and _daemon(after.stored) == NETWORKMANAGER and not after.stored.activated:
        found.append("accept_ra")
    names = {*(desired.nameservers or ()), *(desired.search or ())}
    return (*found, *(["dns"] if after.resolver is None and names - set(after.resolv_conf) else []))


def shown(observed: Observed, desired: Desired) -> Dict[str, Any]:
    """What the user spoke of: as it is live where that can be told, else as it is kept."""
    kept = observed.stored.kept if observed.stored.backend != NONE else None
    found: Dict[str, Any] = {}
    if desired.dhcp4 is not None:
        found["dhcp4"] = kept is not None and kept.asks4
    if desired.dhcp6 is not None:
        found["dhcp6"] = kept.dhcp6 if kept else None
    if desired.accept_ra is not None:
        live = {value: said for said, value in ACCEPT_RA.items()}.get(observed.accept_ra or "", observed.accept_ra)
        found["accept_ra"] = live if _in_kernel(observed) else kept and kept.accept_ra
    resolver = observed.resolver if not _serves(observed.stored) else None
    servers, search = resolver or ((kept.nameservers, kept.search) if kept else (None, None))
    dns = {"nameservers": (desired.nameservers, servers), "search": (desired.search, search)}
    given = {key: list(there or ()) for key, (wanted, there) in dns.items() if wanted is not None}
    return {**found, **({"dns": given} if given else {})}
