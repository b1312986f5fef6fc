# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A local file's bytes into a volume and back out of it. What is half done can be told from what is whole.

As long as an upload lasts, the first bytes of the volume are a seal of ours: no format begins like it. The file's own first bytes
come last, when all the others are known to have arrived. So an interrupted upload, whatever interrupted it, is found by its seal.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Tuple

from ...engine.errors import Failure
from ...engine.host import explained
from ...engine.progress import Report
from ..connection import Connection

SEAL = b"virtops: this upload was not finished".ljust(512, b"\0")
_HEAD = 65536
_CHUNK = 1 << 18


def is_sealed(connection: Connection, volume: Any) -> bool:
    return read_head(connection, volume, len(SEAL)) == SEAL


def read_head(connection: Connection, volume: Any, length: int) -> bytes:
    """The first bytes of a volume; fewer where it has no more."""
    stream = connection.virt.newStream(0)
    data = b""
    volume.download(stream, 0, length, 0)
    while len(data) < length:
        chunk = stream.recv(length - len(data))
        if not chunk:
            break
        data += chunk
    stream.finish()
    return data


def upload(connection: Connection, volume: Any, path: str, what: str) -> None:
    """The whole file, holes as holes, read back and compared. Failure C(upload_failed): the volume is still sealed then."""
    with explained("read", path), open(connection.host.path(path), "rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        with connection.explained(f"{what}: the upload of {path} was interrupted; run the task again", "upload_failed"):
            if size >= len(SEAL):  # a smaller one is written at once
                _write(connection, volume, 0, SEAL)
            head = handle.read(min(_HEAD, size))
            sent = _send_rest(connection, volume, handle, len(head), size)
            kept = _digest_of(connection, volume, len(head), size)
            if sent == kept:
                _write(connection, volume, 0, head)
                sent, kept = hashlib.sha256(head).hexdigest(), hashlib.sha256(read_head(connection, volume, len(head))).hexdigest()
    if sent != kept:
        raise Failure(
            f"{what}: the upload of {path} did not arrive whole, or the file changed meanwhile (SHA-256 {sent} sent, {kept} there); "
            "look whether the pool is full, and run the task again",
            "upload_failed",
        )


def _write(connection: Connection, volume: Any, offset: int, data: bytes) -> None:
    stream = connection.virt.newStream(0)
    volume.upload(stream, offset, len(data), 0)
    view = memoryview(data)
    while view:
        view = view[stream.send(bytes(view[:_CHUNK])) :]
    stream.finish()


def _send_rest(connection: Connection, volume: Any, handle: Any, start: int, size: int) -> str:
    """Sends the file from start on. Returns the SHA-256 of it, holes as zeros."""
    whole = hashlib.sha256()
    if start >= size:
        return whole.hexdigest()
    stream = connection.virt.newStream(0)
    volume.upload(stream, start, size - start, connection.api.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
    try:
        with connection.host.progress.step("uploading", size) as report:
            position = start
            while position < size:
                data, end = _extent(handle.fileno(), position, size)
                if data:
                    _send_data(stream, handle, position, end, whole, report)
                else:
                    stream.sendHole(end - position, 0)
                    _zeros(whole, end - position)
                position = end
    except BaseException:
        stream.abort()
        raise
    stream.finish()
    return whole.hexdigest()


def _send_data(stream: Any, handle: Any, position: int, end: int, whole: Any, report: Report) -> None:
    handle.seek(position)
    while position < end:
        chunk = handle.read(min(_CHUNK, end - position))
        if not chunk:
            raise OSError(5, "the file became shorter while it was read")
        whole.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[stream.send(bytes(view)) :]
        position += len(chunk)
        report(position)


def _extent(descriptor: int, position: int, size: int) -> Tuple[bool, int]:
    """Whether there is data at a position, and where that ends."""
    try:
        data = os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError:  # ENXIO: nothing but a hole up to the end
        return False, size
    if data > position:
        return False, min(data, size)
    return True, min(os.lseek(descriptor, position, os.SEEK_HOLE), size)


def _zeros(whole: Any, length: int) -> None:
    block = bytes(_CHUNK)
    while length:
        part = min(length, _CHUNK)
        whole.update(block[:part])
        length -= part


def _digest_of(connection: Connection, volume: Any, start: int, size: int) -> str:
    """The SHA-256 of what the volume has in a range."""
    whole = hashlib.sha256()
    if start >= size:
        return whole.hexdigest()
    stream = connection.virt.newStream(0)
    volume.download(stream, start, size - start, connection.api.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
    position = start
    with connection.host.progress.step("checking", size) as report:
        while True:
            chunk = stream.recvFlags(_CHUNK, connection.api.VIR_STREAM_RECV_STOP_AT_HOLE)
            if chunk == -3:
                hole = stream.recvHole(0)
                _zeros(whole, hole)
                position += hole
            elif chunk:
                whole.update(chunk)
                position += len(chunk)
            else:
                break
            report(position)
    stream.finish()
    return whole.hexdigest()
