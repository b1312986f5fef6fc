# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A running guest, and what of a wish the table of fields calls live."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import FrozenSet, Optional, Tuple

from ..xmlmerge import below_of
from ..xmltree import Node
from .fields import LIVE, TABLE, row_of

_NAMES = re.compile(r"\[[^]]*\]")


@dataclass(frozen=True)
class Guest:
    """A guest that runs.

    runs: whether its CPUs do; a paused guest gives nothing back. balloon: whether its balloon answers, and stands still.
    asked: whether this run changes the definition's currentMemory. timeout, force: as the task says.
    cpus: as Observed has them.
    """

    name: str
    active: Node
    runs: bool
    balloon: bool
    asked: bool
    timeout: int
    force: bool
    cpus: str = ""


def with_text(tree: Node, tag: str, text: str) -> Node:
    return replace(tree, children=tuple(replace(child, text=text) if child.tag == tag else child for child in tree.children))


def outside_the_balloon(active: Node) -> Tuple[int, int]:
    """KiB of memory that counts in memory, and that no balloon gives or takes; and those of it that count in currentMemory, which a
    virtio-mem has plugged in. Source: QEMU's get_current_ram_size, libvirt's qemuProcessHandleBalloonChange."""
    devices = active.find("devices")
    modules = [one for one in devices.all("memory") if one.attributes.get("model") != "dimm"] if devices else []
    sizes, plugged = ([one.get(f"target/{tag}") or "" for one in modules] for tag in ("size", "current"))
    return sum(int(text) for text in sizes if text.isdigit()), sum(int(text) for text in plugged if text.isdigit())


def plain(label: str) -> str:
    """A field's path without the names of the elements in it: devices/disk/source for devices/disk[vda]/source."""
    return _NAMES.sub("", label)


def live_part(node: Node, path: str, dead: FrozenSet[str]) -> Optional[Node]:
    """What of a wish the table calls live, without the dead rows; None where nothing is."""

    def live(field: str, goes: bool = False) -> bool:
        row = row_of(field)
        return row.when == LIVE and row.path not in dead and (row.goes or not goes)

    gone = {tag: below_of(path, tag) for tag in sorted(node.owned) if tag[:1] != "@" and node.find(tag) is None}
    groups = tuple(Node(tag, owned=_members(below)) for tag, below in gone.items() if not live(below, goes=True) and _members(below))
    children = (live_part(child, below_of(path, child.tag), dead) for child in (*node.children, *groups))
    part = Node(
        node.tag,
        {name: value for name, value in node.attributes.items() if live(f"{path}@{name}")},
        node.text if live(path) else "",
        tuple(child for child in children if child is not None),
        node.tail,
        frozenset(one for one in node.owned if live(path + one if one[:1] == "@" else below_of(path, one), goes=True)),
    )
    bare = not node.says_something and live(path)  # that it is there is all that it says
    return part if part.says_something or bare else None


def _members(path: str) -> FrozenSet[str]:
    """What goes at once of an element that as a whole does not."""
    below = (row.path[len(path) + 1 :] for row in TABLE if row.goes and row.path.startswith(path + "/"))
    return frozenset(name for name in below if not re.search(r"[/@[]", name))
