# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a bridge is to what it should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..engine.errors import Failure
from ..engine.plan import Action, Plan
from .fields import BRIDGE_FIELDS, Value
from .model import PORT_STATES, Address, Desired, Link, Observed, Port, WantedPort, is_link_local, network
from .model_words import INHERIT
from .persist.ifupdown import MAIN, READS_FOLDER
from .persist.model import NONE, Stored
from .plan_actions import (
    AddAddress,
    AddPort,
    BringUp,
    CreateBridge,
    DeleteBridge,
    RemoveAddress,
    RemovePort,
    SetBridgeOption,
    SetMacAddress,
    SetMtu,
    SetPortOption,
    SetPortState,
    TakePort,
)
from .plan_client import to_bridge, to_port
from .plan_guard import guarded
from .plan_move import default_gateways, gateways, give_back, take, takes, to_take
from .plan_names import live_names, pending, renewed
from .plan_names import shown as shown_names
from .plan_persist import heeded, persist, target_of
from .plan_persist import shown as shown_files
from .plan_vlans import filtering_last, vlans
from .refuse import refuse_absent, refuse_present
from .vlans import shown as shown_vlans

BRIDGE = "bridge"


def nothing(desired: Desired) -> Observed:
    links = {port.name: Link(port.name) for port in desired.ports or ()}
    return Observed(desired.name, links=links, stored=Stored(files={MAIN: READS_FOLDER}))


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    """What the user spoke of. The rest changes by itself with the ports, or cannot be predicted."""
    shown: Dict[str, Any] = {"name": observed.name, "state": "present" if observed.exists else "absent"}
    files = shown_files(observed)
    if files or desired.persist is not None:
        shown["files"] = files
    if not (observed.exists and desired.present):
        return shown
    shown["up"] = observed.up
    if desired.mac is not None:
        shown.update(mac_address=observed.mac, mac_fixed=observed.mac_fixed)
    if desired.mtu is not None:
        shown["mtu"] = observed.mtu
    shown.update((name, observed.options.get(name)) for name in desired.options)
    if desired.ports is not None:
        wanted = {observed.links[port.name].name: port for port in desired.ports}
        stranded = {link.name: {"addresses": [item.cidr for item in link.held]} for link in to_take(observed, desired)}
        shown["ports"] = [
            {"name": port.name, "up": port.up, **_shown_of(port, wanted[port.name]), **stranded.get(port.name, {})}
            if port.name in wanted
            else {"name": port.name}
            for port in sorted(observed.ports, key=lambda port: port.name)
        ]
    shown.update(shown_names(observed, desired))
    if desired.vlans is not None:
        shown["vlans"] = shown_vlans(observed.vlans)
    for family, _gateway in desired.gateways:
        shown[f"gateway{family}"] = default_gateways(observed, family)
    if desired.addresses is None and desired.ports and desired.move is not False:
        shown["addresses"] = sorted(item.cidr for item in observed.addresses if not item.automatic)
    if desired.ports and desired.move is not False:
        shown["routes"] = sorted(" ".join(words) for words in observed.routes)
    if desired.addresses is not None:
        shown["addresses"] = sorted(item.cidr for item in observed.addresses if not item.automatic or item.cidr in desired.addresses)
    return shown


def _shown_of(port: Port, wanted: WantedPort) -> Dict[str, Any]:
    """What the user spoke of."""
    found: Dict[str, Any] = {key: port.options.get(key) for key in wanted.options}
    if wanted.vlans is not None:
        found["vlans"] = shown_vlans(port.vlans)
    if wanted.state is not None:
        found["state"] = port.state
    return found


def port_options(port: Port, filtering: bool) -> Dict[str, Any]:
    """A port in the words of the module's options. Its VLANs are of interest where the bridge filters by them."""
    return {"name": port.name, **port.options, **({"vlans": shown_vlans(port.vlans)} if filtering else {})}


def facts(observed: Observed) -> Dict[str, Any]:
    """The whole bridge, in the words of the module's options."""
    shown: Dict[str, Any] = {"persistent": observed.stored.backend != NONE, "backend": observed.stored.backend}
    if observed.exists:
        shown.update(observed.options, mac_address=observed.mac, mtu=observed.mtu)
        filtering = bool(observed.options.get("vlan_filtering"))
        shown["ports"] = [port_options(port, filtering) for port in sorted(observed.ports, key=lambda port: port.name)]
        if filtering:
            shown["vlans"] = shown_vlans(observed.vlans)
        shown["addresses"] = [item.cidr for item in observed.addresses if not item.automatic]
    return shown


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if observed.exists and observed.kind != BRIDGE:
        kind = f"a {observed.kind} interface" if observed.kind else "a network card"
        raise Failure(f"{observed.name}: is {kind}, not a bridge; use another name for the bridge", "name_taken")
    return _present(observed, desired) if desired.present else _absent(observed, desired)


def _absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    actions: List[Action] = []
    if not observed.exists:
        after = persist(observed, observed, desired, actions, [])
        return Plan(guarded(observed, desired, actions), after)
    refuse_absent(observed, desired)
    heir = give_back(observed, desired, actions)
    to_port(observed, heir, actions)
    actions.extend(RemovePort(observed.name, port.name) for port in observed.ports if port.name != heir)
    after = persist(observed, Observed(observed.name), desired, actions, [])
    actions.append(DeleteBridge(observed.name))  # last: NetworkManager makes a bridge anew that it still has a profile of
    return Plan(guarded(observed, desired, actions), after)


def _present(observed: Observed, desired: Desired) -> Plan[Observed]:
    warnings = refuse_present(observed, desired)
    desired = heeded(observed, desired, warnings)
    actions: List[Action] = []
    after = _bridge_itself(observed, desired, actions)
    if to_take(observed, desired):
        after = _up(after, actions)  # before routes lead through it
    after = _ports(after, desired, actions)
    after = vlans(observed, after, desired, actions)
    after = _mtu(observed, after, desired, actions)
    after = _addresses(after, desired, actions)
    after = _up(after, actions)
    after = _states(after, desired, actions)
    after = gateways(after, desired, actions)
    after = persist(observed, after, desired, actions, warnings)
    after = live_names(after, desired, actions)
    after = to_bridge(observed, after, desired, actions)
    return Plan(guarded(observed, desired, actions), after, pending(observed, after, desired), tuple(warnings))


def _up(observed: Observed, actions: List[Action]) -> Observed:
    if not observed.up:
        actions.append(BringUp(observed.name))
    return replace(observed, up=True)


def _bridge_itself(observed: Observed, desired: Desired, actions: List[Action]) -> Observed:
    mac = _wanted_mac(observed, desired)
    fixed = observed.mac_fixed or mac is not None
    if not observed.exists:
        actions.append(CreateBridge(desired.name, mac, _at_creation(desired)))
        of_kernel: Mapping[str, Value] = {"vlan_filtering": False, "vlan_default_pvid": 1} if desired.has_vlans else {}
        return replace(observed, kind=BRIDGE, options={**of_kernel, **desired.options}, mac=mac, mac_fixed=fixed)
    if mac is not None and (mac != observed.mac or not observed.mac_fixed):
        actions.append(SetMacAddress(desired.name, mac))
    options = {**observed.options, **desired.options}
    if filtering_last(observed, desired):
        options["vlan_filtering"] = False
    for name in _in_order(desired.options):
        if observed.options[name] != options[name]:
            actions.append(SetBridgeOption(desired.name, name, options[name]))
    return replace(observed, options=options, mac=mac or observed.mac, mac_fixed=fixed)


def _at_creation(desired: Desired) -> Mapping[str, Value]:
    """A kernel without VLAN filtering refuses vlan_filtering, even off, and takes its other options without keeping them.

    So that they are refused too, vlan_filtering goes with them; and off alone, which every new bridge is, stays out.
    """
    options = desired.options
    if desired.has_vlans or {"vlan_default_pvid", "vlan_protocol", "vlan_stats_enabled"} & set(options):
        return {"vlan_filtering": False, **options}
    return {name: value for name, value in options.items() if (name, value) != ("vlan_filtering", False)}


def _in_order(options: Mapping[str, Value]) -> Sequence[str]:
    """The table's order, with STP switched off first and on last: with STP on, the kernel takes fewer forward delays."""
    names = [field.name for field in BRIDGE_FIELDS if field.name in options and field.name != "stp"]
    if "stp" not in options:
        return names
    return [*names, "stp"] if options["stp"] else ["stp", *names]


def _wanted_mac(observed: Observed, desired: Desired) -> Optional[str]:
    if desired.mac == INHERIT and desired.ports:
        return observed.links[desired.ports[0].name].mac
    moved = to_take(observed, desired)
    if desired.mac is None and moved:
        return moved[0].mac  # what the network knows the host by: leases, neighbours' tables
    return desired.mac


def _ports(observed: Observed, desired: Desired, actions: List[Action]) -> Observed:
    if desired.ports is None:
        return observed
    wanted = {observed.links[port.name].name: port for port in desired.ports}
    ports = list(observed.ports)
    if desired.purge:
        released = [port for port in ports if port.name not in wanted and not port.of_guest]
        actions.extend(RemovePort(observed.name, port.name) for port in released)
        ports = [port for port in ports if port not in released]
    known = {port.name: port for port in ports}
    kept_up = renewed(observed, target_of(desired, observed.stored, []))
    for name, port in wanted.items():
        link = observed.links[port.name]
        if takes(link, desired):
            if not link.up:
                actions.append(BringUp(name))
                link = replace(link, up=True)
            observed = take(observed, port.name, desired, kept_up, actions)
            current = known.get(name) or Port(link.name, kind=link.kind, mtu=link.mtu, mac=link.mac)
            known[name] = _port(observed, replace(current, up=True), port, actions)
        else:
            known[name] = _port(observed, known.get(name), port, actions)
    return replace(observed, ports=tuple(known.values()))


def _port(observed: Observed, current: Optional[Port], wanted: WantedPort, actions: List[Action]) -> Port:
    if current is None:
        link = observed.links[wanted.name]
        actions.append(AddPort(observed.name, link.name))
        current = Port(link.name, kind=link.kind, mtu=link.mtu, up=link.up, mac=link.mac)
    for option, value in wanted.options.items():
        if current.options.get(option) != value:
            actions.append(SetPortOption(current.name, option, value))
    if not current.up:
        actions.append(BringUp(current.name))
    return replace(current, up=True, options={**current.options, **wanted.options})


def _states(observed: Observed, desired: Desired, actions: List[Action]) -> Observed:
    """After all else: what ip sets of a port, and a bridge that comes up, have the kernel look at its carrier anew, which makes it forwarding."""
    states = {observed.links[port.name].name: port.state for port in desired.ports or () if port.state is not None}
    touched = {action.target for action in actions if isinstance(action, (SetPortOption, BringUp))}
    touched.update(action.port for action in actions if isinstance(action, (AddPort, TakePort)))
    for port in observed.ports:
        state = states.get(port.name)
        if state is not None and (port.state != state or touched & {port.name, observed.name}):
            actions.append(SetPortState(port.name, state, PORT_STATES.index(state)))
    return replace(observed, ports=tuple(replace(port, state=states.get(port.name) or port.state) for port in observed.ports))


def _mtu(before: Observed, observed: Observed, desired: Desired, actions: List[Action]) -> Observed:
    """After the ports: unless somebody set it, the kernel makes the MTU that of the smallest port whenever ports change."""
    if desired.mtu is None:
        return observed
    moved = {port.name for port in before.ports} != {port.name for port in observed.ports}
    if observed.mtu != desired.mtu or (moved and any(port.mtu != desired.mtu for port in (*before.ports, *observed.ports))):
        actions.append(SetMtu(observed.name, desired.mtu))
    return replace(observed, mtu=desired.mtu)


def _addresses(observed: Observed, desired: Desired, actions: List[Action]) -> Observed:
    if desired.addresses is None:
        return observed
    removed = tuple(item for item in observed.addresses if not item.automatic and item.cidr not in desired.addresses)
    actions.extend(RemoveAddress(observed.name, item.cidr) for item in removed)
    # With its primary address the kernel takes away the secondary ones of the same network, unless promote_secondaries is set.
    networks = {network(item.cidr) for item in removed if not item.secondary}
    kept = [item for item in observed.addresses if item not in removed]
    lost = {item.cidr for item in kept if item.secondary and network(item.cidr) in networks}
    known = {item.cidr for item in kept}
    added = tuple(cidr for cidr in desired.addresses if cidr in lost or cidr not in known)
    actions.extend(AddAddress(observed.name, cidr) for cidr in added)
    new = tuple(Address(cidr, automatic=is_link_local(cidr)) for cidr in added if cidr not in known)
    return replace(observed, addresses=(*kept, *new))
