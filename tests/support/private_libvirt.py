# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A libvirtd in namespaces of its own, whose state is on file systems of its own: to be killed, and nobody else's objects are seen or touched.

As a script: the first process of the namespaces. It covers libvirt's folders, says so on standard output, and buries orphans.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
PID_FILE = "/run/libvirt/libvirtd.pid"
_PATIENCE = 60  # seconds, for a busy machine
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def cover() -> None:
    """Within a mount namespace: empty folders for libvirt, with the settings of this machine but none of its objects."""
    _cover("/etc/libvirt", keep=lambda path: path.parts[-2] != "autostart" and path.parent.name not in ("qemu", "networks", "storage"))
    for folder in ("/run/libvirt", "/var/lib/libvirt", "/var/log/libvirt"):
        _cover(folder, keep=Path.is_dir)


def _cover(folder: str, keep: Callable[[Path], bool]) -> None:
    """A file system of its own over a folder, with those of its files (and all folders above them) that are to be kept."""
    path = Path(folder)
    old: List[Tuple[Path, bytes]] = [(one, one.read_bytes()) for one in path.rglob("*") if one.is_file() and not one.is_symlink() and keep(one)]
    folders = [(one, one.stat()) for one in path.rglob("*") if one.is_dir() and not one.is_symlink()]
    whole = path.stat()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "vt-private", folder], check=True)
    for one, stat in [(path, whole), *folders]:
        one.mkdir(exist_ok=True)
        os.chown(one, stat.st_uid, stat.st_gid)
        one.chmod(stat.st_mode & 0o7777)
    for one, content in old:
        one.write_bytes(content)


class PrivateLibvirt:
    """Every command is run within the namespaces. words: of libvirtd's command line."""

    def __init__(self, process: int, words: Tuple[str, ...]) -> None:
        self._words = {"libvirtd": words}
        self.enter = ("nsenter", "--target", str(process), "--mount", "--net", "--pid", "--")
        self._daemons: Dict[str, subprocess.Popen[bytes]] = {}

    def run(self, *command: str, stdin: str | None = None, check: bool = True) -> str:
        return subprocess.run([*self.enter, *command], input=stdin, capture_output=True, text=True, check=check).stdout

    def virsh(self, *words: str, stdin: str | None = None) -> str:
        return self.run("virsh", "-q", "-c", "qemu:///system", *words, stdin=stdin)

    def start(self) -> None:
        """Until it answers. What runs already goes on; what was killed may take a moment to be gone, and is started then."""
        deadline = time.monotonic() + _PATIENCE
        self._start_missing()
        while not self.answers():
            assert time.monotonic() < deadline, f"libvirtd does not answer within {_PATIENCE} seconds"
            time.sleep(0.1)
            self._start_missing()

    def _start_missing(self) -> None:
        for name in ("virtlogd", "libvirtd"):
            running = self._daemons.get(name)
            if running is None or running.poll() is not None:
                command = shutil.which(name, path=_PATH) or name
                self._daemons[name] = subprocess.Popen(
                    [*self.enter, command, *self._words.get(name, ()), "--pid-file", f"/run/libvirt/{name}.pid"], stderr=subprocess.DEVNULL
                )

    def answers(self) -> bool:
        return subprocess.run([*self.enter, "virsh", "-c", "qemu:///system", "uri"], capture_output=True, check=False).returncode == 0

    def kill(self) -> None:
        self.run("sh", "-c", f"kill -9 $(cat {PID_FILE})")
        self._daemons["libvirtd"].wait(_PATIENCE)


@contextmanager
def private_libvirt(before: str = "", words: Tuple[str, ...] = ()) -> Iterator[PrivateLibvirt]:
    """before: what a shell does within the namespaces first."""
    with subprocess.Popen([*NAMESPACES, sys.executable, __file__], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout and holder.stdout.readline() == "ready\n"
            first = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0]
            libvirt = PrivateLibvirt(int(first), words)
            libvirt.run("sh", "-ec", before)
            libvirt.start()
            yield libvirt
        finally:
            holder.kill()  # and the first process of the namespaces with it, and all others with that


def main() -> None:
    cover()
    # Guests get no cgroups: those are the machine's, and would outlive this.
    with open("/etc/libvirt/qemu.conf", "a", encoding="utf-8") as settings:
        settings.write("\ncgroup_controllers = []\n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
