# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the options of the module to what is wanted of an image."""

from __future__ import annotations

import posixpath
import re
from typing import Any, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.names import parse_account
from ..engine.units import optional_size
from .context import parse_context
from .encryption import parse_locking
from .header import LONGEST_BACKING_NAME
from .model import Desired, Origin, is_plain, resolve
from .options import Options, newer_features, spelled
from .source import parse_checksum, parse_place

#: qemu counts in sectors, and rounds every size up to a whole one.
SECTOR = 512
#: Seconds, of which sockets take only so many.
_LONGEST_WAIT = 86400
#: A file name may have 255 bytes; the temporary one adds 14 (see engine.temporary, which is not for planning).
_LONGEST_NAME = 241


def from_params(params: Mapping[str, Any]) -> Desired:
    path = plain_path(params["path"])
    if params["state"] == "absent":
        return Desired(
            path,
            present=False,
            commit=params["commit"],
            folders=parse_folders(params["dependents_in"]),
            uri=params["uri"],
            force=params["force"],
            locking=parse_locking(params["encryption"]) if params["commit"] else None,
        )
    if params["commit"]:
        raise Failure("commit: goes with state: absent, before which the contents go into the backing file", "invalid_option_combination")
    desired = Desired(
        path,
        format=params["format"],
        size=_size(params["size"]),
        backing_file=params["backing_file"],
        backing_format=params["backing_format"],
        rebase=params["rebase"],
        options=Options(
            _cluster_size(params["cluster_size"]),
            params["compat"],
            params["lazy_refcounts"],
            params["refcount_bits"],
            params["extended_l2"],
            params["compression_type"],
        ),
        preallocation=params["preallocation"],
        origin=_origin(params),
        recreate=params["recreate"],
        owner=parse_account(params["owner"], "owner"),
        group=parse_account(params["group"], "group"),
        mode=_mode(params["mode"]),
        allow_shrink=params["allow_shrink"],
        folders=parse_folders(params["dependents_in"]),
        uri=params["uri"],
        force=params["force"],
        locking=parse_locking(params["encryption"]),
        context=parse_context(params),
    )
    _check_backing(desired)
    _check_combination(desired)
    return desired


def plain_path(text: str, option: str = "path") -> str:
    """An absolute path without detours. Failure C(invalid_path)."""
    if not text.startswith("/"):
        raise Failure(f"{option}: {text!r} is not absolute; write the whole path, from / on", "invalid_path")
    if not text.isprintable() or ".." in text.split("/") or (text.endswith("/") and text != "/"):
        raise Failure(
            f"{option}: {text!r} is not the plain path of a file; write it without .., control characters and a / at the end", "invalid_path"
        )
    if len(posixpath.basename(text).encode()) > _LONGEST_NAME:
        raise Failure(f"{option}: the name of the file is longer than {_LONGEST_NAME} bytes; choose a shorter one", "invalid_path")
    return "/" + posixpath.normpath(text).lstrip("/")


def parse_folders(texts: Optional[List[str]]) -> Tuple[str, ...]:
    return tuple(plain_path(text.rstrip("/") or "/", "dependents_in") for text in texts or ())


def _origin(params: Mapping[str, Any]) -> Optional[Origin]:
    if params["source"] is None:
        for name in ("checksum", "source_format"):
            if params[name] is not None:
                raise Failure(f"{name}: goes with source; add it, or leave both out", "invalid_option_combination")
        return None
    if not 1 <= params["timeout"] <= _LONGEST_WAIT:
        raise Failure(
            f"timeout: {params['timeout']} is no time to wait; write a number of seconds from 1 to {_LONGEST_WAIT}, for example 30", "invalid_timeout"
        )
    cache = params["cache_dir"]
    if cache and (not cache.startswith("/") or not cache.isprintable() or ".." in cache.split("/")):
        raise Failure(f"cache_dir: {cache[:200]!r} is not an absolute path; write the whole path, or an empty string for no cache", "invalid_path")
    return Origin(
        parse_place(params["source"], "source"),
        None if params["checksum"] is None else parse_checksum(params["checksum"]),
        params["source_format"],
        params["trusted"],
        posixpath.normpath(cache) if cache else None,
        params["timeout"],
    )


def _size(text: Optional[str]) -> Optional[int]:
    size = optional_size(text, "size")
    if size == 0:
        raise Failure("size: 0 is no size for a disk; write for example 20G", "invalid_size")
    return None if size is None else (size + SECTOR - 1) // SECTOR * SECTOR


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


def _check_backing(desired: Desired) -> None:
    name = desired.backing_file
    if desired.rebase and name is None:
        raise Failure("rebase: goes with backing_file, which an empty string takes away; add it, or leave rebase out", "invalid_option_combination")
    if desired.rebase == "unsafe" and not name:
        raise Failure(
            "rebase: without its backing file an image loses what is only there; say rebase: safe to have it copied", "invalid_option_combination"
        )
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

    if desired.origin and desired.backing_file:
        refuse("an image has its contents from source or from backing_file, not from both", "leave one out")
    if desired.origin and desired.origin.place.path == desired.path:
        refuse("an image cannot be its own source", "name another file")
    if desired.format not in (None, "qcow2"):
        encryption = ["encryption"] if desired.locking and desired.locking.encryption.format else []
        for name in [*options.given(), *(key for key in ("backing_file", "backing_format") if getattr(desired, key)), *encryption]:
            refuse(f"a {desired.format} image has no {name}", f"leave {name} out, or use format: qcow2")
        if desired.format != "raw" and (desired.preallocation or "off") != "off":
            refuse(f"a {desired.format} image is not preallocated", "leave preallocation out")
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
