# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs that get SIGKILL, at instants which mean the same on a fast machine and on a slow one.

No instant is a number of seconds. Each is a seeded fraction: of a whole run, or of the time in which a run is at its work, counted from
the moment at which that was seen to begin. Both times are measured in a run that nobody disturbs.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, List, Union

from support.images import spawned

#: How many runs the tests kill in each of their series. VIRTOPS_KILLS=200 takes some minutes.
KILLS = int(os.environ.get("VIRTOPS_KILLS", "8"))
_TRIES = 50  # at catching a run at its work, after all others

Underway = Callable[[int], bool]  # the pid of a run → whether it is at its work
Parameters = Dict[str, Any]


def working(word: str) -> Underway:
    """At work is a run whose qemu-img was started with that word."""

    def underway(pid: int) -> bool:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return any(word.encode() in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in children)
        except OSError:  # it is gone
            return False

    return underway


class Series:
    """Kills of one kind of run. before: makes the state that a turn starts from, and gives its options. after: looks at what is left, and goes on."""

    def __init__(self, module: str, seed: int, underway: Underway) -> None:
        self.module = module
        self.rng = random.Random(seed)  # noqa: S311  # a seed that can be repeated
        self.underway = underway
        self.caught = 0
        self.turns = 0

    def run(self, before: Callable[[int], Parameters], after: Callable[[Parameters], str], kills: int = KILLS) -> str:
        """A line with the figures. At least one run was caught at its work: of turns that the last ones add, if need be."""
        self._measure(before(0))
        outcomes: List[str] = []
        while self.turns < kills or (not self.caught and self.turns < kills + _TRIES):
            self.turns += 1
            options = before(self.turns)
            self._turn(options, kind=self.turns % 4 if self.turns <= kills else 0)
            outcomes.append(after(options))
        assert self.caught, f"{self.turns} runs were killed, and none of them at its work: {outcomes}"
        counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in sorted(set(outcomes)))
        return f"{self.turns} killed, {self.caught} of them at work; left were: {counts}"

    def _measure(self, options: Parameters) -> None:
        """The seconds of a whole run, and of its work."""
        started = time.monotonic()
        run = spawned(self.module, options)
        self._wait(run, time.monotonic() + 60)
        begun = time.monotonic()
        assert run.wait(60) == 0 and run.stdout is not None, run.stdout
        run.stdout.close()
        self.whole, self.work = time.monotonic() - started, time.monotonic() - begun

    def _turn(self, options: Parameters, kind: int) -> None:
        """kind: 0 as soon as it is at its work, 1 and 2 somewhere in that, 3 anywhere at all; of these, every other one with its children."""
        fraction, with_children = self.rng.random(), self.rng.random() < 0.5
        with spawned(self.module, options) as run:
            if kind == 3:
                time.sleep(fraction * self.whole)
            else:
                self._wait(run, time.monotonic() + 60)
                if kind:
                    time.sleep(fraction * self.work)
            at_work = self.underway(run.pid)
            with suppress(ProcessLookupError):  # it was done before
                (os.killpg if with_children else os.kill)(run.pid, signal.SIGKILL)
            self.caught += at_work and run.wait() == -signal.SIGKILL
        _wait_for_children(run.pid)

    def _wait(self, run: subprocess.Popen, deadline: float) -> None:
        while run.poll() is None and not self.underway(run.pid):
            assert time.monotonic() < deadline, "the run neither works nor ends"
            time.sleep(0.0005)


def _wait_for_children(group: int) -> None:
    """What a killed run has started may finish its own step, or dies a moment later: thread by thread, and the last one lets its locks go."""
    deadline = time.monotonic() + 30
    while any(_alive(thread, group) for process in _below("/proc") if process.name.isdigit() for thread in _below(process / "task")):
        assert time.monotonic() < deadline, "a child of the killed run goes on and on"
        time.sleep(0.002)


def _below(path: Union[str, Path]) -> List[Path]:
    """What is in a folder of /proc; nothing where its process has just ended (Path.glob raises then)."""
    try:
        return list(Path(path).iterdir())
    except OSError:
        return []


def _alive(thread: Path, group: int) -> bool:
    try:
        state, _parent, process_group = (thread / "stat").read_text(errors="replace").rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(process_group) == group and state not in "ZX"
