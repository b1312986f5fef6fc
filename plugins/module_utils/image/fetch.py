# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file that an image is made of, at hand and checked: where it is on this host, from the cache, or downloaded.

The cache holds files under C(sha256-DIGITS), as they come, and beside them C(sha256-DIGITS.part) with C(.part.json) of a
download that did not end: the next one for the same checksum continues it.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Iterator, Optional, Tuple

from ..engine import temporary
from ..engine.errors import Failure, NotReady
from ..engine.host import Host, explained
from . import contents, download, files, outside
from .exchange import Known
from .formats import COMPRESSED, detect
from .locks import busy_writing
from .model import Origin
from .source import Checksum, Digests, find_checksum

_CANNOT_CONTINUE = ("no_space", "permission_denied", "io_error", "source_changed", "checksum_mismatch")


#: Device, inode, size, and the times of the last change of contents and of anything, which nobody can set back.
Stamp = Tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Fetched:
    """path: the file. handle: of a temporary file that is ours to change; None of one that others use as well.

    source: the descriptor of a file that others may change while it is being looked at and copied, and stamp, what it was like at first.
    """

    path: str
    made_of: Digests
    handle: Optional[int] = None
    source: Optional[int] = None
    stamp: Optional[Stamp] = None


def digits(host: Host, origin: Origin, checksum: Checksum) -> str:
    """The digits of the checksum, from the list of them where they stand in one. Failure C(checksum_missing)."""
    place = checksum.place
    if checksum.value or place is None:
        return checksum.value or ""
    if place.path:
        text = host.read(place.path) if files.gate(host, place.path) else None
        if text is None:
            raise NotReady(f"{place.path}: does not exist; put the list of checksums there first", "source_missing")
    else:
        text = download.text(place, origin.timeout)
    found = find_checksum(text, checksum.algorithm, origin.place.name)
    if not found:
        raise Failure(f"{place.shown}: has no {checksum.algorithm} of {origin.place.name}; correct checksum or source", "checksum_missing")
    return found


def known_size(host: Host, origin: Origin) -> Optional[int]:
    """The size of the disk in a local source that is not compressed, after the gate has seen it. Of others nothing is known yet."""
    path = origin.place.path
    if origin.place.name.endswith(".zst"):
        host.require("zstd", "zstd")
    if path is None:
        return None
    entry = files.gate(host, path)
    if entry is None:
        raise NotReady(f"{path}: does not exist; put the source there first", "source_missing")
    busy = busy_writing(host, path, entry)
    if busy:
        who = ", ".join(f"{user.guest or user.command} (process {user.pid})" for user in busy.users) or "another process"
        raise Failure(f"{path}: in use by {who}, which may write to it; stop that first to copy it", "image_in_use")
    with _held(host, path, origin) as (_source, same):
        if compression(host, same):
            return None
        return outside.examine(host, same, origin).size


@contextmanager
def _held(host: Host, path: str, origin: Origin) -> Iterator[Tuple[int, str]]:
    """See files.held. What is trusted keeps its own path, beside which its backing file may be."""
    with files.held(host, path) as (source, same):
        yield source, path if origin.trusted else same


def compression(host: Host, path: str) -> Optional[str]:
    """How a file is compressed, told by looking: gz, xz, bz2, zst, or None."""
    kind = detect(files.beginning(host, path))
    return kind if kind in COMPRESSED.values() else None


@contextmanager
def fetched(host: Host, image: str, origin: Origin) -> Iterator[Fetched]:
    """The file that origin names, whole and with the right checksum. image: beside which there is room for temporary files."""
    checksum = origin.checksum and replace(origin.checksum, value=digits(host, origin, origin.checksum))
    made_of = Digests(origin.place.shown, {checksum.algorithm: checksum.value or ""} if checksum else {})
    if origin.place.path:
        if files.gate(host, origin.place.path) is None:
            raise NotReady(f"{origin.place.path}: does not exist; put the source there first", "source_missing")
        with _held(host, origin.place.path, origin) as (source, path):
            stamp = _stamp(source)
            _verify(host, path, origin, checksum)
            yield Fetched(path, made_of, source=source, stamp=stamp)
    elif checksum and origin.cache_dir:
        yield Fetched(_cached(host, origin, origin.cache_dir, checksum), made_of)
    else:
        with files.temporary(host, image) as (handle, path):
            download.Download(origin.place, handle, image, origin.timeout, pinned=checksum is not None, progress=host.progress).run()
            _verify(host, path, origin, checksum)
            yield Fetched(path, made_of, handle)


def refuse_changed(file: Fetched) -> None:
    """Failure C(source_changed) where the file is not any more what was checked, by accident or by somebody's intent."""
    if file.source is not None and _stamp(file.source) != file.stamp:
        raise Failure(f"{file.made_of.source}: changed while it was being copied; run the task again when it is complete", "source_changed")


def _stamp(handle: int) -> Stamp:
    found = os.fstat(handle)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _verify(host: Host, path: str, origin: Origin, checksum: Optional[Checksum]) -> None:
    if checksum is None:
        return
    found = contents.checksum(host, path, checksum.algorithm, origin.place.shown)
    if found != checksum.value:
        raise Failure(
            f"{origin.place.shown}: its {checksum.algorithm} is {found} and not {checksum.value}; nothing was changed, correct checksum or source",
            "checksum_mismatch",
        )


def _cached(host: Host, origin: Origin, directory: str, checksum: Checksum) -> str:
    """The path of the file in the cache, verified now. What is there and does not have its checksum any more is fetched again."""
    host.make_dir(directory, 0o700)
    path = os.path.join(directory, f"{checksum.algorithm}-{checksum.value}")
    note = f"{path}.part.json"
    with part(host, path) as handle:
        for left in files.leftovers(host, note):
            host.remove(left)
        with suppress(Failure):
            if files.gate(host, path):
                _verify(host, path, origin, checksum)
                _used(host, path)
                host.remove(note)  # of a run that was killed right after its last rename
                return path
        _complete(host, origin, checksum, handle, path)
    return path


def _used(host: Host, path: str) -> None:
    """The time of its last use, by which the cache is pruned. That of reading is none: many file systems do not keep it."""
    with explained("note its use", path):
        os.utime(host.path(path))


def _complete(host: Host, origin: Origin, checksum: Checksum, handle: int, path: str) -> None:
    part, note = f"{path}.part", f"{path}.part.json"
    resumed = _recall(host, note, handle)

    def remember(known: Known) -> None:
        host.write(note, json.dumps({"source": origin.place.shown, "validator": known.validator, "total": known.total}), mode=0o600)

    try:
        for known in (resumed, Known()) if resumed.validator else (Known(),):
            download.Download(origin.place, handle, part, origin.timeout, True, known, remember, host.progress).run()
            try:
                _verify(host, part, origin, checksum)
                break
            except Failure:
                if not known.validator:
                    raise
        with explained("keep it", path):
            temporary.rename(handle, host.path(part), host.path(path))
    except Failure as failure:
        if failure.code in _CANNOT_CONTINUE or not (os.fstat(handle).st_size and _recall(host, note, handle).validator):
            host.remove(part)
            host.remove(note)
        raise
    host.remove(note)


def _recall(host: Host, note: str, handle: int) -> Known:
    """What was said of the part that an earlier run has left."""
    try:
        found = json.loads(host.try_read(note) or "{}")
        validator, total = found["validator"], found["total"]
        if isinstance(validator, str) and isinstance(total, int) and os.fstat(handle).st_size <= total:
            return Known(validator, total)
    except (ValueError, KeyError, TypeError):
        pass
    return Known()


@contextmanager
def part(host: Host, path: str) -> Iterator[int]:
    """The unfinished file of the cache, which one run at a time works on: others wait here, and then find it finished."""
    real = host.path(f"{path}.part")
    while True:
        with explained("make a file in the cache", path):
            handle = os.open(real, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with explained("lock it", path):
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(handle, real):
                try:
                    yield handle
                finally:
                    if os.fstat(handle).st_size == 0 and _is_at(handle, real):
                        os.unlink(real)
                return
        finally:
            os.close(handle)


def _is_at(handle: int, real: str) -> bool:
    found: Tuple[int, int] = (0, 0)
    with suppress(OSError):
        there = os.stat(real, follow_symlinks=False)
        found = (there.st_dev, there.st_ino)
    mine = os.fstat(handle)
    return found == (mine.st_dev, mine.st_ino)
