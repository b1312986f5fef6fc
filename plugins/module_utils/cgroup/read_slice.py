# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Slices as their unit file and systemctl show them."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional

from ..engine.host import Host
from .convert import microseconds, number_list, numbers
from .fields import REPEATED
from .model import Slice
from .names import drop_in_path, slice_unit, unit_path

PACKAGE = "systemd"
HEADER = "# Written by the Ansible collection virtops.linux; changes are overwritten.\n"

_LIMITS = ("MemoryMin", "MemoryLow", "MemoryHigh", "MemoryMax", "MemorySwapMax", "TasksMax")
_PROPERTIES = (
    "ActiveState",
    "UnitFileState",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
    "ControlGroup",
    "CPUWeight",
    "CPUQuotaPerSecUSec",
    "CPUQuotaPeriodUSec",
    "AllowedCPUs",
    "AllowedMemoryNodes",
    "IOWeight",
    "DevicePolicy",
    *sorted(REPEATED),
    *_LIMITS,
)


def show_command(systemctl: str, unit: str) -> List[str]:
    return [systemctl, "show", "--no-pager", f"--property={','.join(_PROPERTIES)}", "--", unit]


def parse_show(text: str) -> Dict[str, str]:
    """KEY=VALUE lines, of which the value may hold = itself. A key that is there several times has as many lines."""
    found: Dict[str, List[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found.setdefault(key, []).append(value)
    return {key: "\n".join(values) for key, values in found.items()}


def parse_settings(text: str) -> Optional[Dict[str, str]]:
    """The [Slice] section of a unit file that this collection wrote; None for anybody else's."""
    if not text.startswith(HEADER):
        return None
    section = text.partition("[Slice]\n")[2]
    return parse_show(section)


def applied(shown: Mapping[str, str]) -> Dict[str, str]:
    """What "systemctl show" says, in the spelling of the unit file. No limit is as the unit file says it.

    It does not show a setting that could be there several times and is there not once.
    """
    found = {key: shown[key] for key in _LIMITS if shown.get(key)}
    for key in ("CPUWeight", "IOWeight"):
        found[key] = shown.get(key, "").replace("[not set]", "")
    found["DevicePolicy"] = shown.get("DevicePolicy", "auto")
    found.update({key: "\n".join(sorted(shown.get(key, "").split("\n"))) for key in REPEATED})
    for key in ("AllowedCPUs", "AllowedMemoryNodes"):
        listed = numbers(",".join(shown.get(key, "").replace(",", " ").split()))  # systemd separates by spaces
        if listed:
            found[key] = number_list(listed)
    period = microseconds(shown.get("CPUQuotaPeriodUSec", ""))
    if period is not None:
        found["CPUQuotaPeriodSec"] = f"{period}us"
    each_second = microseconds(shown.get("CPUQuotaPerSecUSec", ""))
    found["CPUQuota"] = "" if each_second is None else f"{each_second // 10000}%"
    return found


def read_slice(host: Host, name: str, mounts: List[str], unified: str) -> Slice:
    """unified: where cgroup v2 is mounted, when it is the only one."""
    unit = slice_unit(name)
    own = host.read(unit_path(unit))
    shown = parse_show(host.run(show_command(host.require("systemctl", PACKAGE), unit)).stdout)
    fragment = shown.get("FragmentPath", "")
    foreign = (own is not None and parse_settings(own) is None) or fragment not in ("", unit_path(unit))
    text = host.read(drop_in_path(unit)) if foreign else own
    group = shown.get("ControlGroup", "")
    return Slice(
        unit,
        None if text is None else parse_settings(text),
        applied(shown),
        active=shown.get("ActiveState") == "active",
        enabled=shown.get("UnitFileState") == "enabled",
        reload_needed=shown.get("NeedDaemonReload") == "yes",
        fragment=fragment,
        foreign=foreign,
        drop_ins=tuple(shown.get("DropInPaths", "").split()),
        populated=bool(group) and any(_populated(host, f"{mount}{group}") for mount in mounts),
        directory=f"{unified}{group}" if group and unified and host.is_dir(f"{unified}{group}") else "",
    )


def _populated(host: Host, path: str) -> bool:
    if (host.try_read(f"{path}/cgroup.procs") or "").strip():
        return True
    return any(host.is_dir(f"{path}/{name}") and _populated(host, f"{path}/{name}") for name in host.list(path))
