# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to do about a finding: the switch, the command, the kernel argument. Texts that several checks share."""

from __future__ import annotations

from .model import Facts
from .sections.machine import Access, Device

#: For a device node that opens for root alone.
KVM_GROUP = "chgrp kvm /dev/kvm; chmod 0660 /dev/kvm (where udev runs, its rules do so at boot)"

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

_IOMMU_FIRMWARE = {"GenuineIntel": "switch on VT-d in the firmware", "AuthenticAMD": "switch on IOMMU (AMD-Vi) in the firmware"}
_IOMMU_ARGUMENTS = {"GenuineIntel": "intel_iommu=on iommu=pt", "AuthenticAMD": "iommu=pt"}
_CONFIDENTIAL = {
    "SEV": "virtops.linux.kvm_module with name kvm_amd and parameters {sev: true}",
    "SEV-ES": "virtops.linux.kvm_module with name kvm_amd and parameters {sev: true, sev_es: true}",
    "SEV-SNP": "switch on SEV-SNP (SNP memory coverage, RMP table) in the firmware, "
    "then virtops.linux.kvm_module with name kvm_amd and parameters {sev: true, sev_es: true, sev_snp: true}, on Linux 6.11 or newer",
    "TDX": "switch on TDX in the firmware, then virtops.linux.kvm_module with name kvm_intel and parameters {tdx: true}, on Linux 6.16 or newer",
    "Secure Execution": "add prot_virt=1 to the kernel command line and reboot",
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


def no_feature(facts: Facts) -> str:
    """For a CPU that says itself that it has none. Some firmware of AMD's hides what it has switched off from the CPU's answer as well."""
    if _vendor(facts) == "AuthenticAMD":
        return "look for SVM Mode (AMD-V) in the firmware; where it is on, use another machine, or guests with type qemu"
    return "use another machine, or guests with type qemu"


def parameter(facts: Facts, name: str, value: str) -> str:
    """For a parameter of KVM's module."""
    where = facts.kvm.module if facts.kvm and facts.kvm.module else "auto"
    return f"virtops.linux.kvm_module with name {where} and parameters {{{name}: {value}}}, then reboot, or reload the module while no guest runs"


def user_access(device: Device, access: Access) -> str:
    """For a user who may not use /dev/kvm. Groups count from the next login on."""
    by_group = device.group not in (None, "root") and int(device.mode or "0", 8) & 0o060 == 0o060
    if by_group and device.group not in access.groups:
        return f"usermod -aG {device.group} {access.user}, then log in again"
    return f"usermod -aG kvm {access.user}, then log in again; and {KVM_GROUP}"


def confidential(facts: Facts, name: str) -> str:
    """For a feature that the CPU has and nothing uses."""
    return _CONFIDENTIAL[name]


def no_confidential(facts: Facts) -> str:
    if is_guest(facts):
        return "ask for confidential guests where this machine is hosted; it cannot start any itself"
    return (
        "use a machine with AMD EPYC (SEV-SNP from the third generation on) or Intel Xeon with TDX (from the fifth), and switch it on in the firmware"
    )


def vulnerabilities(facts: Facts) -> str:
    remedy = "install the newest kernel and microcode, take mitigations=off from the kernel command line if it is there, and reboot"
    return f"{remedy}; first on what this machine runs under" if is_guest(facts) else remedy


def unseen_disk(facts: Facts) -> str:
    """For a path that could not be measured."""
    return denied(facts) if facts.platform.unprivileged else "mount what is there, or see that its server answers"


def unread_filter(facts: Facts) -> str:
    """For what only root may read."""
    return "run the task with become: true" if facts.platform.unprivileged else "see that nft, or iptables, works on this host"


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
    return parameter(facts, "nested", "true")


def no_acceleration(facts: Facts) -> str:
    """For a KVM that emulates."""
    return f"run guests with type qemu, which is faster here than KVM; or {virtualization(facts)}"


def iommu(facts: Facts) -> str:
    if is_guest(facts):
        return "give this machine a virtual IOMMU where it is defined, or pass devices through on the machine that runs it"
    vendor = _vendor(facts)
    firmware = _IOMMU_FIRMWARE.get(vendor, "switch on the IOMMU (on arm64: SMMU) in the firmware")
    if facts.iommu and facts.iommu.table:  # the firmware describes one, so it is the kernel that does not use it
        return f"add {_IOMMU_ARGUMENTS.get(vendor, 'iommu.passthrough=1')} to the kernel command line and reboot"
    return (
        f"{firmware}, add {_IOMMU_ARGUMENTS[vendor]} to the kernel command line and reboot"
        if vendor in _IOMMU_ARGUMENTS
        else f"{firmware} and reboot"
    )


def module(facts: Facts, name: str) -> str:
    """For what a kernel module brings."""
    if in_container(facts):
        return f"load the module {name} on the machine that runs this container, and give the container the device"
    if not facts.platform.loads_modules:
        return f"boot a kernel that has {name} ({facts.platform.module_evidence})"
    return f"load the module: virtops.linux.kvm_module with name {name}, or modprobe {name}"
