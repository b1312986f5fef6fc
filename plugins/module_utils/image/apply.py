# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change images."""

from __future__ import annotations

import os
import stat
from functools import singledispatch
from typing import Any, List, Mapping

from ..engine import accounts
from ..engine.host import Host
from ..engine.plan import Action
from . import files, plan, qemu_img


def apply(host: Host, action: Action) -> None:
    _do(action, host)


@singledispatch
def _do(action: Any, host: Host) -> None:
    raise TypeError(action)


@_do.register
def _remove_leftovers(action: plan.RemoveLeftovers, host: Host) -> None:
    for path in action.files:
        host.remove(path)


@_do.register
def _create(action: plan.CreateImage, host: Host) -> None:
    with files.temporary(host, action.target) as (handle, temporary):
        qemu_img.create(host, action.target, create_command(qemu_img.tool(host), action, temporary))
        with files.explained("set owner, group and mode", action.target):
            os.fchown(handle, accounts.uid(action.owner or ""), accounts.gid(action.group or ""))
            os.fchmod(handle, int(action.mode, 8))
        files.publish(host, handle, temporary, action.target)


def create_command(tool: str, action: plan.CreateImage, path: str) -> List[str]:
    """-u: the backing file is not opened. Its chain was looked at already, with less trust than qemu has."""
    argv = [tool, "create", "-q", "-f", action.format]
    if action.backing_file:
        argv += ["-u", "-b", action.backing_file, "-F", action.backing_format or ""]
    given = {**action.options, **({"preallocation": action.preallocation} if action.preallocation else {})}
    # Older qemu-img do not know these, and need not where they have their defaults.
    for name, default in (("extended_l2", False), ("compression_type", "zlib")):
        if given.get(name) == default:
            del given[name]
    if given:
        argv += ["-o", _words(given)]
    return [*argv, path, str(action.size)]


@_do.register
def _amend(action: plan.AmendImage, host: Host) -> None:
    argv = [qemu_img.tool(host), "amend", "-q", "-f", "qcow2", "-o", _words(action.options), action.target]
    qemu_img.change(host, action.target, argv, "amended")


@_do.register
def _grow(action: plan.GrowImage, host: Host) -> None:
    argv = [qemu_img.tool(host), "resize", "-q", "-f", action.format, action.target, str(action.size)]
    qemu_img.change(host, action.target, argv, "grown")
    with files.explained("write it to disk", action.target):
        files.sync(host.path(action.target))


@_do.register
def _set_owner(action: plan.SetOwner, host: Host) -> None:
    real = host.path(action.target)
    uid = -1 if action.owner is None else accounts.uid(action.owner)
    gid = -1 if action.group is None else accounts.gid(action.group)
    with files.explained("change owner and group", action.target):
        mode = stat.S_IMODE(os.stat(real).st_mode)
        os.chown(real, uid, gid)
        os.chmod(real, mode)  # chown takes setuid and setgid bits away


@_do.register
def _set_mode(action: plan.SetMode, host: Host) -> None:
    with files.explained("change the mode", action.target):
        os.chmod(host.path(action.target), int(action.mode, 8))


@_do.register
def _remove(action: plan.RemoveImage, host: Host) -> None:
    host.remove(action.target)


def _words(options: Mapping[str, Any]) -> str:
    """Options as -o takes them: lazy_refcounts=on,cluster_size=65536."""
    return ",".join(f"{key}={('on' if value else 'off') if isinstance(value, bool) else value}" for key, value in options.items())
