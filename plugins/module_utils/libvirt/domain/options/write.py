# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options as the XML that they wish for, by their rows."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple, Union

from ....engine.errors import Failure
from ...xmltree import Node, plain_text
from .rows import Entry, Group, Pairs, Row, Table, Texts

_SEGMENT = re.compile(r"([^\[]+)(?:\[([^=]+)=(.+)\])?")


def split_segment(segment: str) -> Tuple[str, Dict[str, str]]:
    """The tag of tag[name=value], and its attributes."""
    match = _SEGMENT.fullmatch(segment)
    if not match:
        raise ValueError(segment)
    return match[1], ({match[2]: match[3]} if match[2] else {})


def split_field(xml: str) -> Tuple[str, str]:
    """The element's path and the attribute's name."""
    where, _at, attribute = xml.partition("@")
    return where, attribute


class Draft:
    """An element that is being written."""

    def __init__(self, tag: str, attributes: Optional[Mapping[str, str]] = None) -> None:
        self.tag, self.text = tag, ""
        self.attributes: Dict[str, str] = dict(attributes or {})
        self.children: List[Union[Draft, Node]] = []
        self.owned: Set[str] = set()
        self.absent: Set[Tuple[str, str]] = set()
        self.initial: Optional[Node] = None

    def at(self, path: str) -> Draft:
        """The element there, made where it is missing."""
        found = self
        for segment in path.split("/") if path else ():
            tag, attributes = split_segment(segment)
            found = found._child(tag, attributes)
        return found

    def _child(self, tag: str, attributes: Dict[str, str]) -> Draft:
        for child in self.children:
            if isinstance(child, Draft) and child.tag == tag and attributes.items() <= child.attributes.items():
                return child
        return self.add(Draft(tag, attributes))

    def add(self, child: Draft) -> Draft:
        self.children.append(child)
        return child

    def take_away(self, xml: str) -> None:
        where, attribute = split_field(xml)
        if attribute:
            self.at(where).owned.add("@" + attribute)
            return
        above, _slash, segment = where.rpartition("/")
        tag, attributes = split_segment(segment)
        if attributes:
            self.at(above).absent.update((tag, value) for value in attributes.values())
        else:
            self.at(above).owned.add(tag)

    def set(self, xml: str, spelt: Mapping[str, str]) -> None:
        where, attribute = split_field(xml)
        target = self.at(where)
        for name, text in spelt.items():
            if name or attribute:
                target.attributes[name or attribute] = text
            else:
                target.text = text

    def node(self) -> Node:
        children = tuple(child.node() if isinstance(child, Draft) else child for child in self.children)
        return Node(self.tag, self.attributes, self.text, children, "", frozenset(self.owned), frozenset(self.absent), self.initial)


def write(table: Table, params: Mapping[str, Any], draft: Draft, above: str = "") -> None:
    """above: what stands before an option's name in errors."""
    for entry in table:
        value = params[entry.option]
        if value is not None:
            _entry(entry, value, draft, above + entry.option)


def _entry(entry: Entry, value: Any, draft: Draft, name: str) -> None:
    if isinstance(entry, Row):
        _row(entry, value, draft, name)
    elif isinstance(entry, Pairs):
        _pairs(entry, value, draft, name)
    elif isinstance(entry, Texts):
        _texts(entry, value, draft, name)
    elif entry.many:
        _members(entry, value, draft, name)
    else:
        _group(entry, value, draft, name)


def _row(row: Row, value: Any, draft: Draft, name: str) -> None:
    if any(value == gone and isinstance(value, type(gone)) for gone in row.kind.clears):
        draft.take_away(row.away or row.xml)
    else:
        draft.set(row.xml, row.kind.write(value, name))


def _list(xml: str, draft: Draft) -> Tuple[Draft, str]:
    """The element above a list, which has no other members than the wished ones, and their tag."""
    above, _slash, tag = xml.rpartition("/")
    parent = draft.at(above)
    parent.owned.add(tag)
    return parent, tag


def _pairs(pairs: Pairs, values: Mapping[str, Any], draft: Draft, name: str) -> None:
    parent, tag = _list(pairs.xml, draft)
    for key, value in values.items():
        if isinstance(value, (dict, list)) or value is None:
            raise Failure(f"{name}: {key} is no text; give it one", "invalid_value")
        child = parent.add(Draft(tag, {pairs.name: plain_text(str(key), name)}))
        child.set(f"@{pairs.value}" if pairs.value else "", {"": plain_text(str(value), name)})


def _texts(texts: Texts, values: List[str], draft: Draft, name: str) -> None:
    parent, tag = _list(texts.xml, draft)
    for value in values:
        parent.add(Draft(tag)).text = plain_text(value, name)


def _members(group: Group, values: List[Mapping[str, Any]], draft: Draft, name: str) -> None:
    parent, tag = _list(group.xml, draft)
    for value in values:
        _fill(group, value, parent.add(Draft(tag, dict(group.fixed))), name)


def _group(group: Group, value: Mapping[str, Any], draft: Draft, name: str) -> None:
    if all(one is None for one in value.values()):
        if not group.stays:
            draft.take_away(group.xml)
        return
    child = draft.at(group.xml)
    child.attributes.update(group.fixed)
    if group.only:
        _list(group.xml, draft)
    _fill(group, value, child, name)


def _fill(group: Group, value: Mapping[str, Any], draft: Draft, name: str) -> None:
    if group.check:
        group.check(value, name)
    write(group.rows, value, draft, name + ".")
    if group.initial:
        new = Draft(draft.tag)
        for xml, text in group.initial:
            new.set(xml, {"": text})
        draft.initial = new.node()
