# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A seed as its ISO or its directory shows it."""

from __future__ import annotations

import os
import stat
from typing import Dict, Optional, Tuple

from ..engine import accounts
from ..engine.errors import Failure, NotReady
from ..engine.host import Host, explained
from . import files, iso, nocloud
from .model import ISO, Attributes, Desired, Observed, Seed


def read(host: Host, desired: Desired) -> Observed:
    path, parent = desired.path, os.path.dirname(desired.path)
    entry = files.entry(host, path)
    if entry is not None and stat.S_ISLNK(entry.st_mode):
        raise Failure(f"{path}: a symbolic link; remove it, or give the path that it leads to", "not_a_regular_file")
    seed, folder, others = (_iso if desired.format == ISO else _directory)(host, desired, entry)
    left = files.leftovers(host, path)
    if not desired.present:
        return Observed(path, seed, folder, others, left)
    if not host.is_dir(parent):
        if host.exists(parent):
            raise Failure(f"{path}: {parent} is not a directory; choose another path", "not_a_directory")
        raise NotReady(f"{path}: the directory {parent} does not exist; create it first", "directory_missing")
    owner, group = _new_file(host, path if folder else parent)
    return Observed(
        path,
        seed,
        folder,
        others,
        left,
        owner=None if desired.owner is None else accounts.user_name(accounts.uid(desired.owner)),
        group=None if desired.group is None else accounts.group_name(accounts.gid(desired.group)),
        new_owner=owner,
        new_group=group,
    )


Found = Tuple[Optional[Seed], Optional[Attributes], Tuple[str, ...]]


def _iso(host: Host, desired: Desired, entry: Optional[os.stat_result]) -> Found:
    """Only what says in sector 16 that it is a seed is ever replaced or removed. Removing it needs no tool."""
    if desired.present:
        iso.tool(host)
    if entry is None:
        return None, None, ()
    path = desired.path
    if stat.S_ISDIR(entry.st_mode):
        raise Failure(f"{path}: a directory, not an ISO; say format: directory, or choose another path", "not_a_regular_file")
    descriptor = files.content(host, path, iso.DESCRIPTOR, iso.DESCRIPTOR_LENGTH) or b""
    if not iso.is_seed(descriptor):
        raise Failure(f"{path}: not an ISO with the label {iso.LABEL}, so not a seed; remove the file, or choose another path", "not_a_seed")
    contents = iso.read(host, path, descriptor, entry.st_size) if desired.present else {}
    return Seed(contents, (_attributes(entry),)), None, ()


def _directory(host: Host, desired: Desired, entry: Optional[os.stat_result]) -> Found:
    if entry is None:
        return None, None, ()
    path = desired.path
    if not stat.S_ISDIR(entry.st_mode):
        raise Failure(f"{path}: not a directory; say format: iso, or choose another path", "not_a_directory")
    names = host.list(path)
    left = {os.path.basename(item) for item in files.leftovers(host, path)}
    others = tuple(name for name in names if name not in nocloud.FILES and name not in left)
    contents: Dict[str, bytes] = {}
    attributes: Dict[Attributes, None] = {}
    for name in (name for name in nocloud.FILES if name in names):
        data = files.content(host, os.path.join(path, name), 0, nocloud.LARGEST_FILE + 1)
        found = files.entry(host, os.path.join(path, name))
        if data is not None and len(data) > nocloud.LARGEST_FILE:
            raise Failure(f"{path}: {name} there is larger than a seed should carry; remove it", "seed_unreadable")
        if data is not None and found is not None:
            contents[name] = data
            attributes[_attributes(found)] = None
    return (Seed(contents, tuple(attributes)) if contents else None), _attributes(entry), others


def _attributes(entry: os.stat_result) -> Attributes:
    """A directory is said to have the mode that its files would have."""
    mode = stat.S_IMODE(entry.st_mode)
    if stat.S_ISDIR(entry.st_mode):
        mode &= 0o666
    return Attributes(accounts.user_name(entry.st_uid), accounts.group_name(entry.st_gid), f"{mode:04o}")


def _new_file(host: Host, directory: str) -> Tuple[str, str]:
    """Owner and group of a file that this process makes there."""
    with explained("look at it", directory):
        found = os.stat(host.path(directory))
    gid = found.st_gid if found.st_mode & stat.S_ISGID else os.getegid()
    return accounts.user_name(os.geteuid()), accounts.group_name(gid)
