# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to do about a finding: the switch, the command, the kernel argument. Texts that several checks share."""

from __future__ import annotations

from .model import Facts

_FIRMWARE = {
    "GenuineIntel": "switch on Intel Virtualization Technology (VT-x) in the firmware, then power the machine off and on",
    "AuthenticAMD": "switch on SVM Mode (AMD-V) in the firmware, then power the machine off and on",
}
_FIRMWARE_OTHER = "switch on virtualization in the firmware, then power the machine off and on"
_NESTED = {
    "kvm": "on the machine that runs this one, virtops.linux.kvm_module with parameters {nested: true}; "
    'and <cpu mode="host-passthrough"/> for this guest',
    "qemu": "start this guest with -accel kvm -cpu host, or under software emulation with -cpu max",
    "vmware": 'power this machine off, set vhv.enable = "TRUE" in its .vmx file (expose hardware assisted virtualization), power it on',
    "virtualbox": "power this machine off, then run: VBoxManage modifyvm NAME --nested-hw-virt on",
    "microsoft": "stop this machine, then run: Set-VMProcessor -VMName NAME -ExposeVirtualizationExtensions $true; "
    "on Azure, choose a size with nested virtualization",
    "xen": "add nestedhvm=1 to this domain's configuration",
    "amazon": "use a bare-metal instance type (its name ends in .metal)",
    "google": "stop the instance, and set advancedMachineFeatures.enableNestedVirtualization to true",
}
_NESTED_OTHER = "ask for nested virtualization where this machine is hosted, or use a bare-metal one"

_IOMMU = {
    "GenuineIntel": "switch on VT-d in the firmware, add intel_iommu=on iommu=pt to the kernel command line and reboot",
    "AuthenticAMD": "switch on IOMMU (AMD-Vi) in the firmware, add iommu=pt to the kernel command line and reboot",
}


def _vendor(facts: Facts) -> str:
    return (facts.cpu.vendor if facts.cpu else None) or ""


def in_container(facts: Facts) -> bool:
    return facts.platform.container != "none"


def denied(facts: Facts, group: str = "") -> str:
    """For what this user may not open."""
    if not facts.platform.unprivileged:
        return "a security policy forbids it even to root: see ausearch -m avc, or the device rules of the container"
    return "run the task with become: true" + (f", or usermod -aG {group} USER" if group not in ("", "root") else "")


def is_guest(facts: Facts) -> bool:
    return facts.platform.hypervisor != "none"


def virtualization(facts: Facts) -> str:
    """For a CPU that shows no virtualization."""
    if is_guest(facts):
        return _NESTED.get(facts.platform.hypervisor, _NESTED_OTHER)
    return _FIRMWARE.get(_vendor(facts), _FIRMWARE_OTHER)


def no_device(facts: Facts) -> str:
    """For a host without /dev/kvm."""
    if in_container(facts):
        return "check the machine that runs this container, and give the container the device: --device /dev/kvm"
    if facts.cpu and facts.platform.machine == "x86_64" and not facts.cpu.virtualization:
        return virtualization(facts)
    if not facts.platform.loads_modules:
        return f"boot a kernel with KVM ({facts.platform.module_evidence})"
    return "load the module: virtops.linux.kvm_module, or modprobe kvm_intel, modprobe kvm_amd; dmesg says why, where that fails"


def nested(facts: Facts) -> str:
    """For a host whose guests may not run guests of their own."""
    if facts.kvm is None or facts.kvm.nested is None:
        return no_device(facts)
    module_task = f"virtops.linux.kvm_module with name {facts.kvm.module} and parameters {{nested: true}}"
    return f"{module_task}, then reboot, or reload the module while no guest runs"


def no_acceleration(facts: Facts) -> str:
    """For a KVM that emulates."""
    return f"run guests with type qemu, which is faster here than KVM; or {virtualization(facts)}"


def iommu(facts: Facts) -> str:
    if is_guest(facts):
        return "give this machine a virtual IOMMU where it is defined, or pass devices through on the machine that runs it"
    return _IOMMU.get(_vendor(facts), "switch on the IOMMU (on arm64: SMMU) in the firmware and reboot")


def module(facts: Facts, name: str) -> str:
    """For what a kernel module brings."""
    if in_container(facts):
        return f"load the module {name} on the machine that runs this container, and give the container the device"
    if not facts.platform.loads_modules:
        return f"boot a kernel that has {name} ({facts.platform.module_evidence})"
    return f"load the module: virtops.linux.kvm_module with name {name}, or modprobe {name}"
