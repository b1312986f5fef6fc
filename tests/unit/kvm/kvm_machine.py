# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a machine of these tests is: files, its CPU's answers, and the verdicts that are right for it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple

from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import Report
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.registers import Leaf, Registers
from kvm_parts import CAPABLE, COMMON, FIRST_NAMESPACES, Files
from support.hosts import FakeHost

CLOCKS = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
DMI = "/sys/class/dmi/id"
FAST, NO_DEVICE = Report("ran", "run", 0.6, capabilities=CAPABLE), Report("refused", "open", error=2)
#: A guest without nested virtualization, whoever runs it.
PLAIN_GUEST = {
    "cpu.virtualization": "fail",
    "cpu.nested_paging": "unknown",
    "kvm.device": "fail",
    "kvm.proof": "fail",
    "kvm.capabilities": "unknown",
    "iommu.groups": "warn",
    "iommu.vfio": "warn",
}
FIRMWARE_OFF = {key: status for key, status in PLAIN_GUEST.items() if not key.startswith("iommu")}
NO_IOMMU = {"iommu.groups": "warn", "iommu.vfio": "warn"}


@dataclass(frozen=True)
class Machine:
    """files: beside those of COMMON; None: it has no such file. unlike: the verdicts that differ from a healthy machine's.

    usable: kvm, lxc, containers, passthrough, confidential. runs: the hypervisors that it runs.
    """

    source: str
    files: Files
    guest: Report
    unlike: Mapping[str, str]
    usable: Tuple[Optional[bool], ...]
    under: str = "none"
    runs: Tuple[str, ...] = ("kvm",)
    iommu: int = 0
    cpuid: Mapping[int, Leaf] = field(default_factory=dict)
    msr: Mapping[int, int] = field(default_factory=dict)
    namespaces: Mapping[str, int] = field(default_factory=lambda: FIRST_NAMESPACES)


class FakeRegisters(Registers):
    """Those of a machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def cpuid(self, leaf: int) -> Optional[Leaf]:
        return self._machine.cpuid.get(leaf)

    def msr(self, number: int) -> Optional[int]:
        return self._machine.msr.get(number)


NFT = (["nft", "list", "ruleset"], Result(0, "", ""))


def build(tmp_path: Path, machine: Machine, files: Optional[Files] = None, script: Any = (NFT,)) -> FakeHost:
    """The machine's host, with files of its own on top. script: the commands that it answers."""
    tree = {**COMMON, **machine.files, **(files or {})}
    host = FakeHost(tmp_path, {path: text for path, text in tree.items() if text is not None}, script)
    if host.exists("/dev/kvm"):
        os.chmod(host.path("/dev/kvm"), 0o666)  # noqa: S103 - as udev leaves it
    for number in range(machine.iommu):
        os.makedirs(host.path(f"/sys/kernel/iommu_groups/{number}/devices/0000:{number:02x}:00.0"))
    os.makedirs(host.path("/proc/self/ns"))
    for kind, inode in machine.namespaces.items():
        os.symlink(f"{kind}:[{inode}]", host.path(f"/proc/self/ns/{kind}"))
    return host
