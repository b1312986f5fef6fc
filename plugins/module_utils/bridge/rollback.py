# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes that wait to be confirmed: the snapshot, the watchdog's start, confirmation and rollback."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import time
from typing import List, Optional, Sequence

from ..engine.errors import Failure
from ..engine.host import Host, explained
from .checks import unanswered
from .guard import change as changes
from .guard import clients, files, machine, names, restore, routes, watchdog
from .model_rollback import Rollback
from .plan_actions import ArmRollback

#: Where network configurations live. All of it is put back, whoever wrote it meanwhile: a back end, a hook, a daemon.
CONFIGURATION = (
    "/etc/network/interfaces",
    "/etc/network/interfaces.d",
    "/etc/netplan",
    "/etc/systemd/network",
    "/etc/NetworkManager/system-connections",
    "/etc/resolv.conf",
)
_STARTED_WITHIN = 15  # seconds
_POLL_SECONDS = 0.05
_SYSTEMD = "/run/systemd/system"


def arm(host: Host, action: ArmRollback) -> None:
    """Snapshot, then the watchdog, and return only when it watches. Nothing is touched before."""
    _one_at_a_time(action.target)
    word = action.rollback.word or f"{action.target.replace('.', '-')}-{os.urandom(4).hex()}"
    folder = os.path.join(changes.FOLDER, word)
    with explained("keep the snapshot of the network", folder):
        os.makedirs(folder, mode=0o700)
    saved: List[files.Json] = []
    try:
        with explained("keep the snapshot of the network", folder):
            code = _copy_code(folder)
            with open(os.path.join(folder, "report"), "w", encoding="utf-8") as report:
                report.write(" " * changes.REPORT_BYTES)
            saved = files.save_files(dict.fromkeys((*CONFIGURATION, *(action.files or ()))), word)
            snapshot = {
                "boot_id": machine.boot_id(),
                "module": [os.getpid(), machine.started(os.getpid())],
                "bridge": action.target,
                "scope": list(action.scope),
                "timeout": action.timeout,
                "taken": machine.boottime(),
                "network": machine.observe(),
                "names": machine.observe_names(action.target),
                "clients": {link: list(client.argv) for link, client in machine.dhcp_clients().items() if link in action.scope},
                "files": saved,
                "reload": [list(argv) for argv in action.reload],
            }
            _write(os.path.join(folder, "snapshot.json"), json.dumps(snapshot))
            for name in ("lock", "new"):
                _write(os.path.join(folder, name), "")
            if host.is_dir(_SYSTEMD):
                changes.install_boot(watchdog.command(code, "boot"))
        _start(host, code, folder, word)
    except BaseException:
        files.forget_files(saved)
        shutil.rmtree(folder, ignore_errors=True)
        changes.uninstall_boot()
        raise


def _one_at_a_time(bridge: str) -> None:
    """A second snapshot would hold the first change, unconfirmed. What was interrupted or is over leaves nothing behind."""
    for change in changes.pending():
        if change.interrupted:
            change.roll_back("the host was restarted before the change was confirmed", on_boot=True)
            continue
        left = change.snapshot["timeout"] - (machine.boottime() - change.snapshot["taken"])
        way_out = f"wait {max(int(left), 1)} seconds" if left > 0 and change.watched() else "run bridge_confirm with its rollback_id"
        raise Failure(
            f"{bridge}: the change {change.word} of {change.snapshot['bridge']} waits to be confirmed; {way_out}, then run this task again",
            "change_pending",
        )
    if os.path.isdir(changes.FOLDER):
        for name in os.listdir(changes.FOLDER):
            shutil.rmtree(os.path.join(changes.FOLDER, name), ignore_errors=True)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def _copy_code(folder: str) -> str:
    """The package guard as files: the module's own code is gone when the module ends, and the watchdog needs it later."""
    code = os.path.join(folder, "code")
    os.makedirs(os.path.join(code, "guard"))
    _write(os.path.join(code, "guard", "__init__.py"), "")
    for part in (changes, clients, files, machine, names, restore, routes, watchdog):
        name = part.__name__
        source = importlib.import_module(name).__loader__.get_source(name)  # type: ignore[union-attr]  # all loaders of ours have it
        _write(os.path.join(code, "guard", name.rpartition(".")[2] + ".py"), source)
    return code


def _start(host: Host, code: str, folder: str, word: str) -> None:
    """Under systemd in a unit of its own, because a session that ends may take all its processes along. Else as a daemon."""
    runner = host.which("systemd-run") if host.is_dir(_SYSTEMD) else None
    if runner:
        unit = [f"--unit=virtops-rollback-{word}", "--collect", "--quiet", "--property=Restart=on-failure", "--property=OOMScoreAdjust=-900"]
        host.run([runner, *unit, "--", *watchdog.command(code, "watch", folder)])
    else:
        host.run(watchdog.command(code, "detach", folder))
    change = changes.Change(folder)
    deadline = time.monotonic() + _STARTED_WITHIN
    while change.state == "new":
        if time.monotonic() > deadline:
            raise Failure(
                f"{change.snapshot['bridge']}: the watchdog did not start within {_STARTED_WITHIN} seconds, so nothing was changed; "
                "look for what ends it (a limit of processes or memory), or set confirm: none",
                "rollback_unavailable",
            )
        time.sleep(_POLL_SECONDS)


def find(word: str) -> Optional[changes.Change]:
    try:
        return changes.Change(os.path.join(changes.FOLDER, word))
    except (OSError, ValueError):
        return None


def of_bridge(bridge: str) -> Optional[changes.Change]:
    """The change that waits, where the module that made it confirms it itself."""
    return next((change for change in changes.pending() if change.snapshot["bridge"] == bridge), None)


def confirm(change: changes.Change) -> None:
    """Failure C(rolled_back) where it is too late."""
    if change.interrupted or not change.confirm():
        raise rolled_back(change)


def rolled_back(change: changes.Change) -> Failure:
    reason = change.report.get("reason", "the host was restarted")
    return Failure(
        f"{change.snapshot['bridge']}: the change was rolled back, because {reason}; everything is as it was before",
        "rolled_back",
        rolled_back=True,
        confirmed=False,
        reason=reason,
        restored=change.report,
    )


def roll_back(change: changes.Change, reason: str) -> None:
    """Have the watchdog restore everything now, or do so here where it is dead. Returns when it is done."""
    change.note(reason=reason)
    change.go("armed", "asked")
    deadline = time.monotonic() + max(_STARTED_WITHIN, int(change.snapshot["timeout"]))
    while change.state in ("asked", "rolling_back") and time.monotonic() < deadline:
        if not change.watched():
            change.go("asked", "rolling_back")
            change.roll_back(reason)
        time.sleep(_POLL_SECONDS)


def confirm_from_here(host: Host, bridge: str, rollback: Rollback) -> None:
    """For a module that nobody confirms: what was asked to answer must answer, from here."""
    change = of_bridge(bridge)
    if change is None:
        raise Failure(f"{bridge}: the change was rolled back before it could be confirmed; give it more time (rollback_timeout)", "rolled_back")
    silent = check(host, change, rollback.check_gateway, rollback.hosts)
    if silent:
        roll_back(change, f"{' and '.join(silent)} did not answer")
        failure = rolled_back(change)
        _forget(change)
        raise failure
    confirm(change)
    _forget(change)


def _forget(change: changes.Change) -> None:
    """What nobody has a name for, nobody asks for later. The watchdog may still be on its way out, and needs nothing of it any more."""
    if change.state in ("confirmed", "rolled_back"):
        shutil.rmtree(change.folder, ignore_errors=True)


def _patience(change: changes.Change) -> float:
    """Seconds for the checks: half of what is left, so that a rollback on request still comes before the one in time."""
    return max(1.0, float(change.snapshot["timeout"] - (machine.boottime() - change.snapshot["taken"])) / 2)


def check(host: Host, change: changes.Change, gateway: bool, hosts: Sequence[str]) -> List[str]:
    return unanswered(host, gateway, hosts, _patience(change))
