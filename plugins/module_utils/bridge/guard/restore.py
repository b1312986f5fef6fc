# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What brings a host's network back: from the snapshot and what is observed now, the commands that lead there. Pure.

Nothing is replayed blindly: a command is planned only for a difference, so that a change that failed half-way is undone just as far as
it went, and planning again after everything was restored asks for nothing.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from .routes import address_words, cidr, devices, in_order, is_automatic, key, route_words

Json = Dict[str, Any]
Command = Tuple[str, ...]

# What the kernel lets us write of a bridge and of a port, in ip's words, which its JSON has as well.
BRIDGE_WORDS = (
    "forward_delay",
    "hello_time",
    "max_age",
    "ageing_time",
    "stp_state",
    "priority",
    "vlan_filtering",
    "vlan_protocol",
    "vlan_default_pvid",
    "vlan_stats_enabled",
    "vlan_stats_per_port",
    "group_fwd_mask",
    "group_address",
    "no_linklocal_learn",
    "mcast_snooping",
    "mcast_router",
    "mcast_querier",
    "mcast_query_use_ifaddr",
    "mcast_igmp_version",
    "mcast_mld_version",
    "mcast_stats_enabled",
    "mcast_hash_max",
    "mcast_last_member_count",
    "mcast_startup_query_count",
    "nf_call_iptables",
    "nf_call_ip6tables",
    "nf_call_arptables",
)
PORT_WORDS = (
    "priority",
    "cost",
    "guard",
    "hairpin",
    "fastleave",
    "root_block",
    "learning",
    "flood",
    "mcast_flood",
    "bcast_flood",
    "mcast_to_unicast",
    "neigh_suppress",
    "isolated",
    "locked",
    "mcast_router",
    "proxy_arp",
    "proxy_arp_wifi",
    "group_fwd_mask",
)
# Where ip's JSON has another name than its command line.
_SHOWN_AS = {
    "group_address": "group_addr",
    "mcast_last_member_count": "mcast_last_member_cnt",
    "mcast_startup_query_count": "mcast_startup_query_cnt",
}
_PORT_SHOWN_AS = {"mcast_router": "multicast_router"}
#: Source: BR_STATE_* in linux/if_bridge.h, in the order of their numbers.
PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
#: A command that is no program's: the path of a file of the kernel's, and what to write there.
WRITE = "write"
# Kept in ticks of the kernel's clock: an odd hundredth of a second is the even one above it (see the table of fields).
_TIMES = ("forward_delay", "hello_time", "max_age", "ageing_time")


def restore(before: Mapping[str, Any], now: Mapping[str, Any], scope: Sequence[str], passed: float = 0) -> List[Command]:
    """The commands, in order; the first word is the tool, ip or bridge, or WRITE.

    before, now: what change.observe gave: links with addresses, routes and rules of both families, vlans, accept_ra.
    scope: the interfaces that the change was about; no other is touched. passed: seconds since the snapshot.
    """
    old = {item["ifname"]: item for item in before["links"] if item["ifname"] in scope}
    new = {item["ifname"]: item for item in now["links"] if item["ifname"] in scope}
    commands: List[Command] = []
    for name in new:
        if name not in old:
            commands.append(("ip", "link", "delete", "dev", name))
    for name, item in old.items():
        if name not in new and _kind(item) == "bridge":
            commands.append(("ip", "link", "add", "name", name, "address", item["address"], "type", "bridge"))
    for name, item in old.items():
        # A bridge that was missing is seen in full on the next look.
        current = new.get(name)
        if current is not None:
            commands.extend(_link(item, current))
    for name, item in old.items():
        commands.extend(_vlans(name, before, now))
        commands.extend(_addresses(item, new.get(name, {}), passed))
    commands.extend(_routes(before, now, scope, passed))
    commands.extend(_rules(before, now))
    commands.extend(_router_advertisements(before, now, old))
    for name, item in old.items():
        commands.extend(_port_state(item, new.get(name), old.get(item.get("master", ""))))
    return commands


def _kind(item: Mapping[str, Any]) -> str:
    return str(item.get("linkinfo", {}).get("info_kind", ""))


def _link(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Command]:
    device = ("ip", "link", "set", "dev", old["ifname"])
    if old.get("master") != new.get("master"):
        yield (*device, "master", old["master"]) if old.get("master") else (*device, "nomaster")
    if old.get("address") != new.get("address") and old.get("link_type") == "ether":
        yield (*device, "address", old["address"])
    if old["mtu"] != new["mtu"]:
        yield (*device, "mtu", str(old["mtu"]))
    if ("UP" in old["flags"]) != ("UP" in new["flags"]):
        yield (*device, "up" if "UP" in old["flags"] else "down")
    before, now = old.get("linkinfo", {}), new.get("linkinfo", {})
    if _kind(old) == "bridge":
        for word, value in _changed(BRIDGE_WORDS, _SHOWN_AS, before.get("info_data", {}), now.get("info_data", {})):
            yield (*device, "type", "bridge", word, _number(word, value))
    if old.get("master") and old.get("master") == new.get("master"):
        for word, value in _changed(PORT_WORDS, _PORT_SHOWN_AS, before.get("info_slave_data", {}), now.get("info_slave_data", {})):
            yield (*device, "type", "bridge_slave", word, ("on" if value else "off") if isinstance(value, bool) else str(value))


def _changed(words: Sequence[str], shown: Mapping[str, str], before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Tuple[str, Any]]:
    for word in words:
        name = shown.get(word, word)
        if name in before and _number(word, before[name]) != _number(word, now.get(name, "")):
            yield word, before[name]


def _number(word: str, value: Any) -> str:
    if word in _TIMES and isinstance(value, int):
        return str(value + value % 2)
    return str(int(value)) if isinstance(value, bool) else str(value)


def _router_advertisements(before: Mapping[str, Any], now: Mapping[str, Any], names: Iterable[str]) -> Iterator[Command]:
    old, new = before.get("accept_ra", {}), now.get("accept_ra", {})
    for name in names:
        if name in old and name in new and old[name] != new[name]:
            yield (WRITE, accept_ra_knob(name), old[name])


def accept_ra_knob(link: str) -> str:
    return f"/proc/sys/net/ipv6/conf/{link}/accept_ra"


def _port_state(old: Mapping[str, Any], new: Optional[Mapping[str, Any]], bridge: Optional[Mapping[str, Any]]) -> Iterator[Command]:
    """After all else of the port, which has the kernel look at its carrier anew. With a spanning tree the state is the kernel's own work."""
    if not new or not bridge or bridge.get("linkinfo", {}).get("info_data", {}).get("stp_state"):
        return
    state, live = (item.get("linkinfo", {}).get("info_slave_data", {}).get("state") for item in (old, new))
    there = old.get("master") == new.get("master") and all("LOWER_UP" in item["flags"] for item in (old, new))
    if there and state in PORT_STATES and state != live:
        yield ("bridge", "link", "set", "dev", old["ifname"], "state", str(PORT_STATES.index(state)))


def _addresses(old: Mapping[str, Any], new: Mapping[str, Any], passed: float) -> Iterator[Command]:
    wanted = {cidr(entry): entry for entry in old.get("addr_info", []) if "local" in entry}
    present = {cidr(entry) for entry in new.get("addr_info", []) if "local" in entry}
    expired = {name for name, entry in wanted.items() if entry.get("valid_life_time", passed + 1) <= passed}
    for name in sorted(present - set(wanted)):
        if not name.startswith("fe80:"):
            yield ("ip", "address", "delete", name, "dev", old["ifname"])
    for name, entry in wanted.items():
        if name not in present and name not in expired:
            yield ("ip", "address", "replace", *address_words(entry, passed), "dev", old["ifname"])


def _vlans(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Command]:
    old, new = _memberships(before, name), _memberships(now, name)
    for vid in sorted(set(new) - set(old)):
        yield ("bridge", "vlan", "delete", "vid", str(vid), "dev", name, *new[vid][1:])
    for vid in sorted(old):
        if old[vid] != new.get(vid):
            yield ("bridge", "vlan", "add", "vid", str(vid), "dev", name, *(word for word in old[vid] if word))


def _memberships(state: Mapping[str, Any], name: str) -> Dict[int, Tuple[str, ...]]:
    found: Dict[int, Tuple[str, ...]] = {}
    own = ("self",) if any(item["ifname"] == name and _kind(item) == "bridge" for item in state["links"]) else ()
    for item in state.get("vlans", []):
        if item.get("ifname") != name:
            continue
        for entry in item.get("vlans", []):
            flags = entry.get("flags", [])
            words = ("pvid" if "PVID" in flags else "", "untagged" if "Egress Untagged" in flags else "", *own)
            for vid in range(entry["vlan"], entry.get("vlanEnd", entry["vlan"]) + 1):
                found[vid] = words
    return found


def _routes(before: Mapping[str, Any], now: Mapping[str, Any], scope: Sequence[str], passed: float) -> Iterator[Command]:
    for family in ("4", "6"):
        old = {key(words): words for words in _of_scope(before[f"routes{family}"], family, scope, passed)}
        new = {key(words): words for words in _of_scope(now[f"routes{family}"], family, scope, 0)}
        for words in in_order(new.values()):
            if key(words) not in old:
                yield ("ip", "route", "delete", *key(words))
        for words in in_order(old.values()):
            if key(words) not in new:
                yield ("ip", "route", "replace", *words)


def _of_scope(routes: Sequence[Mapping[str, Any]], family: str, scope: Sequence[str], passed: float) -> List[Tuple[str, ...]]:
    return [route_words(route, family, passed) for route in routes if not is_automatic(route) and set(devices(route)) & set(scope)]


def _rules(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Command]:
    """Rules that are gone come back; those that others made meanwhile stay."""
    for family in ("4", "6"):
        present = {_rule(rule) for rule in now.get(f"rules{family}", [])}
        for rule in before.get(f"rules{family}", []):
            if _rule(rule) not in present:
                yield ("ip", f"-{family}", "rule", "add", *_rule(rule))


def _rule(rule: Mapping[str, Any]) -> Tuple[str, ...]:
    found = ["priority", str(rule.get("priority", 0))]
    for name, length, word in (("src", "srclen", "from"), ("dst", "dstlen", "to")):
        if rule.get(name) not in (None, ""):
            found += [word, rule[name] + (f"/{rule[length]}" if length in rule else "")]
    for name in ("iif", "oif", "fwmark", "table"):
        if name in rule:
            found += [name, str(rule[name]) + (f"/{rule['fwmask']}" if name == "fwmark" and "fwmask" in rule else "")]
    return tuple(found)
