# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that hold a line for each device or interface. They are read whole and written a line at a time. Pure functions.

Here a text of such a file is its lines sorted, without those that limit nothing, so that equal texts are equal limits.
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Tuple

#: File → what a line says that limits nothing, and what is written to make a line say so.
#: Source: the kernel's cgroup-v1 and cgroup-v2 documents, block/bfq-cgroup.c, net/core/netprio_cgroup.c.
_FLAT: Dict[str, Tuple[str, str]] = {
    **{f"blkio.throttle.{way}_{unit}_device": ("0", "0") for way in ("read", "write") for unit in ("bps", "iops")},
    "blkio.bfq.weight_device": ("default", "default"),
    "io.bfq.weight": ("default", "default"),
    "io.weight": ("default", "default"),
    "net_prio.ifpriomap": ("0", "0"),
}
_NESTED = ("io.max", "rdma.max")
_NO_DEFAULT = "blkio.bfq.weight_device"  # its default line repeats blkio.bfq.weight

DEVICES = "devices.list"
ALL_DEVICES = "a *:* rwm"

Table = Dict[str, Dict[str, str]]


def has_lines(file: str) -> bool:
    return file in _FLAT or file in _NESTED or file == DEVICES


def is_nested(file: str) -> bool:
    return file in _NESTED


def parse_lines(file: str, text: str) -> Table:
    """Device → key → value. Files of one value a device have the key ""."""
    table: Table = {}
    for line in text.splitlines():
        words = line.split()
        if file == DEVICES and len(words) == 3:
            table[f"{words[0]} {words[1]}"] = {"": words[2]}
        elif file in _NESTED and words:
            values = dict(word.split("=", 1) for word in words[1:] if "=" in word)
            table[words[0]] = {key: value for key, value in values.items() if value != "max"}
        elif file in _FLAT and len(words) == 2 and words[1] != _FLAT[file][0] and not (file == _NO_DEFAULT and words[0] == "default"):
            table[words[0]] = {"": words[1]}
        elif file in _FLAT and len(words) == 1 and re.fullmatch(r"\d+", words[0]):  # io.bfq.weight of some kernels
            table["default"] = {"": words[0]}
    return {name: values for name, values in table.items() if values}


def format_lines(table: Mapping[str, Mapping[str, str]]) -> str:
    lines = []
    for name, values in table.items():
        said = " ".join(f"{key}={value}" if key else value for key, value in sorted(values.items()))
        lines.append(f"{name} {said}")
    return "\n".join(sorted(lines))


def canonical_lines(file: str, text: str) -> str:
    return format_lines(parse_lines(file, text))


def writes(file: str, old: str, new: str) -> List[Tuple[str, str]]:
    """What is written to turn old into new: (file, text), in this order."""
    if file == DEVICES:
        return _device_writes(old, new)
    if not has_lines(file):
        return [(file, new)]
    before, after = parse_lines(file, old), parse_lines(file, new)
    found = []
    for name in sorted({*before, *after}):
        was, will = before.get(name, {}), after.get(name, {})
        if was == will:
            continue
        if file in _FLAT:
            found.append((file, f"{name} {will.get('', _FLAT[file][1])}"))
        else:
            keys = sorted(key for key in {*was, *will} if was.get(key) != will.get(key))
            found.append((file, " ".join([name, *(f"{key}={will.get(key, 'max')}" for key in keys)])))
    return found


def _device_writes(old: str, new: str) -> List[Tuple[str, str]]:
    """cgroup v1 has a file to allow and one to deny by; a alone is all devices, and forgets what was said before."""
    if new == ALL_DEVICES:
        return [("devices.allow", "a")]
    before, after = parse_lines(DEVICES, old), parse_lines(DEVICES, new)
    found = []
    if old in (ALL_DEVICES, ""):  # of a new cgroup it is not known what it has from the one above
        found.append(("devices.deny", "a"))
        before = {}
    for name in sorted({*before, *after}):
        was, will = before.get(name, {}).get("", ""), after.get(name, {}).get("", "")
        denied, allowed = ("".join(letter for letter in one if letter not in other) for one, other in ((was, will), (will, was)))
        found += [("devices.deny", f"{name} {denied}")] if denied else []
        found += [("devices.allow", f"{name} {allowed}")] if allowed else []
    return found
