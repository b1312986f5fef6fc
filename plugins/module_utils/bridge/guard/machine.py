# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a guard reads of its host, and does to it: the clock, processes, the network, name servers, DHCP clients."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import clients, names
from .restore import WRITE, Command, accept_ra_knob

Json = Dict[str, Any]

_COMMAND_SECONDS = 20
_END_SECONDS = 2  # of a process that was killed
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def boottime() -> float:
    """Seconds since the host was started, sleep included, which no clock change moves."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as handle:
        return handle.read().strip()


def started(pid: int) -> Optional[int]:
    """When a process was started, in ticks since the host was; None where there is none. With it a number is not taken for its successor."""
    found = _process(pid)
    return None if found is None else int(found[19])


def _process(pid: int) -> Optional[List[str]]:
    """What follows the name in /proc/PID/stat: the state, the parent, ..."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            return handle.read().rpartition(")")[2].split()
    except OSError:
        return None


def end_process(pid: int, ticks: Optional[int]) -> None:
    """Kill a process and what it started: what comes too late must not change anything any more."""
    if ticks is None or started(pid) != ticks:
        return
    known = {int(name): _process(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    doomed = [pid]
    for one in doomed:
        with suppress(OSError):
            os.kill(one, signal.SIGSTOP)
        doomed += [child for child, found in known.items() if found and int(found[1]) == one]
    for one in doomed:
        with suppress(OSError):
            os.kill(one, signal.SIGKILL)


def run(argv: Sequence[str], stdin: Optional[str] = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "PATH": os.pathsep.join((os.environ.get("PATH", ""), _PATH))}
    try:
        # Not AnsibleModule.run_command: the watchdog goes on where there is no module any more.
        return subprocess.run(  # pylint: disable=ansible-bad-function
            list(argv), input=stdin, env=environment, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(list(argv), 127, "", str(error))


def _json(*argv: str) -> List[Json]:
    try:
        return [item for item in json.loads(run(argv).stdout or "[]") if item]
    except ValueError:
        return []


def observe() -> Json:
    """The network as restore compares it. A family that the kernel does not have is empty."""
    return {
        "links": _json("ip", "-j", "-d", "addr", "show"),
        "routes4": _json("ip", "-j", "-4", "route", "show", "table", "all"),
        "routes6": _json("ip", "-j", "-6", "route", "show", "table", "all"),
        "rules4": _json("ip", "-j", "-4", "rule", "show"),
        "rules6": _json("ip", "-j", "-6", "rule", "show"),
        "vlans": _json("bridge", "-j", "vlan", "show"),
        "accept_ra": _accept_ra(),
    }


def _accept_ra() -> Dict[str, str]:
    found: Dict[str, str] = {}
    with suppress(OSError):  # a kernel without IPv6 has none
        for name in os.listdir("/proc/sys/net/ipv6/conf"):
            with suppress(OSError), open(accept_ra_knob(name), encoding="ascii") as handle:
                found[name] = handle.read().strip()
    return found


def observe_names(link: str) -> Dict[str, List[str]]:
    """Empty where systemd-resolved does not run, or does not know the interface."""
    if not os.path.exists(names.RUNNING):
        return {}
    said = {word: run([names.TOOL, word, link]) for word in names.WORDS}
    return {word: list(names.of_link(answer.stdout)) for word, answer in said.items() if not answer.returncode}


def dhcp_clients() -> Dict[str, clients.Client]:
    """Interface → its own DHCP client."""
    try:
        return clients.running(sorted(os.listdir(clients.FOLDER)), _text)
    except OSError:
        return {}


def _text(path: str) -> Optional[str]:
    with suppress(OSError, ValueError), open(path, encoding="utf-8") as handle:
        return handle.read()
    return None


def stop_client(client: clients.Client) -> None:
    """At once: asked to end, some take the address away, and give it back to the server. It is gone when this returns."""
    with suppress(OSError):
        os.kill(client.pid, signal.SIGKILL)
        os.unlink(client.path)
    deadline = time.monotonic() + _END_SECONDS
    while _text(f"/proc/{client.pid}/cmdline") and time.monotonic() < deadline:
        time.sleep(0.01)


def obey(commands: Sequence[Command]) -> None:
    """Run what restore says. A command that fails is left for the next look to tell."""
    for argv, batch in in_batches(commands):
        if argv == (WRITE,):
            _write_knobs(batch)
        else:
            run([*argv, "-force", "-batch", "-"], stdin="".join(" ".join(words) + "\n" for words in batch))


def _write_knobs(given: Sequence[Command]) -> None:
    for path, value in given:
        with suppress(OSError), open(path, "w", encoding="ascii") as handle:
            handle.write(value)


def in_batches(commands: Sequence[Command]) -> List[Tuple[Command, List[Command]]]:
    """The commands in order, as batches of one tool and one family, which ip takes only on its own command line."""
    batches: List[Tuple[Command, List[Command]]] = []
    for words in commands:
        length = 2 if words[1] in ("-4", "-6") else 1
        if not batches or batches[-1][0] != words[:length]:
            batches.append((words[:length], []))
        batches[-1][1].append(words[length:])
    return batches
