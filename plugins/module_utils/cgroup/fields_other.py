# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The limits of processes, huge pages, RDMA, network and devices.

Source: opencontainers/runtime-spec config-linux, the kernel's cgroup-v1 and cgroup-v2 documents, systemd.resource-control(5).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.units import parse_size
from .convert import UNLIMITED
from .knob import Around, Field, Knob, Value, limit, limit_text, out_of_range, size, within
from .lines import ALL_DEVICES, DEVICES, format_lines, parse_lines

PIDS: Tuple[Field, ...] = (
    Field(
        "pids",
        "limit",
        limit(1, 4194304),
        v1=(Knob("pids", "pids.max", limit_text("max")),),
        v2=(Knob("pids", "pids.max", limit_text("max")),),
        systemd=Knob("pids", "TasksMax", limit_text("infinity")),
    ),
)

# Huge pages: a limit of each page size, in files of its own

HUGEPAGES = "hugepage_limits"
HUGEPAGES_SPEC: Mapping[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {"page_size": {"type": "str", "required": True}, "limit": {"type": "str", "required": True}},
}
RESERVED = ".rsvd"


def _page_bytes(raw: Any, what: str) -> int:
    return size(raw, what)


# Asked for with every look at the table, which a run takes a hundred times.
@lru_cache(maxsize=None)
def hugepage_fields(name: str) -> Tuple[Field, Field]:
    """The limits of huge pages of a size: of those in use, and of those reserved. name: as in the files, 2MB.

    Source: opencontainers/cgroups writes both, and does without the second where the kernel has none.
    """
    page = parse_size(name.replace("B", "iB"), "page_size")

    def encode(value: Any, around: Around) -> str:
        return str(value - value % page)

    def knob(file: str, unlimited: str) -> Knob:
        return Knob("hugetlb", file, lambda value, around: unlimited if value == UNLIMITED else encode(value, around))

    def field_of(suffix: str) -> Field:
        return Field(
            HUGEPAGES,
            f"{name}{suffix}",
            _page_bytes,
            v1=(knob(f"hugetlb.{name}{suffix}.limit_in_bytes", "-1"),),
            v2=(knob(f"hugetlb.{name}{suffix}.max", "max"),),
        )

    return field_of(""), field_of(RESERVED)


def page_name(raw: Any, what: str) -> str:
    """2M, 2MB, 2MiB and 2097152 are the kernel's 2MB."""
    found = parse_size(re.sub(r"(?<=[KMG])B$", "iB", str(raw).strip(), flags=re.IGNORECASE), what)
    return page_size_name(found // 1024) if found % 1024 == 0 and found else "0KB"


def page_size_name(kilobytes: int) -> str:
    """As the files are called. Source: the kernel's mm/hugetlb_cgroup.c mem_fmt()."""
    for power, unit in ((20, "GB"), (10, "MB")):
        if kilobytes >= 2**power:
            return f"{kilobytes >> power}{unit}"
    return f"{kilobytes}KB"


def hugepage_sizes(names: List[str]) -> Tuple[str, ...]:
    """The page sizes in names of files, hugetlb.2MB.max, or of /sys/kernel/mm/hugepages, hugepages-2048kB."""
    matches = [re.fullmatch(r"hugepages-(\d+)kB", name) for name in names]
    return tuple(page_size_name(int(match[1])) for match in matches if match)


# RDMA: a table of devices

_RDMA_KEYS = {"hca_handles": "hca_handle", "hca_objects": "hca_object"}


def _rdma(raw: Any, what: str) -> Value:
    found = []
    for device, limits in sorted(raw.items()):
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", str(device)) or not isinstance(limits, dict) or not set(limits) <= set(_RDMA_KEYS):
            raise Failure(f"{what}: write each device as mlx5_0: {{hca_handles: 10, hca_objects: 100}}, of which one may be missing", "invalid_rdma")
        parse = limit(0, 2**31 - 1)
        found.append((str(device), tuple(sorted((key, parse(value, f"{what}.{device}.{key}")) for key, value in limits.items()))))
    return tuple(found)


def _rdma_text(value: Any, around: Around) -> str:
    said = {device: {_RDMA_KEYS[key]: str(number) for key, number in limits if number != UNLIMITED} for device, limits in value}
    return format_lines({device: limits for device, limits in said.items() if limits})


def _as_rdma(text: str, around: Around) -> Optional[Any]:
    words = {file_key: key for key, file_key in _RDMA_KEYS.items()}
    table = parse_lines("rdma.max", text)
    return tuple((device, tuple((words[key], int(value)) for key, value in sorted(limits.items()))) for device, limits in sorted(table.items()))


_RDMA_KNOB = Knob("rdma", "rdma.max", _rdma_text, _as_rdma)

RDMA: Tuple[Field, ...] = (Field("rdma", "", _rdma, v1=(_RDMA_KNOB,), v2=(_RDMA_KNOB,), spec={"type": "dict"}),)

# Network: only of cgroup v1


def _priorities(raw: Any, what: str) -> Value:
    found: Dict[str, int] = {}
    for item in raw:
        if not re.fullmatch(r"[^\s/]{1,15}", item["name"]) or item["name"] in found:
            raise Failure(
                f"{what}: {item['name']!r} is not the name of an interface, or is there twice; give each interface once", "invalid_interface"
            )
        found[item["name"]] = within(0, 2**32 - 1)(item["priority"], f"{what}.{item['name']}")
    return tuple(sorted(found.items()))


def _priority_text(value: Any, around: Around) -> str:
    return format_lines({name: {"": str(priority)} for name, priority in value if priority})


def _as_priorities(text: str, around: Around) -> Optional[Any]:
    return tuple(sorted((name, int(values[""])) for name, values in parse_lines("net_prio.ifpriomap", text).items()))


NETWORK: Tuple[Field, ...] = (
    Field("network", "class_id", within(0, 2**32 - 1), "int", v1=(Knob("net_cls", "net_cls.classid"),)),
    Field(
        "network",
        "priorities",
        _priorities,
        v1=(Knob("net_prio", "net_prio.ifpriomap", _priority_text, _as_priorities),),
        spec={
            "type": "list",
            "elements": "dict",
            "options": {"name": {"type": "str", "required": True}, "priority": {"type": "int", "required": True}},
        },
    ),
)

# Devices: rules of which the later ones win

_LETTERS = "rwm"
_ALL = "a"


def _devices(raw: Any, what: str) -> Value:
    """What the rules come to: (("all", ""),), or the devices that are allowed while all others are not.

    Devices that are denied while all others are allowed cannot be kept: neither cgroup v1 nor systemd shows them again.
    """
    everything, allowed = True, {}  # type: bool, Dict[str, str]
    for item in raw:
        kind, access = item["type"] or _ALL, item["access"] or _LETTERS
        if not access or set(access) - set(_LETTERS):
            raise out_of_range(what, access, "an access made of r, w and m")
        major, minor = ("*" if number is None or number == -1 else str(number) for number in (item["major"], item["minor"]))
        if kind == _ALL:
            everything, allowed = bool(item["allow"]), {}
            continue
        name = f"{kind} {major}:{minor}"
        if everything and not item["allow"]:
            raise Failure(
                f"{what}: nothing shows afterwards what is denied while all else is allowed; begin with {{allow: false}}, and allow what is needed",
                "unsupported_rules",
            )
        if everything:
            continue
        kept = set(allowed.get(name, "")) | set(access) if item["allow"] else set(allowed.get(name, "")) - set(access)
        allowed[name] = "".join(letter for letter in _LETTERS if letter in kept)
        if not allowed[name]:
            del allowed[name]
    return (("all", ""),) if everything else tuple(sorted(allowed.items()))


def _devices_text(value: Any, around: Around) -> str:
    return ALL_DEVICES if value == (("all", ""),) else format_lines({name: {"": access} for name, access in value})


def _as_devices(text: str, around: Around) -> Optional[Any]:
    table = parse_lines(DEVICES, text)
    return (("all", ""),) if text == ALL_DEVICES else tuple(sorted((name, values[""]) for name, values in table.items()))


_UNIT_KINDS = {"b": "block", "c": "char"}

#: systemd takes the program that denies devices back from no cgroup: with DevicePolicy=auto it does not look at devices any more, and
#: what was denied before stays so. It replaces it, though, so all devices are allowed by a program too.
#: Source: systemd's src/core/cgroup.c cgroup_context_get_mask() and cgroup_context_apply().
EVERY_DEVICE = "block-* rwm\nchar-* rwm"
_POLICY, _STRICT = "DevicePolicy", "strict"


def _unit_rules(value: Any, around: Around) -> str:
    """systemd's DeviceAllow. Source: systemd.resource-control(5); a major number alone is understood as the name of a driver is."""
    if value == (("all", ""),):
        return EVERY_DEVICE
    lines = []
    for name, access in value:
        kind, _space, numbers = name.partition(" ")
        major, _colon, minor = numbers.partition(":")
        if major == "*" and minor != "*":
            raise Failure(f"resources.devices: {name}: systemd takes no minor number without a major one; give both", "unsupported_rules")
        lines.append(f"{_UNIT_KINDS[kind]}-{major} {access}" if minor == "*" else f"/dev/{_UNIT_KINDS[kind]}/{major}:{minor} {access}")
    return "\n".join(sorted(lines))


def _as_unit_rules(text: str, around: Around) -> Optional[Any]:
    if around.knobs.get(_POLICY) != _STRICT or text == EVERY_DEVICE:
        return (("all", ""),)
    found = []
    for line in text.split("\n") if text else []:
        match = re.fullmatch(r"(?:/dev/)?(block|char)[-/](\*|\d+)(?::(\d+))? ([rwm]+)", line)
        if match:
            found.append((f"{match[1][0]} {match[2]}:{match[3] or '*'}", match[4]))
    return tuple(sorted(found))


DEVICE_RULES: Tuple[Field, ...] = (
    Field(
        "devices",
        "",
        _devices,
        v1=(Knob("devices", DEVICES, _devices_text, _as_devices),),
        systemd=Knob(
            "devices",
            "DeviceAllow",
            _unit_rules,
            _as_unit_rules,
            also=lambda value: {_POLICY: _STRICT},
        ),
        spec={
            "type": "list",
            "elements": "dict",
            "options": {
                "allow": {"type": "bool", "required": True},
                "type": {"type": "str", "choices": ["a", "b", "c"]},
                "major": {"type": "int"},
                "minor": {"type": "int"},
                "access": {"type": "str"},
            },
        },
    ),
)


def all_devices_again(settings: Mapping[str, str]) -> Dict[str, str]:
    """What a unit must say before it says nothing of devices any more. Empty where it denied none."""
    denies = settings.get(_POLICY) == _STRICT and settings.get("DeviceAllow") != EVERY_DEVICE
    return {"DeviceAllow": EVERY_DEVICE, _POLICY: _STRICT} if denies else {}


def shown_rules(value: Any) -> List[Dict[str, Any]]:
    """Rules that come to the same."""
    if value == (("all", ""),):
        return [{"allow": True}]
    found: List[Dict[str, Any]] = [{"allow": False}]
    for name, access in value:
        kind, _space, numbers = name.partition(" ")
        pair = zip(("major", "minor"), numbers.split(":"))
        found.append({"allow": True, "type": kind, **{key: int(number) for key, number in pair if number != "*"}, "access": access})
    return found
