# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far the contents of a disk reach, by its partition tables and the superblocks of file systems. Bytes in, data out.

Sources: UEFI 2.10, 5.3 (GPT); the kernel's Documentation/filesystems/ext4 and fs/xfs/libxfs/xfs_format.h; btrfs' on-disk format; LVM2's
format_text/layout.h and label/label.h; linux/swap.h; ECMA-119; Microsoft's FAT32 specification; ntfs-3g's layout.h.
Everything is little-endian but xfs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Callable, Iterator, Optional, Tuple

#: As much of the disk as is looked at, in bytes: btrfs has its superblock at 64 KiB.
LOOK = 128 * 1024
_PROTECTIVE = 0xEE
_PARTITIONS_MOST = 1024


@dataclass(frozen=True)
class Layout:
    """end: the first byte behind the contents; None where nothing tells, and then what says why. what: for sentences, what ends there.

    backup_table: the last sectors of the disk hold the second copy of a GPT.
    """

    end: Optional[int]
    what: str
    backup_table: bool = False


Found = Tuple[int, str]


def layout(data: bytes) -> Layout:
    """data: the first LOOK bytes of the disk, or all of a smaller one."""
    for recognised, name in (
        (data[:6] == b"LUKS\xba\xbe", "LUKS"),
        (data[4096:4100] == b"\xfc\x4e\x2b\xa9" or data[:4] == b"\xfc\x4e\x2b\xa9", "a RAID"),
    ):
        if recognised:
            return Layout(None, f"it is a part of {name}, which reaches as far as its disk does")
    gpt = _gpt(data)
    try:
        systems = [found for look in _SYSTEMS for found in look(data)]
        boot_sector_is_code = any(what.startswith(("NTFS", "FAT")) for _end, what in systems)
        partitions = list(gpt[0] if gpt else () if boot_sector_is_code else _mbr(data))
    except ValueError as error:
        return Layout(None, str(error))
    found = [*systems, *partitions]
    if not found:
        return Layout(None, "it has neither a partition table nor a file system that is known here")
    for end, what in found:
        if not end:
            return Layout(None, f"{what.rstrip(',')} has no size, so that its header is damaged")
    end, what = max(found)
    return Layout(end, what, gpt is not None)


def _number(data: bytes, form: str, offset: int) -> int:
    """0 behind the end."""
    return int(struct.unpack_from(form, data, offset)[0]) if offset + struct.calcsize(form) <= len(data) else 0


def _gpt(data: bytes) -> Optional[Tuple[Iterator[Found], int]]:
    for sector in (512, 4096):
        if data[sector : sector + 8] == b"EFI PART":
            return _gpt_partitions(data, sector), sector
    return None


def _gpt_partitions(data: bytes, sector: int) -> Iterator[Found]:
    table = _number(data, "<Q", sector + 72) * sector
    count, length = _number(data, "<I", sector + 80), _number(data, "<I", sector + 84)
    if not 128 <= length <= 4096 or not 0 < count <= _PARTITIONS_MOST or table + count * length > len(data):
        raise ValueError("its partition table is not where one is expected")
    yield table + count * length, "the partition table in it"
    for number in range(count):
        entry = table + number * length
        if any(data[entry : entry + 16]):
            yield (_number(data, "<Q", entry + 40) + 1) * sector, f"partition {number + 1} in it"


def _mbr(data: bytes) -> Iterator[Found]:
    """An extended partition reaches around its logical ones."""
    if data[510:512] != b"\x55\xaa":
        return
    for number in range(4):
        entry = 446 + 16 * number
        status, kind = _number(data, "<B", entry), _number(data, "<B", entry + 4)
        first, sectors = _number(data, "<I", entry + 8), _number(data, "<I", entry + 12)
        if kind == _PROTECTIVE:
            raise ValueError("its partition table is damaged")
        if status not in (0, 0x80):
            raise ValueError("its boot sector holds no partition table that can be believed")
        if kind:
            yield (first + sectors) * 512, f"partition {number + 1} in it"


def _ext(data: bytes) -> Iterator[Found]:
    if data[1080:1082] == b"\x53\xef":
        high = _number(data, "<I", 1024 + 0x150) if _number(data, "<I", 1024 + 0x60) & 0x80 else 0
        yield (high << 32 | _number(data, "<I", 1028)) << (10 + min(_number(data, "<I", 1048), 6)), "the ext file system in it"


def _xfs(data: bytes) -> Iterator[Found]:
    if data[:4] == b"XFSB":
        yield _number(data, ">I", 4) * _number(data, ">Q", 8), "the xfs file system in it"


def _btrfs(data: bytes) -> Iterator[Found]:
    if data[0x10040:0x10048] == b"_BHRfS_M":
        yield _number(data, "<Q", 0x10000 + 0xC9 + 8), "the btrfs file system in it"


def _lvm(data: bytes) -> Iterator[Found]:
    for start in range(0, 2048, 512):
        if data[start : start + 8] == b"LABELONE" and data[start + 24 : start + 32] == b"LVM2 001":
            yield _number(data, "<Q", start + _number(data, "<I", start + 20) + 32), "the physical volume of LVM in it"


def _swap(data: bytes) -> Iterator[Found]:
    if data[4086:4096] == b"SWAPSPACE2":
        yield (_number(data, "<I", 1028) + 1) * 4096, "the swap space in it"


def _iso(data: bytes) -> Iterator[Found]:
    if data[32769:32774] == b"CD001":
        yield _number(data, "<I", 32768 + 80) * _number(data, "<H", 32768 + 128), "the ISO 9660 file system in it"


def _sector(data: bytes) -> int:
    """The bytes of a sector, by which FAT and NTFS count. ValueError: no such sectors are made."""
    size = _number(data, "<H", 11)
    if size not in (512, 1024, 2048, 4096):
        raise ValueError("its boot sector is damaged")
    return size


def _fat(data: bytes) -> Iterator[Found]:
    if data[510:512] == b"\x55\xaa" and (data[54:57] == b"FAT" or data[82:85] == b"FAT"):
        yield (_number(data, "<H", 19) or _number(data, "<I", 32)) * _sector(data), "FAT, the file system in it,"


def _ntfs(data: bytes) -> Iterator[Found]:
    if data[3:11] == b"NTFS    ":
        yield (_number(data, "<Q", 40) + 1) * _sector(data), "NTFS, the file system in it,"


_SYSTEMS: Tuple[Callable[[bytes], Iterator[Found]], ...] = (_ext, _xfs, _btrfs, _lvm, _swap, _iso, _fat, _ntfs)
