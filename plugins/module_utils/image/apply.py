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
from . import actions, making, qemu_img, selinux, unlocking
from .context import Context
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
    with making.created(host, action, action.options, action.size or 0, backing) as (handle, new):
        making.give_name(host, action, handle, new)


@_do.register
def _import(action: actions.ImportImage, host: Host) -> None:
    making.make_from_source(host, action)


@_do.register
def _amend(action: actions.AmendImage, host: Host) -> None:
    with unlocking.way(host, "qcow2", action.secret) as way:
        argv = [qemu_img.tool(host), "amend", "-q", *way.head, *qemu_img.option_words(action.options), way.name(action.target)]
        qemu_img.change(host, action.target, argv, "amended", way)


@_do.register
def _change_secret(action: actions.ChangeSecret, host: Host) -> None:
    """Killed in between, both passphrases open the image, and the next run takes the old one away."""
    words = [qemu_img.tool(host), "amend", "-q"]
    if action.adds:
        with unlocking.way(host, "qcow2", action.old, new=action.secret) as way:
            slot = {"encrypt.state": "active", "encrypt.new-secret": "new", **making.costs(action.iter_time)}
            argv = [*words, *way.head, *qemu_img.option_words(slot), way.name(action.target)]
            qemu_img.change(host, action.target, argv, "opened with another passphrase", way)
    if action.removes:
        with unlocking.way(host, "qcow2", action.secret, old=action.old) as way:
            slot = {"encrypt.state": "inactive", "encrypt.old-secret": "old"}
            argv = [*words, *way.head, *qemu_img.option_words(slot), way.name(action.target)]
            qemu_img.change(host, action.target, argv, "closed to its old passphrase", way)
    with explained("write it to disk", action.target):
        temporary.sync(host.path(action.target))


@_do.register
def _rebase(action: actions.RebaseImage, host: Host) -> None:
    below = ["-b", action.backing_file, *(["-F", action.backing_format] if action.backing_format else [])]
    with unlocking.way(host, "qcow2", action.secret) as way:
        if action.copied:
            making.rebase_copy(host, action.target, below, way)
            return
        qemu_img.rebase(host, action.target, [*way.head, "-u", *below, way.name(action.target)], way)
    with explained("write it to disk", action.target):
        temporary.sync(host.path(action.target))


@_do.register
def _grow(action: actions.GrowImage, host: Host) -> None:
    with unlocking.way(host, action.format, action.secret) as way:
        argv = [qemu_img.tool(host), "resize", "-q", *way.head, way.name(action.target), str(action.size)]
        qemu_img.change(host, action.target, argv, "grown", way)
    with explained("write it to disk", action.target):
        temporary.sync(host.path(action.target))


@_do.register
def _shrink(action: actions.ShrinkImage, host: Host) -> None:
    with unlocking.way(host, action.format, action.secret) as way:
        argv = [qemu_img.tool(host), "resize", "-q", "--shrink", *way.head, way.name(action.target), str(action.size)]
        qemu_img.change(host, action.target, argv, "shrunk", way)
    with explained("write it to disk", action.target):
        temporary.sync(host.path(action.target))


@_do.register
def _commit(action: actions.CommitImage, host: Host) -> None:
    """The image keeps what it has (-d): until it is removed, a guest sees the same through it, however far the commit got."""
    with unlocking.way(host, "qcow2", action.secret) as way:
        qemu_img.commit(host, action.target, action.backing_file, ["-d", *way.head, way.name(action.target)], way)
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
def _set_context(action: actions.SetContext, host: Host) -> None:
    selinux.write(host.path(action.target), Context(**action.context), action.target)


@_do.register
def _remove(action: actions.RemoveImage, host: Host) -> None:
    making.refuse_opened(host, action.target)  # a commit may have come before
    host.remove(action.target)
