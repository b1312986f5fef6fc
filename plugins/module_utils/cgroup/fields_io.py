# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The limits of block devices: weights, bytes and operations each second.

Source: opencontainers/runtime-spec config-linux, the kernel's cgroup-v1 and cgroup-v2 documents, systemd.resource-control(5).
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.units import parse_size
from .convert import io_weight
from .knob import Around, Decode, Encode, Field, Knob, Value, within
from .lines import format_lines, parse_lines

_NODE = "/dev/block/"
_DEFAULT = "default"
_DEVICE: Dict[str, Any] = {"path": {"type": "path"}, "major": {"type": "int"}, "minor": {"type": "int"}}


def _device_spec(value: str, kind: str) -> Mapping[str, Any]:
    return {"type": "list", "elements": "dict", "options": {**_DEVICE, value: {"type": kind, "required": True}}}


def _device_name(item: Mapping[str, Any], what: str) -> str:
    """A path, or MAJOR:MINOR."""
    major, minor, path = item["major"], item["minor"], item["path"]
    if path is not None and major is None and minor is None and path.startswith("/"):
        return str(path)
    if path is None and major is not None and minor is not None and 0 <= major < 4096 and 0 <= minor < 2**20:
        return f"{major}:{minor}"
    raise Failure(f"{what}: name each device by its path, for example /dev/sda, or by major and minor, from 0 on", "invalid_device")


def _per_device(key: str, parse_one: Callable[[Any, str], Any]) -> Callable[[Any, str], Value]:
    def parse(raw: Any, what: str) -> Value:
        found: Dict[str, Any] = {}
        for item in raw:
            name = _device_name(item, what)
            if name in found:
                raise Failure(f"{what}: {name} is there twice; give each device once", "duplicate_device")
            found[name] = parse_one(item[key], f"{what}: {name}")
        return tuple(sorted(found.items()))

    return parse


def _bytes_each_second(raw: Any, what: str) -> int:
    return _positive(parse_size(raw, what), what)


def _operations_each_second(raw: Any, what: str) -> int:
    return _positive(int(str(raw)) if re.fullmatch(r"\d{1,10}", str(raw).strip()) else -1, what)


def _positive(rate: int, what: str) -> int:
    if rate < 1 or rate >= 2**63:
        raise Failure(f"{what}: a rate is a number from 1 on; leave the device out where it is to have no limit", "out_of_range")
    return rate


# Texts


def _resolved(value: Any, around: Around) -> Dict[str, Any]:
    return {around.device(name): number for name, number in value}


def _lines(file: str, key: str, convert: Callable[[int], int] = int) -> Tuple[Encode, Decode]:
    """The limits of all devices under one key of a file; those under other keys, and the default, stay as they are."""

    def encode(value: Any, around: Around) -> str:
        table = parse_lines(file, around.knobs.get(file, ""))
        for name in list(table):
            if name != _DEFAULT:
                table[name].pop(key, None)
        for name, limit in _resolved(value, around).items():
            table.setdefault(name, {})[key] = str(convert(limit))
        return format_lines({name: values for name, values in table.items() if values})

    def decode(text: str, around: Around) -> Optional[Any]:
        table = parse_lines(file, text)
        return tuple(sorted((name, int(values[key])) for name, values in table.items() if name != _DEFAULT and key in values))

    return encode, decode


def _default_line(file: str, convert: Callable[[int], int] = int) -> Tuple[Encode, Decode]:
    def encode(value: Any, around: Around) -> str:
        table = parse_lines(file, around.knobs.get(file, ""))
        return format_lines({**table, _DEFAULT: {"": str(convert(value))}})

    def decode(text: str, around: Around) -> Optional[Any]:
        said = parse_lines(file, text).get(_DEFAULT)
        return int(said[""]) if said else None

    return encode, decode


def _unit_lines(convert: Callable[[int], int] = int) -> Tuple[Encode, Decode]:
    """A setting of systemd's that is there once for each device."""

    def encode(value: Any, around: Around) -> str:
        return "\n".join(sorted(f"{_NODE}{name} {convert(limit)}" for name, limit in _resolved(value, around).items()))

    def decode(text: str, around: Around) -> Optional[Any]:
        pairs = [line.split() for line in text.splitlines()]
        return tuple(sorted((pair[0].replace(_NODE, ""), int(pair[1])) for pair in pairs if len(pair) == 2 and pair[1].isdigit()))

    return encode, decode


def _as_unit_weight(text: str, around: Around) -> Optional[Any]:
    return int(text) if text.isdigit() else None


def _throttle(way: str, unit: str, key: str, setting: str) -> Field:
    name, file = f"throttle_{way}_{unit}_device", f"blkio.throttle.{way}_{unit}_device"
    rate, kind = (_bytes_each_second, "str") if unit == "bps" else (_operations_each_second, "str")
    return Field(
        "block_io",
        name,
        _per_device("rate", rate),
        v1=(Knob("blkio", file, *_lines(file, "")),),
        v2=(Knob("io", "io.max", *_lines("io.max", key)),),
        systemd=Knob("io", setting, *_unit_lines()),
        spec=_device_spec("rate", kind),
    )


BLOCK_IO: Tuple[Field, ...] = (
    Field(
        "block_io",
        "weight",
        within(10, 1000),
        "int",
        v1=(Knob("blkio", "blkio.weight"), Knob("blkio", "blkio.bfq.weight")),
        v2=(
            Knob("io", "io.bfq.weight", *_default_line("io.bfq.weight")),
            Knob("io", "io.weight", *_default_line("io.weight", io_weight), shown="io_weight"),
        ),
        systemd=Knob("io", "IOWeight", lambda value, around: str(io_weight(value)), _as_unit_weight, shown="io_weight"),
    ),
    Field(
        "block_io",
        "io_weight",
        within(1, 10000),
        "int",
        v2=(Knob("io", "io.weight", *_default_line("io.weight")),),
        systemd=Knob("io", "IOWeight", decode=_as_unit_weight),
        twin="block_io.weight",
    ),
    Field(
        "block_io",
        "weight_device",
        _per_device("weight", within(10, 1000)),
        v1=(Knob("blkio", "blkio.bfq.weight_device", *_lines("blkio.bfq.weight_device", "")),),
        v2=(
            Knob("io", "io.bfq.weight", *_lines("io.bfq.weight", "")),
            Knob("io", "io.weight", *_lines("io.weight", "", io_weight), shown="io_weight_device"),
        ),
        systemd=Knob("io", "IODeviceWeight", *_unit_lines(io_weight), shown="io_weight_device"),
        spec=_device_spec("weight", "int"),
    ),
    Field(
        "block_io",
        "io_weight_device",
        _per_device("weight", within(1, 10000)),
        v2=(Knob("io", "io.weight", *_lines("io.weight", "")),),
        systemd=Knob("io", "IODeviceWeight", *_unit_lines()),
        twin="block_io.weight_device",
        spec=_device_spec("weight", "int"),
    ),
    _throttle("read", "bps", "rbps", "IOReadBandwidthMax"),
    _throttle("write", "bps", "wbps", "IOWriteBandwidthMax"),
    _throttle("read", "iops", "riops", "IOReadIOPSMax"),
    _throttle("write", "iops", "wiops", "IOWriteIOPSMax"),
)


def shown_devices(name: str, value: Any) -> List[Dict[str, Any]]:
    """A list of limits as users write it: MAJOR:MINOR in two numbers."""
    key = "weight" if "weight" in name else "rate"
    split = [(device.partition(":"), limit) for device, limit in value]
    return [{"major": int(major), "minor": int(minor), key: limit} for (major, _colon, minor), limit in split if major.isdigit()]


def named_devices(value: Any) -> List[str]:
    """The paths in a list of limits, which have to be looked up."""
    return [name for name, _limit in value if name.startswith("/")]


def limited_devices(settings: Mapping[str, str]) -> Dict[str, List[str]]:
    """File of cgroup v2 → the devices, MAJOR:MINOR, for which a unit's settings have systemd write a line."""
    found: Dict[str, List[str]] = {}
    for item in BLOCK_IO:
        if item.systemd and item.spec:
            lines = settings.get(item.systemd.key, "").split("\n")
            found.setdefault(item.v2[-1].key, []).extend(line.split()[0].replace(_NODE, "") for line in lines if line)
    return found


def stale(file: str, text: str, named: List[str]) -> str:
    """The file's text without the devices that are not limited any more."""
    table = parse_lines(file, text)
    return format_lines({name: values for name, values in table.items() if name == _DEFAULT or name in named})
