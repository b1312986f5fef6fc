# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bytes of a file: their checksum, and what comes out of an archive."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import lzma
import os
import subprocess
import zlib
from contextlib import ExitStack, contextmanager
from typing import IO, Any, Iterator, cast

from ..engine.errors import Failure
from ..engine.host import Host, explained
from ..engine.units import human_size
from .limits import limited
from .qemu_img import LARGEST

_BLOCK = 1024**2
_ZEROS = bytes(_BLOCK)


def checksum(host: Host, path: str, algorithm: str, label: str) -> str:
    """The digits of a file. label: how sentences call it. Failure C(source_changed): it was written to meanwhile."""
    made = hashlib.new(algorithm)
    with explained("read it", label), open(host.path(path), "rb", buffering=0) as stream:
        before, done = os.fstat(stream.fileno()), 0
        with host.progress.step("checking", before.st_size) as report:
            block = stream.read(_BLOCK)
            while block:
                made.update(block)
                done += len(block)
                report(done)
                block = stream.read(_BLOCK)
        after = os.fstat(stream.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Failure(f"{label}: is being written to; run the task again when it is complete", "source_changed")
    return made.hexdigest()


def unpack(host: Host, source: str, kind: str, handle: int, target: str, label: str) -> None:
    """Unpack a compressed file into an open, empty one. kind: gz, xz, bz2, zst. target, label: how sentences call that and the source.

    Failure C(archive_damaged), C(absurd_size), C(no_space).
    """
    with explained("read it", label), open(host.path(source), "rb") as packed, ExitStack() as stack:
        report = stack.enter_context(host.progress.step("unpacking", os.fstat(packed.fileno()).st_size))
        stream = stack.enter_context(_opened(host, packed, kind))

        def read(length: int) -> bytes:
            report(os.lseek(packed.fileno(), 0, os.SEEK_CUR))  # the position that a zstd of ours reads at as well
            try:
                return stream.read(length) or b""
            except (EOFError, OSError, lzma.LZMAError, zlib.error, MemoryError) as error:
                if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                    raise
                raise _damaged(label, kind, str(error)) from error

        _pour(read, handle, target, label)


@contextmanager
def _opened(host: Host, packed: IO[bytes], kind: str) -> Iterator[Any]:
    if kind == "zst":
        yield from _zstd(host, packed)
    elif kind == "gz":
        with gzip.GzipFile(fileobj=packed) as stream:
            yield stream
    elif kind == "xz":
        with lzma.LZMAFile(packed) as stream:
            yield stream
    else:
        with bz2.BZ2File(packed) as stream:
            yield stream


class _Pipe:
    """The output of a process, at whose end its verdict is asked for."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.output, self.complaints = cast(IO[bytes], process.stdout), cast(IO[bytes], process.stderr)

    def read(self, length: int) -> bytes:
        block = self.output.read(length)
        if not block and self.process.wait():
            raise EOFError(" ".join(self.complaints.read(1000).decode("utf-8", "replace").split()))
        return block


def _zstd(host: Host, packed: IO[bytes]) -> Iterator[_Pipe]:
    argv = limited(host, [host.require("zstd", "zstd"), "-dc", "-q", "--long=31"], ("--as=4294967296",), dies=True)
    with host.start(argv, stdin=packed, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield _Pipe(process)
        finally:
            process.kill()


def _pour(read: Any, handle: int, target: str, label: str = "") -> None:
    position = 0
    while True:
        block = read(_BLOCK)
        if not block:
            break
        if block != _ZEROS[: len(block)]:
            with explained("write it", target):
                written = 0
                while written < len(block):
                    written += os.pwrite(handle, memoryview(block)[written:], position + written)
        position += len(block)
        if label and position > LARGEST:
            raise Failure(f"{label}: unpacks to more than {human_size(LARGEST)}, which no honest image does; use another image", "absurd_size")
    with explained("write it", target):
        os.ftruncate(handle, position)


def _damaged(label: str, kind: str, why: str) -> Failure:
    return Failure(f"{label}: cannot be unpacked as {kind}: {' '.join(why.split()) or 'it is damaged'}; download it again", "archive_damaged")
