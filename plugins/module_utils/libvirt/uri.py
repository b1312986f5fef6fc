# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connection URIs: the option, and what a URI alone tells."""

from __future__ import annotations

from typing import Any, Dict
from urllib.parse import urlsplit

URI_SPEC: Dict[str, Any] = {"type": "str", "default": "qemu:///system"}


def is_local(uri: str) -> bool:
    """Whether the URI's libvirt runs on the very machine that the module runs on."""
    parts = urlsplit(uri)
    return not parts.netloc and parts.scheme.partition("+")[2] in ("", "unix")


def driver(uri: str) -> str:
    """The hypervisor's word in a URI: qemu, test, lxc."""
    return urlsplit(uri).scheme.partition("+")[0]


def is_session(uri: str) -> bool:
    """Whether it is a user's own libvirt, with no more rights than the user has."""
    return urlsplit(uri).path == "/session"
