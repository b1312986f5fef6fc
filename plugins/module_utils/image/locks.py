# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who has an image open. Asked of the kernel, so that a plan knows before anything is tried.

Source: block/file-posix.c of qemu. A process that has an image open holds open-file-description locks on single bytes:
100 + n where it has permission n, 200 + n where it does not let others have it. Permission 1 is writing, 3 resizing.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from typing import List, Optional, Sequence, Tuple

from ..engine.host import Host
from .files import Entry
from .model import Busy, User

_F_OFD_GETLK = 36  # fcntl.F_OFD_GETLK came with Python 3.9
_FLOCK = struct.Struct("@hhqqi4x")
_ALL = (100, 164)
_WRITE = (101, 1)
_RESIZE = (103, 1)


def busy(host: Host, path: str, entry: Entry) -> Optional[Busy]:
    """Who uses an image in any way: to change or remove it, nobody may."""
    return _busy(host, path, entry, (_ALL,))


def busy_writing(host: Host, path: str, entry: Entry) -> Optional[Busy]:
    """Who writes to an image: to put an overlay on it, readers are fine."""
    return _busy(host, path, entry, (_WRITE, _RESIZE))


def _busy(host: Host, path: str, entry: Entry, ranges: Sequence[Tuple[int, int]]) -> Optional[Busy]:
    if not any(_locked(host.path(path), start, length) for start, length in ranges):
        return None
    return Busy(path, users(host, entry.identity))


def _locked(real: str, start: int, length: int) -> bool:
    """Whether another open file holds a lock in the range. False where the file system cannot tell."""
    try:
        handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        answer = fcntl.fcntl(handle, _F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0))
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(handle)


def users(host: Host, identity: Tuple[int, int]) -> Tuple[User, ...]:
    """The processes that have the file open, as far as this user may see them."""
    found: List[User] = []
    for pid in (name for name in host.list("/proc") if name.isdigit() and int(name) != os.getpid()):
        if _has_open(host.path(f"/proc/{pid}/fd"), identity):
            argv = [word for word in (host.try_read(f"/proc/{pid}/cmdline") or "").split("\0") if word]
            command = os.path.basename(argv[0]) if argv else (host.try_read(f"/proc/{pid}/comm") or "?").strip()
            found.append(User(int(pid), command, guest_name(argv)))
    return tuple(sorted(found, key=lambda user: user.pid))


def _has_open(directory: str, identity: Tuple[int, int]) -> bool:
    try:
        descriptors = os.listdir(directory)
    except OSError:
        return False
    for name in descriptors:
        try:
            found = os.stat(os.path.join(directory, name))
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == identity:
            return True
    return False


def guest_name(argv: Sequence[str]) -> Optional[str]:
    """The guest of a qemu command line: -name guest=web1,debug-threads=on, or -name web1. A comma in a name is doubled."""
    for option, value in zip(argv, argv[1:]):
        if option in ("-name", "--name"):
            words = re.split(r"(?<!,),(?!,)", value)
            named = [word[len("guest=") :] for word in words if word.startswith("guest=")]
            plain = [word for word in words[:1] if "=" not in word]
            return (named or plain or [""])[0].replace(",,", ",") or None
    return None
