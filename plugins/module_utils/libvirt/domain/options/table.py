# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All rows: what the options of a guest say that have no code of their own."""

from __future__ import annotations

from .cpu import CPU, FEATURES
from .devices import DEVICES
from .disk import DISK
from .interface import INTERFACE
from .memory import MEMORY
from .rows import Group, Table
from .system import SYSTEM
from .tuning import TUNING

#: Of the guest as a whole. cpu has options of its own code as well.
DOMAIN: Table = (*SYSTEM, Group("cpu", "cpu", "", CPU, stays=True), *FEATURES, *MEMORY, *TUNING, *DEVICES)
#: Options whose own code the rows go under → their rows, and the element that they are about.
UNDER = {"cpu": (CPU, "cpu"), "disks": (DISK, "devices/disk"), "interfaces": (INTERFACE, "devices/interface")}
#: What stands by itself.
ALONE: Table = tuple(entry for entry in DOMAIN if entry.option not in UNDER)
