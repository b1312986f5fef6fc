# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the rows say for people: the options' documentation, with when a running guest gets each."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Set, Tuple

from ..fields import KEPT, LIVE, Field, loss, loss_of_all, row_of, row_of_member, sentence
from .rows import Entry, Group, Pairs, Row, Table
from .write import split_field, split_segment


def path_of(above: str, xml: str) -> str:
    """A row's field, as the table of fields has it: without the names of list members."""
    where, attribute = split_field(xml)
    tags = [split_segment(segment)[0] for segment in where.split("/") if segment]
    path = "/".join([*([above] if above else []), *tags])
    return f"{path}@{attribute}" if attribute else path


def leaves(table: Table, above: str = "", name: str = "") -> Iterator[Tuple[str, str]]:
    """Each option that has no options of its own: its whole name, and its field."""
    for entry in table:
        path = path_of(above, entry.xml)
        if isinstance(entry, Group):
            yield from leaves(entry.rows, path, f"{name}{entry.option}.")
        else:
            yield name + entry.option, path


def documentation(table: Table, above: str = "", told: str = "", told_lost: str = "") -> Dict[str, Any]:
    """told, told_lost: what the options above say of when it takes effect, and of when it goes."""
    return {entry.option: _entry(entry, path_of(above, entry.xml), told, told_lost) for entry in table}


def _entry(entry: Entry, path: str, told: str, told_lost: str) -> Dict[str, Any]:
    effect = _effect(entry, path)
    shown = effect if effect and effect != told and (not told.endswith(KEPT) or _live(entry, path)) else ""
    clears = [entry.kind.says] if isinstance(entry, Row) and entry.kind.says else []
    lost = _loss(entry, path)
    lines: List[str] = [entry.says, *clears, *([shown] if shown else []), *([lost] if lost not in ("", told_lost) else [])]
    documented: Dict[str, Any] = {"description": lines}
    if isinstance(entry, Row):
        words = {**entry.kind.spec, **dict(entry.more), **({"required": True} if entry.required else {})}
        return {**documented, **{name: value for name, value in words.items() if name != "no_log"}}
    if isinstance(entry, Pairs):
        return {**documented, "type": "dict"}
    if not isinstance(entry, Group):
        return {**documented, "type": "list", "elements": "str"}
    whole = {"type": "list", "elements": "dict"} if entry.many else {"type": "dict"}
    return {**documented, **whole, "suboptions": documentation(entry.rows, path, effect or told, lost or told_lost)}


def _live(entry: Entry, path: str) -> bool:
    """Whether it takes effect sooner than what it is a part of."""
    if isinstance(entry, Group):
        return any(row_of(field).when == LIVE for _name, field in leaves(entry.rows, path))
    return row_of(path).when == LIVE


def _loss(entry: Entry, path: str) -> str:
    """The sentence on what is taken away, where that can be."""
    if isinstance(entry, Row):
        row = row_of(path)
        return loss(row) if (row.goes_where or entry.kind.clears) else ""
    if not isinstance(entry, Group):
        return loss(row_of(path))
    if entry.many or entry.only:
        return loss(row_of_member(path))
    return "" if entry.stays else loss_of_all({one.option: _row_of_entry(one, path) for one in entry.rows})


def _row_of_entry(entry: Entry, above: str) -> Field:
    path = path_of(above, entry.xml)
    return row_of_member(path) if isinstance(entry, Group) and entry.many else row_of(path)


def _effect(entry: Entry, path: str) -> str:
    """The sentence; empty where its options differ in it."""
    if not isinstance(entry, Group):
        return sentence(row_of(path))
    if entry.many or entry.only:
        return sentence(row_of_member(path))
    rows: Set[Field] = {row_of(field) for _name, field in leaves(entry.rows, path)}
    sentences = {sentence(row) for row in rows}
    return sentences.pop() if len(sentences) == 1 else ""
