# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether others on the network still answer this host: its routers, and hosts that the user names."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from contextlib import suppress
from typing import Any, Callable, Dict, List, Sequence, Tuple

from ..engine.host import Host
from .guard.routes import devices
from .model_rollback import verify_target

_ONE_TRY = 1.0  # seconds
_PAUSE = 0.2
_DISCARD = 9  # the port that nobody need listen on: what counts is that the neighbour's hardware address is asked for
_ANSWERED = {"REACHABLE"}


def unanswered(host: Host, gateway: bool, hosts: Sequence[str], patience: float) -> List[str]:
    """What does not answer within patience seconds, in words."""
    asked: List[Tuple[str, Callable[[], bool]]] = []
    if gateway:
        routers = _routers(host)
        if not routers:
            return ["a default gateway, of which there is none,"]
        asked += [(f"the gateway {address}", _neighbour(host, address, device)) for address, device in routers]
    asked += [(text, _answers(text)) for text in hosts]
    deadline = time.monotonic() + patience
    while True:
        asked = [(words, answers) for words, answers in asked if not answers()]
        if not asked or time.monotonic() > deadline:
            return [words for words, _answers_it in asked]
        time.sleep(_PAUSE)


def _routers(host: Host) -> List[Tuple[str, str]]:
    found: List[Tuple[str, str]] = []
    for family in ("-4", "-6"):
        for route in _json(host, family, "route", "show", "default"):
            hops = route.get("nexthops", [route])
            found += [(hop["gateway"], hop["dev"]) for hop in hops if "gateway" in hop and devices(hop)]
    return list(dict.fromkeys(found))


def _json(host: Host, *words: str) -> List[Dict[str, Any]]:
    with suppress(ValueError):
        return [item for item in json.loads(host.run(["ip", "-j", *words], check=False).stdout or "[]") if item]
    return []


def _neighbour(host: Host, address: str, device: str) -> Callable[[], bool]:
    """A router need not answer pings, but without its hardware address nothing reaches it. The old answer is forgotten first."""
    host.run(["ip", "neigh", "delete", address, "dev", device], check=False)

    def answers() -> bool:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            scope = socket.if_nametoindex(device) if family == socket.AF_INET6 else 0
            probe.sendto(b"", (address, _DISCARD, 0, scope) if scope else (address, _DISCARD))
        time.sleep(_PAUSE)
        entries = _json(host, "neigh", "show", "to", address, "dev", device)
        return any(_ANSWERED & set(entry.get("state", [])) for entry in entries)

    return answers


def _answers(text: str) -> Callable[[], bool]:
    address, port = verify_target(text)
    return (lambda: _connects(address, port)) if port is not None else (lambda: _pings(address))


def _connects(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=_ONE_TRY):
            return True
    except OSError:
        return False


def _pings(address: str) -> bool:
    """One ICMP echo. The answer must have our identifier; of a raw socket's other packets nothing is believed."""
    six = ":" in address
    family, protocol, request, reply = (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129) if six else (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0)
    mark = struct.pack("!HH", os.getpid() & 0xFFFF, int(time.monotonic() * 1000) & 0xFFFF)
    body = mark + b"virtops"
    packet = struct.pack("!BBH", request, 0, 0) + body
    packet = struct.pack("!BBH", request, 0, 0 if six else _checksum(packet)) + body
    with suppress(OSError), socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        raw.settimeout(_ONE_TRY)
        raw.sendto(packet, (address, 0))
        deadline = time.monotonic() + _ONE_TRY
        while time.monotonic() < deadline:
            answer = raw.recv(1500)
            answer = answer if six else answer[(answer[0] & 0xF) * 4 :]
            if answer[:1] == bytes([reply]) and answer[4:8] == mark:
                return True
    return False


def _checksum(data: bytes) -> int:
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total >> 16) + (total & 0xFFFF)
    return 0xFFFF - ((total + (total >> 16)) & 0xFFFF)
