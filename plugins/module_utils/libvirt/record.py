# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a request that libvirt did not keep whole is remembered in an object's metadata. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

from .xmltree import Node

NAMESPACE = "https://virtops.org/linux/1"
RECORD = f"{{{NAMESPACE}}}request"


def without_record(tree: Node) -> Node:
    metadata = tree.find("metadata")
    if metadata is None or not metadata.all(RECORD):
        return tree
    rest = metadata.without(RECORD)
    children = [rest if child is metadata else child for child in tree.children]
    return replace(tree, children=tuple(child for child in children if child is not rest or rest.children))


def split_record(tree: Node) -> Tuple[Node, Tuple[str, ...]]:
    """The tree without our record, and the record."""
    metadata = tree.find("metadata")
    found = next(iter(metadata.all(RECORD)), None) if metadata else None
    if found is None:
        return tree, ()
    return without_record(tree), (found.attributes.get("digest", ""), found.attributes.get("outcome", ""))


def with_record(tree: Node, record: Tuple[str, str]) -> Node:
    """The definition with the record in it."""
    note = Node(RECORD, {"digest": record[0], "outcome": record[1]})
    metadata = tree.find("metadata")
    if metadata is None:
        return tree.with_children(Node("metadata", children=(note,)))
    whole = metadata.without(RECORD).with_children(note)
    return replace(tree, children=tuple(whole if child is metadata else child for child in tree.children))
