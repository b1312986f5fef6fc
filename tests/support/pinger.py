# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pinger.py ADDRESS...: pings all of them ten times a second until it is told to stop, then says for how long each was silent at most.

A pause that this process itself made (a busy machine) is no silence: only time in which pings went out counts.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress

INTERVAL = 0.1
MARK = struct.pack("!H", os.getpid() & 0xFFFF)


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return 0xFFFF - ((total + (total >> 16)) & 0xFFFF)


def main() -> None:
    addresses = sys.argv[1:]
    silent, longest = dict.fromkeys(addresses, 0.0), dict.fromkeys(addresses, 0.0)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.setblocking(False)
    print("pinging", flush=True)
    number, last = 0, time.monotonic()
    while True:
        number = (number + 1) & 0xFFFF
        body = MARK + struct.pack("!H", number)
        packet = struct.pack("!BBH", 8, 0, checksum(struct.pack("!BBH", 8, 0, 0) + body)) + body
        for address in addresses:
            with suppress(OSError):
                raw.sendto(packet, (address, 0))
        deadline = time.monotonic() + INTERVAL
        while (left := deadline - time.monotonic()) > 0:
            readable, _writable, _failed = select.select([raw, sys.stdin], [], [], left)
            if sys.stdin in readable:
                print(json.dumps(longest))
                return
            if raw in readable:
                answer, (source, _port) = raw.recvfrom(1500)
                if answer[20:21] == b"\0" and answer[24:26] == MARK and source in silent:
                    silent[source] = 0.0
        now = time.monotonic()
        passed, last = min(now - last, 3 * INTERVAL), now
        for address in addresses:
            longest[address] = max(longest[address], silent[address])
            silent[address] += passed


main()
