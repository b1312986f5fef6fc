# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The containers of extensions/molecule/alone/containers answer the same questions alike: Docker's, Podman's, and that of our modules alone."""

from __future__ import annotations

import subprocess
from typing import List

import pytest
from support.checklist import is_container
from support.modules import run_module

CGROUP, OWN = "vt-ch", "vt-own"
NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--net", "--root", "--wd")


def said(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(("engine", "gateway"), [("docker", "198.51.100.1"), ("podman", "192.0.2.1")])
def test_engines_make_containers(engine: str, gateway: str) -> None:
    name = f"vt-{engine}"
    # Older ones of Podman call their bridges as they like.
    bridge = "vt-ch0" if engine == "docker" else said("podman", "network", "inspect", "--format", "{{.NetworkInterface}}", "vt-pod")
    pid = int(said(engine, "inspect", "--format", "{{.State.Pid}}", name))
    # Podman's containers may not send pings: whoever is let in may.
    is_container([engine, "exec", "--privileged", name], [], pid, name, bridge, gateway, f"vt.slice/{CGROUP}.slice/")


def test_our_modules_alone_make_containers() -> None:
    pids: List[int] = run_module("container_namespace", {"name": OWN})["resource"]["process_pids"]
    cgroup = said("cat", f"/proc/{pids[-1]}/cgroup").partition("::")[2]
    join = f'echo 0 > /sys/fs/cgroup{cgroup}/cgroup.procs; exec "$@"'
    enter = ["sh", "-c", join, "sh", "nsenter", f"--target={pids[-1]}", *NAMESPACES]
    is_container(enter, [], pids[-1], OWN, "vt-ch0", "198.51.100.1", f"vt.slice/{OWN}.slice/")
