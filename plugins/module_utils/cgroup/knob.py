# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a limit is: how it is written by users, where the kernel and systemd keep it, and in which words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional, Tuple, Union

from ..engine.errors import Failure
from ..engine.units import parse_size
from .convert import UNLIMITED, number_list, numbers

#: A list of a limit for each device or interface is sorted pairs: (("8:0", 1048576),).
Value = Union[bool, int, str, Tuple[Tuple[str, Any], ...]]

DEFAULT_PERIOD = 100000  # microseconds; the kernel's and systemd's


@dataclass(frozen=True)
class Around:
    """What a value's text depends on.

    knobs: the texts of the cgroup's files, or the settings of the slice, as they will be so far.
    page: bytes; the kernel rounds limits of memory down to it. linear: the old conversion of shares.
    devices: paths of block devices → MAJOR:MINOR.
    """

    knobs: Mapping[str, str]
    page: int = 4096
    linear: bool = False
    devices: Mapping[str, str] = field(default_factory=dict)

    def limit(self, key: str) -> int:
        return number(self.knobs.get(key, "max"))

    def device(self, name: str) -> str:
        return self.devices.get(name, name)


Encode = Callable[[Any, Around], str]
Decode = Callable[[str, Around], Optional[Any]]


def number(text: str) -> int:
    return UNLIMITED if text in ("max", "infinity", "-1") else int(text)


def plain(value: Any, around: Around) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def as_number(text: str, around: Around) -> Optional[Any]:
    return number(text)


@dataclass(frozen=True)
class Knob:
    """Where and how a limit is written.

    controller: the cgroup controller it belongs to. key: the file, or the setting in the slice's unit file.
    shown: the limit's name in results, where the text says something else than what was asked for (shares → weight).
    also: further texts that go with a value.
    """

    controller: str
    key: str
    encode: Encode = plain
    decode: Decode = as_number
    shown: str = ""
    also: Callable[[Any], Mapping[str, str]] = lambda value: {}


@dataclass(frozen=True)
class Field:
    """A limit. group, name: OCI's words; a limit that is no member of a group has no name.

    v1, v2: knobs, of which the first that the kernel has counts. A hierarchy or systemd that has no such limit has none.
    twin: the path of the limit of OCI's that is the same one in another unit. spec: of the option, where its type does not say all.
    """

    group: str
    name: str
    parse: Callable[[Any, str], Value]
    type: str = "str"
    v1: Tuple[Knob, ...] = ()
    v2: Tuple[Knob, ...] = ()
    systemd: Optional[Knob] = None
    twin: str = ""
    spec: Optional[Mapping[str, Any]] = None

    @property
    def path(self) -> str:
        return f"{self.group}.{self.name}" if self.name else self.group

    @property
    def option(self) -> Mapping[str, Any]:
        return self.spec or {"type": self.type}

    def knobs(self, version: int) -> Tuple[Knob, ...]:
        return self.v1 if version == 1 else self.v2


# What users write


def out_of_range(what: str, raw: Any, wanted: str) -> Failure:
    return Failure(f"{what}: {raw} is out of range; use {wanted}", "out_of_range")


def within(lowest: int, highest: int) -> Callable[[Any, str], int]:
    def parse(raw: Any, what: str) -> int:
        if not lowest <= raw <= highest:
            raise out_of_range(what, raw, f"{lowest} to {highest}")
        return int(raw)

    return parse


def limit(lowest: int, highest: int) -> Callable[[Any, str], int]:
    def parse(raw: Any, what: str) -> int:
        text = str(raw).strip()
        if text in ("max", "-1"):
            return UNLIMITED
        if not re.fullmatch(r"\d{1,18}", text) or not lowest <= int(text) <= highest:
            raise out_of_range(what, repr(raw), f"{lowest} to {highest}, or -1 for no limit")
        return int(text)

    return parse


def size(raw: Any, what: str) -> int:
    """Bytes, or no limit."""
    text = str(raw).strip()
    return UNLIMITED if text in ("max", "-1") else parse_size(text, what)


def number_set(raw: Any, what: str) -> str:
    found = numbers(str(raw).replace(" ", ""))
    if found is None:
        raise Failure(f"{what}: {raw!r} is not a list of numbers; write it as 0-3,8", "invalid_list")
    return number_list(found)


def flag(raw: Any, what: str) -> bool:
    return bool(raw)


# What the kernel and systemd write


def bytes_text(unlimited: str) -> Encode:
    """Whole pages."""

    def encode(value: Any, around: Around) -> str:
        return unlimited if value == UNLIMITED else str(value - value % around.page)

    return encode


def limit_text(unlimited: str) -> Encode:
    return lambda value, around: unlimited if value == UNLIMITED else str(value)


def as_flag(text: str, around: Around) -> Optional[Any]:
    return text not in ("0", "")


def as_text(text: str, around: Around) -> Optional[Any]:
    return text or None
