# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change images."""

from __future__ import annotations

import os
import stat
from functools import singledispatch
from typing import Any

from ..engine import accounts, temporary
from ..engine.host import Host, explained
from ..engine.plan import Action
from . import actions, files, making, qemu_img
from .guests import Guests


def apply(host: Host, action: Action, guests: Guests) -> None:
    if isinstance(action, actions.GrowGuestDisk):
        guests.resize(host, action.uri, action.guest, action.disk, action.size)
    else:
        _do(action, host)


@singledispatch
def _do(action: Any, host: Host) -> None:
    raise TypeError(action)


@_do.register
def _remove_leftovers(action: actions.RemoveLeftovers, host: Host) -> None:
    for path in action.files:
        host.remove(path)


@_do.register
def _create(action: actions.CreateImage, host: Host) -> None:
    backing = (action.backing_file, action.backing_format or "") if action.backing_file else None
    with files.temporary(host, action.target) as (handle, new):
        options = qemu_img.option_words(action.options, action.preallocation)
        qemu_img.create(host, action.target, new, action.format, options, action.size or 0, backing)
        making.give_name(host, action, handle, new)


@_do.register
def _import(action: actions.ImportImage, host: Host) -> None:
    making.make_from_source(host, action)


@_do.register
def _amend(action: actions.AmendImage, host: Host) -> None:
    argv = [qemu_img.tool(host), "amend", "-q", "-f", "qcow2", *qemu_img.option_words(action.options), action.target]
    qemu_img.change(host, action.target, argv, "amended")


@_do.register
def _rebase(action: actions.RebaseImage, host: Host) -> None:
    below = ["-b", action.backing_file, *(["-F", action.backing_format] if action.backing_format else [])]
    if action.copied:
        making.rebase_copy(host, action.target, below)
        return
    qemu_img.rebase(host, action.target, ["-q", "-f", "qcow2", "-u", *below, action.target])
    with explained("write it to disk", action.target):
        temporary.sync(host.path(action.target))


@_do.register
def _grow(action: actions.GrowImage, host: Host) -> None:
    argv = [qemu_img.tool(host), "resize", "-q", "-f", action.format, action.target, str(action.size)]
    qemu_img.change(host, action.target, argv, "grown")
    with explained("write it to disk", action.target):
        temporary.sync(host.path(action.target))


@_do.register
def _shrink(action: actions.ShrinkImage, host: Host) -> None:
    argv = [qemu_img.tool(host), "resize", "-q", "--shrink", "-f", action.format, action.target, str(action.size)]
    qemu_img.change(host, action.target, argv, "shrunk")
    with explained("write it to disk", action.target):
        temporary.sync(host.path(action.target))


@_do.register
def _commit(action: actions.CommitImage, host: Host) -> None:
    """The image keeps what it has (-d): until it is removed, a guest sees the same through it, however far the commit got."""
    argv = [qemu_img.tool(host), "commit", "-q", "-d", "-f", "qcow2", action.target]
    qemu_img.commit(host, action.target, argv)
    with explained("write it to disk", action.backing_file):
        temporary.sync(host.path(action.backing_file))


@_do.register
def _set_owner(action: actions.SetOwner, host: Host) -> None:
    real = host.path(action.target)
    uid = -1 if action.owner is None else accounts.uid(action.owner)
    gid = -1 if action.group is None else accounts.gid(action.group)
    with explained("change owner and group", action.target):
        mode = stat.S_IMODE(os.stat(real).st_mode)
        os.chown(real, uid, gid)
        os.chmod(real, mode)  # chown takes setuid and setgid bits away


@_do.register
def _set_mode(action: actions.SetMode, host: Host) -> None:
    with explained("change the mode", action.target):
        os.chmod(host.path(action.target), int(action.mode, 8))


@_do.register
def _remove(action: actions.RemoveImage, host: Host) -> None:
    host.remove(action.target)
