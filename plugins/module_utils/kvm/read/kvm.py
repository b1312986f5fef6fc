# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""KVM as it is loaded: the device, the module behind it, and who may use it."""

from __future__ import annotations

import os
import pwd
import stat
import struct
from contextlib import suppress
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

from ...engine.accounts import group_name
from ...engine.host import Host
from ..model import Proof
from ..sections.machine import Access, Device, Kvm
from .devices import describe, open_devices
from .platform import kvm_backend

DEVICE = "/dev/kvm"
_READ_WRITE = 6
# Source: include/uapi/linux/posix_acl_xattr.h: a version, then entries of tag, permissions and number.
_ACL = "system.posix_acl_access"
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


def read_kvm(host: Host, proof: Proof, user: Optional[str]) -> Kvm:
    module = kvm_backend(host.list("/sys/module"))
    parameters = _parameters(host, module) if module else {}
    nested = parameters.get("nested")
    return Kvm(
        device=_device(host, proof),
        module=module,
        nested=None if nested is None else nested in ("Y", "1"),
        parameters=parameters,
        capabilities=proof.capabilities,
        access=None if user is None else _access(host, user),
    )


def _device(host: Host, proof: Proof) -> Device:
    """What the proof showed of opening it is believed: opening it once more could hang here where the child hung."""
    if proof.stage in ("skipped", "fork"):
        return open_devices(host, [DEVICE])[DEVICE]
    if proof.stage == "open":
        return describe(host, DEVICE, (False, proof.errno) if proof.errno else (None, None))
    return describe(host, DEVICE, (True, None))


def _parameters(host: Host, module: str) -> Dict[str, str]:
    folder = f"/sys/module/{module}/parameters"
    values = {name: host.try_read(f"{folder}/{name}") for name in host.list(folder)}
    return {name: value.strip() for name, value in values.items() if value is not None}


# Who may use it


class Entry(NamedTuple):
    """One of an access control list. number: of the user or the group, where the tag is of a named one."""

    tag: int
    permissions: int
    number: int


def parse_acl(data: bytes) -> List[Entry]:
    """The value of the extended attribute system.posix_acl_access."""
    return [Entry(*struct.unpack_from("<HHI", data, offset)) for offset in range(4, len(data) - 7, 8)]


def entries_of_mode(mode: int) -> List[Entry]:
    """A file without a list has these three."""
    return [Entry(_USER_OBJ, mode >> 6 & 7, 0), Entry(_GROUP_OBJ, mode >> 3 & 7, 0), Entry(_OTHER, mode & 7, 0)]


def permitted(entries: List[Entry], owner: int, group: int, user: int, groups: Mapping[int, str]) -> Tuple[bool, str]:
    """Whether a user may read and write, and what decides. Source: acl(5), the access check algorithm.

    groups: number → name of those that the user is in.
    """
    if user == 0:
        return True, "root may use every device"
    mask = next((entry.permissions for entry in entries if entry.tag == _MASK), 7)

    def enough(entry: Entry, by: int = 7) -> bool:
        return entry.permissions & by & _READ_WRITE == _READ_WRITE

    if user == owner:
        return any(enough(entry) for entry in entries if entry.tag == _USER_OBJ), "the owner's permissions"
    for entry in entries:
        if entry.tag == _USER and entry.number == user:
            return enough(entry, mask), "the access control list names the user"
    own = [entry for entry in entries if (entry.tag == _GROUP_OBJ and group in groups) or (entry.tag == _GROUP and entry.number in groups)]
    for entry in own:
        if enough(entry, mask):
            return True, f"the group {groups[group if entry.tag == _GROUP_OBJ else entry.number]}"
    if own:
        return False, "the permissions of the user's groups"
    return any(enough(entry) for entry in entries if entry.tag == _OTHER), "the permissions for everybody"


def _access(host: Host, user: str) -> Access:
    try:
        account = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        return Access(user, False, through="this host has no such user")
    groups = {number: group_name(number) for number in os.getgrouplist(account.pw_name, account.pw_gid)}
    names = tuple(sorted(groups.values()))
    try:
        status = os.stat(host.path(DEVICE))
    except OSError:
        return Access(user, True, names, False, f"there is no {DEVICE}")
    entries = entries_of_mode(stat.S_IMODE(status.st_mode))
    with suppress(OSError):
        entries = parse_acl(os.getxattr(host.path(DEVICE), _ACL))
    return Access(user, True, names, *permitted(entries, status.st_uid, status.st_gid, account.pw_uid, groups))
