# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One exchange with a server: what is asked, where it may send us, what it says of the file, and what its failures mean."""

from __future__ import annotations

import base64
import http.client
import re
import socket
import ssl
import string
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Iterator, Optional
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ..engine.errors import Failure
from .source import Place

_BLOCK = 256 * 1024
#: Bytes that must come within the timeout, so that a server cannot hold us with a byte now and then.
_SLOWEST = 1024
#: A number of bytes in a header. Whoever writes those may write anything: other digits of Unicode, or thousands of them.
_NUMBER = "[0-9]{1,18}"
#: The header Content-Range.
RANGE = re.compile(rf"bytes (?P<first>{_NUMBER})-(?P<last>{_NUMBER})/(?P<total>{_NUMBER}|\*)")
#: Answers that may be others in a moment.
_PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Known:
    """What a server said of a file. validator: what tells this version of it from others. total: bytes."""

    validator: Optional[str] = None
    total: Optional[int] = None


class Again(Exception):
    """This attempt did not do it; the next one may. failure: what to raise where there is none."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class NothingThere(Exception):
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


def request_for(place: Place) -> request.Request:
    """The URL without user and password, which go into a header that no redirection copies. What is not ASCII is sent as UTF-8."""
    parts = urlsplit(place.url or "")
    path, query = (quote(text, safe=string.punctuation) for text in (parts.path, parts.query))
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, query, ""))
    wanted = request.Request(address)  # noqa: S310  # parse_place lets http and https in, and nothing else
    wanted.add_header("User-Agent", "virtops.linux")
    wanted.add_header("Accept-Encoding", "identity")
    if parts.username:
        word = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        wanted.add_unredirected_header("Authorization", f"Basic {base64.b64encode(word).decode()}")
    return wanted


def opened(wanted: request.Request, place: Place, timeout: int, pinned: bool) -> Any:
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
        if error.code == 416 and wanted.has_header("Range"):
            raise NothingThere from error
        answer = f"{place.shown}: the server answers {error.code} {_one_line(str(error.reason))}"
        if error.code in _PASSING:
            raise Again(Failure(f"{answer}; try again later", "download_failed", status=error.code)) from error
        raise Failure(f"{answer}; correct the address", "download_failed", status=error.code) from error
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:  # ValueError: sent on to what is no address
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
    return Again(failure)


def blocks(response: Any, place: Place, timeout: int) -> Iterator[bytes]:
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
        raise Again(Failure(f"{place.shown}: the connection broke off; run the task again", "download_incomplete")) from None
    except (OSError, http.client.HTTPException) as error:
        raise _failed(place, timeout, error) from error


def told(response: Any) -> Known:
    etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
    validator = etag if etag and not etag.startswith("W/") else modified
    length = response.headers.get("Content-Length", "")
    if response.status == 206:
        found = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        total = found["total"] if found else "*"
        return Known(validator, None if total == "*" else int(total))
    return Known(validator, int(length) if re.fullmatch(_NUMBER, length) else None)
