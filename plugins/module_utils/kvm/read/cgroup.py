# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Control groups: the mode, and the controllers of both versions."""

from __future__ import annotations

from typing import Dict, List, Optional, Set, Tuple

from ...engine.host import Host
from ..sections.system import Cgroup


def parse_cgroup_mounts(mounts: str) -> Tuple[str, Dict[str, List[str]]]:
    """The text of /proc/self/mounts → the mode, and mount point → options of each hierarchy (none for version 2)."""
    found: Dict[str, List[str]] = {}
    versions = set()
    for line in mounts.splitlines():
        words = line.split()
        if len(words) > 3 and words[2] in ("cgroup", "cgroup2"):
            versions.add(words[2])
            found[words[1]] = words[3].split(",") if words[2] == "cgroup" else []
    if versions == {"cgroup2"}:
        return "unified", found
    if versions == {"cgroup"}:
        return "legacy", found
    return ("hybrid" if versions else "none"), found


def parse_enabled_controllers(proc_cgroups: str) -> List[str]:
    """The names of the enabled controllers in the text of /proc/cgroups: "name hierarchy cgroups enabled"."""
    rows = [line.split() for line in proc_cgroups.splitlines() if line and not line.startswith("#")]
    return [row[0] for row in rows if len(row) == 4 and row[3] == "1"]


def read_cgroup(host: Host) -> Cgroup:
    mode, mounts = parse_cgroup_mounts(host.read("/proc/self/mounts") or "")
    enabled = parse_enabled_controllers(host.try_read("/proc/cgroups") or "")
    controllers: Set[str] = set()
    delegated: Optional[Set[str]] = None
    for point, options in mounts.items():
        controllers.update(name for name in options if name in enabled)
        if not options:
            controllers.update((host.try_read(f"{point}/cgroup.controllers") or "").split())
            delegated = (delegated or set()) | set((host.try_read(f"{point}/cgroup.subtree_control") or "").split())
    return Cgroup(mode, tuple(sorted(controllers)), None if delegated is None else tuple(sorted(delegated)))
