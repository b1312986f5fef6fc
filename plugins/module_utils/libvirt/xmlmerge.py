# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A wish laid over a state: matched, compared, merged, shown. Pure, and the same for every kind of libvirt object.

Both sides are in canonical form first: the spelling that libvirt itself prints. What differs between kinds of objects
(keys, spellings, what goes when something changes) comes in as Rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Dict, Iterator, List, Optional, Set, Tuple

from .xmltree import ANOTHER_SECRET, SECRET_ATTRIBUTES, Node, unmarked

#: (class, key): members of a list match by key, or, where one has no key, by content and then by position in the class.
Key = Tuple[str, Optional[str]]
Pair = Tuple[Optional[Node], Node]
Member = Tuple[Node, Key]
Fits = Callable[[Member, Member], bool]


@dataclass(frozen=True)
class Rules:
    """What is particular to one kind of object. Paths are tags below the root joined with slashes: devices/disk/target.

    spell: one element in libvirt's own spelling. Idempotent. Children are done by the engine.
    key: how a member of a list is told from the others. The int is its place among siblings of its tag.
    same: whether two values of a field (path, or path@attribute) mean the same; None is "not there".
    implied: whether a wished element that is not there says nothing, because libvirt drops it.
    prune: the observed element without what cannot stay once the wish is laid over it.
    opaque: elements that are compared and replaced as a whole.
    """

    spell: Callable[[str, Node], Node]
    key: Callable[[str, Node, int], Key]
    same: Callable[[str, Optional[str], str], bool]
    implied: Callable[[str, Node], bool]
    prune: Callable[[str, Node, Node], Node]
    opaque: Callable[[str], bool]


def canonical(node: Node, rules: Rules, path: str = "") -> Node:
    """A tree as libvirt prints it."""
    if rules.opaque(path):
        return node
    spelled = rules.spell(path, node)
    children = tuple(canonical(child, rules, below_of(path, child.tag)) for child in spelled.children)
    initial = canonical(spelled.initial, rules, path) if spelled.initial else None
    return replace(spelled, children=children, initial=initial)


def differences(observed: Optional[Node], wish: Node, rules: Rules, path: str = "", label: str = "") -> Tuple[str, ...]:
    """The fields, as paths, in which a state is not what is wished. Empty: nothing to do. path, label: where the element is, for parts."""
    return tuple(_differences(observed, wish, rules, path, label))


def _differences(observed: Optional[Node], wish: Node, rules: Rules, path: str, label: str) -> Iterator[str]:
    if observed is None:
        if not rules.implied(path, wish):
            yield label
        return
    if rules.opaque(path):
        if observed != wish:
            yield label
        return
    for name, value in wish.attributes.items():
        if not rules.same(f"{path}@{name}", observed.attributes.get(name), value):
            yield f"{label}@{name}"
    for name in observed.attributes:
        if _owns(wish, name) and name not in wish.attributes:
            yield f"{label}@{name}"
    if wish.text and not rules.same(path, observed.text, wish.text):
        yield label
    pairs, leaving = matched(observed, wish, rules, path)
    for old, new in pairs:
        below = below_of(path, new.tag)
        yield from _differences(old, new, rules, below, label_of(label, below, new if old is None else old, rules))
    for old in leaving:
        below = below_of(path, old.tag)
        yield label_of(label, below, old, rules)


def merge(observed: Optional[Node], wish: Node, rules: Rules, path: str = "") -> Node:
    """The whole state that has what the wish says and, for the rest, what was there."""
    if observed is None:
        return _sparse(unmarked(wish), rules, path)
    if rules.opaque(path):
        return unmarked(wish)
    observed = rules.prune(path, observed, wish)
    attributes = {name: value for name, value in observed.attributes.items() if not _owns(wish, name) or name in wish.attributes}
    for name, value in wish.attributes.items():
        field = f"{path}@{name}"
        if not rules.same(field, attributes.get(name), value):
            attributes.pop(name, None)
            if not rules.same(field, None, value):
                attributes[name] = value
    text = wish.text if wish.text and not rules.same(path, observed.text, wish.text) else observed.text
    return replace(observed, attributes=attributes, text=text, children=_merged_children(observed, wish, rules, path))


def _sparse(node: Node, rules: Rules, path: str) -> Node:
    """A new element, without what libvirt would not keep because it means the same as nothing."""
    if rules.opaque(path):
        return node
    attributes = {name: value for name, value in node.attributes.items() if not rules.same(f"{path}@{name}", None, value)}
    kept = [child for child in node.children if not rules.implied(below_of(path, child.tag), child)]
    return replace(node, attributes=attributes, children=tuple(_sparse(child, rules, below_of(path, child.tag)) for child in kept))


def _merged_children(observed: Node, wish: Node, rules: Rules, path: str) -> Tuple[Node, ...]:
    pairs, leaving = matched(observed, wish, rules, path)
    gone = {id(old) for old in leaving}
    wished = {id(old): new for old, new in pairs if old is not None}
    children: List[Node] = []
    for old in observed.children:
        new, below = wished.get(id(old)), below_of(path, old.tag)
        if id(old) not in gone:
            one = merge(old, new, rules, below) if new else old
            hollow = new is not None and (one.text or one.children) and rules.implied(below, one)
            if not hollow:  # a limit that became none, for example, which libvirt drops
                children.append(one)
    for nothing, new in pairs:
        below = below_of(path, new.tag)
        if nothing is None and not rules.implied(below, new):
            last = max((place for place, child in enumerate(children) if child.tag == new.tag), default=len(children) - 1)
            children.insert(last + 1, merge(None, new, rules, below))
    return tuple(children)


def project(observed: Optional[Node], wish: Node, rules: Rules, path: str = "") -> Optional[Node]:
    """Of a state, the part that the wish speaks of. What means the same is shown as the wish spells it."""
    if observed is None:
        return None
    if rules.opaque(path):
        return observed
    attributes = {}
    for name, value in wish.attributes.items():
        old = observed.attributes.get(name)
        if rules.same(f"{path}@{name}", old, value):
            attributes[name] = value
        elif old is not None:
            attributes[name] = ANOTHER_SECRET if name in SECRET_ATTRIBUTES else old
    for name, old in observed.attributes.items():
        if _owns(wish, name) and name not in wish.attributes:
            attributes[name] = old
    text = ""
    if wish.text:
        text = wish.text if rules.same(path, observed.text, wish.text) else observed.text
    pairs, leaving = matched(observed, wish, rules, path)
    shown = []
    for member, new in pairs:
        below = below_of(path, new.tag)
        part = project(member, new, rules, below)
        if part and (part.says_something or not rules.implied(below, new)):
            shown.append(part)
    return Node(wish.tag, attributes, text, (*shown, *leaving), observed.tail)


def overlay(base: Node, top: Node, rules: Rules, path: str = "") -> Node:
    """One wish out of two, where the top one has the last word."""
    pairs, leaving = matched(base, top, rules, path)
    gone = {id(old) for old in leaving}
    wished = {id(old): new for old, new in pairs if old is not None}
    children = tuple(
        overlay(old, wished[id(old)], rules, below_of(path, old.tag)) if id(old) in wished else old for old in base.children if id(old) not in gone
    )
    new_ones = tuple(new for old, new in pairs if old is None)
    kept = {name: value for name, value in base.attributes.items() if not _owns(top, name)}
    return replace(
        base,
        attributes={**kept, **top.attributes},
        text=top.text or base.text,
        children=children + new_ones,
        owned=base.owned | top.owned,
        absent=base.absent | top.absent,
        initial=base.initial or top.initial,
    )


def claim(wish: Node, rules: Rules, shared: Callable[[str], bool], path: str = "") -> Node:
    """The wish with its lists owned: naming one member of a list speaks for the whole list.

    shared: the lists (by path) that libvirt itself adds to, which are never owned.
    """
    children = tuple(claim(child, rules, shared, below_of(path, child.tag)) for child in wish.children)
    lists = set()
    for child in wish.children:
        below = below_of(path, child.tag)
        if rules.key(below, child, 0) != ("", "") and not shared(below) and not rules.opaque(below):
            lists.add(child.tag)
    return replace(wish, children=children, owned=wish.owned | lists)


def matched(observed: Node, wish: Node, rules: Rules, path: str) -> Tuple[List[Pair], List[Node]]:
    """The wish's children with what they stand for in the state, and the state's children that must go."""
    leaving: List[Node] = []
    partner: Dict[int, Node] = {}
    tags = [child.tag for child in wish.children] + sorted(tag for tag in wish.owned if tag[:1] != "@") + sorted(absent[0] for absent in wish.absent)
    for tag in dict.fromkeys(tags):
        below = below_of(path, tag)
        old = [(child, rules.key(below, child, place)) for place, child in enumerate(observed.all(tag))]
        new = [(child, rules.key(below, child, place)) for place, child in enumerate(wish.all(tag))]
        left = _pair(old, new, partner, rules, below)
        banned = {key for name, key in wish.absent if name == tag}
        leaving += [child for child, key in left if tag in wish.owned or key[1] in banned]
    return [(partner.get(id(child)), child) for child in wish.children], leaving


def _pair(old: List[Member], new: List[Member], partner: Dict[int, Node], rules: Rules, path: str) -> List[Member]:
    """Fills partner (id of wished → observed): by key, else by content, else by position. Returns the observed ones left."""
    left = list(old)

    def by_key(observed: Member, wished: Member) -> bool:
        return wished[1][1] is not None and observed[1] == wished[1]

    def by_content(observed: Member, wished: Member) -> bool:
        return by_position(observed, wished) and not any(_differences(observed[0], wished[0], rules, path, "?"))

    def by_position(observed: Member, wished: Member) -> bool:
        return wished[1][1] is None and observed[1][0] == wished[1][0]

    for fits, pair in ((by_key, _first_fit), (by_content, _best_fit), (by_position, _first_fit)):
        open_wishes = [wished for wished in new if id(wished[0]) not in partner]
        for place, one in pair(open_wishes, left, fits).items():
            partner[id(open_wishes[place][0])] = one[0]
            left = [other for other in left if other is not one]
    return left


def _first_fit(wishes: List[Member], left: List[Member], fits: Fits) -> Dict[int, Member]:
    """Place of the wish → the first one left that fits it."""
    found: Dict[int, Member] = {}
    for place, wished in enumerate(wishes):
        one = next((one for one in left if not any(one is other for other in found.values()) and fits(one, wished)), None)
        if one:
            found[place] = one
    return found


def _best_fit(wishes: List[Member], left: List[Member], fits: Fits) -> Dict[int, Member]:
    """Place of the wish → one that fits it, for as many wishes as can be. Where a modest wish fits the only one that a
    demanding wish fits, the first come would leave the other without: each new pair may move the older ones (Kuhn's algorithm).
    """
    holder: Dict[int, int] = {}  # place in left → place of the wish

    def settle(place: int, tried: Set[int]) -> bool:
        for spot, one in enumerate(left):
            if spot not in tried and fits(one, wishes[place]):
                tried.add(spot)
                if spot not in holder or settle(holder[spot], tried):
                    holder[spot] = place
                    return True
        return False

    for place in range(len(wishes)):
        settle(place, set())
    return {place: left[spot] for spot, place in holder.items()}


def _owns(wish: Node, name: str) -> bool:
    """Whether an attribute goes that the wish does not say."""
    return "@" + name in wish.owned or "@*" in wish.owned


def below_of(path: str, tag: str) -> str:
    return f"{path}/{tag}" if path else tag


def label_of(parent: str, path: str, node: Node, rules: Rules) -> str:
    """How people see the path: devices/disk[vda]."""
    key = rules.key(path, node, -1)[1]
    tag = node.tag.rpartition("}")[2]
    shown = f"{tag}[{key}]" if key and key != "-1" else tag  # a place is no name
    return f"{parent}/{shown}" if parent else shown
