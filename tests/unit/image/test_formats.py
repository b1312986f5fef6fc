# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import contextlib
import random
import struct

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.image.formats import detect, outside_files
from ansible_collections.virtops.linux.plugins.module_utils.image.header import Malformed, parse_header

WHOLE = '# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\ncreateType="monolithicSparse"\nRW 8 SPARSE "x.vmdk"\n'
PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
METADATA = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")


def vmdk(text=WHOLE, capacity=8, start=1, length=20):
    return (b"KDMV" + struct.pack("<IIQQQQ", 1, 3, capacity, 128, start, length)).ljust(512, b"\0") + text.encode().ljust(20 * 512, b"\0")


def vdi(version=0x10001, kind=1, link=b""):
    return (b"\0" * 64 + b"\x7f\x10\xda\xbe" + struct.pack("<III", version, 384, kind)).ljust(424, b"\0") + link.ljust(88, b"\0")


def vhdx(flags=0, entry=PARAMETERS):
    regions = b"regi" + bytes(4) + struct.pack("<IIQ16sQII", 1, 0, 0, b"", 0, 0, 0)[:8] + METADATA + struct.pack("<QII", 1 << 20, 65536, 1)
    metadata = b"metadata" + struct.pack("<HH", 0, 1) + bytes(20) + entry + struct.pack("<III", 4096, 8, 0)
    data = bytearray((1 << 20) + 65536)
    data[:8] = b"vhdxfile"
    data[192 * 1024 : 192 * 1024 + len(regions)] = regions
    data[1 << 20 : (1 << 20) + len(metadata)] = metadata
    data[(1 << 20) + 4096 : (1 << 20) + 4104] = struct.pack("<II", 1 << 23, flags)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"QFI\xfb", "qcow2"),
        (vmdk(), "vmdk"),
        (WHOLE.encode(), "vmdk"),
        (vdi(), "vdi"),
        (vhdx(), "vhdx"),
        (b"\x1f\x8b\x08", "gz"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh9", "bz2"),
        (b"\x28\xb5\x2f\xfd", "zst"),
        (b"\0" * 257 + b"ustar", "tar"),
        (b"  <!DOCTYPE HTML>", "text"),
        (b'{"a": 1}', "text"),
        (b"\0" * 510 + b"\x55\xaa", "raw"),
        (b"\0" * 512 + b"EFI PART", "raw"),
        (b"\0" * 32769 + b"CD001", "raw"),
        (b"\0" * 4096, None),
        (b"", None),
    ],
)
def test_formats_told_by_looking(data, name):
    assert detect(data) == name


def test_images_that_need_nothing_else():
    assert outside_files(vmdk(), "vmdk") is None
    assert outside_files(vmdk(WHOLE.replace("monolithicSparse", "streamOptimized")), "vmdk") is None
    assert outside_files(vmdk("", start=21) + WHOLE.encode().ljust(20 * 512, b"\0"), "vmdk") is None
    assert outside_files(vdi(), "vdi") is None and outside_files(vdi(kind=2), "vdi") is None
    assert outside_files(vhdx(), "vhdx") is None
    assert outside_files(b"", "raw") is None


@pytest.mark.parametrize(
    ("data", "format_", "words"),
    [
        (WHOLE.encode(), "vmdk", "other files"),
        (b"COWD", "vmdk", "other files"),
        (vmdk(capacity=0), "vmdk", "other files"),
        (vmdk(WHOLE + 'RW 8 FLAT "/etc/shadow" 0\n'), "vmdk", "2 extents"),
        (vmdk(WHOLE.replace("SPARSE", "FLAT")), "vmdk", "1 extents"),
        (vmdk(WHOLE.replace("monolithicSparse", "vmfs")), "vmdk", "'vmfs'"),
        (vmdk(WHOLE.replace("ffffffff", "12345678")), "vmdk", "below it"),
        (vmdk(WHOLE + 'parentFileNameHint="/etc/shadow"\n'), "vmdk", "below it"),
        (vmdk(WHOLE + '  PARENTFILENAMEHINT = "/etc/shadow"\n'), "vmdk", "below it"),
        (vmdk('parentFileNameHint="/etc/shadow"', start=21) + WHOLE.encode().ljust(20 * 512, b"\0"), "vmdk", "below it"),
        (vdi(kind=4), "vdi", "below it"),
        (vdi(link=b"x"), "vdi", "below it"),
        (vhdx(flags=2), "vhdx", "below it"),
        (vhdx(entry=bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")), "vhdx", "below it"),
    ],
)
def test_images_that_need_other_files(data, format_, words):
    assert words in outside_files(data, format_)


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (b"KDMV", "vmdk"),
        (vmdk(""), "vmdk"),
        (vmdk(start=0), "vmdk"),
        (vmdk(start=2**60), "vmdk"),
        (vmdk(length=2**60), "vmdk"),
        (vdi()[:200], "vdi"),
        (vdi(version=2), "vdi"),
        (b"vhdxfile", "vhdx"),
        (vhdx()[: 1 << 20], "vhdx"),
        (vhdx().replace(b"metadata", b"nonsense"), "vhdx"),
    ],
)
def test_headers_that_cannot_be_believed(data, format_):
    with pytest.raises(Malformed):
        outside_files(data, format_)


@pytest.mark.parametrize("format_", ["vmdk", "vdi", "vhdx"])
def test_hostile_bytes_give_an_answer_or_malformed_and_nothing_else(format_):
    rng = random.Random(21)  # noqa: S311  # a seed that can be repeated
    whole = {"vmdk": vmdk, "vdi": vdi, "vhdx": vhdx}[format_]()
    fields = [position for position in range(len(whole)) if whole[position]]
    for _turn in range(300):
        data = bytearray(whole)
        for position in rng.sample(fields, min(4, len(fields))):
            data[position + rng.randrange(4)] = rng.choice((0, 0x7F, 0x80, 0xFF))
        data = data[: rng.choice((len(data), rng.randrange(len(data))))]
        with contextlib.suppress(Malformed):
            assert isinstance(outside_files(bytes(data), format_), (str, type(None)))


def test_flags_of_qcow2():
    data = bytearray(struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, 1 << 20, 0, 1, 0x30000, 0x10000, 1, 0, 0, 0, 0, 0, 4, 104))
    data = bytes(data).ljust(65536, b"\0")
    for bits, field, value in ((1, "dirty", True), (2, "corrupt", True), (4, "data_file", True), (1 << 40 | 8, "unknown_features", 1 << 40)):
        assert getattr(parse_header(data[:72] + struct.pack(">Q", bits) + data[80:]), field) == value
    named = data[:104] + struct.pack(">II", 0x44415441, 4) + b"/x/y" + data[116:]
    assert parse_header(named).data_file and not parse_header(data).data_file
