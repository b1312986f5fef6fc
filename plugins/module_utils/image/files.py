# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Image files: the gate before anything opens them, and how new ones come about.

A new image is made under a temporary name in the same folder (see engine.temporary). Such a file of a run that was interrupted is
removed by the next run for the same image.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

from ..engine import temporary as temporary_files
from ..engine.errors import Failure
from ..engine.host import Host, explained
from . import header as qcow2

_FIRST_READ = 65536
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


#: Device and inode.
Identity = Tuple[int, int]


@dataclass(frozen=True)
class Entry:
    """A regular file. identity: device and inode. mode: the permission bits. size, allocated: bytes."""

    identity: Identity
    size: int
    allocated: int
    uid: int
    gid: int
    mode: int
    symlink: bool


def gate(host: Host, path: str) -> Optional[Entry]:
    """What is at a path, or None. Failure C(not_a_regular_file) for whatever is not a file, so that nothing ever opens it."""
    real = host.path(path)
    try:
        link = stat.S_ISLNK(os.lstat(real).st_mode)
        found = os.stat(real)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            if os.path.islink(real):
                raise Failure(f"{path}: a symbolic link to a file that does not exist; remove the link", "not_a_regular_file") from error
            return None
        if error.errno == errno.ELOOP:
            raise Failure(f"{path}: symbolic links lead in a circle; remove them", "not_a_regular_file") from error
        if error.errno == errno.ENAMETOOLONG:
            raise Failure(f"{path[:80]}...: the path is too long for this host; choose a shorter one", "invalid_path") from error
        with explained("look at it", path):
            raise
        return None
    for is_kind, kind in _KINDS:
        if is_kind(found.st_mode):
            raise Failure(f"{path}: {kind}, not a file; give the path of an image file", "not_a_regular_file")
    return Entry((found.st_dev, found.st_ino), found.st_size, found.st_blocks * 512, found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), link)


@contextmanager
def held(host: Host, path: str) -> Iterator[Tuple[int, str]]:
    """A file that is open to be read: its descriptor, and a path that leads to this very file as long as it is.

    Whoever may write to a folder on the way, or to a link, could let the path lead to another file after this one was looked at, and back
    again before anyone compares.
    """
    with explained("read it", path):
        handle = os.open(host.path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Failure(f"{path}: became something else than a file; give the path of an image file", "not_a_regular_file")
        yield handle, path if host.root else f"/proc/{os.getpid()}/fd/{handle}"  # below another root there is no /proc
    finally:
        os.close(handle)


def beginning(host: Host, path: str, length: int = _FIRST_READ) -> bytes:
    """The first bytes of a file, and as many as a qcow2 header needs, but of that never more than LARGEST_HEADER."""
    # O_NONBLOCK: should the file have become a pipe since the gate saw it, nobody hangs.
    with explained("read it", path):
        handle = os.open(host.path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            data = os.pread(handle, length, 0)
            if qcow2.is_qcow2(data):
                with suppress(qcow2.Malformed):
                    extent = min(qcow2.needed(data), qcow2.LARGEST_HEADER)
                    if extent > len(data):
                        data = os.pread(handle, extent, 0)
            return data
        finally:
            os.close(handle)


def read_header(host: Host, path: str, entry: Entry) -> Tuple[Optional[qcow2.Header], bytes]:
    """The qcow2 header, None of a file that is not qcow2, and the first bytes.

    Failure C(image_unreadable): it begins as qcow2 and cannot be. Failure C(unsupported_format): its data are in another file.
    """
    data = beginning(host, path)
    if not qcow2.is_qcow2(data):
        return None, data
    try:
        header = qcow2.parse_header(data)
    except qcow2.Malformed as error:
        raise Failure(f"{path}: {error}; restore the image, or remove it", "image_unreadable") from error
    if entry.size < header.tables_end:
        raise Failure(f"{path}: the file was cut off at {entry.size} bytes; copy or download it again", "image_unreadable")
    if header.data_file:
        raise Failure(
            f"{path}: its data are in another file, which this module does not manage; convert it with qemu-img convert", "unsupported_format"
        )
    return header, data


def leftovers(host: Host, path: str) -> Tuple[str, ...]:
    """The temporary files that interrupted runs for this image have left, beside it, or beside the image to which a link leads."""
    found = []
    for place in (path, host.realpath(path)) if os.path.islink(host.path(path)) else (path,):
        directory, name = os.path.split(place)
        found += [os.path.join(directory, os.path.basename(left)) for left in temporary_files.left_behind(host.path(directory), name)]
    return tuple(found)


@contextmanager
def temporary(host: Host, path: str) -> Iterator[Tuple[int, str]]:
    """A new empty file beside path, mode 0600: its descriptor and its path. It is gone afterwards."""
    with explained("make a file beside it", path):
        handle, real = temporary_files.open_beside(host.path(path))
    with temporary_files.closed_and_removed(handle, real):
        yield handle, os.path.join(os.path.dirname(path), os.path.basename(real))


def publish(host: Host, handle: int, temporary_path: str, path: str, replace: bool = False) -> None:
    """Give a finished file its name, on disk for good, and in place of another file only where that is said."""
    source, target = host.path(temporary_path), host.path(path)
    with explained("put it in place", path):
        if replace:
            temporary_files.rename(handle, source, target)
        else:
            os.fsync(handle)
            _name_it(source, target, path)
            temporary_files.sync(os.path.dirname(target))


def _name_it(source: str, target: str, path: str) -> None:
    try:
        os.link(source, target)
    except FileExistsError as error:
        raise Failure(f"{path}: another file took the name while the image was being made; run the task again", "already_exists") from error
    except FileNotFoundError as error:
        raise Failure(f"{path}: another run for the same image has cleared this one's file; run the task again", "concurrent_run") from error
    except OSError as error:
        # File systems without hard links: vfat, some network and FUSE ones.
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK) or os.path.lexists(target):
            raise
        os.rename(source, target)
    with suppress(FileNotFoundError):
        os.unlink(source)
