# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change overlay mounts."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import singledispatch
from typing import Any, List

from ..engine.errors import Failure, NotReady
from ..engine.host import Host, Result
from ..engine.plan import Action
from . import plan
from .boot import FSTAB_PATH, TYPE, fstab_line, unit_name, unit_path, unit_text, with_line
from .options import flag_words

# From util-linux 2.39 on mount(8) hands options over one by one, of which the kernel takes 255 bytes each.
_ENVIRONMENT = ("env", "LIBMOUNT_FORCE_MOUNT2=always")


def apply(host: Host, action: Action) -> None:
    _do(action, host)


@singledispatch
def _do(action: Any, host: Host) -> None:
    raise TypeError(action)


@_do.register
def _make_directory(action: plan.MakeDirectory, host: Host) -> None:
    host.make_dir(action.target)
    if action.like:
        model = os.stat(host.path(action.like))
        real = host.path(action.target)
        os.chown(real, model.st_uid, model.st_gid)
        os.chmod(real, model.st_mode & 0o7777)


@_do.register
def _mount(action: plan.MountOverlay, host: Host) -> None:
    log = KernelLog(host)
    result = _try_mount(host, action.target, action.options)
    if result.rc:
        raise _refused(action.target, result, log.said())


@_do.register
def _remount(action: plan.Remount, host: Host) -> None:
    _unmount_once(host, action.target, lazy=action.lazy)
    log = KernelLog(host)
    result = _try_mount(host, action.target, action.options)
    if result.rc:
        refusal = _refused(action.target, result, log.said())
        back = _try_mount(host, action.target, action.previous)
        state = f"and the previous mount does not come back either: {back.complaint}" if back.rc else "the previous mount is back"
        raise Failure(f"{refusal.message}; {state}", refusal.code, **refusal.details)


def _try_mount(host: Host, path: str, options: str) -> Result:
    return host.run([*_ENVIRONMENT, "mount", "-t", TYPE, "-o", options, TYPE, path], check=False)


def _refused(path: str, result: Result, said: str) -> Failure:
    if "unknown filesystem type" in result.stderr:
        return NotReady(f"{path}: this kernel has no overlay file system; load the module overlay, or boot another kernel", "overlay_unavailable")
    if "permitted" in result.stderr or "superuser" in result.stderr:
        return Failure(f"{path}: not allowed to mount; run the task with become: true", "permission_denied", stderr=result.stderr)
    complaint = (result.stderr.strip() or result.complaint).splitlines()[0]
    reason = f"the kernel says: {said}" if said else f"{complaint}; the kernel's own message is in its log (dmesg)"
    if "verify" in said:
        reason += "; an upperdir that was once mounted with index belongs to its lower directories, so use a new one for others"
    return Failure(f"{path}: the overlay was not mounted; {reason}", "mount_refused", stderr=result.stderr)


class KernelLog:
    """What the kernel says of overlays from now on: mount(2) itself has no words. Source: Documentation/ABI/testing/dev-kmsg."""

    def __init__(self, host: Host) -> None:
        self._handle = -1
        with suppress(OSError):  # not every container has it
            self._handle = os.open(host.path("/dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._handle, 0, os.SEEK_END)

    def said(self) -> str:
        """The last message; empty where there is none."""
        if self._handle < 0:
            return ""
        found: List[str] = []
        with suppress(OSError):  # EAGAIN: read to the end
            record = os.read(self._handle, 8192)
            while record:
                found.append(record.decode(errors="replace"))
                record = os.read(self._handle, 8192)
        os.close(self._handle)
        messages = [record.partition(";")[2].splitlines()[0] for record in found if ";overlayfs: " in record]
        return messages[-1].replace("overlayfs: ", "", 1) if messages else ""


@_do.register
def _set_flags(action: plan.SetFlags, host: Host) -> None:
    words = flag_words(frozenset(action.flags))
    host.run([*_ENVIRONMENT, "mount", "--options-mode=ignore", "-o", f"remount,bind,{words}", action.target])


@_do.register
def _unmount(action: plan.Unmount, host: Host) -> None:
    _unmount_once(host, action.target, lazy=False)


def _unmount_once(host: Host, path: str, lazy: bool) -> None:
    result = host.run(["umount", *(["--lazy"] if lazy else []), path], check=False)
    if result.rc:
        busy = "busy" in result.stderr
        way_out = (
            "a process began to use it just now; try again" if busy else "run the task with become: true" if "permitted" in result.stderr else ""
        )
        raise Failure(
            f"{path}: cannot be unmounted: {result.complaint}" + (f"; {way_out}" if way_out else ""),
            "mount_busy" if busy else "unmount_refused",
            stderr=result.stderr,
        )


@_do.register
def _write_fstab(action: plan.WriteFstab, host: Host) -> None:
    host.write(FSTAB_PATH, with_line(host.read(FSTAB_PATH) or "", action.target, fstab_line(action.target, action.kept)))
    _reload(host)


@_do.register
def _remove_fstab(action: plan.RemoveFstab, host: Host) -> None:
    host.write(FSTAB_PATH, with_line(host.read(FSTAB_PATH) or "", action.target, None))
    _reload(host)


@_do.register
def _write_unit(action: plan.WriteUnit, host: Host) -> None:
    host.write(unit_path(action.target), unit_text(action.target, action.kept))
    _reload(host)


@_do.register
def _enable_unit(action: plan.EnableUnit, host: Host) -> None:
    # reenable, not enable: the target that wants it may have become another one.
    host.run(["systemctl", "reenable", unit_name(action.target)])


@_do.register
def _remove_unit(action: plan.RemoveUnit, host: Host) -> None:
    if action.enabled:
        host.run(["systemctl", "disable", unit_name(action.target)])
    host.remove(unit_path(action.target))
    _reload(host)


def _reload(host: Host) -> None:
    """Systemd makes units of fstab and of files, and reads both only when told to."""
    if host.is_dir("/run/systemd/system"):
        host.run(["systemctl", "daemon-reload"])
