# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network of its own for container engines on this machine, so that their firewall rules and bridges are nobody else's."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

# sysfs shows the network that it was mounted in. The cgroup file systems below it are the machine's own.
_SETUP = """
set -e
mount --make-rprivate /
mkdir "$1/cgroup"
mount --rbind /sys/fs/cgroup "$1/cgroup"
mount -t sysfs vt-sys /sys
mount --rbind "$1/cgroup" /sys/fs/cgroup
ip link set dev lo up
echo ready
exec sleep infinity
"""


# Linux 6.18 numbers namespaces from a batch for each CPU, and lets a mount namespace be kept only in one of a lower number (mnt_ns_loop() in
# fs/namespace.c): in a mount namespace of one CPU, one that was made on another CPU may not be kept. So all here are made on one.
_ONE_CPU = ["taskset", "--cpu-list", "0"]


@contextmanager
def room(folder: Path) -> Iterator[List[str]]:
    """The words that run a command in it."""
    words = [*_ONE_CPU, "unshare", "--net", "--mount", "sh", "-c", _SETUP, "sh", str(folder)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout and holder.stdout.readline() == "ready\n"
            yield [*_ONE_CPU, "nsenter", f"--target={holder.pid}", "--net", "--mount"]
        finally:
            holder.kill()


def busybox_tree(folder: Path) -> Path:
    """The root of a container: busybox and the folders that containers need."""
    for name in ("bin", "proc", "sys", "dev", "etc", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (folder / "bin/busybox").chmod(0o755)
    for name in ("sh", "cat", "ps", "hostname", "ip", "dd", "sleep", "mount", "ping", "true", "nproc", "grep"):
        (folder / "bin" / name).symlink_to("busybox")
    return folder
