# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disk images: what is wanted of one, and what is there."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.units import optional_size
from .header import LONGEST_BACKING_NAME
from .options import NO_OPTIONS, Options, newer_features, spelled

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "format": {"type": "str", "choices": ["qcow2", "raw"]},
        "size": {"type": "str"},
        "backing_file": {"type": "str"},
        "backing_format": {"type": "str", "choices": ["qcow2", "raw"]},
        "cluster_size": {"type": "str"},
        "compat": {"type": "str", "choices": ["0.10", "1.1"]},
        "lazy_refcounts": {"type": "bool"},
        "refcount_bits": {"type": "int", "choices": [1, 2, 4, 8, 16, 32, 64]},
        "extended_l2": {"type": "bool"},
        "compression_type": {"type": "str", "choices": ["zlib", "zstd"]},
        "preallocation": {"type": "str", "choices": ["off", "metadata", "falloc", "full"]},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "raw"},
        "force": {"type": "bool", "default": False},
    },
}

#: qemu counts in sectors, and rounds every size up to a whole one.
SECTOR = 512
#: A file name may have 255 bytes; the temporary one adds 14 (see files.temporary).
_LONGEST_NAME = 241


@dataclass(frozen=True)
class Desired:
    """size: bytes, a multiple of 512. backing_file: as it is to stand in the image; "" is none."""

    path: str
    present: bool = True
    format: Optional[str] = None
    size: Optional[int] = None
    backing_file: Optional[str] = None
    backing_format: Optional[str] = None
    options: Options = NO_OPTIONS
    preallocation: Optional[str] = None
    owner: Optional[str] = None
    group: Optional[str] = None
    mode: Optional[str] = None
    force: bool = False


@dataclass(frozen=True)
class Image:
    """An image file.

    size: of the guest's disk, in bytes. actual_size: bytes that the file takes up.
    backing_file: as it stands in the image. backing_path: the real path of that file.
    """

    format: Optional[str] = None
    size: Optional[int] = None
    backing_file: Optional[str] = None
    backing_format: Optional[str] = None
    backing_path: Optional[str] = None
    options: Options = NO_OPTIONS
    owner: Optional[str] = None
    group: Optional[str] = None
    mode: Optional[str] = None
    actual_size: Optional[int] = None
    encrypted: bool = False
    corrupt: bool = False
    snapshots: int = 0
    symlink: bool = False


@dataclass(frozen=True)
class User:
    """A process that has an image open. guest: the name that qemu was given with -name."""

    pid: int
    command: str
    guest: Optional[str] = None


@dataclass(frozen=True)
class Busy:
    """An image that qemu's locks protect, and who is known to hold it."""

    path: str
    users: Tuple[User, ...] = ()


@dataclass(frozen=True)
class Base:
    """The backing file that was asked for. path: its real path. busy: a member of its chain that is being written to."""

    path: str
    format: str
    size: Optional[int] = None
    busy: Optional[Busy] = None


@dataclass(frozen=True)
class Observed:
    """image: None where there is none. base: None where none was asked for.

    busy: who holds the image. dependents: images in the same folder that have it as their backing file.
    leftovers: temporary files of runs that were interrupted.
    owner, group: those asked for, as the host spells them; new_owner, new_group: what a new file gets otherwise.
    free: bytes that the file system has left.
    """

    path: str
    image: Optional[Image] = None
    base: Optional[Base] = None
    busy: Optional[Busy] = None
    dependents: Tuple[str, ...] = ()
    leftovers: Tuple[str, ...] = ()
    owner: Optional[str] = None
    group: Optional[str] = None
    new_owner: Optional[str] = None
    new_group: Optional[str] = None
    free: Optional[int] = None


def is_plain(name: str) -> bool:
    """Whether qemu takes the name for a path. Before the first slash, a colon makes it a protocol: json:, nbd:, fat:, ..."""
    return ":" not in name.split("/", 1)[0]


def resolve(image: str, backing_file: str) -> str:
    """The path of a backing file: a relative one starts at the folder of the image that names it.

    Joined as qemu joins it, with any .. left in: behind a symbolic link only the kernel knows where that leads.
    """
    return posixpath.join(posixpath.dirname(image), backing_file)


def from_params(params: Mapping[str, Any]) -> Desired:
    path = _path(params["path"])
    if params["state"] == "absent":
        return Desired(path, present=False, force=params["force"])
    desired = Desired(
        path,
        format=params["format"],
        size=_size(params["size"]),
        backing_file=params["backing_file"],
        backing_format=params["backing_format"],
        options=Options(
            _cluster_size(params["cluster_size"]),
            params["compat"],
            params["lazy_refcounts"],
            params["refcount_bits"],
            params["extended_l2"],
            params["compression_type"],
        ),
        preallocation=params["preallocation"],
        owner=_account(params["owner"], "owner"),
        group=_account(params["group"], "group"),
        mode=_mode(params["mode"]),
        force=params["force"],
    )
    _check_backing(desired)
    _check_combination(desired)
    return desired


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise Failure(f"path: {text!r} is not absolute; write the whole path, from / on", "invalid_path")
    if not text.isprintable() or ".." in text.split("/") or text.endswith("/"):
        raise Failure(f"path: {text!r} is not the plain path of a file; write it without .., control characters and a / at the end", "invalid_path")
    if len(posixpath.basename(text).encode()) > _LONGEST_NAME:
        raise Failure(f"path: the name of the file is longer than {_LONGEST_NAME} bytes; choose a shorter one", "invalid_path")
    return "/" + posixpath.normpath(text).lstrip("/")


def _size(text: Optional[str]) -> Optional[int]:
    size = optional_size(text, "size")
    if size == 0:
        raise Failure("size: 0 is no size for a disk; write for example 20G", "invalid_size")
    return None if size is None else -(-size // SECTOR) * SECTOR


def _cluster_size(text: Optional[str]) -> Optional[int]:
    size = optional_size(text, "cluster_size")
    if size is not None and (size & (size - 1) or not 512 <= size <= 2 * 1024**2):
        raise Failure(f"cluster_size: {text!r} is not a power of two from 512 to 2M; write for example 64K", "invalid_cluster_size")
    return size


def _mode(raw: Any) -> Optional[str]:
    if raw is None:
        return None
    if not isinstance(raw, str) or not re.fullmatch(r"0?[0-7]{3}", raw):
        raise Failure(f"mode: {raw!r} is not an octal mode in quotes; write for example '0640'", "invalid_mode")
    return raw.rjust(4, "0")


def _account(text: Optional[str], option: str) -> Optional[str]:
    """A name, or a number below 2^32 - 1, which means "nobody in particular" to chown."""
    if text is None:
        return None
    if not text or not text.isprintable() or (text.isdigit() and not (text.isascii() and int(text) < 2**32 - 1)):
        raise Failure(f"{option}: {text!r} is neither the name nor the number of one; write for example root", f"invalid_{option}")
    return text


def _check_backing(desired: Desired) -> None:
    name = desired.backing_file
    if desired.backing_format and name == "":
        raise Failure("backing_format: an image without backing file has none; leave it out", "invalid_option_combination")
    if not name:
        return
    if not is_plain(name):
        raise Failure(f"backing_file: {name!r} would not be taken for a path by qemu; give the path of a file", "unsafe_backing_file")
    if not name.isprintable() or len(name.encode()) > LONGEST_BACKING_NAME:
        raise Failure(
            f"backing_file: {name[:80]!r} cannot be written to an image; "
            f"use a path of at most {LONGEST_BACKING_NAME} bytes without control characters",
            "invalid_path",
        )
    if posixpath.normpath(resolve(desired.path, name)) == desired.path:
        raise Failure(f"{desired.path}: an image cannot be its own backing file; name another one", "backing_loop")


def _check_combination(desired: Desired) -> None:
    options = desired.options

    def refuse(what: str, way_out: str) -> None:
        raise Failure(f"{desired.path}: {what}; {way_out}", "invalid_option_combination")

    if desired.format == "raw":
        for name in [*options.given(), *(key for key in ("backing_file", "backing_format") if getattr(desired, key))]:
            refuse(f"a raw image has no {name}", f"leave {name} out, or use format: qcow2")
        if desired.preallocation == "metadata":
            refuse("a raw image has no metadata to preallocate", "use preallocation: falloc or full")
    if options.compat == "0.10":
        for name, needs_newer in newer_features(options).items():
            if needs_newer:
                refuse(f"compat 0.10 cannot have {name}: {spelled(getattr(options, name))}", "use compat: '1.1'")
    if options.extended_l2:
        if (options.cluster_size or 16384) < 16384:
            refuse("extended_l2 needs clusters of 16 KiB at least", "use a larger cluster_size")
    elif desired.backing_file and (desired.preallocation or "off") != "off":
        refuse("an image with a backing file is preallocated only with extended_l2", "add extended_l2: true, or leave preallocation out")
