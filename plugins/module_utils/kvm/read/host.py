# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host → Facts. A section that cannot be read says why and leaves the others alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, Mapping, Optional, Tuple, TypeVar

from ...engine.errors import Failure
from ...engine.host import Host
from ..budget import for_the_guest, since_start
from ..model import Facts, Proof, skipped
from ..probe import probe
from ..spec import Request
from .capacity import read_capacity
from .cgroup import read_cgroup
from .confidential import read_confidential
from .cpu import read_cpu
from .devices import read_devices
from .iommu import read_iommu
from .kvm import DEVICE, read_kvm
from .memory import read_memory
from .namespaces import read_namespaces
from .network import read_network
from .platform import read_platform
from .registers import Registers
from .security import read_security

Section = TypeVar("Section")
#: The device, and the seconds for which its guest may be silent → what it showed.
Prober = Callable[[str, float], Proof]


def guest(device: str, silence: float) -> Proof:
    return probe(device, silence=silence)


def read(
    host: Host, request: Request, prober: Prober = guest, registers: Optional[Registers] = None, spent: Callable[[], float] = since_start
) -> Facts:
    """The sections that the request needs. prober: runs the guest. registers: the CPU asked past the kernel.

    spent: the seconds that this module has taken so far. The guest comes last and takes of what is left, as it is the one to hang.
    """
    wanted = request.reads()
    unseen: Dict[str, str] = {}
    asked = registers or Registers(host)
    cpuinfo = host.try_read("/proc/cpuinfo") or ""

    def section(name: str, reader: Callable[[], Section]) -> Optional[Section]:
        if name not in wanted:
            return None
        try:
            return reader()
        except Failure as failure:
            unseen[name] = failure.message
        except Exception as error:  # a file of a shape that no kernel had so far must not cost the other sections
            unseen[name] = f"{type(error).__name__}: {error}"
        return None

    facts = Facts(
        platform=read_platform(host, cpuinfo, asked),
        proof=skipped("the subset kvm was not asked for"),
        cpu=section("cpu", lambda: read_cpu(host, cpuinfo, asked)),
        confidential=section("confidential", lambda: read_confidential(host, cpuinfo, asked)),
        iommu=section("iommu", lambda: read_iommu(host)),
        memory=section("memory", lambda: read_memory(host)),
        devices=section("devices", lambda: read_devices(host)),
        cgroup=section("cgroup", lambda: read_cgroup(host)),
        namespace=section("namespace", lambda: read_namespaces(host)),
        security=section("security", lambda: read_security(host)),
        capacity=section("capacity", lambda: read_capacity(host, request.disk_paths)),
        network=section("network", lambda: read_network(host)),
        modules=section("modules", lambda: modules_there(host, request.requirements.modules)),
        unseen=unseen,
    )
    if "kvm" not in wanted:
        return facts
    proof = prober(host.path(DEVICE), for_the_guest(spent())) if request.probe else skipped("kvm_probe is false, so no guest was run")
    return replace(facts, proof=proof, kvm=section("kvm", lambda: read_kvm(host, proof, request.user)))


def modules_there(host: Host, names: Tuple[str, ...]) -> Mapping[str, bool]:
    """Which of these modules of the kernel are loaded, or built in. "-" and "_" are one."""
    release = (host.try_read("/proc/sys/kernel/osrelease") or "").strip()
    builtin = (host.try_read(f"/lib/modules/{release}/modules.builtin") or "").split()
    there = {path.rpartition("/")[2].partition(".")[0] for path in builtin} | set(host.list("/sys/module"))
    folded = {name.replace("-", "_") for name in there}
    return {name: name.replace("-", "_") in folded for name in names}
