# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DHCP clients that look after one interface each, as ifupdown starts them. Pure, and of the standard library alone: the watchdog uses it too.

One that went on for a port would give that port the address back with the next renewal, while the bridge's own runs out.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, Iterable, NamedTuple, Optional, Sequence, Tuple

FOLDER = "/run"
_PID_FILE = re.compile(r"(dhclient|udhcpc)\.(.+)\.pid")
#: The word with which it does not end, or wait for ever, where the network does not answer.
_AT_ONCE = {"dhclient": "-nw", "udhcpc": "-b"}


class Client(NamedTuple):
    """path: the file with its number."""

    pid: int
    argv: Tuple[str, ...]
    path: str


def running(listed: Iterable[str], read: Callable[[str], Optional[str]]) -> Dict[str, Client]:
    """Interface → its client. listed: the names in FOLDER. read: gives the text of a file, or None."""
    found: Dict[str, Client] = {}
    for name in listed:
        match = _PID_FILE.fullmatch(name)
        path = f"{FOLDER}/{name}"
        pid = (read(path) or "").strip() if match else ""
        argv = tuple((read(f"/proc/{pid}/cmdline") or "").rstrip("\0").split("\0")) if pid.isdigit() else ("",)
        if match and _program(argv) == match[1] and match[2] in argv:
            found[match[2]] = Client(int(pid), argv, path)
    return found


def _program(argv: Sequence[str]) -> str:
    return argv[0].rpartition("/")[2]


def moved(argv: Sequence[str], old: str, new: str) -> Tuple[str, ...]:
    """The same client for another interface: its name stands alone, and in the names of files."""
    found = tuple(renamed(word, old, new) for word in argv)
    at_once = _AT_ONCE.get(_program(argv))
    return found if at_once is None or at_once in found else (found[0], at_once, *found[1:])


def renamed(text: str, old: str, new: str) -> str:
    return re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", new, text)


def leases(argv: Sequence[str], old: str, new: str) -> Tuple[Tuple[str, str], ...]:
    """The files that it remembers its leases in, and who it is: as another one it may be given another address."""
    return tuple((word, renamed(word, old, new)) for word in argv if word.endswith(".leases") and renamed(word, old, new) != word)
