# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a change is watched over: who confirms it, after which checks, and within what time."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Tuple

from ..engine.errors import Failure

_SHORTEST_WAIT, _WAIT, _LONGEST_WAIT = 5, 60, 3600  # seconds that a change waits to be confirmed
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")


@dataclass(frozen=True)
class Rollback:
    """How a change is watched over. word: its name, by which it is confirmed; None where the module confirms it itself.

    timeout: seconds. check_gateway, hosts: what must answer before the change is confirmed.
    """

    word: Optional[str]
    timeout: int = _WAIT
    check_gateway: bool = False
    hosts: Tuple[str, ...] = ()


def rollback(params: Mapping[str, Any]) -> Optional[Rollback]:
    """Somebody who has the change's name confirms it; or, asked for checks alone, the module does so itself."""
    word, how, hosts = params["rollback_id"], params["confirm"], tuple(params["verify_hosts"] or ())
    timeout = _WAIT if params["rollback_timeout"] is None else params["rollback_timeout"]
    if not _SHORTEST_WAIT <= timeout <= _LONGEST_WAIT:
        raise Failure(
            f"rollback_timeout: {timeout} is out of range; give the change {_SHORTEST_WAIT} to {_LONGEST_WAIT} seconds to be confirmed",
            "out_of_range",
        )
    for host in hosts:
        verify_target(host)
    if word is not None and not _WORD.fullmatch(word):
        raise Failure(f"rollback_id: {word!r} is not a name for a change; use at most 40 letters, digits and dashes", "invalid_name")
    if how == "none":
        return None
    if word is None and how == "connection":
        raise Failure(
            "confirm: connection is for the controller, which connects anew; use the bridge module as a task of its own, or confirm: gateway",
            "no_controller",
        )
    if word is None and how is None and not hosts:
        return None
    return Rollback(word, timeout, how == "gateway", hosts)


def verify_target(text: str) -> Tuple[str, Optional[int]]:
    """The address to ping, or the address and the TCP port to connect to: 203.0.113.1, 203.0.113.1:22, 2001:db8::1, [2001:db8::1]:22."""
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        if separator and (bracketed or ":" not in host):
            return str(ipaddress.ip_address(host.strip("[]"))), _port_number(port)
        return str(ipaddress.ip_address(text.strip("[]"))), None
    except ValueError:
        raise Failure(
            f"verify_hosts: {text!r} is neither an address nor an address with a TCP port; write it as 203.0.113.1 or 203.0.113.1:22",
            "invalid_address",
        ) from None


def _port_number(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise ValueError
    return number
