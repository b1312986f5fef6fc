# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of the machine: its CPU, its hypervisors and its devices.

Plain data, section by section: the readers fill it in, the checks judge it.
Everywhere None means "not to be had on this host". Sizes are in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Optional, Tuple


@dataclass(frozen=True)
class Running:
    """A hypervisor that this machine runs. type: 1 (on the hardware itself, or part of its kernel) or 2 (a program)."""

    name: str
    type: int
    evidence: str


@dataclass(frozen=True)
class Platform:
    """hypervisor, container: what this machine runs under: none, a name, or unknown. The evidence says where that was read.

    confidential_guest: sev, sev_es, sev_snp or tdx, where this machine itself is such a guest.
    private_users: in a user namespace of its own. chroot: the root directory is not that of the first process.
    loads_modules: whether modules can be loaded at run time, and module_evidence why.
    namespaces: the kinds that the kernel has: pid, mnt, net, ... unprivileged: this process is not root's.
    """

    machine: str
    kernel: str
    hypervisor: str
    hypervisor_evidence: str
    container: str
    container_evidence: str
    loads_modules: bool
    module_evidence: str
    namespaces: Tuple[str, ...] = ()
    unprivileged: bool = False
    runs: Tuple[Running, ...] = ()
    confidential_guest: Optional[str] = None
    private_users: Optional[bool] = None
    chroot: Optional[bool] = None


@dataclass(frozen=True)
class Cpu:
    """virtualization: vmx, svm or sie. nested_paging: ept or npt. features: what else of virtualization the CPU has.

    offered: the CPU itself, asked past the kernel, has virtualization. firmware_off: the firmware has switched it off.
    """

    vendor: Optional[str]
    model: Optional[str]
    virtualization: Optional[str]
    nested_paging: Optional[str]
    features: Tuple[str, ...] = ()
    offered: Optional[bool] = None
    firmware_off: Optional[bool] = None
    firmware_evidence: str = ""


@dataclass(frozen=True)
class Device:
    """opens: whether this process may open it for reading and writing. errno: why not. mode: octal digits."""

    path: str
    exists: bool
    owner: Optional[str] = None
    group: Optional[str] = None
    mode: Optional[str] = None
    opens: Optional[bool] = None
    errno: Optional[str] = None


@dataclass(frozen=True)
class Access:
    """Whether a user may use /dev/kvm, and what decides: "the group kvm", "everybody", ... known: the host has the user."""

    user: str
    known: bool
    groups: Tuple[str, ...] = ()
    may: bool = False
    through: str = ""


@dataclass(frozen=True)
class Kvm:
    """module: the back end that runs, for example kvm_intel, and its parameters. nested: one of them.

    capabilities: what KVM itself answered; none where no process opened the device for that.
    """

    device: Device
    module: Optional[str]
    nested: Optional[bool]
    parameters: Mapping[str, str] = field(default_factory=dict)
    capabilities: Optional[Mapping[str, int]] = None
    access: Optional[Access] = None


@dataclass(frozen=True)
class PciDevice:
    """kind: the class in hexadecimal digits, 020000 for Ethernet."""

    address: str
    kind: Optional[str]
    driver: Optional[str]


@dataclass(frozen=True)
class IommuGroup:
    id: int
    devices: Tuple[PciDevice, ...]


@dataclass(frozen=True)
class Iommu:
    """table: the firmware's description of it (DMAR, IVRS, IORT). arguments: of the kernel command line."""

    groups: Tuple[IommuGroup, ...]
    table: Optional[str]
    arguments: Tuple[str, ...]
    vfio: Device
    vfio_pci: bool


@dataclass(frozen=True)
class Feature:
    """A kind of confidential guests. cpu: the CPU has it. on: guests of that kind can be started."""

    cpu: Optional[bool]
    on: bool
    evidence: str


@dataclass(frozen=True)
class Confidential:
    sev: Feature
    sev_es: Feature
    sev_snp: Feature
    tdx: Feature
    secure_execution: Feature


@dataclass(frozen=True)
class Devices:
    """fuse: the file systems of containers' own /proc, by /sys/fs/fuse/connections."""

    vhost_net: Device
    vhost_vsock: Device
    tun: Device
    fuse: bool
