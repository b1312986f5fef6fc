# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that make and change sets of namespaces."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from functools import singledispatch
from typing import Any, Callable

from ..engine.errors import Failure
from ..engine.host import Host
from ..engine.plan import Action
from . import actions as do
from .apply_process import end, keep, remove_unit, start
from .commands import commands, entering, file_of
from .read import identity
from .unit import unit_name, unit_path

_WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.02


def apply(host: Host, action: Action) -> None:
    _do(action, host)


@singledispatch
def _do(action: Any, host: Host) -> None:
    for words in commands(action):
        host.require(words[0], "dpkg" if words[0] == "start-stop-daemon" else "util-linux")
        result = host.run(words, check=False)
        if result.rc:
            raise Failure(
                f"{action.target}: could not {action.kind.replace('_', ' ')}: {result.complaint}{_hint(host, action, result.stderr)}",
                "refused_by_kernel",
                argv=words,
                stderr=result.stderr,
            )


def _hint(host: Host, action: Any, stderr: str) -> str:
    """What else is known to stop namespaces: limits that were reached, and settings that forbid them."""
    if "No space left" in stderr:
        return "; a limit in /proc/sys/user/max_*_namespaces is reached, so remove unused namespaces or raise it with sysctl"
    if "not permitted" not in stderr and "Permission denied" not in stderr:
        return ""
    for name, forbids in (("kernel/unprivileged_userns_clone", "0"), ("kernel/apparmor_restrict_unprivileged_userns", "1")):
        if (host.try_read(f"/proc/sys/{name}") or "").strip() == forbids:
            return f"; {name.replace('/', '.')} is {forbids}, which forbids it to all but root, so run the task with become: true"
    return "; run the task with become: true"


@_do.register
def _start_init(action: do.StartInit, host: Host) -> None:
    for words in commands(action):
        host.run(words)
    # Its parent and a helper of its parent keep them, each in its own time.
    paths = [host.path(file_of(action.target, kind)) for kind in action.types]
    device = os.stat("/proc/self/ns/pid").st_dev
    _wait(lambda: all(os.stat(path).st_dev == device for path in paths), f"{action.target}: the init of its pid namespace did not start")


def _wait(done: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise Failure(f"{complaint} within {_WAIT_SECONDS:.0f} seconds; the kernel log (dmesg) may say why", "init_not_started")
        time.sleep(_POLL_SECONDS)


@_do.register
def _write_mapping(action: do.WriteMapping, host: Host) -> None:
    """The kernel takes a mapping from outside only, by way of a process in the namespace: one is put there for that moment."""
    path = file_of(action.target, "user")
    text = "".join(f"{inside} {outside} {size}\n" for inside, outside, size in action.mapping)
    words = [*entering(action.target, ("user",)), "--preserve-credentials", "sleep", "60"]
    with host.start(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wanted = identity(host.path(path))
            _wait(lambda: identity(f"/proc/{process.pid}/ns/user") == wanted, f"{action.target}: its user namespace cannot be entered")
            host.write_knob(f"/proc/{process.pid}/{action.which}_map", text)
        finally:
            process.kill()


@_do.register
def _end(action: do.EndProcesses, host: Host) -> None:
    _kill(action.pids, action.target)


@_do.register
def _stop_init(action: do.StopInit, host: Host) -> None:
    _kill(action.pids, action.target)


def _kill(pids: Any, name: str) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait(lambda: not any(_alive(pid) for pid in pids), f"{name}: its processes did not end")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            return handle.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


@_do.register
def _write_unit(action: do.WriteUnit, host: Host) -> None:
    host.write(unit_path(action.target), action.text)
    host.run(["systemctl", "daemon-reload"])


@_do.register
def _enable_unit(action: do.EnableUnit, host: Host) -> None:
    host.run(["systemctl", "enable", unit_name(action.target)])


@_do.register
def _remove_unit(action: do.RemoveUnit, host: Host) -> None:
    host.run(["systemctl", "disable", unit_name(action.target)])
    host.remove(unit_path(action.target))
    host.run(["systemctl", "daemon-reload"])


@_do.register
def _start_process(action: do.StartProcess, host: Host) -> None:
    start(host, action, _alive)


@_do.register
def _end_process(action: do.EndProcess, host: Host) -> None:
    _kill(action.pids, action.target)
    end(host, action)


@_do.register
def _keep_process(action: do.KeepProcess, host: Host) -> None:
    keep(host, action)


@_do.register
def _remove_process_unit(action: do.RemoveProcessUnit, host: Host) -> None:
    remove_unit(host, action)
