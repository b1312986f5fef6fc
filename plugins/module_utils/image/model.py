# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disk images: what is wanted of one, and what is there."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from typing import Any, Dict, Iterator, Optional, Tuple

from .context import ANY, Context
from .context import SPEC as CONTEXT
from .encryption import SPEC as ENCRYPTION
from .encryption import Encryption, Locking
from .layout import Layout
from .options import NO_OPTIONS, Options
from .source import Checksum, Digests, Place

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "format": {"type": "str", "choices": ["qcow2", "raw", "vmdk", "vdi", "vhdx"]},
        "size": {"type": "str"},
        "allow_shrink": {"type": "bool", "default": False},
        "backing_file": {"type": "str"},
        "backing_format": {"type": "str", "choices": ["qcow2", "raw"]},
        "rebase": {"type": "str", "choices": ["safe", "unsafe"]},
        "cluster_size": {"type": "str"},
        "compat": {"type": "str", "choices": ["0.10", "1.1"]},
        "lazy_refcounts": {"type": "bool"},
        "refcount_bits": {"type": "int", "choices": [1, 2, 4, 8, 16, 32, 64]},
        "extended_l2": {"type": "bool"},
        "compression_type": {"type": "str", "choices": ["zlib", "zstd"]},
        "encryption": {"type": "dict", "options": ENCRYPTION},
        "preallocation": {"type": "str", "choices": ["off", "metadata", "falloc", "full"]},
        "source": {"type": "str"},
        "checksum": {"type": "str"},
        "source_format": {"type": "str", "choices": ["qcow2", "raw", "vmdk", "vdi", "vhdx"]},
        "trusted": {"type": "bool", "default": False},
        "cache_dir": {"type": "str", "default": "/var/cache/virtops/images"},
        "timeout": {"type": "int", "default": 30},
        "recreate": {"type": "bool", "default": False},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "raw"},
        **CONTEXT,
        "commit": {"type": "bool", "default": False},
        "dependents_in": {"type": "list", "elements": "path"},
        "uri": {"type": "str", "default": "qemu:///system"},
        "force": {"type": "bool", "default": False},
    },
}


@dataclass(frozen=True)
class Origin:
    """Where the contents come from.

    format: None where it is to be told by looking. trusted: it may point to other files, and be of any size.
    cache_dir: None for no cache. timeout: seconds without anything new from a server.
    """

    place: Place
    checksum: Optional[Checksum] = None
    format: Optional[str] = None
    trusted: bool = False
    cache_dir: Optional[str] = None
    timeout: int = 30


@dataclass(frozen=True)
class Desired:
    """size: bytes, a multiple of 512. backing_file: as it is to stand in the image; "" is none.

    commit: what is in the image goes into its backing file before it is removed. folders: where else dependents are looked for.
    locking: None where the encryption is left alone.
    """

    path: str
    present: bool = True
    format: Optional[str] = None
    size: Optional[int] = None
    backing_file: Optional[str] = None
    backing_format: Optional[str] = None
    rebase: Optional[str] = None
    options: Options = NO_OPTIONS
    preallocation: Optional[str] = None
    origin: Optional[Origin] = None
    recreate: bool = False
    owner: Optional[str] = None
    group: Optional[str] = None
    mode: Optional[str] = None
    allow_shrink: bool = False
    commit: bool = False
    folders: Tuple[str, ...] = ()
    uri: str = "qemu:///system"
    force: bool = False
    locking: Optional[Locking] = None
    context: Context = ANY


@dataclass(frozen=True)
class Image:
    """An image file.

    size: of the guest's disk, in bytes. actual_size: bytes that the file takes up.
    backing_file: as it stands in the image. backing_path: the real path of that file. backing_encrypted: it, or one below it, is.
    made_of: what is remembered of its source. broken: why it cannot be read; only of one that is to be made anew.
    """

    format: Optional[str] = None
    size: Optional[int] = None
    backing_file: Optional[str] = None
    backing_format: Optional[str] = None
    backing_path: Optional[str] = None
    backing_encrypted: bool = False
    options: Options = NO_OPTIONS
    owner: Optional[str] = None
    group: Optional[str] = None
    mode: Optional[str] = None
    context: Optional[Context] = None
    actual_size: Optional[int] = None
    encryption: Optional[Encryption] = None
    corrupt: bool = False
    snapshots: int = 0
    symlink: bool = False
    made_of: Optional[Digests] = None
    broken: Optional[str] = None


@dataclass(frozen=True)
class User:
    """A process that has an image open. guest: the name that qemu was given with -name."""

    pid: int
    command: str
    guest: Optional[str] = None


@dataclass(frozen=True)
class Busy:
    """An image that qemu's locks protect, and who is known to hold it.

    disk: the running guest whose own disk it is, and the name of that disk there. Asked only for an image that is to grow.
    """

    path: str
    users: Tuple[User, ...] = ()
    disk: Optional[Tuple[str, str]] = None


@dataclass(frozen=True)
class Base:
    """The backing file that was asked for, or that is to be committed to. path: its real path.

    busy: a member of its chain that is being written to. used: who uses itself in any way. dependents: other images that stand on it.
    encrypted: it, or one below it, is.
    """

    path: str
    format: str
    size: Optional[int] = None
    busy: Optional[Busy] = None
    used: Optional[Busy] = None
    dependents: Tuple[str, ...] = ()
    encrypted: bool = False


@dataclass(frozen=True)
class Observed:
    """image: None where there is none. base: None where none was asked for.

    busy: who holds the image. dependents: images that have it as their backing file, in the folders that are looked at.
    layout: how far its contents reach, where it may be shrunk.
    checksum: of the source that was asked for, as algorithm:digits; source_size: of the disk in it; None where that is not known.
    remembers: whether the file system can note beside an image what it was made of.
    leftovers: temporary files of runs that were interrupted.
    owner, group: those asked for, as the host spells them.
    free: bytes that the file system has left.
    selinux: whether the host has it.
    opens, old_opens: whether the passphrase opens the image, and whether the old one does; None where that was not tried.
    """

    path: str
    image: Optional[Image] = None
    base: Optional[Base] = None
    busy: Optional[Busy] = None
    dependents: Tuple[str, ...] = ()
    layout: Optional[Layout] = None
    checksum: Optional[str] = None
    source_size: Optional[int] = None
    remembers: bool = True
    leftovers: Tuple[str, ...] = ()
    owner: Optional[str] = None
    group: Optional[str] = None
    free: Optional[int] = None
    opens: Optional[bool] = None
    old_opens: Optional[bool] = None
    selinux: bool = False


def is_plain(name: str) -> bool:
    """Whether qemu takes the name for a path. Before the first slash, a colon makes it a protocol: json:, nbd:, fat:, ..."""
    return ":" not in name.split("/", 1)[0]


def may_lead_to(name: str) -> Tuple[str, ...]:
    """The files that a backing file's name may mean to qemu, plain or not: to tell who stands on what, and never to open anything."""
    if is_plain(name):
        return (name,)
    protocol, _colon, rest = name.partition(":")
    try:
        found = [rest] if protocol == "file" else _filenames(json.loads(rest)) if protocol == "json" else ()
        return tuple(one for one in found if one.isprintable())
    except (ValueError, RecursionError):
        return ()


def _filenames(options: Any) -> Iterator[str]:
    for key, value in options.items() if isinstance(options, dict) else ():
        if isinstance(value, str) and (key == "filename" or key.endswith(".filename")):
            yield value
        yield from _filenames(value)


def resolve(image: str, backing_file: str) -> str:
    """The path of a backing file: a relative one starts at the folder of the image that names it.

    Joined as qemu joins it, with any .. left in: behind a symbolic link only the kernel knows where that leads.
    """
    return posixpath.join(posixpath.dirname(image), backing_file)
