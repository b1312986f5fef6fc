# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses and routes as the words that ip takes, from its own JSON. Pure, and of the standard library alone: the watchdog uses it too."""

from __future__ import annotations

import ipaddress
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

Words = Tuple[str, ...]

# The kernel makes these by itself with every address; nobody has to move or to restore them.
_AUTOMATIC_TYPES = ("local", "broadcast", "anycast", "multicast")
_AUTOMATIC_NETWORKS = ("fe80::/64", "ff00::/8", "multicast")
_FOREVER = 2**32 - 1  # seconds; what ip shows as the lifetime of an address without one
_YEARS = str(10 * 365 * 24 * 3600)  # seconds


def cidr(entry: Mapping[str, Any]) -> str:
    """An item of addr_info → 203.0.113.7/24."""
    return ipaddress.ip_interface(f"{entry['local']}/{entry['prefixlen']}").with_prefixlen


def address_words(entry: Mapping[str, Any], passed: float = 0) -> Words:
    """An item of addr_info → what follows "address replace", without the device. passed: seconds since it was read."""
    found = [cidr(entry)]
    if "address" in entry:
        found[:] = [entry["local"], "peer", f"{entry['address']}/{entry['prefixlen']}"]
    if "broadcast" in entry:
        found += ["broadcast", entry["broadcast"]]
    if entry.get("scope", "global") != "global":
        found += ["scope", entry["scope"]]
    if entry.get("metric"):
        found += ["metric", str(entry["metric"])]
    for key, word in (("valid_life_time", "valid_lft"), ("preferred_life_time", "preferred_lft")):
        if entry.get(key, _FOREVER) != _FOREVER:
            found += [word, str(max(int(entry[key] - passed), 1 if word == "valid_lft" else 0))]
    if entry.get("family") == "inet6":
        found.append("nodad")  # it answered here a moment ago: asking the network again would only make it silent for a second
    return (*found, *(flag for flag in ("noprefixroute", "mngtmpaddr", "home") if entry.get(flag)))


def lasting(words: Sequence[str]) -> Words:
    """The same address, for as long as this host runs, and still told from one that somebody set."""
    ends = ("valid_lft", "preferred_lft")
    return tuple(_YEARS if index and words[index - 1] in ends and word != "0" else word for index, word in enumerate(words))


def devices(route: Mapping[str, Any]) -> List[str]:
    """The interfaces of a route, those of all next hops included."""
    return [hop["dev"] for hop in [route, *route.get("nexthops", [])] if "dev" in hop]


def is_automatic(route: Mapping[str, Any]) -> bool:
    return (
        route.get("type", "unicast") in _AUTOMATIC_TYPES
        or route.get("table") == "local"
        or (route.get("dst") in _AUTOMATIC_NETWORKS and route.get("protocol") == "kernel")
        or "cache" in route.get("flags", [])
        or "cloned" in route.get("flags", [])
    )


def is_of_kernel(words: Sequence[str]) -> bool:
    """Whether the route comes and goes with an address or a router's advertisement, which no prediction can know."""
    return any(pair in (("proto", "kernel"), ("proto", "ra")) for pair in zip(words, words[1:]))


def _hop(hop: Mapping[str, Any]) -> List[str]:
    found: List[str] = []
    if "via" in hop:
        found += ["via", hop["via"]["family"], hop["via"]["host"]]
    elif "gateway" in hop:
        found += ["via", hop["gateway"]]
    if "dev" in hop:
        found += ["dev", hop["dev"]]
    return found + (["onlink"] if "onlink" in hop.get("flags", []) else [])


def route_words(route: Mapping[str, Any], family: str, passed: float = 0) -> Words:
    """A route of "ip -j route" → default via 203.0.113.1 dev eth0 metric 100.

    family: 4 or 6. The default route of IPv6 is ::/0, so that the words alone tell the family, in a batch as well.
    The same route always gives the same words (but for what is left of a lifetime), so that routes can be compared.
    """
    found = [] if route.get("type", "unicast") == "unicast" else [str(route["type"])]
    found += ["::/0" if (family, route["dst"]) == ("6", "default") else route["dst"], *([] if "nexthops" in route else _hop(route))]
    named = (("metric", "metric"), ("protocol", "proto"), ("scope", "scope"), ("prefsrc", "src"), ("table", "table"), ("tos", "tos"))
    for key, word in named:
        if route.get(key) not in (None, "global", "boot") and (key, route.get(key)) != ("table", "main"):
            found += [word, str(route[key])]
    if route.get("pref") not in (None, "medium"):
        found += ["pref", route["pref"]]
    for metrics in route.get("metrics", []):
        for key, value in sorted(metrics.items()):
            found += [key, str(value)]
    if route.get("expires"):
        found += ["expires", str(max(int(route["expires"] - passed), 1))]
    for hop in route.get("nexthops", []):
        found += ["nexthop", *_hop(hop), "weight", str(hop.get("weight", 1))]
    return tuple(found)


def on_device(words: Iterable[str], old: str, new: str) -> Words:
    """The same route by way of another interface."""
    given = list(words)
    return tuple(new if word == old and index and given[index - 1] == "dev" else word for index, word in enumerate(given))


def key(words: Sequence[str]) -> Words:
    """What a route is recognised by: its words without the lifetime."""
    return tuple(word for index, word in enumerate(words) if word != "expires" and (not index or words[index - 1] != "expires"))


def in_order(routes: Iterable[Words]) -> List[Words]:
    """First the routes to networks on the link, then those by way of a gateway, which must be reachable."""
    return sorted(routes, key=lambda words: ("via" in words, words))


def gateways(words: Sequence[str]) -> List[str]:
    """The gateways of a route that must be reachable on the link."""
    if "onlink" in words:
        return []
    found = [words[index + 1] for index, word in enumerate(words[:-1]) if word == "via"]
    return [text for text in found if text not in ("inet", "inet6")]


def family_of(address: str) -> str:
    return str(ipaddress.ip_interface(address).version)


def described(routes: Iterable[Mapping[str, Any]], family: str, device: Optional[str] = None) -> Tuple[Words, ...]:
    """The routes of an interface, or of all, that were not made by the kernel alone for its own addresses."""
    return tuple(route_words(route, family) for route in routes if not is_automatic(route) and (device is None or device in devices(route)))
