# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a wish a network that runs can have at once, as the updates of virNetworkUpdate that bring it there.

The definition has it all by then, in one piece. What runs is updated on its own, because it may have drifted from the definition: an update
of both is refused where a member is in one of them only, and counts the addresses of both alike.
Where libvirt would refuse an update, the whole section is left to the network's next start.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple

from ...engine.plan import HIDDEN
from ..objects.model import Kind
from ..objects.plan import Step
from ..xmlmerge import below_of, differences, label_of, matched, merge
from ..xmltree import Node, element
from .rules import POOLS_OF_INTERFACES, RULES

#: Modes whose interfaces are updated while the network runs. Those of hostdev are devices of PCI.
_WITH_INTERFACES = ("nat", "route", *POOLS_OF_INTERFACES)


@dataclass(frozen=True)
class Update(Step):
    """One call of virNetworkUpdate. command: add, modify or delete. section: in the words of C(virsh net-update). member: its path.

    index: which of the network's addresses it belongs to, -1 for none.
    """

    command: str
    section: str
    member: str
    definition: Node = field(metadata=HIDDEN)
    index: int = field(metadata=HIDDEN)


@dataclass(frozen=True)
class _Section:
    """How libvirt finds the members of a list. Source: virNetworkDefUpdateSection and what it calls, in src/conf/network_conf.c.

    means: whether it takes a node that is to be deleted for this member. collides: whether it refuses a new one beside this member.
    modifies: where it can change a member in place, which one it takes for that. naming: what a deletion says of the member.
    late: what comes last among the new.
    """

    word: str
    means: Callable[[Node, Node], bool]
    collides: Callable[[Node, Node], bool]
    naming: Callable[[Node], Node]
    modifies: Optional[Callable[[Node, Node], bool]] = None
    late: Callable[[Node], int] = lambda node: 0
    adds_first: bool = False


Command = Tuple[str, Node, Node]  # the command, what it says, and the member that people know
_HOST = ("mac", "name", "ip")
_SRV = ("domain", "service", "protocol", "target")


def _share(*names: str) -> Callable[[Node, Node], bool]:
    """One of these is said by both, and the same."""
    return lambda one, other: any(name in one.attributes and one.attributes[name] == other.attributes.get(name) for name in names)


def _fits(*names: str) -> Callable[[Node, Node], bool]:
    """All of these that the first one says are the second one's."""
    return lambda one, other: all(one.attributes[name] == other.attributes.get(name) for name in names if name in one.attributes)


def _only(*names: str) -> Callable[[Node], Node]:
    return lambda node: Node(node.tag, {name: node.attributes[name] for name in names if name in node.attributes})


def _is_default(node: Node) -> bool:
    return node.attributes.get("default") == "yes"


def _same_group(one: Node, other: Node) -> bool:
    return _share("name")(one, other) or (_is_default(one) and _is_default(other))


_RANGE = _Section("ip-dhcp-range", _fits("start", "end"), _fits("start", "end"), lambda node: node)
_DHCP_HOST = _Section("ip-dhcp-host", _fits(*_HOST), _share(*_HOST), lambda node: node, modifies=_share(*_HOST))
_DNS_HOST = _Section("dns-host", _share("ip"), _share("ip"), _only("ip"))
_TXT = _Section("dns-txt", _share("name"), _share("name"), _only("name"))
#: A record that says less is taken for all that say more, so it is the first to come and the last to go.
_RECORD = _Section("dns-srv", _fits(*_SRV), _fits(*_SRV), _only(*_SRV), late=lambda node: sum(name in node.attributes for name in _SRV))
_GROUP = _Section("portgroup", _share("name"), _same_group, _only("name"), modifies=_share("name"), late=_is_default)
#: The only interface of nat or route must go first. In a pool, the last one cannot.
_INTERFACE = _Section("forward-interface", _share("dev"), _share("dev"), _only("dev"))
_MEMBER = replace(_INTERFACE, adds_first=True)

_OF_DHCP = {"range": _RANGE, "host": _DHCP_HOST}
_OF_DNS = {"srv": _RECORD, "txt": _TXT, "host": _DNS_HOST}
_OF_ALL = {"portgroup": _GROUP}
#: Where the lists are that a network which runs can have at once. Everything else waits for its next start.
_LIVE = {"ip/dhcp": _OF_DHCP, "dns": _OF_DNS, "forward": {"interface": _INTERFACE}, "": _OF_ALL}


def at_once(path: str) -> bool:
    """Whether a network that runs can have a field at once. path: tags below the root joined with slashes, an attribute behind @."""
    if path == "forward@dev":  # the short way to say the only interface
        return True
    lists = [below_of(parent, tag) for parent, sections in _LIVE.items() for tag in sections]
    return any(path == one or path.startswith((one + "/", one + "@")) for one in lists)


@dataclass(frozen=True)
class _Live:
    """What comes about. active: the network by now."""

    kind: Kind
    name: str
    kept: FrozenSet[str]
    active: Node
    steps: Tuple[Update, ...] = ()


def go_live(kind: Kind, name: str, active: Node, definition: Node, wish: Node) -> Tuple[Tuple[Update, ...], Node]:
    """The updates, and the network after them. definition: what it is defined as by now, which has all of the wish that libvirt keeps."""
    live = _Live(kind, name, frozenset(differences(definition, wish, RULES)), active)
    live = _dhcp(live, wish)
    live = _dns(live, wish)
    live = _forward(live, wish)
    updated, steps = _parent(live, active, wish, _OF_ALL, "", "", -1)
    if steps:
        groups = tuple(updated.all("portgroup"))
        rest = live.active.without("portgroup")
        live = replace(live, active=rest.with_children(*groups), steps=live.steps + steps)
    return live.steps, live.active


def _dhcp(live: _Live, wish: Node) -> _Live:
    pairs, _leaving = matched(live.active, wish, RULES, "")
    places = {id(ip): place for place, ip in enumerate(live.active.all("ip"))}
    wished = [(places[id(old)], new) for old, new in pairs if old is not None and new.tag == "ip" and (new.find("dhcp") or "dhcp" in new.owned)]
    # An address that gives up its DHCP comes first: there is one to each family.
    for place, new in sorted(wished, key=lambda one: bool(one[1].find("dhcp"))):
        ip = live.active.all("ip")[place]
        part = new.find("dhcp") or Node("dhcp", owned=frozenset(_OF_DHCP))
        label = label_of("", "ip", ip, RULES)
        updated, steps = _parent(live, ip.find("dhcp") or Node("dhcp"), part, _OF_DHCP, "ip/dhcp", f"{label}/dhcp", place)
        if not steps or (updated.children and _served_elsewhere(live.active, place)):
            continue
        children = list(live.active.children)
        children[[id(child) for child in children].index(id(ip))] = _with(ip, updated)
        live = replace(live, active=replace(live.active, children=tuple(children)), steps=live.steps + steps)
    return live


def _served_elsewhere(active: Node, place: int) -> bool:
    """Whether another address of the same family has DHCP. Source: virNetworkDefUpdateCheckMultiDHCP."""
    ips = active.all("ip")
    family = ips[place].attributes.get("family")
    return any(ip.find("dhcp") for other, ip in enumerate(ips) if other != place and ip.attributes.get("family") == family)


def _dns(live: _Live, wish: Node) -> _Live:
    part = wish.find("dns") or (Node("dns", owned=frozenset(_OF_DNS)) if "dns" in wish.owned else None)
    if part is None:
        return live
    updated, steps = _parent(live, live.active.find("dns") or Node("dns"), part, _OF_DNS, "dns", "dns", -1)
    return replace(live, active=_with(live.active, updated), steps=live.steps + steps) if steps else live


def _forward(live: _Live, wish: Node) -> _Live:
    part, active = wish.find("forward"), live.active.find("forward")
    if part is None or active is None or active.find("pf"):
        return live
    mode = active.attributes.get("mode", "nat")
    if part.attributes.get("mode", mode) != mode or mode not in _WITH_INTERFACES:
        return live
    if not part.all("interface") and ("dev" in part.attributes or "@dev" in part.owned):
        part = replace(_in_full(part), owned=frozenset({"interface"}))
    active = _in_full(active)
    section = _MEMBER if mode in POOLS_OF_INTERFACES else _INTERFACE
    updated, steps = _parent(live, active, part, {"interface": section}, "forward", "forward", -1)
    if not steps:
        return live
    first = updated.find("interface")
    updated = updated.without("@dev")
    if first is not None:
        updated = updated.with_attributes(dev=first.attributes["dev"])
    return replace(live, active=_with(live.active, updated), steps=live.steps + steps)


def _in_full(forward: Node) -> Node:
    """dev is the short way to say the only interface."""
    dev = forward.attributes.get("dev")
    return forward if not dev or forward.all("interface") else forward.with_children(element("interface", dev=dev))


def _with(node: Node, child: Node) -> Node:
    """The node with its only child of this tag so; without one where nothing is in it."""
    rest = node.without(child.tag)
    return rest.with_children(child) if child.children or child.attributes else rest


def _parent(
    live: _Live, parent: Node, wish: Node, sections: Dict[str, _Section], path: str, label: str, index: int
) -> Tuple[Node, Tuple[Update, ...]]:
    """An element that holds lists, after the updates of all of them that can be updated."""
    steps: List[Update] = []
    for tag, section in sections.items():
        below = below_of(path, tag)
        outcome = _list(live, parent, wish, tag, section, path, label)
        if outcome is None:
            continue
        members, commands = outcome
        parent = parent.without(tag).with_children(*members)
        for command, said, member in commands:
            steps.append(Update(live.name, live.kind, command, section.word, label_of(label, below, member, RULES), said, index))
    return parent, tuple(steps)


def _list(live: _Live, parent: Node, wish: Node, tag: str, section: _Section, path: str, label: str) -> Optional[Tuple[List[Node], List[Command]]]:
    """The members after the commands, and the commands; None where there is nothing to do, or libvirt would refuse one of them."""
    below = below_of(path, tag)
    pairs, leaving = matched(parent, wish, RULES, path)
    gone, new, changed = [old for old in leaving if old.tag == tag], [], []
    for old, wished in pairs:
        lacks = differences(old, wished, RULES, below, label_of(label, below, wished if old is None else old, RULES))
        if wished.tag != tag or live.kept.issuperset(lacks):
            continue
        goal = merge(old, wished, RULES, below)
        if old is None:
            new.append(goal)
        elif section.modifies and [one for one in parent.all(tag) if section.modifies(goal, one)] == [old]:
            changed.append(goal)
        else:
            gone.append(old)
            new.append(goal)
    deletions = [("delete", section.naming(node), node) for node in sorted(gone, key=section.late, reverse=True)]
    additions = [("add", node, node) for node in sorted(new, key=section.late)]
    modifications = [("modify", node, node) for node in sorted(changed, key=section.late)]
    commands = [*additions, *deletions] if section.adds_first else [*deletions, *modifications, *additions]
    members = _after(parent.all(tag), commands, section)
    return (members, commands) if commands and members is not None else None


def _after(members: Sequence[Node], commands: List[Command], section: _Section) -> Optional[List[Node]]:
    """The list when libvirt has done all that; None where it would not."""
    found = list(members)
    for command, said, member in commands:
        if command == "add":
            if any(section.collides(member, one) for one in found):
                return None
            found.append(member)
            continue
        finds = section.modifies if command == "modify" and section.modifies else section.means
        meant = [place for place, one in enumerate(found) if finds(said, one)]
        if len(meant) != 1 or found[meant[0]].attributes.get("connections", "0") != "0":
            return None
        found.pop(meant[0])
        if command == "modify":
            if any(section.collides(member, one) for one in found):
                return None
            found.insert(meant[0], member)
    return found
