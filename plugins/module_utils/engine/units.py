# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sizes, in all spellings of libvirt and of qemu, as integers."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Optional, Union

from .errors import Failure

# Source: libvirt's formatdomain ("unit" attributes) and virScaleInteger: a lone letter and XiB are powers of 1024,
# XB powers of 1000. qemu-img's letters mean powers of 1024 as well, so both vocabularies agree.
_LETTERS = "KMGTPE"
_UNITS = {"": 1, "B": 1, "BYTE": 1, "BYTES": 1}
for _power, _letter in enumerate(_LETTERS, start=1):
    _UNITS[_letter] = _UNITS[_letter + "IB"] = 1024**_power
    _UNITS[_letter + "B"] = 1000**_power

# Python takes seconds for numbers of a million digits, and refuses those of five thousand.
_SIZE = re.compile(r"(?P<number>[0-9]{1,40}(?:\.[0-9]{1,40})?)\s*(?P<unit>[A-Za-z]*)")

#: The largest size that libvirt and qemu carry: a signed 64-bit number of bytes.
LARGEST = 2**63 - 1


def parse_size(text: Union[str, int], what: str, unit: str = "B") -> int:
    """Bytes of a size such as C(20G), C(512MiB), C(1.5 GB) or C(1048576).

    what: the option's name, for the error.
    unit: what a bare number counts.
    Failure C(invalid_size): no size, an unknown unit, not a whole number of bytes, or larger than 64 bits.
    """
    match = _SIZE.fullmatch(str(text).strip())
    if not match:
        raise Failure(
            f"{what}: {str(text)[:80]!r} is not a size; write a number and a unit, for example 20G or 512MiB",
            "invalid_size",
        )
    factor = _UNITS.get((match["unit"] or unit).upper())
    if factor is None:
        raise Failure(
            f"{what}: {match['unit']!r} is not a unit; use B, K, M, G, T, P or E (powers of 1024), or KB, MB, GB (powers of 1000)",
            "invalid_size",
        )
    size = Fraction(match["number"]) * factor
    if size.denominator != 1:
        raise Failure(f"{what}: {str(text)!r} is not a whole number of bytes; use a smaller unit", "invalid_size")
    if size > LARGEST:
        raise Failure(f"{what}: {str(text)!r} is larger than any 64-bit size", "invalid_size")
    return int(size)


def optional_size(text: Optional[Union[str, int]], what: str, unit: str = "B") -> Optional[int]:
    """parse_size, with None for "leave it alone"."""
    return None if text is None else parse_size(text, what, unit)


def format_size(size: int) -> str:
    """The largest unit in which the size is a whole number: C(20 GiB), C(1536 MiB), C(100 B)."""
    for power in range(len(_LETTERS), 0, -1):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power} {_LETTERS[power - 1]}iB"
    return f"{size} B"


def human_size(size: int) -> str:
    """A size for the eye, rounded to a tenth: C(23.4 GiB). Never parsed again."""
    for power in range(len(_LETTERS), 0, -1):
        if size >= 1024**power:
            tenths = size * 10 // 1024**power
            return f"{tenths // 10}.{tenths % 10} {_LETTERS[power - 1]}iB"
    return f"{size} B"
