# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cache of downloads on a host: who needs what is in it, and how it goes."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from ..engine.errors import Failure
from ..engine.host import Host, explained
from ..engine.plan import Action
from ..engine.run import Resource
from . import cache, fetch
from .cache import SPEC, Cached, Desired, Observed, RemoveCached
from .chain import above
from .files import Entry, Identity, gate
from .guests import Guests
from .locks import busy, users


def cache_resource(guests: Guests) -> Resource[Host, Desired, Observed]:
    """guests: whoever knows whose disks there are."""

    def read_here(host: Host, desired: Desired) -> Observed:
        return read(host, desired, guests)

    options: Any = {"from_params": cache.from_params, "plan": cache.plan, "view": cache.view, "nothing": cache.nothing}
    return Resource(spec=SPEC, read=read_here, apply=apply, **options)


def read(host: Host, desired: Desired, guests: Guests) -> Observed:
    directory = desired.path
    if not host.is_dir(directory):
        if host.exists(directory):
            raise Failure(f"{directory}: not a directory; give that of a cache", "not_a_directory")
        return Observed(directory)
    found = dict(_entries(host, directory))
    needed = _needed(host, desired, guests) if found else {}
    files = [_cached(host, path, entries, needed) for path, entries in sorted(found.items())]
    return Observed(directory, tuple(files), time.time())


def _entries(host: Host, directory: str) -> Iterator[Tuple[str, List[Tuple[str, Entry]]]]:
    """What is in the cache, by the path that each of its files has or will have when it is whole, and finished ones by themselves."""
    unfinished: Dict[str, List[Tuple[str, Entry]]] = {}
    for name in host.list(directory):
        known, path = cache.base_name(name), os.path.join(directory, name)
        if known is None:
            continue
        with suppress(Failure):  # no plain file, and so not ours
            entry = gate(host, path)
            if entry is None or entry.symlink:
                continue
            if known[1]:
                yield path, [(path, entry)]
            else:
                unfinished.setdefault(os.path.join(directory, f"{known[0]}.part"), []).append((path, entry))
    yield from unfinished.items()


def _cached(host: Host, path: str, entries: Sequence[Tuple[str, Entry]], needed: Dict[Identity, List[str]]) -> Cached:
    size = sum(entry.allocated for _path, entry in entries)
    used = max(_used(host, name) for name, _entry in entries)
    if path.endswith(".part"):
        return Cached(path, size, used, False, "it is being downloaded" if _downloading(host, path) else None)
    entry = entries[0][1]
    why = None
    if entry.identity in needed:
        why = "it is needed by " + ", ".join(sorted(set(needed[entry.identity])))
    else:
        held = busy(host, path, entry)
        who = users(host, entry.identity)
        if held or who:
            why = "it is open in " + (", ".join(f"{user.guest or user.command} (process {user.pid})" for user in who) or "another process")
    return Cached(path, size, used, True, why)


def _needed(host: Host, desired: Desired, guests: Guests) -> Dict[Identity, List[str]]:
    """Files, by device and inode, and who needs each: an overlay, a link, a guest."""
    found: Dict[Identity, List[str]] = {}
    places = dict.fromkeys(host.realpath(folder) for folder in (desired.path, *desired.folders, *guests.folders(host, desired.uri)))
    for place in places:
        for identity, images in above(host, place, links=True).items():
            found.setdefault(identity, []).extend(images)
    for guest, path in guests.disks(host, desired.uri):
        with suppress(Failure):
            entry = gate(host, path)
            if entry is not None:
                found.setdefault(entry.identity, []).append(f"the guest {guest}")
    return found


def _used(host: Host, path: str) -> float:
    with explained("look at it", path):
        return os.stat(host.path(path)).st_mtime


def _downloading(host: Host, path: str) -> bool:
    """Whether a run works on it: it has it locked."""
    try:
        handle = os.open(host.path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(handle)


def apply(host: Host, action: Action) -> None:
    """Under the lock of whoever downloads or checks that file."""
    if not isinstance(action, RemoveCached):
        raise TypeError(action)
    path = action.target if action.finished else action.target[: -len(".part")]
    with fetch.part(host, path):
        names = [path] if action.finished else [name for name in cache.parts(path) if host.exists(name)]
        if any(Cached(name, 0, _used(host, name)).last_used > action.last_used for name in names):
            raise Failure(f"{action.target}: was used meanwhile; run the task again", "cache_in_use")
        for name in names:
            host.remove(name)
