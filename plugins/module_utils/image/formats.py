# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which format a file has, told by its first bytes, and what the headers of vmdk, vdi and vhdx point to. Bytes in, data out.

Sources: qemu's block/vmdk.c, block/vdi.c and block/vhdx.h; VMware's "Virtual Disk Format 5.0"; Microsoft's MS-VHDX.
"""

from __future__ import annotations

import re
import struct
from typing import List, Optional, Tuple

from .header import Malformed

#: As much of a file as is looked at here, in bytes: vhdx keeps its tables in the first MiB, and its metadata behind its log.
FIRST_LOOK = 8 * 1024**2
#: The formats that qemu-img converts from and to here.
CONVERTIBLE = ("qcow2", "raw", "vmdk", "vdi", "vhdx")
#: Formats that name no other files, and so may be told by looking. A raw image says nothing of itself.
COMPRESSED = {b"\x1f\x8b": "gz", b"\xfd7zXZ\0": "xz", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zst"}

_VDI_SIGNATURE = b"\x7f\x10\xda\xbe"
_MAGIC: Tuple[Tuple[int, bytes, str], ...] = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (64, _VDI_SIGNATURE, "vdi"),
    (0, b"conectix", "vpc"),
    (0, b"QED\0", "qed"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"OOOM", "cow"),
    (0, b"Bochs Virtual HD Image", "bochs"),
    (0, b"#!/bin/sh\n#V2.0 Format", "cloop"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (257, b"ustar", "tar"),
    *((0, magic, name) for magic, name in COMPRESSED.items()),
)
_TEXT = re.compile(rb"\s*(<!doctype|<html|<\?xml|\{|version https://git-lfs)", re.IGNORECASE)
_DESCRIPTOR = re.compile(rb"(?:^|[\r\n])[ \t]*# Disk DescriptorFile")
_EXTENT = re.compile(r"^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(?P<kind>\S+)", re.MULTILINE)
_VMDK_WHOLE = ("monolithicsparse", "streamoptimized")
_VMDK_DESCRIPTOR_MOST = 20 * 512 * 64
_VMDK_PARENT_LOOK = 20 * 512

_VHDX_REGIONS = 192 * 1024
_VHDX_METADATA = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
_VHDX_FILE_PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
_VHDX_PARENT_LOCATOR = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")
_VHDX_HAS_PARENT = 2


def detect(data: bytes) -> Optional[str]:
    """The format by which a file begins: an image's, an archive's, C(text). None: nothing that is known. raw: a disk with a boot sector."""
    for offset, magic, name in _MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return name
    if _TEXT.match(data[:512]):
        return "text"
    if data[510:512] == b"\x55\xaa" or data[512:520] == b"EFI PART" or data[32769:32774] == b"CD001":
        return "raw"
    return None


def outside_files(data: bytes, format_: str) -> Optional[str]:
    """What an image of vmdk, vdi or vhdx says it needs besides its own file, in words; None where it needs nothing.

    Malformed: its header cannot be believed.
    """
    look = {"vmdk": _vmdk, "vdi": _vdi, "vhdx": _vhdx}.get(format_)
    return look(data) if look else None


def _vmdk(data: bytes) -> Optional[str]:
    if not data.startswith(b"KDMV"):
        return "its data in other files, which its description names"
    if len(data) < 80:
        raise Malformed("ends within its header")
    capacity, _grain, start, length = struct.unpack_from("<QQQQ", data, 12)
    if not capacity:
        return "its data in other files, which its description names"
    if not start:
        # qemu takes the end of the grain table's directory from a footer, and no description at all. Only ESX writes such files.
        raise Malformed("has no description of itself")
    if length * 512 > _VMDK_DESCRIPTOR_MOST or (start + length) * 512 > len(data):
        raise Malformed("has its description where none can be")
    raw = data[start * 512 : (start + length) * 512].split(b"\0", 1)[0]
    text = raw.decode("utf-8", "replace")
    if not _DESCRIPTOR.search(raw):
        raise Malformed("has no description of itself")
    values = {
        key.strip().lower(): value.strip().strip('"').lower() for key, equals, value in (line.partition("=") for line in text.splitlines()) if equals
    }
    # For a parent qemu looks into the second sector, wherever the header says that the description is.
    second = data[512 : 512 + _VMDK_PARENT_LOOK].split(b"\0", 1)[0].lower()
    if values.get("parentcid", "ffffffff") != "ffffffff" or "parentfilenamehint" in values or b"parentfilenamehint" in second:
        return "another image below it"
    kinds: List[str] = [found["kind"].upper() for found in _EXTENT.finditer(text)]
    if values.get("createtype") not in _VMDK_WHOLE or kinds != ["SPARSE"]:
        return f"its data in other files (createType {values.get('createtype', 'none')[:40]!r}, {len(kinds)} extents)"
    return None


def _vdi(data: bytes) -> Optional[str]:
    if len(data) < 512:
        raise Malformed("ends within its header")
    version, _header, kind = struct.unpack_from("<III", data, 68)
    if version != 0x10001:
        raise Malformed(f"is of version {version:#x} of the format; only 1.1 is known")
    if kind not in (1, 2):
        return "another image below it"
    if any(data[424:456]):  # the UUIDs of the image below, and of that one's parent
        return "another image below it"
    return None


def _vhdx(data: bytes) -> Optional[str]:
    metadata = _vhdx_entry(data, _VHDX_REGIONS, b"regi", _VHDX_METADATA)
    if metadata is None:
        raise Malformed("has no table of regions that can be read")
    start = struct.unpack_from("<Q", data, metadata + 16)[0]
    if start + 65536 > len(data):
        raise Malformed("has its metadata where they are not looked for")
    if data[start : start + 8] != b"metadata":
        raise Malformed("has no metadata")
    count = struct.unpack_from("<H", data, start + 10)[0]
    for position in range(start + 32, start + 32 + 32 * min(count, 2047), 32):
        name = data[position : position + 16]
        offset = start + struct.unpack_from("<I", data, position + 16)[0]
        if name == _VHDX_PARENT_LOCATOR:
            return "another image below it"
        if name == _VHDX_FILE_PARAMETERS:
            if offset + 8 > len(data):
                raise Malformed("ends within its metadata")
            if struct.unpack_from("<I", data, offset + 4)[0] & _VHDX_HAS_PARENT:
                return "another image below it"
    return None


def _vhdx_entry(data: bytes, start: int, magic: bytes, name: bytes) -> Optional[int]:
    """Where a region of that name stands in the table of regions."""
    if data[start : start + 4] != magic or len(data) < start + 65536:
        return None
    count = struct.unpack_from("<I", data, start + 8)[0]
    for position in range(start + 16, start + 16 + 32 * min(count, 2047), 32):
        if data[position : position + 16] == name:
            return position
    return None
