# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qemu-img: its commands, and its answers as data."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from ..engine.errors import Failure
from ..engine.host import Host, Result, explained, no_space
from .encryption import Encryption
from .limits import CHANGING, COPYING, limited, look
from .options import DEFAULTS, Options
from .unlocking import Way

_TIMEOUT = 60.0  # seconds of wall time
_CHECK_TIMEOUT = 600.0

#: qemu-img measures the CPU to know what a passphrase costs, and gives up where the kernel's clock did not move meanwhile: about once in ten
#: times on a host that accounts by ticks (seen with 7.2). How often it is tried.
TRIES = 20
_UNMEASURED = "Unable to get accurate CPU usage"

#: A larger disk than this, in bytes, is taken for an attack on the host; ext4 has no larger files.
LARGEST = 16 * 1024**4


#: What qemu-img -p writes, again and again.
_PERCENT = re.compile(rb"\(([0-9]+\.[0-9]+)/100%\)")
#: A line of qemu-io's read -v: the offset and sixteen bytes, both hexadecimal.
_DUMP = re.compile(r"^[0-9a-f]{8,}:\s+((?:[0-9a-f]{2}\s){16})", re.MULTILINE)


@dataclass(frozen=True)
class Snapshot:
    """An internal snapshot. date: seconds since 1970. vm_state_size: bytes of the guest's memory in it."""

    id: str
    name: str
    date: int
    vm_state_size: int


@dataclass(frozen=True)
class Info:
    """What qemu-img info says. size: of the guest's disk, in bytes. backing_file: as it stands in the image.

    passphrases: how many open it, where it is encrypted with LUKS.
    """

    size: int
    backing_file: Optional[str]
    backing_format: Optional[str]
    options: Options
    corrupt: bool
    snapshots: Tuple[Snapshot, ...] = ()
    encryption: Optional[Encryption] = None
    passphrases: Optional[int] = None


class Unmeasured(Failure):
    """See TRIES. A file that was to become an image is gone."""


def tool(host: Host) -> str:
    return host.require("qemu-img", "qemu-utils")


def info(host: Host, path: str, format_: str, label: Optional[str] = None) -> Info:
    """qemu-img info of an image, which may be in use. The format is said and never guessed; no backing file is opened.

    label: how sentences call the image, where that is not its path.
    """
    argv = [tool(host), "info", "--force-share", "-f", format_, "--output=json", path]
    result = look(host, argv, label or path, _TIMEOUT)
    if result.rc:
        raise _unreadable(label or path, result.complaint.replace(path, label or path), result.stderr)
    return parse_info(result.stdout, label or path)


def opens(host: Host, path: str, way: Way) -> bool:
    """Whether the key opens an encrypted image, which may be in use."""
    argv = [host.require("qemu-io", "qemu-utils"), "-r", "-U", *way.objects, "-c", "length", way.alone(path)]
    result = look(host, argv, path, _TIMEOUT, way.inherit)
    if result.rc and "Invalid password" not in result.stderr:
        raise _unreadable(path, result.complaint[:300], result.stderr)
    return not result.rc


def first_bytes(host: Host, path: str, way: Way, size: int, length: int) -> bytes:
    """What a guest reads at the beginning of the disk. size: of the disk."""
    length = min(size, length)
    argv = [host.require("qemu-io", "qemu-utils"), "-r", *way.head, "-c", f"read -v 0 {length}", way.name(path)]
    result = look(host, argv, path, _TIMEOUT, way.inherit)
    data = bytes.fromhex("".join(_DUMP.findall(result.stdout)))
    if result.rc or len(data) != length:
        raise _unreadable(path, result.complaint[:300], result.stderr)
    return data


def verify(host: Host, path: str, format_: str, label: str) -> bool:
    """qemu-img check: every table of the image points into the image. Failure C(image_corrupt).

    False where clusters are lost in it, which harms nobody and which a copy leaves behind.
    """
    argv = [tool(host), "check", "-q", "--force-share", "-f", format_, "--output=json", path]
    result = look(host, argv, label, _CHECK_TIMEOUT)
    if result.rc in (0, 3, 63):  # sound; with leaked clusters; a format that has no check
        return result.rc != 3
    why = " ".join(result.stderr.replace(path, label).split())[:300] or "its tables are damaged"
    raise Failure(f"{label}: corrupt: {why}; use another copy of it", "image_corrupt", stderr=result.stderr)


def data_size(host: Host, path: str, format_: str) -> Optional[int]:
    """About how many bytes the contents of an image take up when they are copied; None where qemu-img does not tell."""
    argv = [tool(host), "measure", "-f", format_, "-O", "qcow2", "--output=json", path]
    try:
        return int(json.loads(look(host, argv, path, _CHECK_TIMEOUT).stdout)["required"])
    except (Failure, ValueError, KeyError, TypeError):
        return None


def copy(
    host: Host,
    path: str,
    words: Sequence[str],
    size: Optional[int],
    to_existing: bool = False,
    zeros: bool = True,
    way: Optional[Way] = None,
) -> None:
    """qemu-img convert. words: the formats, options, source and target. path: the image that the user named. size: bytes to copy, about.

    The target is written past the host's page cache, where its file system can do that: an image has to be on disk before it gets its
    name, and so it is there when the last byte is written, at no cost to what else the host has in memory.
    to_existing: into an image that was just made, and reads as zeros unless zeros says otherwise. way: to the target.
    -W: none of the pieces of 2 MiB that are under way together waits for another one. In a qcow2 these few may change places, which is
    less than any disk reads ahead.
    """
    head = [tool(host), "convert", "-p", "-W"]
    existing = ["-n", *(["--target-is-zero"] if zeros else [])] if to_existing else []
    direct = ["-t", "none"]
    while True:
        result = _copying(host, [*head, *direct, *existing, *words], "converting", size, way)
        if result.rc and direct and "O_DIRECT" in result.stderr:  # older tmpfs, some network and FUSE file systems
            direct = []
        elif result.rc and "--target-is-zero" in existing and "--target-is-zero" in result.stderr:  # before qemu 5.0
            existing = ["-n"]
        else:
            break
    if result.rc:
        raise explain(path, "made", result)


def duplicate(host: Host, path: str, source: str, handle: int, target: str) -> None:
    """The bytes of a file in an open, empty one, whatever they mean. Blocks of zeros become holes. path: as in copy."""
    with explained("read it", source):
        length = os.stat(host.path(source)).st_size
    if length:
        copy(host, path, ["-U", "-f", "raw", "-O", "raw", source, target], length)
    with explained("write it", path):
        os.ftruncate(handle, length)  # qemu-img rounds up to whole sectors


def parse_info(text: str, path: str) -> Info:
    """The text of qemu-img info --output=json. Older ones leave options out that they do not know: those have their defaults."""
    try:
        found: Mapping[str, Any] = json.loads(text)
        data: Mapping[str, Any] = found.get("format-specific", {}).get("data", {}) if found["format"] == "qcow2" else {}
        options, encryption, slots = Options(), None, None
        if found.get("encrypted") or "encrypt" in data:
            locked = data.get("encrypt", {})
            encryption = Encryption(locked.get("format", "aes"), locked.get("cipher-alg"), locked.get("cipher-mode"), locked.get("hash-alg"))
            slots = sum(bool(slot["active"]) for slot in locked["slots"]) if "slots" in locked else None
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
            tuple(
                Snapshot(str(item["id"]), str(item["name"]), int(item["date-sec"]), int(item["vm-state-size"])) for item in found.get("snapshots", [])
            ),
            encryption,
            slots,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, "its answer has not the expected form", text[:1000]) from error


def change(host: Host, path: str, argv: Sequence[str], operation: str, way: Optional[Way] = None) -> None:
    """A command that changes an existing image. path: the one that the user named. operation: for the sentence, "cannot be ..."."""
    for left in reversed(range(TRIES)):
        try:
            _run(host, path, limited(host, argv, CHANGING), operation, way)
            break
        except Unmeasured:
            if not left:
                raise


def rebase(host: Host, path: str, words: Sequence[str], way: Way) -> None:
    """qemu-img rebase, which may copy the whole of a backing file."""
    result = _copying(host, [tool(host), "rebase", "-p", *words], "rebasing", None, way)
    if result.rc:
        raise explain(path, "put on another backing file", result)


def commit(host: Host, path: str, base: str, words: Sequence[str], way: Way) -> None:
    """qemu-img commit. base: the backing file, which is what grows."""
    result = _copying(host, [tool(host), "commit", "-p", *words], "committing", None, way)
    if result.rc:
        raise explain(path, "committed to its backing file", result, grows=base)


def create(host: Host, path: str, target: str, way: Way, options: Sequence[str], size: int, backing: Optional[Tuple[str, str]] = None) -> None:
    """qemu-img create. path: the image that the user named. target: the new file. options: of option_words. backing: name and format.

    -u: the backing file is not opened. Its chain was looked at already, with less trust than qemu has.
    Preallocation takes as long as it takes.
    """
    below = ["-u", "-b", backing[0], "-F", backing[1]] if backing else []
    argv = [tool(host), "create", "-q", "-f", way.format, *way.objects, *below, *options, target, str(size)]
    _run(host, path, limited(host, argv, (), dies=True), "created", way)


def option_words(options: Mapping[str, Any], preallocation: Optional[str] = None) -> List[str]:
    """Options as -o takes them: lazy_refcounts=on,cluster_size=65536. Nothing where there are none."""
    given = {**options, **({"preallocation": preallocation} if preallocation else {})}
    # Older qemu-img do not know these, and need not where they have their defaults.
    for name, default in (("extended_l2", False), ("compression_type", "zlib")):
        if given.get(name) == default:
            del given[name]
    words = (f"{key}={('on' if value else 'off') if isinstance(value, bool) else value}" for key, value in given.items())
    return ["-o", ",".join(words)] if given else []


def _run(host: Host, path: str, argv: Sequence[str], operation: str, way: Optional[Way]) -> None:
    result = host.run(argv, check=False, inherit=way.inherit if way else ())
    if result.rc:
        raise explain(path, operation, result)


def _copying(host: Host, argv: Sequence[str], what: str, size: Optional[int], way: Optional[Way]) -> Result:
    """A command with -p, which may take hours and says how far it is. size: bytes it has to copy, None where nobody knows."""
    with host.progress.step(what, *((100, "percent") if size is None else (size,))) as report:

        def heard(data: bytes) -> None:
            percents = _PERCENT.findall(data)
            if percents:
                report(float(percents[-1]) if size is None else float(percents[-1]) * size / 100)

        return host.follow(limited(host, argv, COPYING, dies=True), heard, way.inherit if way else ())


def explain(path: str, operation: str, result: Result, grows: Optional[str] = None) -> Failure:
    """The sentence for a qemu-img that failed. grows: the file that needs room, where it is not path."""
    said = result.complaint
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return no_space(grows or path, stderr=result.stderr)
    if "File too large" in said:
        return Failure(
            f"{grows or path}: its file system cannot hold a file of that size; put the image elsewhere", "file_too_large", stderr=result.stderr
        )
    if '" lock' in said:
        return Failure(f"{path}: another process has just opened it; run the task again when it is free", "image_in_use", stderr=result.stderr)
    kind = Unmeasured if _UNMEASURED in said else Failure
    return kind(f"{path}: cannot be {operation}: {said}", "qemu_img_failed", stderr=result.stderr)


def _unreadable(path: str, why: str, stderr: str) -> Failure:
    return Failure(f"{path}: qemu-img cannot read it: {why}; restore the image, or remove it", "image_unreadable", stderr=stderr)
