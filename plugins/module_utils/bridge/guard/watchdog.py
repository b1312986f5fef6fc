# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The watchdog of a change to a host's network: unless the change is confirmed in time, everything is as it was before.

It runs on the host as a process of its own, from a copy of this package in the change's folder, with nothing but the standard library
and ip. It outlives the module, the connection and the controller, and a unit lets the files outlive a restart of the host.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from typing import Callable, List, Sequence

from .change import FOLDER, Change, pending, uninstall_boot
from .machine import boottime, end_process

_POLL_SECONDS = 0.1


def watch(folder: str) -> None:
    """Wait for the confirmation until the time is over; then restore. A worker that dies is replaced."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir("/")
    change = Change(folder)
    lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)  # open until this process and its worker are gone
    fcntl.flock(lock, fcntl.LOCK_EX)
    end = float(change.report.get("end", boottime() + change.snapshot["timeout"]))  # a watchdog that was started again has no more time
    change.note(end=end)
    change.go("new", "armed")
    while True:
        worker = os.fork()
        if not worker:
            status = 1
            try:
                _wait(change, end)
                status = 0
            finally:
                os._exit(status)  # pylint: disable=protected-access  # the parent cleans up
        if os.waitpid(worker, 0)[1] == 0:
            break
        time.sleep(_POLL_SECONDS)
    uninstall_boot()


def _wait(change: Change, end: float) -> None:
    while boottime() < end and change.state == "armed":
        time.sleep(_POLL_SECONDS)
    if change.go("armed", "rolling_back"):
        end_process(*change.snapshot["module"])  # one that is stuck
        change.note(reason=f"nobody confirmed the change within {change.snapshot['timeout']} seconds")
    elif not change.go("asked", "rolling_back") and change.state != "rolling_back":
        return
    change.roll_back(change.report.get("reason", "it was asked for"))


def detach(work: Callable[[], None]) -> None:
    """Run work in a process that nothing of ours can end: forked twice, in a session of its own, with no open files."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)  # pylint: disable=protected-access  # the parent's exit handlers are not ours
    null = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    os.closerange(3, 4096)
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)  # pylint: disable=protected-access  # as above


def boot(folder: str = FOLDER) -> None:
    """What the unit runs before the network is configured: changes of the boot before get their files back."""
    for change in pending(folder):
        if change.interrupted:
            for state in ("armed", "asked"):
                change.go(state, "rolling_back")
            change.roll_back("the host was restarted before the change was confirmed", on_boot=True)
    uninstall_boot()


def command(code: str, *words: str) -> List[str]:
    """How to run this package from a copy in the folder code."""
    program = f"import sys; sys.path.insert(0, {code!r}); from guard.watchdog import main; main(sys.argv[1:])"
    return [sys.executable, "-B", "-c", program, *words]


def main(words: Sequence[str]) -> None:
    if words[0] == "watch":
        watch(words[1])
    elif words[0] == "detach":
        detach(lambda: watch(words[1]))
    else:
        boot()
