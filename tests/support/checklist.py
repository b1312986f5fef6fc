# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What makes a process a container's, seen from inside of it. The same list for every way to make one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import List, Sequence

TAKE_50_MB = ("dd", "if=/dev/zero", "of=/dev/null", "bs=50M", "count=1")


def is_container(enter: Sequence[str], outside: Sequence[str], pid: int, hostname: str, bridge: str, gateway: str, cgroup: str) -> None:
    """enter: the words that run a command in the container. outside: those that run one in the network that the container's bridge is in.

    pid: of a process inside, as the host numbers it. cgroup: a part of the path of its cgroup, which may use less than 50 MB.
    """

    def run(*words: str, fails: bool = False) -> str:
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert fails == bool(done.returncode), f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def inside(*words: str, fails: bool = False) -> str:
        return run(*enter, *words, fails=fails)

    processes = [line.split()[0] for line in inside("ps").splitlines()[1:]]
    assert "1" in processes and len(processes) <= 5, f"the processes inside are numbered from 1, and there are none of the host's: {processes}"

    assert inside("hostname").strip() == hostname and os.uname().nodename != hostname

    mounts = {line.split()[4]: line.partition(" - ")[2].split()[0] for line in inside("cat", "/proc/self/mountinfo").splitlines()}
    assert (mounts["/"], mounts["/proc"]) == ("overlay", "proc") and not {"/home", "/var", "/boot", "/tmp"} & set(mounts), mounts  # noqa: S108
    inside("sh", "-c", "echo written > /written")
    assert Path(f"/proc/{pid}/root/written").read_text() == "written\n" and not Path("/written").exists()

    links: List[str] = [line.split()[1].split("@")[0] for line in inside("ip", "-o", "link").splitlines() if "LOOPBACK" not in line and "@" in line]
    assert links == ["eth0"], f"of the host's links there are none: {links}"
    index = int(inside("ip", "-o", "link", "show", "dev", "eth0").split(":")[0])
    ports = json.loads(run(*outside, "ip", "-j", "link", "show", "master", bridge))
    assert index in [port["link_index"] for port in ports], f"no port of {bridge} is the other end of the interface inside"
    assert inside("ip", "route").startswith(f"default via {gateway} ")
    inside("ping", "-c", "1", "-W", "5", gateway)

    assert f"/{cgroup}" in Path(f"/proc/{pid}/cgroup").read_text()
    inside("true")
    inside(*TAKE_50_MB, fails=True)
