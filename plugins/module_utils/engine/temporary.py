# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a file comes about whole or not at all: under a temporary name in its own folder, synced, renamed, and swept where a run was killed.

The temporary of C(NAME) is C(.NAME.xxxxxxxx.tmp), where x is a lower-case letter, a digit or _. While its run lives, a file is locked: one
that is not is a leftover. Paths are those of the operating system; every OSError is left to the caller, who knows what it was for.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from typing import Iterator, List, Optional, Tuple


def open_beside(path: str) -> Tuple[int, str]:
    """A new empty file, mode 0600 and locked: its descriptor and its path."""
    directory, name = os.path.split(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=directory)
    with suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle, temporary


def make_directory(path: str, place: Optional[str] = None) -> str:
    """A new directory that only its owner enters, beside path or in place."""
    directory, name = os.path.split(path)
    return tempfile.mkdtemp(prefix=f".{name}.", suffix=".tmp", dir=place or directory)


@contextmanager
def closed_and_removed(handle: int, path: str) -> Iterator[None]:
    """Afterwards the file is closed, and gone unless it has got its name."""
    try:
        yield
    finally:
        os.close(handle)
        with suppress(FileNotFoundError):
            os.unlink(path)


def left_behind(directory: str, name: str) -> List[str]:
    """The paths of temporaries for that name whose runs do not live any more, sorted."""
    pattern = re.compile(rf"\.{re.escape(name)}\.[a-z0-9_]{{8}}\.tmp")
    try:
        found = sorted(entry for entry in os.listdir(directory) if pattern.fullmatch(entry))
    except OSError:
        return []
    return [path for path in (os.path.join(directory, entry) for entry in found) if not locked(path)]


def locked(path: str) -> bool:
    """Whether the run that made it still lives."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    finally:
        os.close(handle)


def sync(path: str) -> None:
    """fsync of a file or a directory."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename(handle: int, temporary: str, path: str) -> None:
    """Give a finished file its name, in place of any other, on disk for good."""
    os.fsync(handle)
    os.replace(temporary, path)
    sync(os.path.dirname(path))
