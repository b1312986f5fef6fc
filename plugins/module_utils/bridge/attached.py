# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is behind the ports of bridges: guests by the tap devices that their emulators hold open, containers by their network namespaces."""

from __future__ import annotations

import os
import re
import socket
import struct
from contextlib import suppress
from typing import Any, Dict, Iterator, Optional, Tuple

from ..engine.host import Host

_TUN = "/dev/net/tun"
# Source: linux/rtnetlink.h, linux/net_namespace.h.
_RTM_GETNSID, _NLM_F_REQUEST, _NLMSG_ERROR = 90, 1, 2
_NETNSA_NSID, _NETNSA_FD = 1, 3
_NSFS_MOUNT = re.compile(r"^\S+ \S+ \S+ net:\[(\d+)\] (\S+) ", re.MULTILINE)

Facts = Dict[str, Any]


def guests(host: Host) -> Dict[str, Facts]:
    """Tap device → who holds it open: pid, command and, where it is an emulator, guest. As far as this user may look."""
    found: Dict[str, Facts] = {}
    for pid in _pids(host):
        for number in _listed(host, f"/proc/{pid}/fd"):
            if _link(host, f"/proc/{pid}/fd/{number}") != _TUN:
                continue
            device = tap_device(host.try_read(f"/proc/{pid}/fdinfo/{number}") or "")
            if device and device not in found:
                found[device] = process(pid, host.try_read(f"/proc/{pid}/cmdline") or "")
    return found


def tap_device(fdinfo: str) -> Optional[str]:
    """The device of an open /dev/net/tun, by the text of its fdinfo. None where it has none yet."""
    match = re.search(r"^iff:\s*(\S+)", fdinfo, re.MULTILINE)
    return match.group(1) if match else None


def process(pid: int, cmdline: str) -> Facts:
    words = cmdline.split("\0")
    found: Facts = {"pid": pid, "command": os.path.basename(words[0])}
    name = next((words[index + 1] for index, word in enumerate(words[:-1]) if word == "-name"), "")
    given = dict(part.partition("=")[::2] for part in name.split(",") if "=" in part)
    guest = given.get("guest") or (name.split(",")[0] if "=" not in name.split(",")[0] else "")
    return {**found, "guest": guest} if guest else found


def namespaces(host: Host) -> Dict[int, Facts]:
    """The kernel's number of a network namespace, as links have it (link_netnsid) → namespace (where it is kept), pid and command."""
    found: Dict[int, Facts] = {}
    seen: Dict[str, Facts] = {}
    own = _link(host, "/proc/self/ns/net")
    for inode, path in _NSFS_MOUNT.findall(host.try_read("/proc/self/mountinfo") or ""):
        seen.setdefault(f"net:[{inode}]", {"namespace": path, "path": path})
    for pid in _pids(host):
        inode = _link(host, f"/proc/{pid}/ns/net")
        if inode and "pid" not in seen.get(inode, {}):
            known = seen.get(inode, {"path": f"/proc/{pid}/ns/net"})
            seen[inode] = {**known, **process(pid, host.try_read(f"/proc/{pid}/cmdline") or "")}
    for inode, facts in seen.items():
        number = None if inode == own else number_of(host.path(facts["path"]))
        if number is not None:
            found[number] = {key: value for key, value in facts.items() if key != "path"}
    return found


def number_of(path: str) -> Optional[int]:
    """What number our network namespace has for another one. None where it has none, or the file is gone."""
    with suppress(OSError), open(path, "rb") as handle, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        body = struct.pack("=B3xHHi", socket.AF_UNSPEC, 8, _NETNSA_FD, handle.fileno())
        netlink.send(struct.pack("=IHHII", 16 + len(body), _RTM_GETNSID, _NLM_F_REQUEST, 1, 0) + body)
        return parse_number(netlink.recv(4096))
    return None


def parse_number(answer: bytes) -> Optional[int]:
    """The answer to RTM_GETNSID: a header of 16 bytes, a struct rtgenmsg of 4, and attributes."""
    kind = struct.unpack_from("=H", answer, 4)[0]
    position = 20
    while kind != _NLMSG_ERROR and position + 8 <= len(answer):
        length, attribute, value = struct.unpack_from("=HHi", answer, position)
        if attribute == _NETNSA_NSID:
            return int(value) if value >= 0 else None
        position += max((length + 3) & ~3, 4)
    return None


def _pids(host: Host) -> Iterator[int]:
    yield from sorted(int(name) for name in host.list("/proc") if name.isdigit())


def _listed(host: Host, path: str) -> Tuple[str, ...]:
    try:
        return tuple(os.listdir(host.path(path)))
    except OSError:
        return ()  # it ended, or is somebody else's


def _link(host: Host, path: str) -> str:
    try:
        return os.readlink(host.path(path))
    except OSError:
        return ""
