# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The limits of a cgroup: one table, from OCI's words to the files of cgroup v1 and v2 and to systemd's properties.

Source: opencontainers/runtime-spec config-linux, the kernel's cgroup-v1 and cgroup-v2 documents, systemd.resource-control(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Union

from ..engine.errors import Failure
from ..engine.units import parse_size
from .convert import UNLIMITED, number_list, numbers, percent, swap_alone, weight

Value = Union[bool, int, str]

DEFAULT_PERIOD = 100000  # microseconds; the kernel's and systemd's


@dataclass(frozen=True)
class Around:
    """What a value's text depends on.

    knobs: the texts of the cgroup's files, or the settings of the slice, as they will be so far.
    page: bytes; the kernel rounds limits of memory down to it. linear: the old conversion of shares.
    """

    knobs: Mapping[str, str]
    page: int = 4096
    linear: bool = False

    def limit(self, key: str) -> int:
        return _number(self.knobs.get(key, "max"))


Encode = Callable[[Any, Around], str]
Decode = Callable[[str, Around], Optional[Value]]


def _number(text: str) -> int:
    return UNLIMITED if text in ("max", "infinity", "-1") else int(text)


def _plain(value: Any, around: Around) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _as_number(text: str, around: Around) -> Optional[Value]:
    return _number(text)


@dataclass(frozen=True)
class Knob:
    """Where and how a limit is written.

    controller: the cgroup controller it belongs to. key: the file, or the setting in the slice's unit file.
    shown: the limit's name in results, where the text says something else than what was asked for (shares → weight).
    """

    controller: str
    key: str
    encode: Encode = _plain
    decode: Decode = _as_number
    shown: str = ""


@dataclass(frozen=True)
class Field:
    """A limit. group, name: OCI's words. A hierarchy or systemd that has no such limit has no knob."""

    group: str
    name: str
    parse: Callable[[Any, str], Value]
    type: str = "str"
    v1: Optional[Knob] = None
    v2: Optional[Knob] = None
    systemd: Optional[Knob] = None

    @property
    def path(self) -> str:
        return f"{self.group}.{self.name}"


# What users write


def _out_of_range(what: str, raw: Any, wanted: str) -> Failure:
    return Failure(f"{what}: {raw} is out of range; use {wanted}", "out_of_range")


def _within(lowest: int, highest: int) -> Callable[[Any, str], Value]:
    def parse(raw: Any, what: str) -> Value:
        if not lowest <= raw <= highest:
            raise _out_of_range(what, raw, f"{lowest} to {highest}")
        return int(raw)

    return parse


def _limit(lowest: int, highest: int) -> Callable[[Any, str], Value]:
    def parse(raw: Any, what: str) -> Value:
        text = str(raw).strip()
        if text in ("max", "-1"):
            return UNLIMITED
        if not re.fullmatch(r"\d{1,18}", text) or not lowest <= int(text) <= highest:
            raise _out_of_range(what, repr(raw), f"{lowest} to {highest}, or -1 for no limit")
        return int(text)

    return parse


def _bytes(raw: Any, what: str) -> Value:
    text = str(raw).strip()
    if text in ("max", "-1"):
        return UNLIMITED
    size = parse_size(text, what)
    if size == 0:
        raise _out_of_range(what, raw, "a size such as 512M, or -1 for no limit; OCI's 0 means that nothing was said")
    return size


def _reservation(raw: Any, what: str) -> Value:
    text = str(raw).strip()
    if text in ("max", "-1"):
        raise _out_of_range(what, raw, "a size such as 256M, or 0 for none; without limit it would be nothing on cgroup v1 and everything on v2")
    return parse_size(text, what)


def _listed(raw: Any, what: str) -> Value:
    found = numbers(str(raw).replace(" ", ""))
    if found is None:
        raise Failure(f"{what}: {raw!r} is not a list of numbers; write it as 0-3,8", "invalid_list")
    return number_list(found)


def _flag(raw: Any, what: str) -> Value:
    return bool(raw)


# What the kernel and systemd write


def _memory(unlimited: str) -> Encode:
    def encode(value: Any, around: Around) -> str:
        return unlimited if value == UNLIMITED else str(value - value % around.page)

    return encode


def _soft_limit(value: Any, around: Around) -> str:
    """v1's soft limit is a limit: none reserved is no limit."""
    return _memory("-1")(value or UNLIMITED, around)


def _as_reservation(text: str, around: Around) -> Optional[Value]:
    return max(_number(text), 0)


def _limit_text(unlimited: str) -> Encode:
    return lambda value, around: unlimited if value == UNLIMITED else str(value)


def _as_weight(text: str, around: Around) -> Optional[Value]:
    """None while the cgroup is idle, where the kernel shows 0 and systemd says so, and where systemd has none set."""
    return None if text in ("0", "idle", "") else int(text)


def _as_flag(text: str, around: Around) -> Optional[Value]:
    return text not in ("0", "")


def _as_text(text: str, around: Around) -> Optional[Value]:
    return text or None


def _idle_systemd(value: Any, around: Around) -> str:
    current = around.knobs.get("CPUWeight", "")
    return "idle" if value else current.replace("idle", "")


def _shares(value: Any, around: Around) -> str:
    return str(weight(value, around.linear))


def _swap(limit: str, unlimited: str) -> Tuple[Encode, Decode]:
    """Swap alone, beside a limit of memory."""

    def encode(value: Any, around: Around) -> str:
        memory = around.limit(limit)
        rounded = value if value == UNLIMITED else value - value % around.page
        return _limit_text(unlimited)(swap_alone(memory, rounded), around)

    def decode(text: str, around: Around) -> Optional[Value]:
        memory, swap = around.limit(limit), _number(text)
        if swap == UNLIMITED:
            return UNLIMITED
        return None if memory == UNLIMITED else memory + swap

    return encode, decode


def _quota_v2(value: Any, around: Around) -> str:
    return f"{'max' if value == UNLIMITED else value} {_halves(around)[1]}"


def _period_v2(value: Any, around: Around) -> str:
    return f"{_halves(around)[0]} {value}"


def _halves(around: Around) -> Tuple[str, str]:
    quota, _space, period = around.knobs.get("cpu.max", f"max {DEFAULT_PERIOD}").partition(" ")
    return quota, period or str(DEFAULT_PERIOD)


def _as_quota(text: str, around: Around) -> Optional[Value]:
    return _number(text.split()[0])


def _as_period(text: str, around: Around) -> Optional[Value]:
    return int(text.split()[1])


def _unit_period(around: Around) -> int:
    return int((around.knobs.get("CPUQuotaPeriodSec") or f"{DEFAULT_PERIOD}us")[: -len("us")])


def _quota_systemd(value: Any, around: Around) -> str:
    return "" if value == UNLIMITED else f"{percent(value, _unit_period(around))}%"


def _as_quota_systemd(text: str, around: Around) -> Optional[Value]:
    return int(text.rstrip("%")) * _unit_period(around) // 100 if text else UNLIMITED


_SWAP_V2 = _swap("memory.max", "max")
_SWAP_SYSTEMD = _swap("MemoryMax", "infinity")

# A value comes after those that its text depends on: quota after period, swap after limit.
FIELDS: Tuple[Field, ...] = (
    Field(
        "cpu",
        "idle",
        _flag,
        "bool",
        v1=Knob("cpu", "cpu.idle", decode=_as_flag),
        v2=Knob("cpu", "cpu.idle", decode=_as_flag),
        systemd=Knob("cpu", "CPUWeight", _idle_systemd, lambda text, around: text == "idle"),
    ),
    Field(
        "cpu",
        "shares",
        _within(2, 262144),
        "int",
        v1=Knob("cpu", "cpu.shares"),
        v2=Knob("cpu", "cpu.weight", _shares, _as_weight, shown="weight"),
        systemd=Knob("cpu", "CPUWeight", _shares, _as_weight, shown="weight"),
    ),
    Field(
        "cpu",
        "weight",
        _within(1, 10000),
        "int",
        v2=Knob("cpu", "cpu.weight", decode=_as_weight),
        systemd=Knob("cpu", "CPUWeight", decode=_as_weight),
    ),
    Field(
        "cpu",
        "period",
        _within(1000, 1000000),
        "int",
        v1=Knob("cpu", "cpu.cfs_period_us"),
        v2=Knob("cpu", "cpu.max", _period_v2, _as_period),
        systemd=Knob("cpu", "CPUQuotaPeriodSec", lambda value, around: f"{value}us", lambda text, around: _unit_period(around)),
    ),
    Field(
        "cpu",
        "quota",
        _limit(1000, 2**44 - 1),
        v1=Knob("cpu", "cpu.cfs_quota_us"),
        v2=Knob("cpu", "cpu.max", _quota_v2, _as_quota),
        systemd=Knob("cpu", "CPUQuota", _quota_systemd, _as_quota_systemd),
    ),
    Field(
        "cpu",
        "burst",
        _within(0, 2**44 - 1),
        "int",
        v1=Knob("cpu", "cpu.cfs_burst_us"),
        v2=Knob("cpu", "cpu.max.burst"),
    ),
    Field(
        "cpu",
        "cpus",
        _listed,
        v1=Knob("cpuset", "cpuset.cpus", decode=_as_text),
        v2=Knob("cpuset", "cpuset.cpus", decode=_as_text),
        systemd=Knob("cpuset", "AllowedCPUs", decode=_as_text),
    ),
    Field(
        "cpu",
        "mems",
        _listed,
        v1=Knob("cpuset", "cpuset.mems", decode=_as_text),
        v2=Knob("cpuset", "cpuset.mems", decode=_as_text),
        systemd=Knob("cpuset", "AllowedMemoryNodes", decode=_as_text),
    ),
    Field(
        "memory",
        "limit",
        _bytes,
        v1=Knob("memory", "memory.limit_in_bytes", _memory("-1")),
        v2=Knob("memory", "memory.max", _memory("max")),
        systemd=Knob("memory", "MemoryMax", _memory("infinity")),
    ),
    Field(
        "memory",
        "reservation",
        _reservation,
        v1=Knob("memory", "memory.soft_limit_in_bytes", _soft_limit, _as_reservation),
        v2=Knob("memory", "memory.low", _memory("max")),
        systemd=Knob("memory", "MemoryLow", _memory("infinity")),
    ),
    Field(
        "memory",
        "swap",
        _bytes,
        v1=Knob("memory", "memory.memsw.limit_in_bytes", _memory("-1")),
        v2=Knob("memory", "memory.swap.max", *_SWAP_V2),
        systemd=Knob("memory", "MemorySwapMax", *_SWAP_SYSTEMD),
    ),
    Field(
        "memory",
        "swappiness",
        _within(0, 100),
        "int",
        v1=Knob("memory", "memory.swappiness"),
    ),
    Field(
        "pids",
        "limit",
        _limit(1, 4194304),
        v1=Knob("pids", "pids.max", _limit_text("max")),
        v2=Knob("pids", "pids.max", _limit_text("max")),
        systemd=Knob("pids", "TasksMax", _limit_text("infinity")),
    ),
)

BY_PATH: Dict[str, Field] = {item.path: item for item in FIELDS}

#: Files of cgroup v2 that a slice has a property for.
UNIFIED_PROPERTIES: Dict[str, str] = {
    "cpu.weight": "CPUWeight",
    "cpuset.cpus": "AllowedCPUs",
    "cpuset.mems": "AllowedMemoryNodes",
    "memory.min": "MemoryMin",
    "memory.low": "MemoryLow",
    "memory.high": "MemoryHigh",
    "memory.max": "MemoryMax",
    "memory.swap.max": "MemorySwapMax",
    "pids.max": "TasksMax",
}

_UNIFIED = re.compile(r"(?P<controller>cpu|cpuset|hugetlb|io|memory|misc|pids|rdma)\.[A-Za-z0-9_.]+")
_SUFFIXED = re.compile(r"\d+[KMGT]", re.IGNORECASE)


def unified_controller(file: str) -> str:
    return file.partition(".")[0]


def parse_unified(file: str, raw: Any) -> str:
    """A value for a file of cgroup v2, as the kernel shows it again."""
    what = f"resources.unified: {file}"
    text = " ".join(str(raw).split())
    if not _UNIFIED.fullmatch(file):
        raise Failure(f"{what}: is not a file of a cgroup v2 controller; write a name such as memory.high", "invalid_unified")
    if not text or "=" in text or "\n" in str(raw).strip():
        raise Failure(f"{what}: {raw!r} is not a single value; this version writes no files of several keys", "invalid_unified")
    if file in ("cpuset.cpus", "cpuset.mems"):
        return str(_listed(text, what))
    return str(parse_size(text, what)) if _SUFFIXED.fullmatch(text) else text


def encode_unified(file: str, text: str, around: Around) -> str:
    if file == "cpu.max" and " " not in text:
        return f"{text} {_halves(around)[1]}"
    if file.startswith("memory.") and text.isdigit():
        return _memory("max")(int(text), around)
    return text
