# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that start and end the process of a set."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from typing import Callable, Iterator

from ..engine.errors import Failure
from ..engine.host import Host
from . import actions as do
from .commands import commands, file_of, process_file
from .model import FILES
from .read import identity
from .read_process import cgroup_directories
from .unit import process_unit_name, process_unit_path

_ENTER_SECONDS = 10.0
_LIVE_SECONDS = 0.3
_POLL_SECONDS = 0.02


def start(host: Host, action: do.StartProcess, alive: Callable[[int], bool]) -> None:
    host.require("start-stop-daemon", "dpkg")
    host.remove(process_file(action.target, "log"))
    host.write(process_file(action.target, "json"), json.dumps(action.wanted.shown()) + "\n")
    with _joined(host, action.wanted.cgroup):
        for words in commands(action):
            host.run(words)
    kind = next((kind for kind in action.types if kind != "pid"), "pid")
    file = "pid_for_children" if kind == "pid" else FILES[kind]
    wanted = identity(host.path(file_of(action.target, kind)))
    deadline = time.monotonic() + _ENTER_SECONDS
    since = None
    while since is None or time.monotonic() < since + _LIVE_SECONDS:
        pid = int(host.try_read(process_file(action.target, "pid")) or "0")
        if since is None and pid and identity(host.path(f"/proc/{pid}/ns/{file}")) == wanted:
            since = time.monotonic()
        if (pid and not alive(pid)) or time.monotonic() > deadline:
            said = " ".join((host.try_read(process_file(action.target, "log")) or "").split())[-300:] or "it said nothing"
            raise Failure(f"{action.target}: its process {action.args[0]} ended at once: {said}; mend args, root or cwd", "process_ended")
        time.sleep(_POLL_SECONDS)


@contextmanager
def _joined(host: Host, cgroup: str) -> Iterator[None]:
    """We ourselves are in the cgroup while the process is started, which so begins its life there."""
    inside = cgroup_directories(host, cgroup) if cgroup else []
    ours = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in (host.read("/proc/self/cgroup") or "").splitlines()}
    try:
        for path in inside:
            host.write_knob(f"{path}/cgroup.procs", "0")
        yield
    finally:
        for path in inside:
            mount = path[: -len(cgroup) - 1]
            back = next((text for names, text in ours.items() if set(names.replace("name=", "").split(",")) & set(_names(mount))), ours.get("", "/"))
            with suppress(Failure):  # in a cgroup namespace the way back may not be seen
                host.write_knob(f"{mount}{back.rstrip('/')}/cgroup.procs", "0")


def _names(mount: str) -> Iterator[str]:
    yield from os.path.basename(mount).split(",")


def end(host: Host, action: do.EndProcess) -> None:
    for what in ("json", "pid", "log"):
        host.remove(process_file(action.target, what))


def keep(host: Host, action: do.KeepProcess) -> None:
    unit = process_unit_name(action.target)
    host.write(process_unit_path(action.target, action.boot), action.text)
    if action.boot:
        host.remove(process_unit_path(action.target, False))
    host.run(["systemctl", "daemon-reload"])
    if action.boot:
        host.run(["systemctl", "enable", unit])
    elif host.exists(process_unit_path(action.target, True)):
        host.run(["systemctl", "disable", unit])
        host.remove(process_unit_path(action.target, True))
        host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "restart", unit])


def remove_unit(host: Host, action: do.RemoveProcessUnit) -> None:
    unit = process_unit_name(action.target)
    host.run(["systemctl", "stop", unit])
    host.run(["systemctl", "disable", unit], check=False)  # one in /run was never enabled
    for boot in (True, False):
        host.remove(process_unit_path(action.target, boot))
    host.run(["systemctl", "daemon-reload"])
