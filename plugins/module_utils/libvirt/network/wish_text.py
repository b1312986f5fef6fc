# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of options as libvirt's XML has them, and what is no such value."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Mapping, Optional

from ...engine.errors import Failure


def yes_no(value: Optional[bool]) -> Optional[str]:
    return None if value is None else ("yes" if value else "no")


def number(value: Optional[int], least: int, what: str) -> Optional[str]:
    if value is not None and value < least:
        raise Failure(f"{what}: {value} is too small; {least} is the least", "invalid_value")
    return None if value is None else str(value)


def says_nothing(options: Mapping[str, Any]) -> bool:
    """An empty dict of a task, whose options Ansible fills in."""
    return all(value is None for value in options.values())


def interface_name(text: str, what: str) -> str:
    """Source: the kernel's dev_valid_name, IFNAMSIZ."""
    if not re.fullmatch(r"[^\s/:\x00-\x20'\"<>&]{1,15}", text) or text in (".", ".."):
        raise Failure(f"{what}: {text!r} cannot name an interface; use up to 15 letters, digits, dots and dashes", "invalid_name")
    return text


def any_address(text: str, what: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise Failure(f"{what}: {error}", "invalid_address") from error


def with_prefix(text: str, prefix: Optional[int], what: str) -> Any:
    """The ipaddress interface of an address with its prefix, in either of the two places."""
    if prefix is None and "/" not in text:
        raise Failure(f"{what}: {text} has no prefix; add prefix, for example 24", "invalid_address")
    try:
        return ipaddress.ip_interface(text if prefix is None else f"{text}/{prefix}")
    except ValueError as error:
        raise Failure(f"{what}: {error}; write an address such as 192.168.100.1 and a prefix such as 24", "invalid_address") from error


def inside(text: str, interface: Any, what: str) -> str:
    address = any_address(text, what)
    if ipaddress.ip_address(address) not in interface.network:
        raise Failure(f"{what}: {text} is not in {interface.network}; use an address of the network", "invalid_address")
    return address
