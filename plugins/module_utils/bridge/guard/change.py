# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A change to a host's network that waits to be confirmed, and the way back from it.

A change is in one of these states, which is the name of a file in its folder. Renaming is atomic and needs no room on the disk, so of a
confirmation and a rollback at the same instant exactly one wins, even on a full disk:
new → armed → confirmed, or armed → (asked →) rolling_back → rolled_back.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from typing import Any, Dict, List, Sequence

from . import clients, machine, names
from .files import forget_files, restore_files, sync
from .restore import Command, restore

Json = Dict[str, Any]

FOLDER = "/var/lib/virtops/rollback"
UNIT = "/etc/systemd/system/virtops-rollback.service"
WANTED_BY = "/etc/systemd/system/sysinit.target.wants/virtops-rollback.service"
STATES = ("new", "armed", "asked", "confirmed", "rolling_back", "rolled_back")
REPORT_BYTES = 8192  # kept free in advance, so that the report can be written on a full disk

_ATTEMPTS = 8


class Change:
    """A change that waits in its folder. root: a prefix of the state folder, for tests."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        with open(os.path.join(folder, "snapshot.json"), encoding="utf-8") as handle:
            self.snapshot: Json = json.load(handle)

    @property
    def word(self) -> str:
        return os.path.basename(self.folder)

    @property
    def state(self) -> str:
        return next((state for state in STATES if os.path.exists(self._file(state))), "new")

    def _file(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def go(self, old: str, new: str) -> bool:
        """Take the step from one state to another; False where another process was there first."""
        try:
            os.rename(self._file(old), self._file(new))
        except FileNotFoundError:
            return False
        sync(self.folder)
        return True

    @property
    def interrupted(self) -> bool:
        """Whether the host was restarted since: its runtime state is gone, and so is the watchdog."""
        return bool(self.snapshot["boot_id"] != machine.boot_id())

    def watched(self) -> bool:
        """Whether a watchdog lives: it holds a lock for as long as it does."""
        with open(self._file("lock"), "a", encoding="ascii") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    @property
    def report(self) -> Json:
        try:
            with open(self._file("report"), encoding="utf-8") as handle:
                return dict(json.loads(handle.read().rstrip() or "{}"))
        except (OSError, ValueError):
            return {}

    def note(self, **facts: Any) -> None:
        """Add to the report, in the bytes that were kept for it."""
        text = json.dumps({**self.report, **facts})
        with suppress(OSError), open(self._file("report"), "r+", encoding="utf-8") as handle:
            handle.write(text[:REPORT_BYTES].ljust(REPORT_BYTES))

    def confirm(self) -> bool:
        if not self.go("armed", "confirmed"):
            return False
        self.finish()
        return True

    def finish(self) -> None:
        """Nothing is to be restored any more."""
        forget_files(self.snapshot["files"])
        uninstall_boot()

    def roll_back(self, reason: str, on_boot: bool = False) -> None:
        """Restore everything. May be called again after it was interrupted."""
        if not on_boot:
            self._stop_clients()  # which would write their files, and set their addresses, once more
        files = restore_files(self.snapshot["files"])
        failed: List[str] = []
        done: List[str] = []
        left: List[Command] = []
        # At boot no daemon has read its files yet. Only netplan's generator ran before us, and rendered those of the change.
        reload = [argv for argv in self.snapshot["reload"] if not on_boot or argv[0] == "netplan"]
        if files:
            failed += [" ".join(argv) for argv in reload if machine.run(argv).returncode]
        if not on_boot:
            left = self._restore_network(done)
            failed += self._restore_names(done)
            failed += self._start_clients(done)
        self.note(reason=reason, files=files, commands=done[:40], failed=failed, left=[" ".join(command) for command in left][:20])
        self.go("rolling_back", "rolled_back")
        self.finish()

    def _restore_network(self, done: List[str]) -> List[Command]:
        """Compute and apply until nothing is left: a command may only be possible after what another one did."""
        for attempt in range(_ATTEMPTS):
            passed = machine.boottime() - self.snapshot["taken"]
            commands = restore(self.snapshot["network"], machine.observe(), self.snapshot["scope"], passed)
            if not commands:
                return []
            done += [" ".join(command) for command in commands]
            machine.obey(commands)
            time.sleep(0.1 * attempt)
        return commands

    def _stop_clients(self) -> None:
        for link, client in machine.dhcp_clients().items():
            if link in self.snapshot["scope"] and link not in self.snapshot.get("clients", {}):
                machine.stop_client(client)

    def _start_clients(self, done: List[str]) -> List[str]:
        """Those that ran before, and do not any more. Returns what failed."""
        there = machine.dhcp_clients()
        commands = [clients.moved(argv, link, link) for link, argv in self.snapshot.get("clients", {}).items() if link not in there]
        done += [" ".join(argv) for argv in commands]
        return [" ".join(argv) for argv in commands if machine.run(argv).returncode]

    def _restore_names(self, done: List[str]) -> List[str]:
        """After all else, because a bus that does not answer takes its time. Returns what failed."""
        bridge, before = self.snapshot["bridge"], self.snapshot.get("names")
        commands = names.restore(bridge, before, machine.observe_names(bridge)) if before else []
        done += [" ".join(argv) for argv in commands]
        return [" ".join(argv) for argv in commands if machine.run(argv).returncode]


def pending(folder: str = FOLDER) -> List[Change]:
    """The changes that are neither confirmed nor undone."""
    found: List[Change] = []
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder)):
            with suppress(OSError, ValueError):
                change = Change(os.path.join(folder, name))
                if change.state in ("armed", "asked", "rolling_back"):
                    found.append(change)
    return found


# The unit that gives files back after a restart of the host


def unit_text(command: Sequence[str]) -> str:
    words = " ".join(f'"{word}"' if any(letter in word for letter in " ;()") else word for word in command)
    return f"""# Written by virtops.linux.bridge for a change that waits to be confirmed; it removes itself.
[Unit]
Description=Undo a network change that was not confirmed before the restart
DefaultDependencies=no
After=local-fs.target systemd-remount-fs.service
Before=network-pre.target systemd-networkd.service systemd-udevd.service NetworkManager.service networking.service sysinit.target
Wants=network-pre.target
RequiresMountsFor={FOLDER}

[Service]
Type=oneshot
ExecStart={words}
"""


def install_boot(command: Sequence[str]) -> None:
    os.makedirs(os.path.dirname(WANTED_BY), exist_ok=True)
    with open(UNIT, "w", encoding="utf-8") as handle:
        handle.write(unit_text(command))
        handle.flush()
        os.fsync(handle.fileno())
    if not os.path.lexists(WANTED_BY):
        os.symlink(UNIT, WANTED_BY)
    sync(os.path.dirname(WANTED_BY))
    sync(os.path.dirname(UNIT))


def uninstall_boot() -> None:
    if not pending():
        for path in (WANTED_BY, UNIT):
            with suppress(OSError):
                os.unlink(path)
