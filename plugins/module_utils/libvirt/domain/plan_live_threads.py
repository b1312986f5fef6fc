# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""IO threads that a running guest gets and loses at once. New ones come before the disks that they serve, old ones go after those."""

from __future__ import annotations

from typing import FrozenSet, List, Tuple

from ...engine.plan import Action
from ..xmltree import Node, element
from . import actions as a
from .plan_live_part import Guest

_IDS = "iothreadids"
_SERVED = ("disk", "controller")


def threads_come(guest: Guest, active: Node, wish: Node, definition: Node) -> Tuple[Node, List[Action]]:
    there, wanted = thread_ids(active), thread_ids(definition)
    if not _speaks(wish) or wanted <= there or _used(active) & (there - wanted):
        return active, []
    return _with_ids(active, there | wanted), [a.AddIothread(guest.name, number) for number in sorted(wanted - there)]


def threads_go(guest: Guest, active: Node, wish: Node, definition: Node) -> Tuple[Node, List[Action]]:
    there, wanted = thread_ids(active), thread_ids(definition)
    if not _speaks(wish) or there <= wanted or _used(active) & (there - wanted):
        return active, []
    return _with_ids(active, wanted), [a.DeleteIothread(guest.name, number) for number in sorted(there - wanted, reverse=True)]


def _speaks(wish: Node) -> bool:
    """Whether it says how many there are. What else each of them is, its XML says one by one, for the next start."""
    return ("iothreads" in wish.owned or wish.find("iothreads") is not None) and wish.find(_IDS) is None


def thread_ids(tree: Node) -> FrozenSet[int]:
    """Their numbers; those that are not said are the lowest that are free. Source: virDomainDefIOThreadPostParse."""
    count, said = tree.get("iothreads") or "", tree.find(_IDS)
    texts = [one.attributes.get("id", "") for one in said.all("iothread")] if said else []
    found = {int(text) for text in texts if text.isdigit()}
    number = 0
    while count.isdigit() and len(found) < int(count):
        number += 1
        found.add(number)
    return frozenset(found)


def _used(active: Node) -> FrozenSet[int]:
    devices = active.find("devices")
    served = [one.get("driver@iothread") or "" for one in devices.children if one.tag in _SERVED] if devices else []
    return frozenset(int(number) for number in served if number.isdigit())


def _with_ids(active: Node, ids: FrozenSet[int]) -> Node:
    rest = active.without("iothreads", _IDS)
    if not ids:
        return rest
    return rest.with_children(
        element("iothreads", text=str(len(ids))), element(_IDS, *(element("iothread", id=str(number)) for number in sorted(ids)))
    )
