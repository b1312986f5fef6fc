# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qemu-img: under limits where it opens a file that somebody else wrote, and its answers as data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence

from ..engine.errors import Failure
from ..engine.host import Host, Result
from .files import no_space
from .options import DEFAULTS, Options

# A hostile image must not take the host's memory or a CPU for long. For reading, what OpenStack found enough for every honest one;
# for changing, room for the caches of a long chain (32 MiB a member) and time for a repair of reference counts.
_READING = ("--as=1073741824", "--cpu=30")  # bytes, seconds
_CHANGING = ("--as=8589934592", "--cpu=600")
_TIMEOUT = 60.0  # seconds of wall time, for a storage that hangs


@dataclass(frozen=True)
class Info:
    """What qemu-img info says. size: of the guest's disk, in bytes. backing_file: as it stands in the image."""

    size: int
    backing_file: Optional[str]
    backing_format: Optional[str]
    options: Options
    corrupt: bool


def limited(host: Host, argv: Sequence[str], limits: Sequence[str]) -> List[str]:
    """The command under limits, where the host has util-linux's prlimit."""
    prlimit = host.which("prlimit")
    return [prlimit, *limits, "--", *argv] if prlimit else list(argv)


def tool(host: Host) -> str:
    return host.require("qemu-img", "qemu-utils")


def info(host: Host, path: str, format_: str) -> Info:
    """qemu-img info of an image, which may be in use. The format is said and never guessed; no backing file is opened."""
    argv = limited(host, [tool(host), "info", "--force-share", "-f", format_, "--output=json", path], _READING)
    result = host.run(argv, timeout=_TIMEOUT, check=False)
    if result.rc:
        raise _unreadable(path, result.complaint, result.stderr)
    return parse_info(result.stdout, path)


def parse_info(text: str, path: str) -> Info:
    """The text of qemu-img info --output=json. Older ones leave options out that they do not know: those have their defaults."""
    try:
        found: Mapping[str, Any] = json.loads(text)
        data: Mapping[str, Any] = found.get("format-specific", {}).get("data", {}) if found["format"] == "qcow2" else {}
        options = Options()
        if found["format"] == "qcow2":
            options = Options(
                found["cluster-size"],
                data["compat"],
                data.get("lazy-refcounts", DEFAULTS.lazy_refcounts),
                data.get("refcount-bits", DEFAULTS.refcount_bits),
                data.get("extended-l2", DEFAULTS.extended_l2),
                data.get("compression-type", DEFAULTS.compression_type),
            )
        return Info(
            int(found["virtual-size"]),
            found.get("backing-filename"),
            found.get("backing-filename-format"),
            options,
            bool(data.get("corrupt", False)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, "its answer has not the expected form", text[:1000]) from error


def change(host: Host, path: str, argv: Sequence[str], operation: str) -> None:
    """A command that changes an existing image. operation: for the sentence, "cannot be ..."."""
    _run(host, path, limited(host, argv, _CHANGING), operation)


def create(host: Host, path: str, argv: Sequence[str]) -> None:
    """A command that makes a new file. path: the image that the user named. Preallocation takes as long as it takes.

    Where the host has util-linux's setpriv, an interrupted run does not leave it behind, busy filling the file system.
    """
    setpriv = host.which("setpriv")
    _run(host, path, [setpriv, "--pdeathsig", "KILL", *argv] if setpriv else argv, "created")


def _run(host: Host, path: str, argv: Sequence[str], operation: str) -> None:
    result = host.run(argv, check=False)
    if result.rc:
        raise explain(path, operation, result)


def explain(path: str, operation: str, result: Result) -> Failure:
    """The sentence for a qemu-img that failed."""
    said = result.complaint
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return no_space(path, result.stderr)
    if "File too large" in said:
        return Failure(f"{path}: its file system cannot hold a file of that size; put the image elsewhere", "file_too_large", stderr=result.stderr)
    if '" lock' in said:
        return Failure(f"{path}: another process has just opened it; run the task again when it is free", "image_in_use", stderr=result.stderr)
    return Failure(f"{path}: cannot be {operation}: {said}", "qemu_img_failed", stderr=result.stderr)


def _unreadable(path: str, why: str, stderr: str) -> Failure:
    return Failure(f"{path}: qemu-img cannot read it: {why}; restore the image, or remove it", "image_unreadable", stderr=stderr)
