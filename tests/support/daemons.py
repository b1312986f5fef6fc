# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""This machine's own libvirtd, started where it is not running yet.

Several processes may want it at the same time. Whoever started it stops it, and waits until nobody uses it any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator, List

#: Held while somebody looks whether it runs, and starts it; held by all who use it.
_START, _USERS = Path("/run/lock/virtops-libvirt-start"), Path("/run/lock/virtops-libvirt-users")
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@contextmanager
def libvirt() -> Iterator[None]:
    """qemu:///system answers. What was done for it is undone at the end."""
    with _USERS.open("w") as users, ExitStack() as made:
        with _START.open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)
            if not _ready():
                made.enter_context(_kvm_device_open())
                made.enter_context(_running())
                made.callback(fcntl.flock, users, fcntl.LOCK_EX)  # the first thing at the end: nobody uses it any more
        yield


def _answers() -> bool:
    return subprocess.run(["virsh", "-c", "qemu:///system", "uri"], capture_output=True, check=False).returncode == 0


def _ready() -> bool:
    device = Path("/dev/kvm")
    return _answers() and (not device.exists() or (device.stat().st_mode & 0o777, device.group()) == (0o660, "kvm"))


@contextmanager
def _kvm_device_open() -> Iterator[None]:
    """/dev/kvm as udev makes it. Closed to the emulator's user, libvirt probes the emulator again at every definition."""
    device = Path("/dev/kvm")
    if not device.exists():
        yield
        return
    before = device.stat()
    shutil.chown(device, group="kvm")
    device.chmod(0o660)
    try:
        yield
    finally:
        os.chown(device, before.st_uid, before.st_gid)
        device.chmod(stat.S_IMODE(before.st_mode))


@contextmanager
def _running() -> Iterator[None]:
    started: List[subprocess.Popen[bytes]] = []
    if not _answers():
        Path("/run/libvirt").mkdir(exist_ok=True)
        # They warn of what tests provoke, in the middle of what pytest prints; what matters is in the modules' results.
        argvs = [[shutil.which(name, path=_PATH) or name] for name in ("virtlogd", "libvirtd")]
        started = [subprocess.Popen(argv, stderr=subprocess.DEVNULL, start_new_session=True) for argv in argvs]
        deadline = time.monotonic() + 30
        while not _answers():
            assert time.monotonic() < deadline, "libvirtd does not answer within 30 seconds"
            time.sleep(0.2)
    try:
        yield
    finally:
        for daemon in reversed(started):
            daemon.terminate()
            daemon.wait(30)
