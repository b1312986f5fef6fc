# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The text of /proc/PID/mountinfo. Source: Documentation/filesystems/proc.rst, section 3.5."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import FrozenSet, List, Optional, Sequence, Tuple

from .options import FLAGS

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Entry:
    """A line. device: "major:minor" of the superblock. peers: groups that mounts and unmounts reach this one from.

    shared: the group that this one passes them on to. super_options: with octal escapes still in it, commas in names being such.
    """

    id: int
    parent: int
    device: str
    path: str
    flags: FrozenSet[str]
    fs_type: str
    super_options: str
    shared: Optional[str] = None
    peers: FrozenSet[str] = frozenset()

    @property
    def words(self) -> List[str]:
        """The options of the file system, one by one. Commas in names are octal here, whatever stands before them."""
        return [unmangle(word) for word in self.super_options.split(",")]

    @property
    def super_ro(self) -> bool:
        return "ro" in self.words


def unmangle(text: str) -> str:
    r"""\040 → a space, and so on for every octal escape of mountinfo and fstab. Bytes above 127 are never escaped."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def mangle(text: str) -> str:
    r"""The inverse, for a field of fstab: space, tab, newline and backslash."""
    return "".join(f"\\{ord(letter):03o}" if letter in " \t\n\\" else letter for letter in text)


def parse(text: str) -> List[Entry]:
    found = []
    for line in text.splitlines():
        left, dash, right = line.partition(" - ")
        words, after = left.split(" "), right.split(" ")
        if not dash or len(words) < 6 or len(after) < 3:
            continue
        optional = dict(word.partition(":")[::2] for word in words[6:])
        shared = optional.get("shared")
        flags = set(words[5].split(","))
        atime = flags & {"noatime", "relatime"}
        found.append(
            Entry(
                int(words[0]),
                int(words[1]),
                words[2],
                unmangle(words[4]),
                frozenset(flags & set(FLAGS)) | (frozenset() if atime else frozenset({"strictatime"})),
                after[0],
                after[2],
                shared,
                frozenset(group for group in (shared, optional.get("master")) if group),
            )
        )
    return found


def stack(entries: Sequence[Entry], path: str) -> Tuple[Entry, ...]:
    """What is mounted at a path, the topmost first."""
    here = {entry.id: entry for entry in entries if entry.path == path}
    covered = {entry.parent for entry in here.values()}
    found: List[Entry] = []
    current = next((entry for entry in reversed(list(here.values())) if entry.id not in covered), None)
    while current is not None:
        found.append(current)
        current = here.get(current.parent)
    return tuple(found)
