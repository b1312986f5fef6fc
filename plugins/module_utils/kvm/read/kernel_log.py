# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's own log, as far back as it remembers."""

from __future__ import annotations

import errno
import os
from typing import List, Optional

from ...engine.host import Host

_RECORD = 8192  # Source: PRINTK_MESSAGE_MAX is 2048, and the header comes on top


def kernel_log(host: Host) -> Optional[List[str]]:
    """Its messages; None where this user may not read them."""
    try:
        handle = os.open(host.path("/dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    text: List[str] = []
    try:
        while True:
            try:
                record = os.read(handle, _RECORD)
            except OSError as error:
                if error.errno == errno.EPIPE:  # the record was overwritten; the next read goes on behind it
                    continue
                break
            if not record:
                break
            text.append(record.decode(errors="replace"))
    finally:
        os.close(handle)
    # "6,339,5140900,-;message", and lines of properties that begin with a space
    lines = "".join(text).splitlines()
    return [line.partition(";")[2] for line in lines if ";" in line and not line.startswith(" ")]


def first_line(log: Optional[List[str]], *words: str) -> Optional[str]:
    """The first message that has all of the words, whatever their case."""
    return next((line for line in log or [] if all(word.lower() in line.lower() for word in words)), None)
