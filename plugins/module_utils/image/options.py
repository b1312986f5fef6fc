# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What only a qcow2 image has: its options, and how large they let it be."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Dict, Optional

from ..engine.errors import Failure
from ..engine.units import format_size, human_size

#: BDRV_MAX_LENGTH of qemu's block layer, in bytes.
_LARGEST = 2**63 - 2**30
#: QCOW_MAX_L1_SIZE of qemu's block/qcow2.h, as a number of 8-byte entries.
_L1_ENTRIES = 32 * 1024**2 // 8


@dataclass(frozen=True)
class Options:
    """What only a qcow2 image has, under qemu-img's names. cluster_size is in bytes.

    None: in a wish, leave alone; of an image, it has no such thing (it is raw).
    """

    cluster_size: Optional[int] = None
    compat: Optional[str] = None
    lazy_refcounts: Optional[bool] = None
    refcount_bits: Optional[int] = None
    extended_l2: Optional[bool] = None
    compression_type: Optional[str] = None

    def given(self) -> Dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self) if getattr(self, item.name) is not None}

    def over(self, other: Options) -> Options:
        """These, and for what they leave open the others."""
        return replace(other, **self.given())


NO_OPTIONS = Options()
#: What qemu has made since 1.7 where nothing else is asked for. Written out, so that a prediction does not depend on its version.
DEFAULTS = Options(65536, "1.1", False, 16, False, "zlib")


def newer_features(options: Options) -> Dict[str, bool]:
    """Option → whether its value needs compat 1.1."""
    return {
        "lazy_refcounts": bool(options.lazy_refcounts),
        "refcount_bits": options.refcount_bits not in (None, DEFAULTS.refcount_bits),
        "extended_l2": bool(options.extended_l2),
        "compression_type": options.compression_type not in (None, DEFAULTS.compression_type),
    }


def shown(size: int) -> str:
    """A size for sentences, exact and readable: C(10 GiB (10737418240 bytes))."""
    exact = format_size(size)
    return f"{exact if not exact.endswith(' B') else human_size(size)} ({size} bytes)"


def largest(options: Options, raw: bool) -> int:
    """The most bytes that an image can have: the first-level table is bounded, and each of its entries covers one cluster of a second."""
    if raw:
        return _LARGEST
    cluster = options.cluster_size or DEFAULTS.cluster_size or 0
    return min(_LARGEST, _L1_ENTRIES * (cluster // (16 if options.extended_l2 else 8)) * cluster)


def check_size(path: str, size: int, options: Options, raw: bool) -> None:
    """Failure C(invalid_size) where such an image cannot have that size."""
    limit = largest(options, raw)
    if size > limit:
        why = "" if raw else f" with clusters of {format_size(options.cluster_size or DEFAULTS.cluster_size or 0)}"
        raise Failure(f"{path}: size: {shown(size)} is more than the {shown(limit)} that an image{why} can have", "invalid_size")


def spelled(value: Any) -> str:
    """A value for sentences, as a user writes it."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
