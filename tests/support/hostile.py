# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A corpus of disk images that nobody should open, each with the reason for which it must be refused.

CORPUS: name → (how to make it, the code of the refusal, the source_format that is stated or None).
"""

from __future__ import annotations

import gzip
import struct
import subprocess
from pathlib import Path
from typing import Callable, Dict, Optional, Tuple

Maker = Callable[[Path], None]
CORPUS: Dict[str, Tuple[Maker, str, Optional[str]]] = {}

_PARTS: Dict[str, bytes] = {}


def honest(format_: str, folder: Path, *options: str) -> bytes:
    """A sound image of 4 MiB with some data, as bytes."""
    key = " ".join((format_, *options))
    if key not in _PARTS:
        path = folder / f"vt-part.{format_}"
        subprocess.run(["qemu-img", "create", "-q", "-f", format_, *options, str(path), "4M"], check=True, capture_output=True)
        subprocess.run(["qemu-io", "-f", format_, "-c", "write -P 5 0 128k", str(path)], check=True, capture_output=True)
        _PARTS[key] = path.read_bytes()
        path.unlink()
    return _PARTS[key]


def _add(name: str, maker: Maker, code: str, stated: Optional[str] = None) -> None:
    CORPUS[name] = (maker, code, stated)


def _patched(format_: str, *patches: Tuple[int, bytes], cut: Optional[int] = None) -> Maker:
    def make(path: Path) -> None:
        data = bytearray(honest(format_, path.parent))
        for offset, new in patches:
            data[offset : offset + len(new)] = new
        path.write_bytes(bytes(data[:cut]))

    return make


def _bytes(data: bytes, size: int = 65536) -> Maker:
    return lambda path: _write(path, data.ljust(size, b"\0"))


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def be32(value: int) -> bytes:
    return struct.pack(">I", value)


def be64(value: int) -> bytes:
    return struct.pack(">Q", value)


def le32(value: int) -> bytes:
    return struct.pack("<I", value)


def le64(value: int) -> bytes:
    return struct.pack("<Q", value)


# Backing files

_NAMES = {
    "an absolute path": "/etc/shadow",
    "a decoy": "@DECOY@",
    "a relative path": "../../../../../../../../etc/shadow",
    "a device": "/dev/mem",
    "json file": 'json:{"driver":"file","filename":"/etc/shadow"}',
    "json nbd": 'json:{"driver":"nbd","host":"127.0.0.1","port":"1"}',
    "json nested": 'json:{"file":{"driver":"host_device","filename":"/dev/sda"}}',
    "nbd": "nbd:127.0.0.1:1:exportname=x",
    "nbd url": "nbd://127.0.0.1:1/x",
    "nbd unix": "nbd+unix:///x?socket=/run/docker.sock",
    "http": "http://127.0.0.1:1/metadata",
    "ssh": "ssh://127.0.0.1:1/etc/shadow",
    "vvfat": "fat:rw:/etc",
    "file protocol": "file:/etc/shadow",
    "itself": "evil",
    "fd": "/dev/fdset/0",
    "blkdebug": "blkdebug::/etc/shadow",
}


def _backed(name: str) -> Maker:
    def make(path: Path) -> None:
        data = bytearray(honest("qcow2", path.parent))
        raw = name.replace("@DECOY@", str(path.parent.parent / "vt-decoy.qcow2")).encode()
        data[8:20] = be64(1024) + be32(len(raw))
        data[1024 : 1024 + len(raw)] = raw
        path.write_bytes(bytes(data))

    return make


for _words, _name in _NAMES.items():
    _add(f"qcow2 on {_words}", _backed(_name), "unexpected_backing_file")


def _raw_name(raw: bytes, offset: int = 1024, length: Optional[int] = None) -> Maker:
    return _patched("qcow2", (8, be64(offset) + be32(len(raw) if length is None else length)), (1024, raw))


_add("qcow2 with a name behind the cluster", _raw_name(b"x", offset=2**40), "image_unreadable")
_add("qcow2 with a name at the end of numbers", _raw_name(b"x", offset=2**64 - 1), "image_unreadable")
_add("qcow2 with a name that is too long", _raw_name(b"/" + b"x" * 2000), "image_unreadable")
_add("qcow2 with a name of 4 GiB", _raw_name(b"x", length=2**32 - 1), "image_unreadable")
_add("qcow2 with NUL in a name", _raw_name(b"/etc/shadow\0.qcow2"), "image_unreadable")
_add("qcow2 with a line in a name", _raw_name(b"/etc/shadow\n.qcow2"), "image_unreadable")
_add("qcow2 with a name that is not text", _raw_name(b"/\xff\xfe"), "image_unreadable")


def _loop(path: Path) -> None:
    _backed("vt-second")(path)
    second = path.with_name("vt-second")
    _backed("evil")(second)


_add("qcow2 in a circle", _loop, "unexpected_backing_file")


def _chain(*names: str) -> Maker:
    """Each one on the next, the last on the last of the names. What is wrong is at the end of it."""

    def make(path: Path) -> None:
        steps = [path, *(path.with_name(f"vt-step{number}") for number in range(1, len(names)))]
        for step, name in zip(steps, names):
            _backed(name)(step)

    return make


_add("qcow2 in a chain down to a device", _chain("vt-step1", "vt-step2", "/dev/mem"), "unexpected_backing_file")
_add("qcow2 in a chain down to json", _chain("vt-step1", 'json:{"driver":"file","filename":"/etc/shadow"}'), "unexpected_backing_file")
_add("qcow2 in a chain down to nbd", _chain("vt-step1", "vt-step2", "nbd://127.0.0.1:1/x"), "unexpected_backing_file")
_add("qcow2 in a chain down to itself", _chain("vt-step1", "vt-step2", "vt-step1"), "unexpected_backing_file")


# Data in other files


def _data_file(name: str, *more: str) -> Maker:
    def make(path: Path) -> None:
        aside = path.with_name("vt-data")
        options = ",".join((f"data_file={aside}", *more))
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(path), "1M"], check=True, capture_output=True)
        aside.unlink()
        path.write_bytes(path.read_bytes().replace(str(aside).encode(), name.encode().ljust(len(str(aside).encode()), b"/")))

    return make


_add("qcow2 with its data elsewhere", _data_file("/etc/shadow"), "external_data_file")
_add("qcow2 with its raw data elsewhere", _data_file("/dev/sda", "data_file_raw=on"), "external_data_file")
_add("qcow2 with data by a protocol", _data_file("nbd://127.0.0.1:1/"), "external_data_file")
_add(
    "qcow2 with a data file that is only named",
    _patched("qcow2", (112, be32(0x44415441) + be32(11) + b"/etc/shadow\0\0\0\0\0")),
    "external_data_file",
)
_add("qcow2 with a data file that is only needed", _patched("qcow2", (72, be64(4))), "external_data_file")

# Sizes

_add("qcow2 of 4 EiB", _patched("qcow2", (24, be64(2**62))), "absurd_size")
_add("qcow2 of 8 EiB", _patched("qcow2", (24, be64(2**63 - 512))), "absurd_size")
_add("qcow2 of all bits", _patched("qcow2", (24, be64(2**64 - 1))), "absurd_size")
_add("qcow2 of no size", _patched("qcow2", (24, be64(0))), "image_unreadable")


def _honestly_huge(path: Path) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "17T"], check=True, capture_output=True)


_add("qcow2 of 17 TiB", _honestly_huge, "absurd_size")

# Headers

_add("qcow2 with a first-level table of 32 GiB", _patched("qcow2", (36, be32(2**32 - 1))), "image_unreadable")
_add("qcow2 with a first-level table behind the end", _patched("qcow2", (40, be64(2**50))), "image_unreadable")
_add("qcow2 with a first-level table askew", _patched("qcow2", (40, be64(0x30001))), "image_unreadable")
_add("qcow2 with no first-level table", _patched("qcow2", (36, be32(0))), "image_unreadable")
_add("qcow2 with a reference table behind the end", _patched("qcow2", (48, be64(2**50))), "image_unreadable")
_add("qcow2 with a reference table of 2^32 clusters", _patched("qcow2", (56, be32(2**32 - 1))), "image_unreadable")
_add("qcow2 with a reference table askew", _patched("qcow2", (48, be64(0x10001))), "image_unreadable")
_add("qcow2 with clusters of one byte", _patched("qcow2", (20, be32(0))), "image_unreadable")
_add("qcow2 with clusters of 1 GiB", _patched("qcow2", (20, be32(30))), "image_unreadable")
_add("qcow2 with clusters of 2^(2^32)", _patched("qcow2", (20, be32(2**32 - 1))), "image_unreadable")
_add("qcow of version 1", _patched("qcow2", (4, be32(1))), "image_unreadable")
_add("qcow2 of version 99", _patched("qcow2", (4, be32(99))), "image_unreadable")
_add("qcow2 with a header of 2 GiB", _patched("qcow2", (100, be32(2**31))), "image_unreadable")
_add("qcow2 with a header of no length", _patched("qcow2", (100, be32(0))), "image_unreadable")
_add("qcow2 with counts of 2^63 bits", _patched("qcow2", (96, be32(63))), "image_unreadable")
_add("qcow2 with 2^32 snapshots", _patched("qcow2", (60, be32(2**32 - 1))), "image_unreadable")
_add("qcow2 with snapshots behind the end", _patched("qcow2", (60, be32(1) + be64(2**50))), "image_corrupt")
_add("qcow2 with features of the future", _patched("qcow2", (72, be64(1 << 40))), "unsupported_format")
_add("qcow2 that says it is corrupt", _patched("qcow2", (72, be64(2))), "image_corrupt")
_add("qcow2 encrypted with AES", _patched("qcow2", (32, be32(1))), "image_encrypted")
_add("qcow2 encrypted with LUKS", _patched("qcow2", (32, be32(2))), "image_encrypted")
_add("qcow2 of 4 bytes", _patched("qcow2", cut=4), "image_unreadable")
_add("qcow2 of 71 bytes", _patched("qcow2", cut=71), "image_unreadable")
_add("qcow2 of 100 bytes", _patched("qcow2", cut=100), "image_unreadable")
_add("qcow2 without its tables", _patched("qcow2", cut=65536), "image_unreadable")
_add("qcow2 without its data", _patched("qcow2", cut=0x40100), "image_corrupt")


def _second_level(entry: int) -> Maker:
    def make(path: Path) -> None:
        data = bytearray(honest("qcow2", path.parent))
        first = struct.unpack_from(">Q", data, 40)[0]
        second = struct.unpack_from(">Q", data, first)[0] & 0x00FFFFFFFFFFFE00
        data[second : second + 8] = be64(entry)
        path.write_bytes(bytes(data))

    return make


_add("qcow2 with data behind the end", _second_level(1 << 63 | 2**50), "image_corrupt")
_add("qcow2 with its own tables for data", _second_level(1 << 63 | 0x10000), "image_corrupt")
_add("qcow2 with data askew", _second_level(1 << 63 | 0x50200), "image_corrupt")
_add("an empty file", _bytes(b"", 0), "image_unreadable")

# vmdk


def _descriptor(extents: str, kind: str = "monolithicFlat", parent: str = "ffffffff", more: str = "") -> bytes:
    text = f'# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID={parent}\n{more}createType="{kind}"\n{extents}\nddb.adapterType = "ide"\n'
    return text.encode()


def _embedded(text: bytes, capacity: Optional[int] = None) -> Maker:
    def make(path: Path) -> None:
        data = bytearray(honest("vmdk", path.parent))
        start = struct.unpack_from("<Q", data, 28)[0] * 512
        data[start : start + 20 * 512] = text.ljust(20 * 512, b"\0")
        if capacity is not None:
            data[12:20] = le64(capacity)
        path.write_bytes(bytes(data))

    return make


_FLAT = 'RW 8192 FLAT "/etc/shadow" 0'
_add("vmdk of an absolute extent", _bytes(_descriptor(_FLAT), 1024), "external_data_file")
_add("vmdk of an absolute extent, said to be one", _bytes(_descriptor(_FLAT), 1024), "external_data_file", "vmdk")
_add("vmdk of a relative extent", _bytes(_descriptor('RW 8192 SPARSE "../vt-decoy.qcow2"', "twoGbMaxExtentSparse"), 1024), "external_data_file")
_add("vmdk of a device", _bytes(_descriptor('RW 8192 VMFSRDM "/dev/sda"', "vmfsRawDeviceMap"), 1024), "external_data_file")
_add("vmdk of a json extent", _bytes(_descriptor('RW 8192 FLAT "json:{}" 0'), 1024), "external_data_file")
_add("vmdk with a hidden descriptor", _embedded(_descriptor(_FLAT), capacity=0), "external_data_file")
_add("vmdk with a flat extent inside", _embedded(_descriptor(_FLAT)), "external_data_file")
_add("vmdk with two extents inside", _embedded(_descriptor('RW 8192 SPARSE "a"\n' + _FLAT, "monolithicSparse")), "external_data_file")
_add("vmdk of a kind that is not known", _embedded(_descriptor('RW 8192 SPARSE "a"', "custom")), "external_data_file")
_add("vmdk with a parent", _embedded(_descriptor('RW 8192 SPARSE "a"', "monolithicSparse", "deadbeef")), "unexpected_backing_file")
_HINT = 'parentFileNameHint="/etc/shadow"\n'
_add("vmdk with a parent's name", _embedded(_descriptor('RW 8192 SPARSE "a"', "monolithicSparse", more=_HINT)), "unexpected_backing_file")


def _two_descriptors(path: Path) -> None:
    """An honest one where the header says, and the one that qemu looks into for a parent, at the second sector."""
    data = bytearray(honest("vmdk", path.parent)).ljust(256 * 1024, b"\0")
    start, length = struct.unpack_from("<QQ", data, 28)
    data += data[start * 512 : (start + length) * 512]
    data[28:36] = le64(len(data) // 512 - length)
    data[512 : 512 + 20 * 512] = _descriptor('RW 8192 SPARSE "a"', "monolithicSparse", more=_HINT).ljust(20 * 512, b"\0")
    path.write_bytes(bytes(data))


_add("vmdk with two descriptors", _two_descriptors, "unexpected_backing_file")
_add("vmdk without a descriptor", _embedded(b""), "image_unreadable")
_add("vmdk with a descriptor behind the end", _patched("vmdk", (28, le64(2**60))), "image_unreadable")
_add("vmdk with a descriptor without end", _patched("vmdk", (36, le64(2**54))), "image_unreadable")
_add("vmdk with a descriptor nowhere", _patched("vmdk", (28, le64(0))), "image_unreadable")
_add("vmdk of exabytes", _patched("vmdk", (12, le64(2**53))), "absurd_size")
_add("vmdk of 40 bytes", _patched("vmdk", cut=40), "image_unreadable")
_add("vmdk of ESX 2", _bytes(b"COWD" + le32(1) * 20), "external_data_file")

# vdi, vhdx

_add("vdi with a parent", _patched("vdi", (76, le32(4))), "unexpected_backing_file")
_add("vdi of a kind that is not known", _patched("vdi", (76, le32(77))), "unexpected_backing_file")
_add("vdi with the name of a parent", _patched("vdi", (424, b"x" * 16)), "unexpected_backing_file")
_add("vdi of version 9", _patched("vdi", (68, le32(0x90001))), "image_unreadable")
_add("vdi of exabytes", _patched("vdi", (368, le64(2**60))), "image_unreadable")
_add("vdi of 100 bytes", _patched("vdi", cut=100), "image_unreadable")
_add("vdi with data behind the end", _patched("vdi", (512, le32(100000))), "image_corrupt")

_VHDX_PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")


def _vhdx(change: Callable[[bytearray, int], None]) -> Maker:
    def make(path: Path) -> None:
        data = bytearray(honest("vhdx", path.parent))
        change(data, data.index(b"metadata"))
        path.write_bytes(bytes(data))

    return make


def _has_parent(data: bytearray, metadata: int) -> None:
    entry = data.index(_VHDX_PARAMETERS, metadata)
    position = metadata + struct.unpack_from("<I", data, entry + 16)[0] + 4
    data[position : position + 4] = le32(2)


def _parent_locator(data: bytearray, metadata: int) -> None:
    entry = data.index(_VHDX_PARAMETERS, metadata)
    data[entry : entry + 16] = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")


def _no_metadata(data: bytearray, metadata: int) -> None:
    data[metadata : metadata + 8] = b"nonsense"


def _far_metadata(data: bytearray, metadata: int) -> None:
    entry = data.index(bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e"))
    data[entry + 16 : entry + 24] = le64(2**50)


_add("vhdx with a parent", _vhdx(_has_parent), "unexpected_backing_file")
_add("vhdx with a parent's locator", _vhdx(_parent_locator), "unexpected_backing_file")
_add("vhdx without metadata", _vhdx(_no_metadata), "image_unreadable")
_add("vhdx with metadata behind the end", _vhdx(_far_metadata), "image_unreadable")
_add("vhdx without regions", _patched("vhdx", (192 * 1024, b"nope")), "image_unreadable")
_add("vhdx of 512 KiB", _patched("vhdx", cut=512 * 1024), "image_unreadable")

# Formats that are not known here, and such as are not what they are said to be

for _format, _magic in {
    "vpc": b"conectix",
    "qed": b"QED\0",
    "luks": b"LUKS\xba\xbe\0\1",
    "parallels": b"WithoutFreeSpace",
    "bochs": b"Bochs Virtual HD Image",
    "cloop": b"#!/bin/sh\n#V2.0 Format",
    "zip": b"PK\x03\x04",
}.items():
    _add(f"{_format} that says nothing", _bytes(_magic), "unsupported_format")
    _add(f"{_format} said to be raw", _bytes(_magic), "format_mismatch", "raw")
_add("tar", _bytes(b"disk.img".ljust(257, b"\0") + b"ustar"), "unsupported_format")
_add("a page of HTML", _bytes(b"<!DOCTYPE html><title>Sign in</title>", 300), "unsupported_format")
_add("a pointer of git-lfs", _bytes(b"version https://git-lfs.github.com/spec/v1\n", 130), "unsupported_format")
_add("json", _bytes(b'{"driver": "file", "filename": "/etc/shadow"}', 512), "unsupported_format")
_add("noise that says nothing", _bytes(b"\x01\x02\x03"), "format_required")
_add("qcow2 said to be raw", _patched("qcow2"), "format_mismatch", "raw")
_add("qcow2 said to be vmdk", _patched("qcow2"), "format_mismatch", "vmdk")
_add("vmdk said to be raw", _bytes(_descriptor(_FLAT), 1024), "format_mismatch", "raw")
_add("vmdk said to be qcow2", _patched("vmdk"), "format_mismatch", "qcow2")
_add("vdi said to be raw", _patched("vdi"), "format_mismatch", "raw")
_add("vhdx said to be vdi", _patched("vhdx"), "format_mismatch", "vdi")
_add("zeros said to be qcow2", _bytes(b""), "format_mismatch", "qcow2")
_add("a boot sector said to be vhdx", _bytes(b"\0" * 510 + b"\x55\xaa"), "format_mismatch", "vhdx")


def _packed(maker: Maker) -> Maker:
    def make(path: Path) -> None:
        maker(path)
        path.write_bytes(gzip.compress(path.read_bytes(), 1))

    return make


_add("qcow2 on a file, compressed", _packed(_backed("/etc/shadow")), "unexpected_backing_file")
_add("vmdk of an extent, compressed", _packed(_bytes(_descriptor(_FLAT), 1024)), "external_data_file")
_add("compressed twice", _packed(_packed(_patched("qcow2"))), "unsupported_format")
_add("a broken archive", _bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\x03 nothing"), "archive_damaged")
