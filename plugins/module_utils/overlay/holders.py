# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who uses a mount: processes with a file open in it, working in it or rooted there, and further mounts of the same file system."""

from __future__ import annotations

import os
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from ..engine.host import Host
from .model import Holder
from .mountinfo import Entry, parse
from .options import parse_options

_LINKS = (("root", "is rooted in it"), ("cwd", "works in it"), ("exe", "runs from it"))


def mount_id(path: str) -> Optional[int]:
    """The mount that a path leads to, magic links of procfs included. None where there is no such path."""
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with open(f"/proc/self/fdinfo/{handle}", encoding="ascii") as info:
            return _mount_id(info.read())
    except OSError:
        return None
    finally:
        os.close(handle)


def _mount_id(fdinfo: str) -> Optional[int]:
    for line in fdinfo.splitlines():
        if line.startswith("mnt_id:"):
            return int(line.split()[1])
    return None


def _pids(host: Host) -> List[int]:
    return [int(name) for name in host.list("/proc") if name.isdigit()]


def _names(path: str) -> List[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []  # it has ended meanwhile, or is not ours to look into


def _command(host: Host, pid: int) -> str:
    return (host.try_read(f"/proc/{pid}/comm") or "ended").strip()


def foreign_mounts(host: Host) -> Iterator[Tuple[int, List[Entry]]]:
    """The mounts of each other mount namespace, with a process that is in it."""
    seen = {_namespace(host, "self")}
    for pid in _pids(host):
        namespace = _namespace(host, str(pid))
        if namespace is not None and namespace not in seen:
            seen.add(namespace)
            yield pid, parse(host.try_read(f"/proc/{pid}/mountinfo") or "")


def _namespace(host: Host, pid: str) -> Optional[str]:
    try:
        return os.readlink(host.path(f"/proc/{pid}/ns/mnt"))
    except OSError:
        return None


def holders(host: Host, mount: Entry, entries: Sequence[Entry]) -> Tuple[Holder, ...]:
    """Everything that keeps the mount busy, or its file system alive after it."""
    found = [Holder(0, "", f"{entry.path} is mounted in it") for entry in entries if entry.parent == mount.id]
    for pid in _pids(host):
        what = _use(host, pid, mount.id)
        if what:
            found.append(Holder(pid, _command(host, pid), what))
    for entry in entries:
        if entry.device == mount.device and entry.id != mount.id:
            found.append(Holder(0, "", f"the same file system is mounted at {entry.path}", elsewhere=True))
    for pid, foreign in foreign_mounts(host):
        # What the kernel unmounts there together with ours holds nothing.
        copies = [entry for entry in foreign if entry.device == mount.device and (mount.shared is None or mount.shared not in entry.peers)]
        if copies:
            found.append(Holder(pid, _command(host, pid), f"has it mounted at {copies[0].path} in its own mount namespace", elsewhere=True))
    return tuple(found)


def _use(host: Host, pid: int, wanted: int) -> str:
    base = host.path(f"/proc/{pid}")
    for name, what in _LINKS:
        if mount_id(f"{base}/{name}") == wanted:
            return what
    for handle in _names(f"{base}/fd"):
        if _mount_id(host.try_read(f"/proc/{pid}/fdinfo/{handle}") or "") == wanted:
            return f"has {_target(f'{base}/fd/{handle}')} open"
    seen: Dict[str, bool] = {}
    for name in _names(f"{base}/map_files"):
        path = _target(f"{base}/map_files/{name}")
        if path not in seen:
            seen[path] = mount_id(f"{base}/map_files/{name}") == wanted
            if seen[path]:
                return f"has {path} mapped"
    return ""


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return "a file"


def users_of_directories(host: Host, entries: Sequence[Entry], own: Optional[Entry]) -> Dict[Tuple[int, int], str]:
    """(st_dev, st_ino) of each upper and work directory in use by an overlay other than our own → where that one is mounted."""
    found: Dict[Tuple[int, int], str] = {}
    for root, mounts in [("", list(entries)), *((f"/proc/{pid}/root", mounts) for pid, mounts in foreign_mounts(host))]:
        for entry in mounts:
            if entry.fs_type != "overlay" or (own is not None and entry.device == own.device):
                continue
            layers, _options = parse_options(entry.words)
            for path in (layers.upper, layers.work):
                identity = identify(host.path(root + path)) if path and path.startswith("/") else None
                if identity is not None:
                    found.setdefault(identity, entry.path)
    return found


def identify(path: str) -> Optional[Tuple[int, int]]:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
