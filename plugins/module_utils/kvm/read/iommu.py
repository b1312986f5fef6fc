# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The IOMMU: what can be passed to guests, and where it stops when nothing can."""

from __future__ import annotations

import os
from typing import Iterable, Optional

from ...engine.host import Host
from ..sections.machine import Iommu, IommuGroup, PciDevice
from .devices import open_devices

_GROUPS = "/sys/kernel/iommu_groups"
_VFIO = "/dev/vfio/vfio"
_TABLES = ("DMAR", "IVRS", "IORT")


def read_iommu(host: Host) -> Iommu:
    names = host.list("/sys/firmware/acpi/tables")
    words = (host.try_read("/proc/cmdline") or "").split()
    return Iommu(
        groups=tuple(IommuGroup(int(name), tuple(_devices(host, name))) for name in sorted(host.list(_GROUPS), key=int)),
        table=next((name for name in _TABLES if name in names), None),
        arguments=tuple(word for word in words if "iommu" in word.partition("=")[0]),
        vfio=open_devices(host, [_VFIO])[_VFIO],
        vfio_pci=host.exists("/sys/module/vfio_pci") or host.exists("/sys/bus/pci/drivers/vfio-pci"),
    )


def _devices(host: Host, group: str) -> Iterable[PciDevice]:
    folder = f"{_GROUPS}/{group}/devices"
    for address in host.list(folder):
        kind = (host.try_read(f"{folder}/{address}/class") or "").strip()
        yield PciDevice(address, kind[2:] if kind.startswith("0x") else kind or None, _driver(host, f"{folder}/{address}/driver"))


def _driver(host: Host, link: str) -> Optional[str]:
    try:
        return os.path.basename(os.readlink(host.path(link)))
    except OSError:
        return None
