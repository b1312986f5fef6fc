# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Downloads that arrive whole or fail with a sentence: resumed where the server can, never mixed of two files.

Source: RFC 9110, 13.1.5 (If-Range) and 14 (Range). A part is only ever continued with the validator of its beginning.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import socket
import ssl
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Optional
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

from ..engine.errors import Failure
from ..engine.host import explained
from ..engine.units import human_size
from .source import Place

_BLOCK = 256 * 1024
#: Attempts in a row that brought nothing new, after which a server is given up.
_FRUITLESS = 6
#: How often the file may change under way.
_CHANGES = 3
#: Bytes that must come within the timeout, so that a server cannot hold us with a byte now and then.
_SLOWEST = 1024
_MOST_TEXT = 4 * 1024**2
_RANGE = re.compile(r"bytes (?P<first>\d+)-(?P<last>\d+)/(?P<total>\d+|\*)")
_PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Known:
    """What a server said of a file. validator: what tells this version of it from others. total: bytes."""

    validator: Optional[str] = None
    total: Optional[int] = None


class _Again(Exception):
    """This attempt did not do it; the next one may. failure: what to raise where there is none."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def text(place: Place, timeout: int) -> str:
    """A small file, such as a list of checksums, as text."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            with _open(_request(place), place, timeout, pinned=False) as response:
                data = b""
                for block in _blocks(response, place, timeout):
                    data += block
                    if len(data) > _MOST_TEXT:
                        raise Failure(f"{place.shown}: larger than any list of checksums; correct the address", "invalid_checksum_list")
                return data.decode("utf-8", "replace")
        except _Again as again:
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
        known: Known = Known(),
        remember: Callable[[Known], None] = lambda known: None,
    ) -> None:
        self.place = place
        self.handle = handle
        self.path = path
        self.timeout = timeout
        self.pinned = pinned
        self.known = known
        self.remember = remember
        self.changes = 0

    def run(self) -> None:
        """Failure C(download_failed), C(download_incomplete), C(download_stalled), C(source_changed), C(insecure_redirect), C(no_space)."""
        fruitless = most = 0
        news = time.monotonic()
        while True:
            try:
                return self._attempt()
            except _Again as again:
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
        wanted = _request(self.place)
        offset = os.fstat(self.handle).st_size if self.known.validator else 0
        if offset:
            wanted.add_header("Range", f"bytes={offset}-")
            wanted.add_header("If-Range", self.known.validator or "")
        try:
            with _open(wanted, self.place, self.timeout, self.pinned) as response:
                told = _told(response)
                if response.status == 206:
                    self._continue(response, told, offset)
                else:
                    self._start(response, told)
                self._receive(response)
        except _NothingThere:
            self._forget()
            raise _Again(_incomplete(self.place, offset, self.known.total)) from None
        size = os.fstat(self.handle).st_size
        if self.known.total is not None and size != self.known.total:
            if size > self.known.total:
                self._forget()
            raise _Again(_incomplete(self.place, size, self.known.total))

    def _start(self, response: Any, told: Known) -> None:
        if self.known.validator and told != self.known:
            self._changed()
        self._forget()
        if told.total is None and not response.chunked and not self.pinned:
            raise Failure(
                f"{self.place.shown}: the server does not say how long the file is, so that nobody could tell whether all of it came; add checksum",
                "unknown_length",
            )
        self.known = told
        self.remember(told)

    def _continue(self, response: Any, told: Known, offset: int) -> None:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        same = found and int(found["first"]) == offset and told.validator in (None, self.known.validator) and told.total in (None, self.known.total)
        if not same:
            self._forget()
            raise _Again(self._changed())

    def _receive(self, response: Any) -> None:
        with explained("write the download", self.path):
            os.lseek(self.handle, 0, os.SEEK_END)
        for block in _blocks(response, self.place, self.timeout):
            with explained("write the download", self.path):
                _write_all(self.handle, block)

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


class _NothingThere(Exception):
    """The server has no bytes where the part ends."""


class _Redirects(request.HTTPRedirectHandler):
    """Never to anything but http and https, never with a password to another server, and not to http where nothing else protects."""

    def __init__(self, place: Place, pinned: bool) -> None:
        self.place = place
        self.pinned = pinned

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https"):
            raise Failure(f"{self.place.shown}: the server sends us on to {scheme}, which is not followed; use another address", "download_failed")
        if scheme == "http" and self.place.secure and not self.pinned:
            raise Failure(
                f"{self.place.shown}: the server sends us on to an address without encryption; add checksum, or use another address",
                "insecure_redirect",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _request(place: Place) -> request.Request:
    """The URL without user and password, which go into a header that no redirection copies."""
    parts = urlsplit(place.url or "")
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    wanted = request.Request(address)  # noqa: S310  # parse_place lets http and https in, and nothing else
    wanted.add_header("User-Agent", "virtops.linux")
    wanted.add_header("Accept-Encoding", "identity")
    if parts.username:
        word = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        wanted.add_unredirected_header("Authorization", f"Basic {base64.b64encode(word).decode()}")
    return wanted


def _open(wanted: request.Request, place: Place, timeout: int, pinned: bool) -> Any:
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        _Redirects(place, pinned),
        request.HTTPErrorProcessor(),
        request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    try:
        return closing(opener.open(wanted, timeout=timeout))
    except HTTPError as error:
        error.close()
        if error.code == 416:
            raise _NothingThere from error
        answer = f"{place.shown}: the server answers {error.code} {_one_line(str(error.reason))}"
        if error.code in _PASSING:
            raise _Again(Failure(f"{answer}; try again later", "download_failed", status=error.code)) from error
        raise Failure(f"{answer}; correct the address", "download_failed", status=error.code) from error
    except (URLError, OSError, http.client.HTTPException) as error:
        raise _failed(place, timeout, error) from error


def _one_line(words: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())[:200]


def _failed(place: Place, timeout: int, error: Exception) -> Exception:
    """What a broken connection means."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Failure(
            f"{place.shown}: the server's certificate is not valid ({reason.verify_message}); correct the address, or install its authority",
            "certificate_invalid",
        )
    if isinstance(reason, socket.timeout):
        failure = Failure(f"{place.shown}: nothing came for {timeout} seconds; run the task again, or give a longer timeout", "download_stalled")
    elif isinstance(reason, socket.gaierror):
        failure = Failure(f"{place.shown}: the name of the server is not known here; correct the address, or this host's DNS", "download_failed")
    else:
        words = _one_line(getattr(reason, "strerror", None) or str(reason)) or type(reason).__name__
        failure = Failure(f"{place.shown}: the connection failed ({words}); run the task again when the server answers", "download_failed")
    return _Again(failure)


def _blocks(response: Any, place: Place, timeout: int) -> Iterator[bytes]:
    """What comes. A server that only trickles is one that stalls."""
    since, received = time.monotonic(), 0
    try:
        while True:
            block = response.read1(_BLOCK)
            if not block:
                return
            yield block
            received += len(block)
            if time.monotonic() - since > timeout:
                if received < _SLOWEST:
                    raise socket.timeout
                since, received = time.monotonic(), 0
    except http.client.IncompleteRead:
        raise _Again(Failure(f"{place.shown}: the connection broke off; run the task again", "download_incomplete")) from None
    except (OSError, http.client.HTTPException) as error:
        raise _failed(place, timeout, error) from error


def _told(response: Any) -> Known:
    etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
    validator = etag if etag and not etag.startswith("W/") else modified
    length = response.headers.get("Content-Length", "")
    if response.status == 206:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        total = found["total"] if found else "*"
        return Known(validator, int(total) if total.isdigit() else None)
    return Known(validator, int(length) if length.isdigit() else None)


def _incomplete(place: Place, size: int, total: Optional[int]) -> Failure:
    announced = f"{human_size(total)} ({total} bytes) were announced" if total is not None else "more was announced"
    return Failure(f"{place.shown}: {announced}, and {size} bytes came; run the task again when the server has all of it", "download_incomplete")


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
