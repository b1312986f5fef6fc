# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a table of options is made of. One row is one option: its name, its place in the XML, its kind and what it says.

From the rows come the argument spec, the documentation, the wish and the way back from a definition to options. When an option takes
effect follows from its place, by the table of fields. A unit test holds that each row is exercised against libvirt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Tuple, Union

from .kinds import Kind


@dataclass(frozen=True)
class Row:
    """xml: where below the group's element, as tag/tag@attribute; tag[name=value] is the one with that attribute; empty is its text.

    away: what goes when the value takes the option away, as seen from the group's element; the field itself where nothing is said.
    required: in each member of a list. more: further words of the argument spec.
    """

    option: str
    xml: str
    kind: Kind
    says: str
    away: str = ""
    required: bool = False
    more: Tuple[Tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Pairs:
    """A dictionary of free names, each an element with the name in an attribute and the value in another, or in its text."""

    option: str
    xml: str
    name: str
    value: str
    says: str


@dataclass(frozen=True)
class Texts:
    """A list of texts, each an element, whose order is theirs."""

    option: str
    xml: str
    says: str


@dataclass(frozen=True)
class Group:
    """A dictionary of options about one element, or with many a list of them, of which the task then names all.

    only: the element is a member of a list, and the only one that may be of its kind. stays: libvirt always has one, so an empty
    dictionary takes nothing away. initial: what a new one is unless the task says otherwise. fixed: attributes that it always has.
    check: what its options must be to each other; gets them and the option's name.
    """

    option: str
    xml: str
    says: str
    rows: Tuple[Entry, ...]
    many: bool = False
    only: bool = False
    stays: bool = False
    initial: Tuple[Tuple[str, str], ...] = ()
    fixed: Tuple[Tuple[str, str], ...] = ()
    check: Union[Callable[[Mapping[str, Any], str], None], None] = None


Entry = Union[Row, Pairs, Texts, Group]
Table = Tuple[Entry, ...]


def spec_of(table: Table) -> Dict[str, Any]:
    """The argument spec."""
    return {entry.option: _spec(entry) for entry in table}


def _spec(entry: Entry) -> Dict[str, Any]:
    if isinstance(entry, Row):
        return {**entry.kind.spec, **({"required": True} if entry.required else {}), **dict(entry.more)}
    if isinstance(entry, Pairs):
        return {"type": "dict"}
    if isinstance(entry, Texts):
        return {"type": "list", "elements": "str"}
    whole = {"type": "list", "elements": "dict"} if entry.many else {"type": "dict"}
    return {**whole, "options": spec_of(entry.rows)}
