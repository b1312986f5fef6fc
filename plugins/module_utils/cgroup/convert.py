# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From OCI's numbers to those of cgroup v2 and systemd, and the texts that both use. Pure functions."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Iterable, List, Optional, Set

from ..engine.errors import Failure

#: OCI's word for "no limit".
UNLIMITED = -1

_LIST = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min|h)")
_MICROSECONDS = {"us": 1, "ms": 1000, "s": 1000**2, "min": 60 * 1000**2, "h": 3600 * 1000**2}
_HIGHEST_LISTED = 8191  # the largest NR_CPUS that distributions build with, less one


def weight(shares: int, linear: bool = False) -> int:
    """cpu.weight (1..10000) of cpu.shares (2..262144).

    Source: opencontainers/cgroups ConvertCPUSharesToCgroupV2Value, from 0.0.3 on the curve through (2, 1), (1024, 100)
    and (262144, 10000), before that a straight line.
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    if linear:
        return 1 + (shares - 2) * 9999 // 262142
    log = math.log2(shares)
    return math.ceil(10 ** ((log**2 + 125 * log) / 612 - 7 / 34))


def io_weight(weight_of_blkio: int) -> int:
    """io.weight (1..10000) of blkio's weight (10..1000). blkio's neutral 500 becomes 4950, while io.weight's own is 100.

    Source: opencontainers/cgroups ConvertBlkIOToIOWeightValue.
    """
    return 1 + (weight_of_blkio - 10) * 9999 // 990


def refuse_swap(limit: int, swap: int) -> None:
    """Failure where memory and swap together are to be limited to less than memory alone. In bytes."""
    if swap < limit:
        raise Failure(
            f"resources.memory.swap: {swap} bytes of memory and swap together are less than the memory limit of {limit}; raise it to that at least",
            "swap_below_limit",
        )


def swap_alone(limit: int, swap: int) -> int:
    """memory.swap.max, which counts swap alone, of OCI's swap, which counts memory and swap together.

    Beside memory without limit, swap is taken as it is.
    Source: opencontainers/cgroups ConvertMemorySwapToCgroupV2Value.
    """
    if UNLIMITED in (limit, swap):
        return swap
    refuse_swap(limit, swap)
    return swap - limit


def percent(quota: int, period: int) -> int:
    """systemd's CPUQuota: whole percents of one CPU, rounded up, so that 1 is the least."""
    return -(-quota * 100 // period)


def numbers(text: str) -> Optional[Set[int]]:
    """The numbers of a list such as 0-3,8; None where the text is no such list."""
    if not _LIST.fullmatch(text):
        return None
    found: Set[int] = set()
    for part in text.split(","):
        first, _dash, last = part.partition("-")
        if int(last or first) > _HIGHEST_LISTED or int(last or first) < int(first):
            return None
        found.update(range(int(first), int(last or first) + 1))
    return found


def number_list(found: Iterable[int]) -> str:
    """The kernel's spelling of a set of numbers: 0-3,8."""
    parts: List[List[int]] = []
    for number in sorted(found):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def microseconds(text: str) -> Optional[int]:
    """A time as systemctl shows it (500ms, 1.500000s, 1min 5s) in microseconds; None for infinity."""
    words = text.split()
    matches = [_SPAN.fullmatch(word) for word in words]
    if not words or not all(matches):
        return None
    return int(sum(Fraction(match[1]) * _MICROSECONDS[match[2]] for match in matches if match))
