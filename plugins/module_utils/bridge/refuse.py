# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused before anything is touched, and what is warned of."""

from __future__ import annotations

from typing import List

from ..engine.errors import Failure
from .model import Desired, Link, Observed, clash
from .plan_move import takes, uplink
from .vlans import without

_STP_DELAYS = (2, 30)  # seconds; source: BR_MIN_FORWARD_DELAY and BR_MAX_FORWARD_DELAY in net/bridge/br_private.h
_VLAN_OPTIONS = ("vlan_filtering", "vlan_default_pvid", "vlan_protocol", "vlan_stats_enabled")


def refuse_absent(observed: Observed, desired: Desired) -> None:
    if desired.force:
        return
    returned = desired.rollback is not None and desired.move is not False and uplink(observed) is not None
    if (observed.default_route or observed.carries_session) and not returned:
        why = "holds the default route" if observed.default_route else "carries the connection that this task came over"
        raise Failure(
            f"{observed.name}: {why}, so deleting it would cut this host off; move the route to another interface first, or set force: true",
            "would_cut_connection",
        )
    guests = [port.name for port in observed.ports if port.of_guest]
    if guests:
        raise Failure(
            f"{observed.name}: {', '.join(guests)} of running guests are plugged into it; stop the guests first, or set force: true", "bridge_in_use"
        )


def refuse_present(observed: Observed, desired: Desired) -> List[str]:
    """Failure for what cannot or must not be done. Returns the warnings."""
    _options(observed, desired)
    _removals(observed, desired)
    _clashes(observed, desired)
    warnings: List[str] = []
    present = {port.name for port in observed.ports}
    filters = desired.options.get("vlan_filtering", observed.options.get("vlan_filtering", False))
    if desired.has_vlans and not filters:
        warnings.append(f"{observed.name}: its VLANs have no effect before it filters by them; set vlan_filtering: true")
    _states(observed, desired)
    for port in desired.ports or ():
        link = observed.links[port.name]
        if link.name not in present:
            warnings.extend(_candidate(observed.name, link, desired))
    names = [observed.links[port.name].name for port in desired.ports or ()]
    for name in names:
        if names.count(name) > 1:
            raise Failure(f"ports: {name} is listed twice, by different names; list it once with all its options", "duplicate_port")
    return warnings


def _options(observed: Observed, desired: Desired) -> None:
    name = observed.name
    delay = desired.options.get("forward_delay")
    stp = desired.options.get("stp", observed.options.get("stp", False))
    lowest, highest = _STP_DELAYS
    if stp and delay is not None and not lowest <= float(delay) <= highest:
        raise Failure(
            f"{name}: forward_delay {delay} is out of range; with STP the kernel takes {lowest} to {highest} seconds, any other needs stp: false",
            "out_of_range",
        )
    if not observed.exists:
        return
    # A kernel without VLAN filtering shows vlan_filtering (off) and none of the options that go with it.
    no_vlans = "vlan_default_pvid" not in observed.options
    for option, value in desired.options.items():
        if option not in observed.options or (option == "vlan_filtering" and value and no_vlans):
            what = "VLAN filtering" if option in _VLAN_OPTIONS else f"the bridge option {option}"
            raise Failure(f"{name}: this kernel was built without {what}; leave {option} out, or boot another kernel", "unsupported_by_kernel")
    if desired.has_vlans and no_vlans:
        raise Failure(f"{name}: this kernel was built without VLAN filtering; leave vlans out, or boot another kernel", "unsupported_by_kernel")


def _states(observed: Observed, desired: Desired) -> None:
    stp = desired.options.get("stp", observed.options.get("stp", False))
    ports = {port.name: port for port in observed.ports}
    for wanted in desired.ports or ():
        name = observed.links[wanted.name].name
        if wanted.state is None:
            continue
        if stp:
            raise Failure(f"{name}: with STP the kernel alone decides on the state of a port; leave state out, or set stp: false", "stp_decides")
        port = ports.get(name)
        if port is not None and port.up and not port.carrier and wanted.state not in ("disabled", port.state):
            raise Failure(
                f"{name}: has no carrier, without which the kernel keeps a port disabled; connect it first, or leave state out", "no_carrier"
            )


def _removals(observed: Observed, desired: Desired) -> None:
    """On the bridge that the host is reached through, taking a port or an address away may be the end of the connection."""
    if desired.force or desired.rollback is not None or not (observed.default_route or observed.carries_session):
        return
    wanted = {observed.links[port.name].name for port in desired.ports or ()}
    lost = [port.name for port in observed.ports if desired.purge and port.name not in wanted and not port.of_guest]
    if desired.addresses is not None:
        lost += [item.cidr for item in observed.addresses if not item.automatic and item.cidr not in desired.addresses]
    if observed.options.get("vlan_filtering"):
        given = {observed.links[port.name].name: port.vlans for port in desired.ports or ()}
        named = [(port.name, port.vlans, given.get(port.name)) for port in observed.ports]
        for name, there, kept in [*named, (observed.name, observed.vlans, desired.vlans)]:
            lost += [f"VLAN {item.vid} of {name}" for item in without(there, kept)] if kept is not None else []
    if lost:
        raise Failure(
            f"{observed.name}: the host is reached through it, so taking {', '.join(lost)} away may cut this host off; "
            "list what stays, or set force: true",
            "would_cut_connection",
        )


def _clashes(observed: Observed, desired: Desired) -> None:
    """A second interface in a network of the host takes that network's traffic, the gateway's included."""
    if desired.force:
        return
    present = {item.cidr for item in observed.addresses}
    for cidr in desired.addresses or ():
        found = None if cidr in present else clash(cidr, observed.elsewhere)
        if found:
            interface, other = found
            raise Failure(
                f"{observed.name}: {cidr} overlaps the network of {interface} ({other}), so its traffic would go to the bridge; "
                f"use another network, make {interface} a port, or set force: true",
                "address_clash",
            )


def _candidate(bridge: str, link: Link, desired: Desired) -> List[str]:
    """Whether an interface can become a port."""
    name = link.name
    if name == bridge or link.kind == "bridge":
        raise Failure(f"{name}: is a bridge, and a bridge cannot be a port; join two bridges with a veth pair", "port_unsuitable")
    if link.loopback:
        raise Failure(f"{name}: the loopback interface cannot be a port; leave it out of ports", "port_unsuitable")
    if link.wireless:
        raise Failure(
            f"{name}: is a Wi-Fi interface, and access points accept no frames of others from it, so it cannot be a port; use a routed network",
            "port_unsuitable",
        )
    if not link.ethernet:
        raise Failure(f"{name}: is not an Ethernet interface, so it cannot be a port; leave it out of ports", "port_unsuitable")
    if link.master:
        raise Failure(f"{name}: belongs to {link.master} already; release it there first (ip link set {name} nomaster)", "port_in_use")
    vital = link.default_route or link.carries_session
    if vital and not desired.force and (desired.rollback is None or desired.move is False):
        why = "holds the default route" if link.default_route else "carries the connection that this task came over"
        raise Failure(
            f"{name}: {why}, and nobody watches over this change; use the bridge module as a task of its own, which moves the addresses "
            "and rolls back what cuts the host off, or set confirm: gateway, or force: true",
            "would_cut_connection",
        )
    if link.addresses and not takes(link, desired):
        return [
            f"{name}: its addresses {', '.join(link.addresses)} stop answering while it is a port of {bridge}; give them to the bridge (addresses)"
        ]
    return [
        f"{name}: {item.cidr} has a lifetime and a client that renews it on {name}; the bridge gets the address as it is, so have the client "
        f"(DHCP, router advertisements) run on {bridge} before the time is over"
        for item in link.held
        if item.dynamic and takes(link, desired)
    ]
