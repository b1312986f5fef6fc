# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Superblocks and partition tables, as far as the formats' own documents say where their numbers stand."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.image.layout import LOOK, layout

MIB = 1024**2


def disk(*pieces):
    """pieces: offset, bytes."""
    data = bytearray(LOOK)
    for offset, piece in pieces:
        data[offset : offset + len(piece)] = piece
    return bytes(data)


def le(form, *numbers):
    return struct.pack(f"<{form}", *numbers)


LVM = (512, b"LABELONE" + le("QII", 1, 0, 32) + b"LVM2 001"), (544, b"x" * 32 + le("Q", 48 * MIB))
GPT = (512, b"EFI PART"), (584, le("QII", 2, 128, 128)), (510, b"\x55\xaa"), (450, b"\xee")


@pytest.mark.parametrize(
    ("pieces", "end", "words"),
    [
        ([(0, b"XFSB" + struct.pack(">IQ", 4096, 5000))], 4096 * 5000, "the xfs"),
        ([(0x10040, b"_BHRfS_M"), (0x100D1, le("Q", 77 * MIB))], 77 * MIB, "the btrfs"),
        (LVM, 48 * MIB, "the physical volume"),
        (
            [(1080, b"\x53\xef"), (1028, le("I", 100)), (1048, le("I", 2)), (0x460, le("I", 0x80)), (0x550, le("I", 1))],
            (2**32 + 100) * 4096,
            "the ext",
        ),
        ([(1080, b"\x53\xef"), (1028, le("I", 100)), (1048, le("I", 0)), (0x550, le("I", 1))], 102400, "the ext"),
        ([(510, b"\x55\xaa"), (11, le("H", 512)), (19, le("H", 2880)), (54, b"FAT12"), (446, b"\xcd\x13code")], 2880 * 512, "FAT"),
        ([(510, b"\x55\xaa"), (11, le("H", 512)), (32, le("I", 90000)), (82, b"FAT32")], 90000 * 512, "FAT"),
        ([(510, b"\x55\xaa"), (3, b"NTFS    "), (11, le("H", 512)), (40, le("Q", 9999))], 10000 * 512, "NTFS"),
        ([(32769, b"CD001"), (32848, le("I", 300)), (32896, le("H", 2048))], 300 * 2048, "the ISO"),
        ([(4086, b"SWAPSPACE2"), (1028, le("I", 99))], 409600, "the swap"),
        ([*GPT, (1024, b"t" * 16 + b"u" * 16 + le("QQ", 34, 99))], 51200, "partition 1"),
        ([*GPT], 1024 + 128 * 128, "the partition table"),
        (
            [(510, b"\x55\xaa"), (450, b"\x83"), (454, le("II", 63, 100)), (32769, b"CD001"), (32848, le("I", 300)), (32896, le("H", 2048))],
            614400,
            "the ISO",
        ),
    ],
)
def test_where_contents_end(pieces, end, words):
    found = layout(disk(*pieces))
    assert found.end == end and found.what.startswith(words)
    assert found.backup_table == (pieces[:4] == [*GPT])


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([], "neither a partition table"),
        ([(0, b"LUKS\xba\xbe")], "a part of LUKS"),
        ([(4096, b"\xfc\x4e\x2b\xa9")], "a part of a RAID"),
        ([(510, b"\x55\xaa"), (450, b"\xee")], "damaged"),
        ([(510, b"\x55\xaa"), (446, b"\x01")], "cannot be"),
        ([(510, b"\x55\xaa")], "neither a partition table"),
        ([(512, b"EFI PART"), (584, le("QII", 2**40, 128, 128))], "not where"),
        ([(512, b"EFI PART"), (584, le("QII", 2, 2**31, 128))], "not where"),
        ([(512, b"EFI PART"), (584, le("QII", 2, 128, 0))], "not where"),
        ([(1080, b"\x53\xef")], "has no size"),
        ([(510, b"\x55\xaa"), (11, le("H", 512)), (54, b"FAT12")], "FAT, the file system in it has no size"),
        ([(510, b"\x55\xaa"), (11, le("H", 1)), (19, le("H", 2880)), (54, b"FAT12")], "damaged"),
        ([(510, b"\x55\xaa"), (3, b"NTFS    "), (40, le("Q", 9999))], "damaged"),
    ],
)
def test_what_nothing_tells(pieces, words):
    found = layout(disk(*pieces))
    assert found.end is None and (words in found.what or (words == "cannot be" and "believed" in found.what))


def test_any_beginning_of_a_disk_can_be_looked_at():
    whole = disk(*LVM, *GPT, (1080, b"\x53\xef"), (0x10040, b"_BHRfS_M"), (32769, b"CD001"))
    for length in (0, 1, 512, 520, 600, 1025, 1100, 4090, 32770, 65600, 65700):
        layout(whole[:length])
