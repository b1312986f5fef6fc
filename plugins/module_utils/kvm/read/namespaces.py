# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Namespaces, who may make them, and the limits that containers meet first."""

from __future__ import annotations

import resource
from typing import Optional, Tuple

from ...engine.host import Host
from ..sections.system import Namespaces
from .memory import number
from .platform import NAMESPACES

_SYSCTL = "/proc/sys"


def read_namespaces(host: Host) -> Namespaces:
    kinds = [kind for kind in NAMESPACES if _has(host, kind)]
    allowed, evidence = _unprivileged(host, "user" in kinds)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Namespaces(
        kinds={kind: number(host, f"{_SYSCTL}/user/max_{kind}_namespaces") for kind in kinds},
        unprivileged=allowed,
        unprivileged_evidence=evidence,
        pid_max=number(host, f"{_SYSCTL}/kernel/pid_max"),
        inotify_instances=number(host, f"{_SYSCTL}/fs/inotify/max_user_instances"),
        inotify_watches=number(host, f"{_SYSCTL}/fs/inotify/max_user_watches"),
        open_files=None if hard == resource.RLIM_INFINITY else hard,
    )


def _has(host: Host, kind: str) -> bool:
    return kind in host.list("/proc/self/ns")


def _unprivileged(host: Host, has_user: bool) -> Tuple[Optional[bool], str]:
    """Whether an ordinary user may make a user namespace, by the switches of the kernel, of Debian and of Ubuntu."""
    if not has_user:
        return False, "this kernel has no user namespaces"
    if number(host, f"{_SYSCTL}/user/max_user_namespaces") == 0:
        return False, "user.max_user_namespaces is 0"
    if number(host, f"{_SYSCTL}/kernel/unprivileged_userns_clone") == 0:
        return False, "kernel.unprivileged_userns_clone is 0"
    if number(host, f"{_SYSCTL}/kernel/apparmor_restrict_unprivileged_userns") == 1:
        return False, "kernel.apparmor_restrict_unprivileged_userns is 1, so only programs whose profile allows it may"
    return True, "no sysctl forbids it"
