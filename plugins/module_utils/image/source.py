# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where an image comes from, and how it is known to be the right one: the options as data, and lists of checksums as text."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Dict, Mapping, Optional
from urllib.parse import unquote, urlsplit, urlunsplit

from ..engine.errors import Failure

#: Checksums that nobody can forge, and how many hexadecimal digits each has.
DIGITS = {"sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
#: The one that is computed where the user names none.
DEFAULT_ALGORITHM = "sha256"

_FORGEABLE = ("md5", "sha1")
_GNU = re.compile(r"\\?(?P<hex>[0-9a-fA-F]{56,128})(?: [ *](?P<name>.+))?")
_BSD = re.compile(r"SHA(?P<bits>224|256|384|512) ?\((?P<name>.+)\) ?= ?(?P<hex>[0-9a-fA-F]{56,128})")


@dataclass(frozen=True)
class Place:
    """A file of this host (path), or a URL."""

    path: Optional[str] = None
    url: Optional[str] = None

    @property
    def name(self) -> str:
        """The name of the file itself."""
        return posixpath.basename(self.path or unquote(urlsplit(self.url or "").path))

    @property
    def shown(self) -> str:
        """For results and sentences: without a password, and without a query, which may hold a token."""
        if self.url is None:
            return self.path or ""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    @property
    def secure(self) -> bool:
        """Whether nobody on the way can change what comes from there."""
        return self.url is None or urlsplit(self.url).scheme == "https"


@dataclass(frozen=True)
class Checksum:
    """value: the digits in lower case, or None where they stand in a list at place."""

    algorithm: str
    value: Optional[str] = None
    place: Optional[Place] = None

    @property
    def shown(self) -> str:
        return f"{self.algorithm}:{self.value or (self.place.shown if self.place else '')}"


@dataclass(frozen=True)
class Digests:
    """What an image was made of. source: as shown. sums: algorithm → digits."""

    source: str
    sums: Mapping[str, str]


def parse_place(text: str, option: str) -> Place:
    """An absolute path or a URL. Failure C(invalid_source)."""

    def refuse(why: str) -> Failure:
        return Failure(f"{option}: {text[:200]!r} {why}; give an absolute path, or an address with http, https or file", "invalid_source")

    if not text.isprintable() or not text or text != text.strip():
        raise refuse("is neither a path nor an address")
    if text.startswith("/"):
        return _file(text, refuse)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise refuse("is not an address") from None
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise refuse("is not a file of this host")
        return _file(unquote(parts.path), refuse)
    if parts.scheme not in ("http", "https"):
        raise refuse("is neither a path nor an address that is known here")
    if not parts.hostname or port == 0 or " " in text:
        raise refuse("names no server")
    try:
        parts.hostname.encode("idna")  # as sockets do
    except UnicodeError:
        raise refuse("names no server") from None
    if not posixpath.basename(parts.path):
        raise refuse("names no file")
    return Place(url=text.partition("#")[0])


def _file(path: str, refuse: object) -> Place:
    if not path.startswith("/") or path.endswith("/") or "\0" in path or not path.isprintable():
        raise refuse("is not the path of a file")  # type: ignore[operator]
    return Place(path="/" + path.lstrip("/"))


def parse_checksum(text: str) -> Checksum:
    """algorithm:digits or algorithm:place. Failure C(invalid_checksum)."""
    algorithm, colon, rest = text.strip().partition(":")
    algorithm = algorithm.lower()
    if algorithm in _FORGEABLE:
        raise Failure(f"checksum: {algorithm} can be forged; use sha256 or another of {', '.join(DIGITS)}", "invalid_checksum")
    if not colon or algorithm not in DIGITS:
        raise Failure(f"checksum: {text[:80]!r} names no algorithm; write one of {', '.join(DIGITS)}, a colon and the digits", "invalid_checksum")
    if re.fullmatch(r"[0-9a-fA-F]+", rest):
        if len(rest) != DIGITS[algorithm]:
            raise Failure(f"checksum: {algorithm} has {DIGITS[algorithm]} digits, and {len(rest)} are given; copy all of them", "invalid_checksum")
        return Checksum(algorithm, rest.lower())
    if not rest.startswith(("/", "http://", "https://", "file:")):
        raise Failure(
            f"checksum: {rest[:80]!r} is neither digits nor where a list of checksums is; write digits, a path or an address", "invalid_checksum"
        )
    return Checksum(algorithm, place=parse_place(rest, "checksum"))


def find_checksum(text: str, algorithm: str, name: str) -> Optional[str]:
    """The digits for a file in a list of checksums: lines of sha256sum, lines of BSD's tools, or a single one without a name."""
    unnamed: Dict[str, None] = {}
    for line in text.splitlines():
        found = _BSD.fullmatch(line.strip()) or _GNU.fullmatch(line.strip())
        if not found or len(found["hex"]) != DIGITS[algorithm]:
            continue
        if "bits" in found.groupdict() and f"sha{found['bits']}" != algorithm:
            continue
        if found["name"] is None:
            unnamed[found["hex"].lower()] = None
        elif posixpath.basename(found["name"].strip()) == name:
            return found["hex"].lower()
    return next(iter(unnamed)) if len(unnamed) == 1 else None


def same_source(made_of: Optional[Digests], place: Place, checksum: Optional[str]) -> bool:
    """Whether an image was made of this source. checksum: algorithm:digits, where it is known.

    Where the two cannot be compared by content, the address decides.
    """
    if made_of is None:
        return False
    if checksum is not None:
        algorithm, _colon, value = checksum.partition(":")
        if algorithm in made_of.sums:
            return made_of.sums[algorithm] == value
    return made_of.source == place.shown
