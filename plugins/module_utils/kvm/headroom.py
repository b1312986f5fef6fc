# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is left for guests once the host has kept its share. The one place of this arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional

from .model import Facts
from .sections.system import Disk
from .spec import Reserve


@dataclass(frozen=True)
class Headroom:
    """Bytes and vCPUs; None where it is not known. Less than nothing where the reserve is more than there is.

    disk: mount point → free bytes. mounts: path → the mount point that it lies on.
    """

    memory: Optional[int] = None
    vcpus: Optional[int] = None
    disk: Mapping[str, int] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        """For results, where nothing is left rather than less than nothing."""
        return {
            "memory": None if self.memory is None else max(0, self.memory),
            "vcpus": None if self.vcpus is None else max(0, self.vcpus),
            "disk": {path: max(0, self.disk[mount]) for path, mount in self.mounts.items()},
        }


def headroom(facts: Facts, reserve: Reserve) -> Headroom:
    disks: List[Disk] = list(facts.capacity.disks) if facts.capacity else []
    return Headroom(
        memory=facts.memory.total - reserve.memory if facts.memory else None,
        vcpus=facts.capacity.threads - reserve.vcpus if facts.capacity else None,
        disk={disk.mount: disk.free - reserve.disk for disk in disks if disk.mount is not None and disk.free is not None},
        mounts={disk.path: disk.mount for disk in disks if disk.mount is not None},
    )
