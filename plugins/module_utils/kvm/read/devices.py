# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nodes in /dev. One can be there without a driver behind it, so the only way to know is to open it."""

from __future__ import annotations

import errno
import os
import stat
from typing import Dict, Iterable, Optional, Tuple

from ...engine.accounts import group_name, user_name
from ...engine.host import Host
from ..child import Say, in_child
from ..sections.machine import Device, Devices

#: Whether it opens, and the error's name; None, None where opening it did not come to an end.
Opened = Tuple[Optional[bool], Optional[str]]

_VHOST_NET, _VHOST_VSOCK, _TUN = "/dev/vhost-net", "/dev/vhost-vsock", "/dev/net/tun"
_SECONDS = 1.0


def read_devices(host: Host) -> Devices:
    opened = open_devices(host, (_VHOST_NET, _VHOST_VSOCK, _TUN))
    return Devices(opened[_VHOST_NET], opened[_VHOST_VSOCK], opened[_TUN], host.exists("/sys/fs/fuse/connections"))


def open_devices(host: Host, paths: Iterable[str]) -> Dict[str, Device]:
    """Each of them, opened in a process of its own: opening a node may load a module, and that may hang."""
    there = [path for path in paths if host.exists(path)]

    def work(say: Say) -> None:
        for path in there:
            say(**{path: _open(host.path(path))})

    said = in_child(work, _SECONDS).said if there else {}
    return {path: describe(host, path, tuple(said.get(path, (None, None)))) for path in paths}


def describe(host: Host, path: str, opened: Opened) -> Device:
    try:
        status = os.stat(host.path(path))
    except OSError:
        return Device(path, False)
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    return Device(path, True, user_name(status.st_uid), group_name(status.st_gid), mode, *opened)


def _open(real: str) -> Opened:
    try:
        os.close(os.open(real, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return False, errno.errorcode.get(error.errno or 0, str(error.errno))
    return True, None
