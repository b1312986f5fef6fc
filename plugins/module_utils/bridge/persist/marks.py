# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lines of others' files that are set aside: kept where they stand, behind a mark that brings back every byte of them."""

from __future__ import annotations

from typing import Iterable, List


def mark(bridge: str, sign: str) -> str:
    return f"#virtops {bridge}{sign} "


def aside(bridge: str, lines: Iterable[str]) -> List[str]:
    """The lines behind the mark. Each has its end."""
    return [mark(bridge, ":") + line for line in lines]


def instead(bridge: str, line: str) -> List[str]:
    """A line of ours in the place of others."""
    return [mark(bridge, "+") + "next line\n", line]


def give_back(text: str, bridge: str) -> str:
    found: List[str] = []
    skip = False
    for line in text.splitlines(keepends=True):
        if skip:
            skip = False
        elif line.startswith(mark(bridge, "+")):
            skip = True
        else:
            found.append(line[len(mark(bridge, ":")) :] if line.startswith(mark(bridge, ":")) else line)
    return "".join(found)


def marked(text: str, bridge: str) -> str:
    """The lines of a file that have our mark."""
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith((mark(bridge, ":"), mark(bridge, "+"))))
