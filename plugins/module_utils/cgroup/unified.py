# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of cgroup v2 by their own names, for what OCI has no words for."""

from __future__ import annotations

import re
from typing import Any, Dict

from ..engine.errors import Failure
from ..engine.units import parse_size
from .fields_cpu import halves
from .knob import Around, bytes_text, number_set
from .lines import format_lines, has_lines, parse_lines

#: Files of cgroup v2 that a slice has a property for.
UNIFIED_PROPERTIES: Dict[str, str] = {
    "cpu.weight": "CPUWeight",
    "cpuset.cpus": "AllowedCPUs",
    "cpuset.mems": "AllowedMemoryNodes",
    "memory.min": "MemoryMin",
    "memory.low": "MemoryLow",
    "memory.high": "MemoryHigh",
    "memory.max": "MemoryMax",
    "memory.swap.max": "MemorySwapMax",
    "pids.max": "TasksMax",
}

_UNIFIED = re.compile(r"(?P<controller>cpu|cpuset|hugetlb|io|memory|misc|pids|rdma)\.[A-Za-z0-9_.]+")
#: Files in bytes, which the kernel rounds down to pages. Others of memory are switches, such as memory.oom.group.
_BYTES = re.compile(r"memory\.(z?swap\.)?(min|low|high|max)")
_SUFFIXED = re.compile(r"\d+[KMGT]", re.IGNORECASE)


def unified_controller(file: str) -> str:
    return file.partition(".")[0]


def parse_unified(file: str, raw: Any) -> str:
    """A value for a file of cgroup v2, as the kernel shows it again."""
    what = f"resources.unified: {file}"
    if not _UNIFIED.fullmatch(file):
        raise Failure(f"{what}: is not a file of a cgroup v2 controller; write a name such as memory.high", "invalid_unified")
    lines = [" ".join(line.split()) for line in str(raw).strip().splitlines()]
    if has_lines(file):
        if not lines or not all(re.fullmatch(r"\S+( \S+)+", line) for line in lines):
            raise Failure(f"{what}: {raw!r} is not lines of a device and its limits, such as 8:0 rbps=1048576", "invalid_unified")
        return "\n".join(lines)
    text = " ".join(lines)
    if not text or "=" in text or len(lines) > 1:
        raise Failure(f"{what}: {raw!r} is not a single value; only io.max, io.weight and rdma.max have several", "invalid_unified")
    if file in ("cpuset.cpus", "cpuset.mems"):
        return number_set(text, what)
    return str(parse_size(text, what)) if _SUFFIXED.fullmatch(text) else text


def encode_unified(file: str, text: str, around: Around) -> str:
    """The text that the file should have. Of a file with lines, those that are not spoken of stay."""
    if has_lines(file):
        table = parse_lines(file, around.knobs.get(file, ""))
        for line in text.splitlines():
            name, _space, said = line.partition(" ")
            limits = {key: value for key, _equals, value in (word.rpartition("=") for word in said.split())}
            table[name] = {key: value for key, value in {**table.get(name, {}), **limits}.items() if value not in ("max", "default")}
        return format_lines({name: limits for name, limits in table.items() if limits})
    if file == "cpu.max" and " " not in text:
        return f"{text} {halves(around)[1]}"
    if _BYTES.fullmatch(file) and text.isdigit():
        return bytes_text("max")(int(text), around)
    return text
