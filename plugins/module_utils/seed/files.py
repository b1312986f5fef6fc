# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Seeds as files: the gate before anything reads them, and how new ones come about.

A new seed is made in a temporary directory (see engine.temporary), beside the ISO or in the directory that it is to replace. What an
interrupted run has left is removed by the next run for the same seed.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager
from typing import Iterator, Optional, Tuple

from ..engine.errors import Failure
from ..engine.host import Host, explained
from ..engine.temporary import left_behind, make_directory

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def entry(host: Host, path: str) -> Optional[os.stat_result]:
    """What is at a path itself, or None. A symbolic link is not followed."""
    try:
        return os.lstat(host.path(path))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        with explained("look at it", path):
            raise
        return None


def content(host: Host, path: str, at: int, most: int) -> Optional[bytes]:
    """At most that many bytes of a regular file, from an offset. None where there is no file."""
    try:
        handle = os.open(host.path(path), _FLAGS)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        if error.errno == errno.ELOOP:
            raise Failure(f"{path}: a symbolic link; remove it, or give the path that it leads to", "not_a_regular_file") from error
        with explained("read it", path):
            raise
        return None
    with explained("read it", path), os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Failure(f"{path}: not a regular file; remove it, or choose another path", "not_a_regular_file")
        stream.seek(at)
        return stream.read(most)


def leftovers(host: Host, path: str) -> Tuple[str, ...]:
    """The temporary directories that interrupted runs for this seed have left, beside it and in it."""
    parent, name = os.path.split(path)
    places = [parent] + ([path] if host.is_dir(path) else [])
    found = (os.path.join(place, os.path.basename(left)) for place in places for left in left_behind(host.path(place), name))
    return tuple(item for item in found if os.path.isdir(host.path(item)) and not os.path.islink(host.path(item)))


def remove_tree(host: Host, path: str) -> None:
    with explained("remove it", path):
        try:
            shutil.rmtree(host.path(path))
        except FileNotFoundError:
            return


@contextmanager
def temporary(host: Host, path: str, place: str) -> Iterator[str]:
    """A new directory for the parts of a seed, that only its owner enters. It is gone afterwards."""
    with explained("make a directory beside it", path):
        real = make_directory(path, host.path(place))
    try:
        yield os.path.join(place, os.path.basename(real))
    finally:
        shutil.rmtree(real, ignore_errors=True)


def write(host: Host, path: str, data: bytes) -> None:
    """A new file with mode 0600, on disk for good."""
    with os.fdopen(os.open(host.path(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def dress(host: Host, path: str, uid: int, gid: int, mode: int) -> None:
    """Owner, group and mode. -1 leaves the owner or the group as it is."""
    os.chown(host.path(path), uid, gid, follow_symlinks=False)
    os.chmod(host.path(path), mode)


def directory_mode(mode: int) -> int:
    """The mode of a directory whose files have that mode: x for whoever may read."""
    return mode | (mode & 0o444) >> 2
