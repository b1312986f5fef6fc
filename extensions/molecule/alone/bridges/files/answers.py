# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long a host was silent. Runs on the controller.

answers.py ask PORT FILE: asks the SSH server at this port of the loopback address for its greeting, again and again, until the file is gone,
and writes there when it answered. answers.py hear FILE: writes there when a line came on the standard input, which is what the host says all
the time over one connection, until the file is gone. answers.py silence FILE FROM TO: the longest time without an answer between two times, in
seconds.
"""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import List

PAUSE = 0.5  # seconds
PATIENCE = 3.0
NOTHING_TO_ASK_FOR = 3600.0  # seconds after which it ends by itself


def ask_once(port: int, path: Path) -> None:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as server:
        if server.recv(4) == b"SSH-" and path.exists():
            with path.open("a") as log:
                log.write(f"{time.time()}\n")


def ask(port: int, path: Path) -> None:
    path.write_text("")
    end = time.monotonic() + NOTHING_TO_ASK_FOR
    while path.exists() and time.monotonic() < end:
        ask_once(port, path)  # one at a time: a host that comes back is asked once more for every one that it did not hear
        time.sleep(PAUSE)


def hear(path: Path) -> None:
    path.write_text("")
    for _line in sys.stdin:
        if not path.exists():
            break
        with path.open("a") as log:
            log.write(f"{time.time()}\n")


def silence(path: Path, first: float, last: float) -> float:
    heard: List[float] = sorted(float(line) for line in path.read_text().splitlines())
    known = [first, *(moment for moment in heard if first < moment < last), last]
    return max(later - earlier for earlier, later in zip(known, known[1:]))


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(int(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1] == "hear":
        hear(Path(sys.argv[2]))
    else:
        print(f"{silence(Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])):.1f}")
