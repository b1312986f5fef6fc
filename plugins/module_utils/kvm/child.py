# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process of its own for what may hang or crash: a guest, a device, a file system that does not answer."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Tuple

#: What the child calls to be heard: say(stage="run").
Say = Callable[..., None]

_REAP_SECONDS = 0.5


@dataclass(frozen=True)
class Heard:
    """said: what the child said, later words over earlier ones. hung: the seconds that were up while it was still alive, 0 where it ended.

    error: the number of the error where no process could be started.
    """

    said: Mapping[str, Any] = field(default_factory=dict)
    hung: float = 0.0
    error: int = 0


def in_child(work: Callable[[Say], None], seconds: float, silence: Optional[float] = None) -> Heard:
    """Run the work in a child. Never raises, and never takes longer than the seconds and a moment.

    The child is killed then, whatever it does, and before then when it said nothing for the seconds of silence. Words that it said are kept.
    """
    try:
        reader, writer = os.pipe()
    except OSError as error:
        return Heard(error=error.errno or 0)
    try:
        child = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        return Heard(error=error.errno or 0)
    if not child:
        _be_the_child(work, seconds, writer)
    os.close(writer)
    try:
        text, hung = _listen(reader, seconds, seconds if silence is None else silence)
    finally:
        os.close(reader)
        _end(child)
    return Heard(words(text), hung)


def words(text: bytes) -> Dict[str, Any]:
    """The lines that the child wrote, as one dictionary. A line cut short by the kill is left out."""
    said: Dict[str, Any] = {}
    for line in text.splitlines():
        with suppress(ValueError):
            said.update(json.loads(line))
    return said


def _be_the_child(work: Callable[[Say], None], seconds: float, writer: int) -> NoReturn:
    """Do the work, and leave without any of the parent's ceremonies."""

    def say(**message: Any) -> None:
        os.write(writer, json.dumps(message).encode() + b"\n")

    try:
        _detach(seconds)
        work(say)
    finally:
        os._exit(0)


def _detach(seconds: float) -> None:
    """Hold nothing that anyone waits for, and die by oneself should the parent be gone."""
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.setitimer(signal.ITIMER_REAL, seconds + 1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # a stuck child that held standard output would keep the connection open
        os.dup2(nothing, standard)


def _listen(reader: int, seconds: float, silence: float) -> Tuple[bytes, float]:
    """What the child wrote until it ended or the time was up, and how long that time was; 0 where it ended."""
    poller = select.poll()
    poller.register(reader, select.POLLIN | select.POLLHUP)
    heard = time.monotonic()
    deadline = heard + seconds
    text: List[bytes] = []
    while True:
        now = time.monotonic()
        left = min(deadline, heard + silence) - now
        if left <= 0:
            return b"".join(text), seconds if now >= deadline else silence
        if poller.poll(math.ceil(left * 1000)):
            piece = os.read(reader, 65536)
            if not piece:
                return b"".join(text), 0.0
            text.append(piece)
            heard = time.monotonic()


def _end(child: int) -> None:
    """Kill the child and reap it. One that is stuck in the kernel is left to init: waiting for it would hang as well."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + _REAP_SECONDS
    with suppress(ChildProcessError):  # where SIGCHLD is ignored, the kernel has reaped it
        while os.waitpid(child, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.005)
