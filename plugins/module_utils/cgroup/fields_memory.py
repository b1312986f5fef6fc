# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The limits of memory and swap.

Source: opencontainers/runtime-spec config-linux, the kernel's cgroup-v1 and cgroup-v2 documents, systemd.resource-control(5).
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

from .convert import UNLIMITED, swap_alone
from .knob import Around, Decode, Encode, Field, Knob, bytes_text, flag, limit_text, number, out_of_range, size, within


def _bytes(raw: Any, what: str) -> int:
    value = size(raw, what)
    if value == 0:
        raise out_of_range(what, raw, "a size such as 512M, or -1 for no limit; OCI's 0 means that nothing was said")
    return value


def _reservation(raw: Any, what: str) -> int:
    value = size(raw, what)
    if value == UNLIMITED:
        raise out_of_range(what, raw, "a size such as 256M, or 0 for none; without limit it would be nothing on cgroup v1 and everything on v2")
    return value


def _protected(raw: Any, what: str) -> int:
    """Bytes that are kept. None are 0, all of them max, which is no "no limit"."""
    return size(raw, what)


def _soft_limit(value: Any, around: Around) -> str:
    """v1's soft limit is a limit: none reserved is no limit."""
    return bytes_text("-1")(value or UNLIMITED, around)


def _as_reservation(text: str, around: Around) -> Optional[Any]:
    return max(number(text), 0)


def _swap(limit: str, unlimited: str) -> Tuple[Encode, Decode]:
    """Swap alone, beside a limit of memory."""

    def encode(value: Any, around: Around) -> str:
        rounded = value if value == UNLIMITED else value - value % around.page
        return limit_text(unlimited)(swap_alone(around.limit(limit), rounded), around)

    def decode(text: str, around: Around) -> Optional[Any]:
        memory, swap = around.limit(limit), number(text)
        return swap if UNLIMITED in (memory, swap) else memory + swap

    return encode, decode


def _as_oom_flag(text: str, around: Around) -> Optional[Any]:
    """memory.oom_control says more than what is written to it: "oom_kill_disable 0" and the state."""
    return text == "1"


def _native(name: str, file: str, setting: str, twin: str = "") -> Field:
    return Field(
        "memory",
        name,
        _protected,
        v2=(Knob("memory", file, bytes_text("max")),),
        systemd=Knob("memory", setting, bytes_text("infinity")),
        twin=twin,
    )


# A value comes after those that its text depends on: swap after limit.
MEMORY: Tuple[Field, ...] = (
    Field(
        "memory",
        "limit",
        _bytes,
        v1=(Knob("memory", "memory.limit_in_bytes", bytes_text("-1")),),
        v2=(Knob("memory", "memory.max", bytes_text("max")),),
        systemd=Knob("memory", "MemoryMax", bytes_text("infinity")),
    ),
    Field(
        "memory",
        "reservation",
        _reservation,
        v1=(Knob("memory", "memory.soft_limit_in_bytes", _soft_limit, _as_reservation),),
        v2=(Knob("memory", "memory.low", bytes_text("max")),),
        systemd=Knob("memory", "MemoryLow", bytes_text("infinity")),
    ),
    Field(
        "memory",
        "swap",
        _bytes,
        v1=(Knob("memory", "memory.memsw.limit_in_bytes", bytes_text("-1")),),
        v2=(Knob("memory", "memory.swap.max", *_swap("memory.max", "max")),),
        systemd=Knob("memory", "MemorySwapMax", *_swap("MemoryMax", "infinity")),
    ),
    _native("min", "memory.min", "MemoryMin"),
    _native("low", "memory.low", "MemoryLow", "memory.reservation"),
    _native("high", "memory.high", "MemoryHigh"),
    _native("swap_max", "memory.swap.max", "MemorySwapMax", "memory.swap"),
    # The kernel has ignored this limit since 5.16, which reading finds out.
    Field("memory", "kernel", _bytes, v1=(Knob("memory", "memory.kmem.limit_in_bytes", bytes_text("-1")),)),
    Field("memory", "kernel_tcp", _bytes, v1=(Knob("memory", "memory.kmem.tcp.limit_in_bytes", bytes_text("-1")),)),
    Field("memory", "swappiness", within(0, 100), "int", v1=(Knob("memory", "memory.swappiness"),)),
    Field("memory", "disable_oom_killer", flag, "bool", v1=(Knob("memory", "memory.oom_control", decode=_as_oom_flag),)),
)
