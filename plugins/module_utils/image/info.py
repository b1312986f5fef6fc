# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images as they are, for qcow2_image_info: first as options of qcow2_image, then all that can be told of them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.host import Host
from ..engine.units import human_size
from . import chain, origins, outside, qemu_img
from .files import Entry, Identity, beginning, gate, leftovers, read_header
from .formats import FIRST_LOOK, detect
from .guests import Guests
from .locks import busy
from .model import Base, Busy, Image
from .params import parse_folders, plain_path
from .read import with_entry

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "paths": {"type": "list", "elements": "path", "required": True},
        "dependents_in": {"type": "list", "elements": "path"},
        "uri": {"type": "str", "default": "qemu:///system"},
    },
}

#: A process for each image, and few at a time.
_AT_ONCE = 4
#: Formats that are told from others by looking. Others are raw, or none.
_TOLD = ("qcow2", "vmdk", "vdi", "vhdx")


def gatherer(guests: Guests) -> Callable[[Host, Mapping[str, Any]], Dict[str, Any]]:
    """guests: whoever knows where there are images."""
    return lambda host, params: gather(host, params, guests)


def gather(host: Host, params: Mapping[str, Any], guests: Guests) -> Dict[str, Any]:
    """images: options of qcow2_image that change nothing. details: one for each file, also for those that nobody should use."""
    qemu_img.tool(host)
    paths: List[str] = []
    for given in params["paths"]:
        path = plain_path(given.rstrip("/") or "/", "paths")
        found = _in_folder(host, path) if host.is_dir(path) else [path]
        paths += [item for item in found if item not in paths]
    folders = (*parse_folders(params["dependents_in"]), *guests.folders(host, params["uri"]))
    above = lru_cache(maxsize=None)(lambda folder: chain.above(host, folder))  # a folder is read once, however many images are asked for
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(lambda path: _one(host, path, lambda item: chain.dependents(host, path, item, folders, above)), paths))
    return {"images": [options for options, _details in answers if options], "details": [details for _options, details in answers]}


def _in_folder(host: Host, directory: str) -> List[str]:
    """The images in a folder: files that begin like one, or are called one. Nothing else is opened further."""
    found = []
    for name in host.list(directory):
        path = os.path.join(directory, name)
        try:
            entry = gate(host, path)
            kind = detect(beginning(host, path)) if entry else None
        except Failure:
            continue
        if entry and not name.startswith(".") and (kind in (*_TOLD, "raw") or name.endswith((".img", ".raw"))):
            found.append(path)
    return found


def _one(host: Host, path: str, dependents: Callable[[Identity], Tuple[str, ...]]) -> Tuple[Optional[Dict[str, Any]], Dict[str, Any]]:
    details: Dict[str, Any] = {"path": path, "exists": False}
    try:
        entry = gate(host, path)
        if entry is None:
            return {"path": path, "state": "absent"}, details
        details.update(exists=True, actual_size=entry.allocated, file_size=entry.size, leftovers=list(leftovers(host, path)))
        held = busy(host, path, entry)
        details.update(in_use=held is not None, used_by=_users(held), dependents=list(dependents(entry.identity)))
        return _look(host, path, entry, details), details
    except Failure as failure:
        details.update(problem=failure.message, code=failure.code)
        return None, details


def _look(host: Host, path: str, entry: Entry, details: Dict[str, Any]) -> Dict[str, Any]:
    header = read_header(host, path, entry)[0]
    format_ = "qcow2" if header is not None else "raw"
    if header is None:
        data = beginning(host, path, FIRST_LOOK)
        format_ = next((kind for kind in _TOLD if kind == detect(data)), "raw")
        outside.refuse_outside_files(path, data, format_)
    members: Tuple[Base, ...] = ()
    if header is not None and header.backing_file is not None:
        members = chain.members(host, path, header.backing_file, header.backing_format, Failure, stated=False)
    info = qemu_img.info(host, path, format_)
    image = with_entry(Image(format=format_), entry)
    made_of = origins.recall(host, path)
    details.update(
        format=format_,
        size=info.size,
        human_size=human_size(info.size),
        chain=[{"path": member.path, "format": member.format} for member in members],
        snapshots=[{"id": one.id, "name": one.name, "date": one.date, "vm_state_size": one.vm_state_size} for one in info.snapshots],
        dirty=header is not None and header.dirty,
        corrupt=info.corrupt,
        encrypted=info.encryption is not None,
        encryption=None if info.encryption is None else {**info.encryption.given(), "passphrases": info.passphrases},
        source=made_of.source if made_of else None,
        checksums=[f"{algorithm}:{value}" for algorithm, value in sorted(made_of.sums.items())] if made_of else [],
    )
    options = {
        "path": path,
        "state": "present",
        "format": format_,
        "size": info.size,
        "backing_file": info.backing_file,
        "backing_format": info.backing_format,
        **info.options.given(),
        "encryption": info.encryption.given() if info.encryption and info.encryption.format == "luks" else None,
        "owner": image.owner,
        "group": image.group,
        "mode": image.mode,
    }
    return {key: value for key, value in options.items() if value is not None}


def _users(held: Optional[Busy]) -> List[Dict[str, Any]]:
    return [{"pid": user.pid, "command": user.command, "guest": user.guest} for user in held.users] if held else []
