# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change cgroups and slices."""

from __future__ import annotations

import os
import time
from functools import singledispatch
from typing import Any, Iterator

from ..engine.accounts import uid
from ..engine.errors import Failure
from ..engine.host import Host, explained
from ..engine.plan import Action
from . import plan_cgroupfs, plan_slice
from .read_slice import HEADER, PACKAGE

_ROUNDS = 20  # of moving processes that go on forking, and of removing a cgroup whose last process is just ending
_PAUSE = 0.05  # seconds
_DELEGATED_FILES = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks")  # source: the kernel's cgroup-v2, "Model of Delegation"


def apply(host: Host, action: Action) -> None:
    _do(action, host)


@singledispatch
def _do(action: Any, host: Host) -> None:
    raise TypeError(action)


@_do.register
def _create(action: plan_cgroupfs.CreateCgroup, host: Host) -> None:
    host.make_dir(action.target)


@_do.register
def _enable(action: plan_cgroupfs.EnableControllers, host: Host) -> None:
    host.write_knob(f"{action.target}/cgroup.subtree_control", " ".join(f"+{name}" for name in action.controllers))


@_do.register
def _write(action: plan_cgroupfs.WriteKnob, host: Host) -> None:
    try:
        host.write_knob(f"{action.target}/{action.file}", action.value)
    except Failure as failure:
        raise _explained(action, failure) from failure


def _explained(action: plan_cgroupfs.WriteKnob, failure: Failure) -> Failure:
    what, error = f"{action.target}: {action.file}", failure.details.get("errno")
    if error == "ENOENT":
        return Failure(f"{what}: this kernel has no such file; leave the limit out", "unsupported_resource")
    if error == "EOPNOTSUPP":
        return Failure(
            f"{what}: the device takes no {action.value}: the scheduler of its queue gives no shares; "
            "set bfq in /sys/block/NAME/queue/scheduler, or enable io.cost.qos",
            "unsupported_resource",
        )
    if error == "ENODEV":
        return Failure(f"{what}: this host has no such device as {action.value.split()[0]}; leave it out", "unknown_device")
    if error == "EBUSY" and action.file.startswith("memory."):
        return Failure(
            f"{what}: the cgroup uses more memory than {action.value} bytes; raise the limit, or stop processes in it", "limit_below_usage"
        )
    if error in ("EINVAL", "EBUSY", "ERANGE", "ENOSPC"):
        return Failure(
            f"{what}: the kernel does not take {action.value}: it contradicts a limit of the cgroup above or of one below; change that one first",
            "refused_by_kernel",
            errno=error,
        )
    return failure


@_do.register
def _attach(action: plan_cgroupfs.AttachProcess, host: Host) -> None:
    host.write_knob(f"{action.target}/cgroup.procs", str(action.process))


@_do.register
def _own(action: plan_cgroupfs.ChangeOwner, host: Host) -> None:
    number = uid(action.user)
    for path in (action.target, *(f"{action.target}/{name}" for name in _DELEGATED_FILES)):
        if host.exists(path):
            with explained("change the owner", path):
                os.chown(host.path(path), number, -1)


@_do.register
def _move(action: plan_cgroupfs.MoveProcesses, host: Host) -> None:
    for _attempt in range(_ROUNDS):
        left = 0
        for path in _tree(host, action.target):
            for pid in (host.try_read(f"{path}/cgroup.procs") or "").split():
                left += 1
                _move_one(host, pid, action.to)
        if not left:
            return
        time.sleep(_PAUSE)
    raise Failure(f"{action.target}: new processes keep coming; stop what starts them, and run the task again", "cgroup_populated")


def _move_one(host: Host, pid: str, to: str) -> None:
    try:
        host.write_knob(f"{to}/cgroup.procs", pid)
    except Failure as failure:
        if failure.details.get("errno") != "ESRCH":  # it has ended meanwhile
            raise


def _tree(host: Host, path: str) -> Iterator[str]:
    yield path
    for name in host.list(path):
        if host.is_dir(f"{path}/{name}"):
            yield from _tree(host, f"{path}/{name}")


@_do.register
def _remove(action: plan_cgroupfs.RemoveCgroup, host: Host) -> None:
    for left in reversed(range(_ROUNDS)):
        try:
            host.remove_dir(action.target)
            return
        except Failure as failure:
            if failure.details.get("errno") != "EBUSY" or not left:
                raise
        time.sleep(_PAUSE)


@_do.register
def _write_unit(action: plan_slice.WriteUnit, host: Host) -> None:
    lines = [f"{key}={line}\n" for key, text in sorted(action.settings.items()) for line in text.split("\n")]
    unit = "" if action.file.endswith(".conf") else f"[Unit]\nDescription=Containers in {action.target}\n\n[Install]\nWantedBy=slices.target\n\n"
    host.write(action.file, f"{HEADER}{unit}[Slice]\n{''.join(lines)}")


@_do.register
def _remove_unit(action: plan_slice.RemoveUnit, host: Host) -> None:
    host.remove(action.file)


@_do.register
def _clear(action: plan_slice.ClearStale, host: Host) -> None:
    path = f"{action.target}/{action.file}"
    if host.exists(path):  # where no slice needs the controller any more, systemd has taken it away meanwhile
        host.write_knob(path, action.value)


def _systemctl(host: Host, *words: str) -> None:
    host.run([host.require("systemctl", PACKAGE), *words])


@_do.register
def _reload(action: plan_slice.ReloadManager, host: Host) -> None:
    _systemctl(host, "daemon-reload")


@_do.register
def _enable_slice(action: plan_slice.EnableSlice, host: Host) -> None:
    _systemctl(host, "enable", "--quiet", "--", action.target)


@_do.register
def _disable_slice(action: plan_slice.DisableSlice, host: Host) -> None:
    _systemctl(host, "disable", "--quiet", "--", action.target)


@_do.register
def _start(action: plan_slice.StartSlice, host: Host) -> None:
    _systemctl(host, "start", "--", action.target)


@_do.register
def _stop(action: plan_slice.StopSlice, host: Host) -> None:
    _systemctl(host, "stop", "--", action.target)
