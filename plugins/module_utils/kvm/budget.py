# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long the module may take in all, and what of it is left for the guest.

A guest that hangs is killed when it has said nothing for some time. Were that time the same everywhere, a busy machine whose Python
takes three seconds to start would answer after six; so it is what the module has not spent yet. A guest that is merely slow on such
a machine goes on speaking, and may use the longest time.
"""

from __future__ import annotations

import os
import time

#: Seconds for the whole module, from the start of its process, where a guest hangs.
WHOLE = 5.0
#: What comes after the guest: killing and reaping it, judging, printing.
_AFTERWARDS = 0.8
#: Seconds for the whole guest. One that works is done after 0.2 s, or 0.3 s under emulation.
LONGEST = 2.0
#: Seconds of silence. On a busy machine a guest that works may well be silent for half of one.
SHORTEST = 0.7


def for_the_guest(spent: float) -> float:
    """Seconds for which the guest may be silent, where the module has taken so many.

    Never less than the shortest: with that little time even a guest that works would be called hung.
    """
    return round(min(LONGEST, max(SHORTEST, WHOLE - _AFTERWARDS - spent)), 1)


def since_start() -> float:
    """The seconds since this process was started, with the start of Python and all imports. 0 where the kernel does not say.

    Source: proc(5), field 22 of /proc/PID/stat: clock ticks after boot, suspended time included.
    """
    try:
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as handle:
            ticks = int(handle.read().rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return 0.0
