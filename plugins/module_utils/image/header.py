# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The header of a qcow2 file, read without trusting it.

Source: docs/interop/qcow2.txt of qemu. All numbers are big-endian. Bytes in, data out: nothing here opens a file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple, Optional

MAGIC = b"QFI\xfb"
#: The header, its extensions and the backing file's name lie in the first cluster, and no cluster is larger.
LARGEST_HEADER = 2 * 1024**2

#: The limit on a backing file's name, in bytes.
LONGEST_BACKING_NAME = 1023

_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3_LENGTH = 104
_BACKING_FORMAT = 0xE2792ACA
_DATA_FILE_NAME = 0x44415441
_DIRTY, _CORRUPT, _DATA_FILE = 1, 2, 4
_KNOWN_FEATURES = 0b11111  # and compression type, extended L2 entries

#: What other formats begin with. VHD's footer and dmg's trailer are at the end, and not looked for.
_FOREIGN = (
    (b"KDMV", "vmdk"),
    (b"COWD", "vmdk"),
    (b"# Disk DescriptorFile", "vmdk"),
    (b"vhdxfile", "vhdx"),
    (b"QED\0", "qed"),
    (b"LUKS\xba\xbe", "luks"),
    (b"conectix", "vpc"),
    (b"WithoutFreeSpace", "parallels"),
    (b"WithouFreSpacExt", "parallels"),
)


class _Fixed(NamedTuple):
    """The fields of version 2, which version 3 begins with too. Offsets and sizes are bytes, l1_entries entries, table_size clusters."""

    magic: bytes
    version: int
    backing_offset: int
    backing_length: int
    cluster_bits: int
    size: int
    encryption: int
    l1_entries: int
    l1_offset: int
    table_offset: int
    table_size: int
    snapshots: int
    snapshots_offset: int


class Malformed(ValueError):
    """No header that can be believed. The text says why, and follows a path and a colon."""


@dataclass(frozen=True)
class Header:
    """backing_format: None where the image does not say it.

    dirty: its reference counts are out of date. unknown_features: bits of incompatible features that have no meaning yet.

    tables_end: the file is at least so long, in bytes, or it was cut off.
    """

    version: int
    size: int
    backing_file: Optional[str] = None
    backing_format: Optional[str] = None
    encrypted: bool = False
    snapshots: int = 0
    data_file: bool = False
    dirty: bool = False
    corrupt: bool = False
    unknown_features: int = 0
    tables_end: int = 0


def is_qcow2(data: bytes) -> bool:
    return data.startswith(MAGIC)


def foreign_format(data: bytes) -> Optional[str]:
    """The image format that is neither qcow2 nor raw by which a file begins."""
    return next((name for magic, name in _FOREIGN if data.startswith(magic)), None)


def needed(data: bytes) -> int:
    """How many bytes from the start parse_header must see, told by the first ones."""
    fixed = _fixed(data)
    return max(fixed.backing_offset + fixed.backing_length if fixed.backing_length else 0, _V3_LENGTH)


def parse_header(data: bytes) -> Header:
    """The header of a qcow2 file, of which data is the beginning. Malformed: it cannot be one."""
    fixed = _fixed(data)
    cluster = 1 << fixed.cluster_bits
    incompatible, header_length = 0, _V2.size
    if fixed.version == 3:
        if len(data) < _V3_LENGTH:
            raise Malformed("ends within its header")
        incompatible = struct.unpack_from(">Q", data, 72)[0]
        header_length = struct.unpack_from(">I", data, 100)[0]
        if not _V3_LENGTH <= header_length <= cluster:
            raise Malformed(f"says that its header has {header_length} bytes, which no qcow2 image has")
    name = None
    if fixed.backing_offset and fixed.backing_length:
        name = _text(data[fixed.backing_offset :][: fixed.backing_length], fixed.backing_length, "backing file")
    return Header(
        version=fixed.version,
        size=fixed.size,
        backing_file=name,
        backing_format=_backing_format(data, header_length, fixed) if name else None,
        encrypted=bool(fixed.encryption),
        snapshots=fixed.snapshots,
        data_file=bool(incompatible & _DATA_FILE) or _extension(data, header_length, fixed, _DATA_FILE_NAME) is not None,
        dirty=bool(incompatible & _DIRTY),
        corrupt=bool(incompatible & _CORRUPT),
        unknown_features=incompatible & ~_KNOWN_FEATURES,
        tables_end=max(fixed.l1_offset + 8 * fixed.l1_entries, fixed.table_offset + (1 if fixed.table_size else 0)),
    )


def _fixed(data: bytes) -> _Fixed:
    if len(data) < _V2.size:
        raise Malformed("ends within its header")
    fixed = _Fixed(*_V2.unpack_from(data))
    if fixed.version not in (2, 3):
        raise Malformed(f"is of version {fixed.version} of the format; only 2 and 3 are known")
    if not 9 <= fixed.cluster_bits <= 21:
        raise Malformed(f"says that its clusters have 2^{fixed.cluster_bits} bytes, which no qcow2 image has")
    length = fixed.backing_length
    if length and (length > LONGEST_BACKING_NAME or fixed.backing_offset + length > 1 << fixed.cluster_bits):
        raise Malformed("has the name of its backing file where none can be")
    return fixed


def _backing_format(data: bytes, start: int, fixed: _Fixed) -> Optional[str]:
    raw = _extension(data, start, fixed, _BACKING_FORMAT)
    return None if raw is None else _text(raw, len(raw), "backing format")


def _extension(data: bytes, start: int, fixed: _Fixed, wanted: int) -> Optional[bytes]:
    """A header extension. They follow the header, up to an end mark or the backing file's name."""
    position, end = start, fixed.backing_offset or 1 << fixed.cluster_bits
    while position + 8 <= min(end, len(data)):
        kind, length = struct.unpack_from(">II", data, position)
        position += 8
        if kind == 0 or length > end - position:
            return None
        if kind == wanted:
            raw = data[position : position + length]
            if len(raw) < length:
                raise Malformed("ends within its header")
            return raw
        position += -(-length // 8) * 8
    return None


def _text(raw: bytes, length: int, what: str) -> str:
    if len(raw) < length:
        raise Malformed(f"ends within the name of its {what}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if not text.isprintable():
        raise Malformed(f"has a {what} whose name is not text")
    return text
