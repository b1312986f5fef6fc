# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of a host, and what it was judged to be. Plain data.

A section of Facts that is None was not asked for or could not be read; Facts.unseen then says why.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Mapping, Optional

from .sections.machine import Confidential, Cpu, Devices, Iommu, Kvm, Platform
from .sections.system import Capacity, Cgroup, Memory, Namespaces, Network, Security

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
    capabilities: what KVM said of itself on the way, by name.
    """

    usable: Optional[bool]
    accelerated: Optional[bool]
    nanoseconds: Optional[int]
    stage: str
    errno: Optional[str]
    reason: str
    capabilities: Optional[Mapping[str, int]] = None

    def as_dict(self) -> Dict[str, Any]:
        """For results, where the capabilities have a place among the facts."""
        return {key: value for key, value in asdict(self).items() if key != "capabilities"}


def skipped(reason: str) -> Proof:
    return Proof(None, None, None, "skipped", None, reason)


@dataclass(frozen=True)
class Facts:
    """unseen: section → why it could not be read."""

    platform: Platform
    proof: Proof
    cpu: Optional[Cpu] = None
    kvm: Optional[Kvm] = None
    confidential: Optional[Confidential] = None
    iommu: Optional[Iommu] = None
    memory: Optional[Memory] = None
    devices: Optional[Devices] = None
    cgroup: Optional[Cgroup] = None
    namespace: Optional[Namespaces] = None
    security: Optional[Security] = None
    capacity: Optional[Capacity] = None
    network: Optional[Network] = None
    modules: Optional[Mapping[str, bool]] = None
    unseen: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        """What results show: the sections that were read. The proof has a place of its own there."""
        return {key: value for key, value in asdict(self).items() if value is not None and key not in ("proof", "unseen")}
