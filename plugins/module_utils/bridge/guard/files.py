# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files as they were: a copy beside each, under a name that no network configuration reads, so that giving it back is one rename.

A rename needs no room on the disk, keeps the mode and the owner, and is there as a whole or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from contextlib import suppress
from typing import Any, Dict, Iterable, List, Optional

Json = Dict[str, Any]


def _saved_name(path: str, word: str) -> str:
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{word}.rollback")


def _digest(path: str) -> Optional[str]:
    """What a file is: its bytes, kind, mode and owner. None where there is none."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            content = os.readlink(path).encode()
        else:
            with open(path, "rb") as handle:
                content = handle.read()
    except FileNotFoundError:
        return None
    return f"{found.st_mode:o} {found.st_uid} {found.st_gid} {hashlib.sha256(content).hexdigest()}"


def _files_in(path: str) -> List[str]:
    if not os.path.isdir(path) or os.path.islink(path):
        return [path] if os.path.lexists(path) else []
    return [os.path.join(path, name) for name in sorted(os.listdir(path)) if not name.endswith(".rollback")]


def save_files(paths: Iterable[str], word: str) -> List[Json]:
    """Copy files, and all files of folders. OSError where there is no room: then nothing was changed and no copy stays."""
    saved: List[Json] = []
    mask = os.umask(0o077)  # some hold secrets, and a copy has its mode only once it is whole
    try:
        for path in paths:
            entry: Json = {"path": path, "folder": os.path.isdir(path), "there": os.path.lexists(path), "files": {}}
            saved.append(entry)
            for name in _files_in(path):
                if os.path.isdir(name) and not os.path.islink(name):
                    continue
                copy = _saved_name(name, word)
                entry["files"][name] = {"copy": copy, "digest": _digest(name)}
                shutil.copy2(name, copy, follow_symlinks=False)
                found = os.lstat(name)
                os.chown(copy, found.st_uid, found.st_gid, follow_symlinks=False)
                if not os.path.islink(copy):
                    with open(copy, "rb") as handle:
                        os.fsync(handle.fileno())
    except OSError:
        forget_files(saved)
        raise
    finally:
        os.umask(mask)
    return saved


def restore_files(saved: Iterable[Json]) -> List[str]:
    """Give every file back that differs; take away what is new. Returns the paths, and never raises for one of them."""
    done: List[str] = []
    for entry in saved:
        for path in _files_in(entry["path"]):
            if path not in entry["files"] and not os.path.isdir(path):
                with suppress(OSError):
                    os.unlink(path)
                    done.append(path)
        if entry["folder"]:
            with suppress(OSError):
                os.makedirs(entry["path"], exist_ok=True)
        elif not entry["there"] and os.path.isdir(entry["path"]):
            with suppress(OSError):
                os.rmdir(entry["path"])
        for path, file in entry["files"].items():
            with suppress(OSError):
                if _digest(path) != file["digest"] and os.path.lexists(file["copy"]):
                    _give_back(file["copy"], path)
                    done.append(path)
                    sync(os.path.dirname(path))
    return done


def _give_back(copy: str, path: str) -> None:
    try:
        os.replace(copy, path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        shutil.copyfile(copy, path)  # a mount point, as containers have them: its bytes can change, but not the file


def forget_files(saved: Iterable[Json]) -> None:
    for entry in saved:
        for file in entry["files"].values():
            with suppress(OSError):
                os.unlink(file["copy"])


def sync(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
