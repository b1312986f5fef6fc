# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A definition in the words of the options: write.py backwards, by the same rows."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ....engine.errors import Failure
from ...xmltree import Node
from .rows import Entry, Group, Pairs, Row, Table, Texts
from .write import split_field, split_segment


def read(table: Table, node: Optional[Node]) -> Dict[str, Any]:
    """What the rows say of an element. What they cannot say is left out."""
    found = {entry.option: _entry(entry, node) for entry in table} if node else {}
    return {option: value for option, value in found.items() if value is not None}


def _entry(entry: Entry, node: Node) -> Any:
    if isinstance(entry, Row):
        return _row(entry, node)
    if isinstance(entry, Pairs):
        return _pairs(entry, node)
    if isinstance(entry, Texts):
        return [child.text for child in _all(entry.xml, node)] or None
    members = _all(entry.xml, node)
    if entry.many:
        said = [_group(entry, member) for member in members]
        return said if said and all(said) else None
    return _group(entry, members[0]) if len(members) == 1 else None


def _all(xml: str, node: Node) -> List[Node]:
    above, _slash, segment = xml.rpartition("/")
    parent = _at(above, node)
    return _matching(segment, parent) if parent else []


def _at(path: str, node: Node) -> Optional[Node]:
    found: Optional[Node] = node
    for segment in path.split("/") if path else ():
        found = next(iter(_matching(segment, found)), None) if found else None
    return found


def _matching(segment: str, node: Node) -> List[Node]:
    tag, attributes = split_segment(segment)
    return [child for child in node.all(tag) if attributes.items() <= dict(child.attributes).items()]


def _row(row: Row, node: Node) -> Any:
    where, attribute = split_field(row.xml)
    found = _at(where, node)
    if found is None:
        return None
    text = found.attributes.get(attribute) if attribute else found.text
    return row.kind.read({**found.attributes, **({"": text} if text else {})})


def _pairs(pairs: Pairs, node: Node) -> Optional[Dict[str, str]]:
    members = _all(pairs.xml, node)
    found = {one.attributes.get(pairs.name): one.attributes.get(pairs.value) if pairs.value else one.text for one in members}
    if None in found or None in found.values() or len(found) != len(members):
        return None
    return {str(name): str(value) for name, value in found.items()} or None


def _group(group: Group, node: Node) -> Optional[Dict[str, Any]]:
    if any(node.attributes.get(name) != value for name, value in group.fixed):
        return None
    found = read(group.rows, node)
    if any(isinstance(entry, Row) and entry.required and entry.option not in found for entry in group.rows):
        return None
    if group.check and found:
        try:
            group.check(_filled(group, found), group.option)
        except Failure:
            return None
    return found or None


def _filled(group: Group, found: Mapping[str, Any]) -> Dict[str, Any]:
    return {entry.option: found.get(entry.option) for entry in group.rows}
