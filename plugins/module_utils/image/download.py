# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Downloads that arrive whole or fail with a sentence: resumed where the server can, never mixed of two files.

Source: RFC 9110, 13.1.5 (If-Range) and 14 (Range). A part is only ever continued with the validator of its beginning.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Optional

from ..engine.errors import Failure
from ..engine.host import explained
from ..engine.progress import Progress
from ..engine.units import human_size
from .exchange import RANGE, Again, Known, NothingThere, blocks, opened, request_for, told
from .source import Place

#: Attempts in a row that brought nothing new, after which a server is given up.
_FRUITLESS = 6
#: How often the file may change under way.
_CHANGES = 3
_MOST_TEXT = 4 * 1024**2


def text(place: Place, timeout: int) -> str:
    """A small file, such as a list of checksums, as text."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            with opened(request_for(place), place, timeout, pinned=False) as response:
                data = b""
                for block in blocks(response, place, timeout):
                    data += block
                    if len(data) > _MOST_TEXT:
                        raise Failure(f"{place.shown}: larger than any list of checksums; correct the address", "invalid_checksum_list")
                total = told(response).total
                if total is not None and len(data) != total:  # cut off, its last line may be that of another file
                    raise Again(_incomplete(place, len(data), total))
                return data.decode("utf-8", "replace")
        except Again as again:
            if time.monotonic() > deadline:
                raise again.failure from again
            time.sleep(0.5)


class Download:
    """One download into an open file, of which a part may be there already.

    path: for sentences about the disk. timeout: seconds without anything new.
    pinned: a checksum will show any forgery and any cut.
    known: what was said of the part that is there. remember: called with what is said anew, before the first byte.
    """

    def __init__(
        self,
        place: Place,
        handle: int,
        path: str,
        timeout: int,
        pinned: bool,
        known: Optional[Known] = None,
        remember: Callable[[Known], None] = lambda known: None,
        progress: Optional[Progress] = None,
    ) -> None:
        self.place = place
        self.handle = handle
        self.path = path
        self.timeout = timeout
        self.pinned = pinned
        self.known = known or Known()
        self.remember = remember
        self.progress = progress or Progress()
        self.changes = 0

    def run(self) -> None:
        """Failure C(download_failed), C(download_incomplete), C(download_stalled), C(source_changed), C(insecure_redirect), C(no_space)."""
        fruitless = most = 0
        news = time.monotonic()
        while True:
            try:
                return self._attempt()
            except Again as again:
                size = os.fstat(self.handle).st_size
                fruitless += 1
                if size > most:
                    most, fruitless, news = size, 0, time.monotonic()
                wait = min(0.25 * 2**fruitless, 8)
                out_of_patience = fruitless >= 2 and time.monotonic() + wait - news > self.timeout
                if fruitless >= _FRUITLESS or out_of_patience:
                    raise (self._change() if self.changes else again.failure) from again
                time.sleep(wait)

    def _attempt(self) -> None:
        wanted = request_for(self.place)
        offset = os.fstat(self.handle).st_size if self.known.validator else 0
        if offset:
            wanted.add_header("Range", f"bytes={offset}-")
            wanted.add_header("If-Range", self.known.validator or "")
        try:
            with opened(wanted, self.place, self.timeout, self.pinned) as response:
                said = told(response)
                if response.status == 206:
                    self._continue(response, said, offset)
                else:
                    self._start(response, said)
                self._receive(response)
        except NothingThere:
            self._forget()
            raise Again(_incomplete(self.place, offset, self.known.total)) from None
        size = os.fstat(self.handle).st_size
        if self.known.total is not None and size != self.known.total:
            if size > self.known.total:
                self._forget()
            raise Again(_incomplete(self.place, size, self.known.total))

    def _start(self, response: Any, said: Known) -> None:
        if self.known.validator and said != self.known:
            self._changed()
        self._forget()
        if said.total is None and not response.chunked and not self.pinned:
            raise Failure(
                f"{self.place.shown}: the server does not say how long the file is, so that nobody could tell whether all of it came; add checksum",
                "unknown_length",
            )
        self.known = said
        self.remember(said)

    def _continue(self, response: Any, said: Known, offset: int) -> None:
        found = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        same = found and int(found["first"]) == offset and said.validator in (None, self.known.validator) and said.total in (None, self.known.total)
        if not same:
            self._forget()
            raise Again(self._changed())

    def _receive(self, response: Any) -> None:
        with explained("write the download", self.path):
            there = os.lseek(self.handle, 0, os.SEEK_END)
        with self.progress.step("downloading", self.known.total, first=there) as report:
            for block in blocks(response, self.place, self.timeout):
                with explained("write the download", self.path):
                    _write_all(self.handle, block)
                there += len(block)
                report(there)

    def _changed(self) -> Failure:
        self.changes += 1
        if self.changes >= _CHANGES:
            raise self._change()
        return self._change()

    def _change(self) -> Failure:
        return Failure(f"{self.place.shown}: changed while it was being downloaded; run the task again when it is complete there", "source_changed")

    def _forget(self) -> None:
        with explained("write the download", self.path):
            os.ftruncate(self.handle, 0)
        self.known = Known()


def _incomplete(place: Place, size: int, total: Optional[int]) -> Failure:
    announced = f"{human_size(total)} ({total} bytes) were announced" if total is not None else "more was announced"
    return Failure(f"{place.shown}: {announced}, and {size} bytes came; run the task again when the server has all of it", "download_incomplete")


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
