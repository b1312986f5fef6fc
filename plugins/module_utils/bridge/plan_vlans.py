# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The VLANs of a bridge and of its ports."""

from __future__ import annotations

from dataclasses import replace
from typing import List

from ..engine.plan import Action
from .model import Desired, Observed
from .plan_actions import SetBridgeOption, SetVlans
from .vlans import Vlans, lines, shown


def vlans(before: Observed, observed: Observed, desired: Desired, actions: List[Action]) -> Observed:
    """before: as it was. observed: with the ports that it is to have.

    A new port has the default pvid, and another default pvid changes all ports, so what they have then is not relied upon.
    """
    unknown = not before.exists or before.options.get("vlan_default_pvid") != observed.options.get("vlan_default_pvid")
    there = {port.name for port in before.ports}
    wanted = {observed.links[port.name].name: port.vlans for port in desired.ports or () if port.vlans is not None}
    ports = []
    for port in observed.ports:
        given = wanted.get(port.name)
        if given is not None and (unknown or port.name not in there or port.vlans != given):
            actions.append(_set(port.name, given))
        ports.append(port if given is None else replace(port, vlans=given))
    own = desired.vlans
    if own is not None and (unknown or before.vlans != own):
        actions.append(_set(observed.name, own, of_bridge=True))
    after = replace(observed, ports=tuple(ports), vlans=observed.vlans if own is None else own)
    if filtering_last(before, desired):
        actions.append(SetBridgeOption(observed.name, "vlan_filtering", True))
        after = replace(after, options={**after.options, "vlan_filtering": True})
    return after


def _set(name: str, wanted: Vlans, of_bridge: bool = False) -> SetVlans:
    return SetVlans(name, tuple(shown(wanted)), lines(name, wanted, of_bridge))


def filtering_last(observed: Observed, desired: Desired) -> bool:
    """Whether a bridge in use begins to filter, which it must not do before its VLANs are right: all would be cut off meanwhile."""
    begins = desired.options.get("vlan_filtering") is True and observed.options.get("vlan_filtering") is False
    return observed.exists and begins and desired.has_vlans
