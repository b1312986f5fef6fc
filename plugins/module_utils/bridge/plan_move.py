# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's own addresses and routes: from a port to the bridge, and back."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Callable, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action
from .guard.routes import Words, in_order, is_of_kernel, lasting, on_device
from .guard.routes import gateways as gateways_of
from .model import Address, Desired, Link, Observed, Port, is_link_local
from .plan_actions import GiveBack, SetGateway, TakePort

Renewed = Callable[[Link, Address], bool]

_DEFAULT = {"4": "default", "6": "::/0"}


def takes(link: Link, desired: Desired) -> bool:
    """Whether the interface has something that belongs to the bridge once it is a port."""
    return desired.move is not False and bool(link.held)


def to_take(observed: Observed, desired: Desired) -> List[Link]:
    found = [observed.links[port.name] for port in desired.ports or ()]
    return [link for link in found if takes(link, desired)]


def take(observed: Observed, asked_for: str, desired: Desired, renewed: Renewed, actions: List[Action]) -> Observed:
    """A port with what it has, in one batch. asked_for: what the user calls it.

    renewed: whether somebody keeps a lease of the port's up on the bridge. One that nobody does would run out, and cut the host off then.
    """
    link, bridge = observed.links[asked_for], observed.name
    words = {item.cidr: item.words if renewed(link, item) else lasting(item.words) for item in link.held}
    kept = [cidr for cidr in words if desired.addresses is None or cidr in desired.addresses]
    there = {item.cidr for item in observed.addresses}
    new = [cidr for cidr in desired.addresses or () if cidr not in words and cidr not in there]
    gained = [*kept, *new]
    moved = [on_device(route, link.name, bridge) for route in link.routes]
    routes = _with_gateways(possible(moved, [*gained, *there]), bridge, desired)
    lines = [] if link.master == bridge else [f"link set dev {link.name} master {bridge}"]
    lines += [f"address replace {' '.join(words.get(cidr) or (cidr,))} dev {bridge}" for cidr in gained]
    lines += _moved(routes, [f"address delete {cidr} dev {link.name}" for cidr in reversed(list(words))], words)
    actions.append(TakePort(bridge, link.name, tuple(gained), _shown(routes), tuple(lines)))
    leased = {item.cidr for item in link.held if item.dynamic}
    added = tuple(Address(cidr, automatic=is_link_local(cidr)) for cidr in gained if cidr not in there and cidr not in leased)
    return replace(
        observed,
        addresses=(*observed.addresses, *added),
        routes=_merged(observed.routes, routes),
        default_route=observed.default_route or link.default_route,
        links={**observed.links, asked_for: replace(link, master=bridge, up=True, addresses=(), held=(), routes=(), default_route=False)},
    )


def _moved(routes: Sequence[Words], deletions: Sequence[str], words: Mapping[str, Words]) -> List[str]:
    """Lines that lead routes the new way, take the old addresses away, and lead the routes the new way once more.

    With an address the kernel takes away the routes that name it as their source, by whatever interface. Its own routes come with the
    addresses; only those of addresses that were set without (noprefixroute) need to be made. The deletions go backwards, because with a
    primary address its secondary ones go too.
    """
    bare = any("noprefixroute" in item for item in words.values())
    lines = [f"route replace {' '.join(route)}" for route in in_order(routes) if bare or not ("kernel" in route and is_of_kernel(route))]
    return [*lines, *deletions, *lines]


def possible(routes: Iterable[Words], cidrs: Iterable[str]) -> List[Words]:
    """The routes that the kernel takes with these addresses: gateways on the link, sources that are there."""
    ours = [ipaddress.ip_interface(cidr) for cidr in cidrs]
    sources = {str(address.ip) for address in ours}

    def reachable(gateway: str) -> bool:
        found = ipaddress.ip_address(gateway)
        return found.is_link_local or any(found.version == address.version and found in address.network for address in ours)

    def fits(words: Words) -> bool:
        source = next((words[index + 1] for index, word in enumerate(words[:-1]) if word == "src"), None)
        return all(map(reachable, gateways_of(words))) and (source is None or source in sources)

    return [words for words in routes if fits(words)]


def _is_default(words: Words, family: str) -> bool:
    return words[0] == _DEFAULT[family] and "table" not in words


def _with_gateways(routes: Sequence[Words], bridge: str, desired: Desired) -> List[Words]:
    """The routes with the default ones that the user asked for."""
    found = list(routes)
    for family, gateway in desired.gateways:
        present = [words for words in found if _is_default(words, family)]
        found = [words for words in found if words not in present]
        found.append(_default(family, gateway, bridge, present))
    return found


def _default(family: str, gateway: str, bridge: str, present: Sequence[Words]) -> Words:
    """The default route by way of the gateway, with the metric of the one whose place it takes."""
    metric = next((words[words.index("metric") + 1] for words in present if "metric" in words), None)
    if metric is None and family == "6":
        metric = "1024"  # what the kernel gives to one that names none
    return (_DEFAULT[family], "via", gateway, "dev", bridge, *(("metric", metric) if metric else ()))


def _shown(routes: Iterable[Words]) -> Tuple[str, ...]:
    return tuple(" ".join(words) for words in in_order(routes) if not is_of_kernel(words))


def _merged(old: Sequence[Words], new: Iterable[Words]) -> Tuple[Words, ...]:
    return tuple(dict.fromkeys((*old, *(words for words in new if not is_of_kernel(words)))))


# The default route of a bridge that has its addresses already


def default_gateways(observed: Observed, family: str) -> List[str]:
    return [gateway for words in observed.routes if _is_default(words, family) for gateway in _by_way_of(words)]


def _by_way_of(words: Words) -> List[str]:
    """The gateways of a route. Some daemons say onlink where nobody asked for it."""
    return gateways_of([word for word in words if word != "onlink"])


def gateways(observed: Observed, desired: Desired, actions: List[Action]) -> Observed:
    for family, gateway in desired.gateways:
        present = [words for words in observed.routes if _is_default(words, family)]
        wanted = _default(family, gateway, observed.name, present)
        if [_by_way_of(words) for words in present] == [[gateway]]:
            continue
        networks = [ipaddress.ip_interface(item.cidr).network for item in (*observed.addresses, *observed.leased)]
        if not ipaddress.ip_address(gateway).is_link_local and not any(ipaddress.ip_address(gateway) in item for item in networks):
            raise Failure(
                f"{observed.name}: gateway{family} {gateway} is in no network of the bridge's addresses, so it cannot be reached; "
                "give the bridge an address of its network (addresses), or another gateway",
                "gateway_unreachable",
            )
        lines = [f"route delete {' '.join(words)}" for words in present]
        actions.append(SetGateway(observed.name, gateway, (*lines, f"route replace {' '.join(wanted)}")))
        observed = replace(observed, routes=(*(words for words in observed.routes if words not in present), wanted), default_route=True)
    return observed


# Back to a port


def uplink(observed: Observed) -> Optional[Port]:
    """The port whose place the bridge took: it has the bridge's MAC address, which is not so by chance."""
    for port in observed.ports:
        if port.mac == observed.mac and not port.of_guest and (observed.mac_fixed or not port.kind):
            return port
    return None


def give_back(observed: Observed, desired: Desired, actions: List[Action]) -> Optional[str]:
    """Addresses and routes of a bridge that leaves go to the port that it had them from. Returns that port, released."""
    port = uplink(observed)
    held = [item for item in (*observed.addresses, *observed.leased) if not item.automatic]
    if port is None or desired.move is False or not held:
        return None
    routes = [on_device(words, observed.name, port.name) for words in observed.routes]
    lines = [f"link set dev {port.name} nomaster", f"link set dev {port.name} up"]
    # The kernel is to make the routes to the networks itself: those that a daemon made for addresses without are not known here.
    words = {item.cidr: [word for word in item.words or (item.cidr,) if word != "noprefixroute"] for item in held}
    lines += [f"address replace {' '.join(given)} dev {port.name}" for given in words.values()]
    lines += _moved(routes, [f"address delete {item.cidr} dev {observed.name}" for item in reversed(held)], {})
    actions.append(GiveBack(observed.name, port.name, tuple(item.cidr for item in held), _shown(routes), tuple(lines)))
    return port.name
