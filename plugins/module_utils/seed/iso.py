# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ISO of a seed, written and read by one tool.

xorriso and not genisoimage: it is maintained, every distribution family packages it (RedHat's has nothing else), it writes the same bytes
for the same files, and it hands out single files by a pipe, so that reading a seed leaves no copy of its secrets on disk.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Dict, List, Mapping, Sequence

from ..engine.errors import Failure
from ..engine.host import Host, Result, no_space
from . import nocloud

LABEL = "cidata"
#: The primary volume descriptor: sector 16, and in it the volume label. Source: ECMA-119, 8.4.
DESCRIPTOR = 16 * 2048
DESCRIPTOR_LENGTH = 2048

_LARGEST_ISO = 4 * nocloud.LARGEST_FILE + 2 * 1024**2
_DATE = "2000010100000000"  # of everything in the ISO, so that equal files give equal ISOs
_TIMEOUT = 60.0  # seconds, for a storage that hangs
# For reading: what somebody else wrote must not take the host's memory or a CPU for long.
_LIMITS = ("--as=1073741824", "--cpu=30")  # bytes, seconds
# -rw-r--r--    1 0        0              19 Jan  1  2000 'user-data'
_LISTED = re.compile(r"^-\S+\s+\d+\s+\S+\s+\S+\s+(?P<size>\d+)\s.*'(?P<name>[^']*)'$", re.MULTILINE)


def tool(host: Host) -> str:
    return host.require("xorriso", "xorriso")


def is_seed(descriptor: bytes) -> bool:
    """Whether this primary volume descriptor is one of a volume that cloud-init takes for a seed."""
    return len(descriptor) == DESCRIPTOR_LENGTH and descriptor[:7] == b"\x01CD001\x01" and descriptor[40:72].rstrip(b" \0").lower() == LABEL.encode()


def build_command(xorriso: str, folder: str, iso: str) -> List[str]:
    """Joliet and Rock Ridge, as every system reads one of the two: ISO 9660 itself has no lower-case names."""
    return [
        *[xorriso, "-no_rc", "-as", "mkisofs", "-quiet", "-volid", LABEL, "-joliet", "-rational-rock"],
        *[f"--modification-date={_DATE}", "--set_all_file_dates", _DATE, "-output", iso, folder],
    ]


def build(host: Host, path: str, folder: str, iso: str) -> None:
    """Make an ISO of the files in a folder. path: the seed that the user named, for the error."""
    result = host.run(build_command(tool(host), host.path(folder), host.path(iso)), timeout=_TIMEOUT, check=False)
    if result.rc:
        if "No space left on device" in result.stderr or "exceeds free space" in result.stderr:
            raise no_space(path)
        raise Failure(f"{path}: the ISO cannot be written: {_complaint(result)}", "xorriso_failed", stderr=result.stderr)


def volume_size(descriptor: bytes) -> int:
    """The bytes that the volume says it has."""
    return int.from_bytes(descriptor[80:84], "little") * 2048


def read(host: Host, path: str, descriptor: bytes, size: int) -> Dict[str, bytes]:
    """The files of a seed, by name. Whatever else the ISO holds is not looked at. size: of the ISO, in bytes."""
    if size > _LARGEST_ISO:
        raise _unreadable(path, f"{size} bytes are more than a seed has")
    if size < volume_size(descriptor):  # xorriso would fill up with zeros
        raise _unreadable(path, f"it was cut off at {size} bytes")
    listing = _xorriso(host, path, ["-lsl", "/"])
    found = {match["name"]: int(match["size"]) for match in _LISTED.finditer(listing)}
    sizes = {name: found[name] for name in nocloud.FILES if name in found}
    for name, length in sizes.items():
        if length > nocloud.LARGEST_FILE:
            raise _unreadable(path, f"{name} has {length} bytes, more than a seed should carry")
    return _files(host, path, sizes) if sizes else {}


def _files(host: Host, path: str, sizes: Mapping[str, int]) -> Dict[str, bytes]:
    """The files' bytes, of one run for all. base64, as commands answer in text; its length follows from the file's."""
    encoder = host.require("base64", "coreutils")
    commands = [word for name in sizes for word in ("-concat", "pipe", "+", encoder, "+", f"/{name}", "--")]
    text, found = "".join(_xorriso(host, path, ["-osirrox", "on", *commands]).split()), {}
    for name, size in sizes.items():
        length = (size + 2) // 3 * 4
        try:
            found[name] = base64.b64decode(text[:length], validate=True)
        except binascii.Error as error:
            raise _unreadable(path, f"{name} cannot be read") from error
        if len(found[name]) != size:
            raise _unreadable(path, f"{name} has {len(found[name])} bytes instead of {size}")
        text = text[length:]
    if text:
        raise _unreadable(path, f"it has {len(text)} characters more than its files")
    return found


def _xorriso(host: Host, path: str, commands: Sequence[str]) -> str:
    prlimit = host.which("prlimit")
    argv = [*([prlimit, *_LIMITS, "--"] if prlimit else []), tool(host), "-no_rc", "-report_about", "FAILURE"]
    drive, rest = ["-indev", f"stdio:{host.path(path)}"], list(commands)
    result = host.run([*argv, *drive, *rest], timeout=_TIMEOUT, check=False)
    if result.rc:
        raise _unreadable(path, _complaint(result), stderr=result.stderr)
    return result.stdout


def _complaint(result: Result) -> str:
    """xorriso's own sentence; the rest of what it prints is its name and the state of the drive."""
    said = re.findall(r"^\w+ : (?:SORRY|FAILURE|FATAL) : (.*)$", result.stderr, re.MULTILINE)
    return said[0] if said else result.complaint


def _unreadable(path: str, why: str, **details: str) -> Failure:
    return Failure(f"{path}: the seed there cannot be read: {why}; remove it with state: absent", "seed_unreadable", **details)
