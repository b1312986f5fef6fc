# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The limits of a cgroup: one table, from OCI's words to the files of cgroup v1 and v2 and to systemd's properties."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from .fields_cpu import CPU
from .fields_io import BLOCK_IO, shown_devices
from .fields_memory import MEMORY
from .fields_other import DEVICE_RULES, HUGEPAGES, HUGEPAGES_SPEC, NETWORK, PIDS, RDMA, hugepage_fields, shown_rules
from .knob import Field, Value

FIELDS: Tuple[Field, ...] = (*CPU, *MEMORY, *PIDS, *BLOCK_IO, *RDMA, *NETWORK, *DEVICE_RULES)

BY_PATH: Dict[str, Field] = {item.path: item for item in FIELDS}

#: Settings of systemd's that are there once for each device.
REPEATED = frozenset(item.systemd.key for item in FIELDS if item.systemd and item.option["type"] == "list")


def field_of(path: str) -> Field:
    """The limit of a path. Those of huge pages are as many as there are page sizes."""
    known = BY_PATH.get(path)
    if known:
        return known
    _group, _dot, name = path.partition(".")
    normal, reserved = hugepage_fields(name.partition(".")[0])
    return normal if path == normal.path else reserved


def option_specs() -> Dict[str, Any]:
    """The options of resources, but for those that are no limits."""
    groups: Dict[str, Any] = {}
    for item in FIELDS:
        if item.name:
            groups.setdefault(item.group, {"type": "dict", "options": {}})["options"][item.name] = dict(item.option)
        else:
            groups[item.group] = dict(item.option)
    return {**groups, HUGEPAGES: dict(HUGEPAGES_SPEC)}


def show(shown: Dict[str, Any], item: Field, name: str, value: Any) -> None:
    """Put a value into resources, in the form in which the option takes it."""
    if value is None:
        return
    if item.group == HUGEPAGES:
        found: List[Dict[str, Any]] = shown.setdefault(HUGEPAGES, [])
        found.append({"page_size": item.name, "limit": value})
    elif not item.name:
        shown[item.group] = shown_rules(value) if item.group == "devices" else {device: dict(limits) for device, limits in value}
    else:
        shown.setdefault(item.group, {})[name] = _plain(name, value)


def _plain(name: str, value: Value) -> Any:
    if not isinstance(value, tuple):
        return value
    if name == "priorities":
        return [{"name": interface, "priority": priority} for interface, priority in value]
    return shown_devices(name, value)
