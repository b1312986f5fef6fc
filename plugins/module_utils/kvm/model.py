# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of a host, and what it was judged to be. Plain data: read fills it in, checks judge it.

Everywhere None means "not to be had on this host", and a section of Facts that is None was not asked for or could
not be read; Facts.unseen then says why.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

PASS, WARN, FAIL, UNKNOWN = "pass", "warn", "fail", "unknown"


@dataclass(frozen=True)
class Check:
    """One judgement. id: stable. evidence: the value and where it was read. remedy: what to do; empty where nothing is."""

    id: str
    status: str
    evidence: str
    remedy: str = ""


@dataclass(frozen=True)
class Proof:
    """What running a guest through /dev/kvm showed.

    usable: a guest ran (or, where there is none for the architecture, a VM and a vCPU were made); None where it is not known.
    accelerated: the CPU itself runs the guest; None where it is not known.
    nanoseconds: of an iteration of a two-instruction loop, rounded up.
    stage: the last one reached: open, api_version, create_vm, memory, create_vcpu, registers, run, or done; skipped, fork.
    errno: the name of the error that ended it there.
    """

    usable: Optional[bool]
    accelerated: Optional[bool]
    nanoseconds: Optional[int]
    stage: str
    errno: Optional[str]
    reason: str


def skipped(reason: str) -> Proof:
    return Proof(None, None, None, "skipped", None, reason)


@dataclass(frozen=True)
class Platform:
    """hypervisor, container: what this machine runs under: none, a name, or unknown. The evidence says where that was read.

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


@dataclass(frozen=True)
class Cpu:
    """virtualization: vmx, svm or sie. nested_paging: ept or npt."""

    vendor: Optional[str]
    model: Optional[str]
    virtualization: Optional[str]
    nested_paging: Optional[str]


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
class Kvm:
    """module: the back end that runs, for example kvm_intel. nested: its parameter."""

    device: Device
    module: Optional[str]
    nested: Optional[bool]


@dataclass(frozen=True)
class Iommu:
    groups: int


@dataclass(frozen=True)
class Memory:
    """Bytes."""

    total: int
    available: Optional[int]
    swap: Optional[int]


@dataclass(frozen=True)
class Devices:
    vhost_net: Device
    tun: Device


@dataclass(frozen=True)
class Cgroup:
    """mode: unified, hybrid, legacy or none, as systemd names them."""

    mode: str
    controllers: Tuple[str, ...]


@dataclass(frozen=True)
class NumaNode:
    """cpus: a list such as 0-3,8. memory: bytes."""

    id: int
    cpus: str
    memory: Optional[int]


@dataclass(frozen=True)
class Disk:
    """free, total: bytes of the file system at the path, or at its nearest parent that exists. None: reason says why not."""

    path: str
    mount: Optional[str]
    total: Optional[int]
    free: Optional[int]
    reason: str = ""


@dataclass(frozen=True)
class Capacity:
    """threads: CPUs online. cores: without their siblings."""

    threads: int
    cores: Optional[int]
    numa_nodes: Tuple[NumaNode, ...]
    disks: Tuple[Disk, ...]


@dataclass(frozen=True)
class Facts:
    """unseen: section → why it could not be read."""

    platform: Platform
    proof: Proof
    cpu: Optional[Cpu] = None
    kvm: Optional[Kvm] = None
    iommu: Optional[Iommu] = None
    memory: Optional[Memory] = None
    devices: Optional[Devices] = None
    cgroup: Optional[Cgroup] = None
    capacity: Optional[Capacity] = None
    unseen: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        """What results show: the sections that were read. The proof has a place of its own there."""
        return {key: value for key, value in asdict(self).items() if value is not None and key not in ("proof", "unseen")}
