# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change seeds."""

from __future__ import annotations

import os
from functools import singledispatch
from typing import Any, List

from ..engine import accounts, temporary
from ..engine.host import Host, explained
from ..engine.plan import Action
from . import files, iso, nocloud, plan
from .model import DIRECTORY


def apply(host: Host, action: Action) -> None:
    _do(action, host)


@singledispatch
def _do(action: Any, host: Host) -> None:
    raise TypeError(action)


@_do.register
def _remove_leftovers(action: plan.RemoveLeftovers, host: Host) -> None:
    for path in action.files:
        files.remove_tree(host, path)


@_do.register
def _write(action: plan.WriteSeed, host: Host) -> None:
    path = action.target
    exists = action.format == DIRECTORY and host.is_dir(path)
    # In the directory itself where there is one: it may be a mount point, and a rename stays within a file system.
    with files.temporary(host, path, path if exists else os.path.dirname(path)) as work:
        folder, new_iso = os.path.join(work, "files"), os.path.join(work, "seed.iso")
        with explained("write it", path):
            host.make_dir(folder, 0o700)
            for name, data in action.contents.items():
                files.write(host, os.path.join(folder, name), data)
            if action.format == DIRECTORY:
                _place_directory(action, host, folder, exists)
            else:
                iso.build(host, path, folder, new_iso)
                _dress(action, host, new_iso)
                _place(host, new_iso, path)


def _place_directory(action: plan.WriteSeed, host: Host, folder: str, exists: bool) -> None:
    path = action.target
    for name in action.contents:
        _dress(action, host, os.path.join(folder, name))
    if not exists:
        files.dress(host, folder, accounts.uid(action.owner), accounts.gid(action.group), files.directory_mode(int(action.mode, 8)))
        temporary.sync(host.path(folder))
        _place(host, folder, path)
        return
    for name in nocloud.FILES:
        if name in action.contents:
            _place(host, os.path.join(folder, name), os.path.join(path, name))
        else:
            host.remove(os.path.join(path, name))


def _dress(action: plan.WriteSeed, host: Host, path: str) -> None:
    """Before it has its name, so that nobody reads it in between."""
    files.dress(host, path, accounts.uid(action.owner), accounts.gid(action.group), int(action.mode, 8))


def _place(host: Host, source: str, target: str) -> None:
    temporary.sync(host.path(source))
    os.rename(host.path(source), host.path(target))
    temporary.sync(os.path.dirname(host.path(target)))


def _parts(host: Host, path: str, format_: str) -> List[str]:
    """The files of a seed."""
    if format_ != DIRECTORY:
        return [path]
    return [os.path.join(path, name) for name in nocloud.FILES if files.entry(host, os.path.join(path, name)) is not None]


@_do.register
def _set_owner(action: plan.SetOwner, host: Host) -> None:
    uid = -1 if action.owner is None else accounts.uid(action.owner)
    gid = -1 if action.group is None else accounts.gid(action.group)
    with explained("change owner and group", action.target):
        for part in {action.target, *_parts(host, action.target, action.format)}:
            os.chown(host.path(part), uid, gid, follow_symlinks=False)


@_do.register
def _set_mode(action: plan.SetMode, host: Host) -> None:
    mode = int(action.mode, 8)
    with explained("change the mode", action.target):
        for part in _parts(host, action.target, action.format):
            os.chmod(host.path(part), mode)
        if action.format == DIRECTORY:
            os.chmod(host.path(action.target), files.directory_mode(mode))


@_do.register
def _remove(action: plan.RemoveSeed, host: Host) -> None:
    for part in _parts(host, action.target, action.format):
        host.remove(part)
    if action.format == DIRECTORY:
        host.remove_dir(action.target)
