# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change cgroups and slices."""

from __future__ import annotations

import time
from functools import singledispatch
from typing import Any, Iterator

from ..engine.errors import Failure
from ..engine.host import Host
from ..engine.plan import Action
from . import plan_cgroupfs, plan_slice
from .model import unit_path
from .read_slice import HEADER, PACKAGE

_ROUNDS = 20  # of moving processes that go on forking, and of removing a cgroup whose last process is just ending
_PAUSE = 0.05  # seconds


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
    settings = "".join(f"{key}={text}\n" for key, text in sorted(action.settings.items()))
    host.write(unit_path(action.target), f"{HEADER}[Unit]\nDescription=Containers in {action.target}\n\n[Slice]\n{settings}")


@_do.register
def _remove_unit(action: plan_slice.RemoveUnit, host: Host) -> None:
    host.remove(unit_path(action.target))


def _systemctl(host: Host, *words: str) -> None:
    host.run([host.require("systemctl", PACKAGE), *words])


@_do.register
def _reload(action: plan_slice.ReloadManager, host: Host) -> None:
    _systemctl(host, "daemon-reload")


@_do.register
def _start(action: plan_slice.StartSlice, host: Host) -> None:
    _systemctl(host, "start", "--", action.target)


@_do.register
def _stop(action: plan_slice.StopSlice, host: Host) -> None:
    _systemctl(host, "stop", "--", action.target)
