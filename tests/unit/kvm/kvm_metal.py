# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Machines of their own. A "composed" one has the files that the named sources say such a machine has."""

from __future__ import annotations

from typing import Dict

from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import Report
from kvm_machine import DMI, FAST, FIRMWARE_OFF, NO_DEVICE, PLAIN_GUEST, Machine
from kvm_parts import AMD_CPU, ARM_CPU, CAPABLE, INTEL_CPU, INTEL_GUEST_CPU, NO_VMX, S390_CPU, SVM, VMX, signature

METAL: Dict[str, Machine] = {
    "intel": Machine(
        "composed: flags and vmx flags of a Xeon Gold 6230, arch/x86/include/asm/vmxfeatures.h",
        {"/proc/cpuinfo": INTEL_CPU, "/sys/module/kvm_intel/parameters/nested": "Y\n", f"{DMI}/sys_vendor": "Dell Inc.\n"},
        FAST,
        {},
        (True, True, True, True, False),
        iommu=41,
        cpuid=VMX,
        msr={0x3A: 0x5},
    ),
    "amd": Machine(
        "composed: flags of an EPYC 7302P, arch/x86/include/asm/cpufeatures.h",
        {"/proc/cpuinfo": AMD_CPU, "/sys/module/kvm_amd/parameters/nested": "0\n", "/sys/module/kvm/parameters/halt_poll_ns": "1\n"},
        Report("ran", "run", 0.9, capabilities=CAPABLE),
        {},
        (True, True, True, True, False),
        iommu=18,
        cpuid=SVM,
    ),
    "intel, off in firmware": Machine(
        "composed: the message of arch/x86/kernel/cpu/feat_ctl.c, which clears the flag; CPUID leaf 1 as Intel's manual has it",
        {
            "/proc/cpuinfo": INTEL_CPU.replace(" vmx", "").replace("vmx flags", "none"),
            "/dev/kvm": None,
            "/dev/kmsg": "4,339,135737,-;x86/cpu: VMX (outside TXT) disabled by BIOS\n",
        },
        NO_DEVICE,
        FIRMWARE_OFF,
        (None, True, True, True, False),
        runs=(),
        iommu=12,
        cpuid=VMX,
    ),
    "amd, off in firmware": Machine(
        "composed: the message of arch/x86/kernel/cpu/amd.c, which clears the flag; VM_CR.SVMDIS as in AMD's manual, volume 2, 15.30.1",
        {
            "/proc/cpuinfo": AMD_CPU.replace(" svm npt nrip_save avic", ""),
            "/dev/kvm": None,
            "/dev/kmsg": "5,201,90123,-;SVM disabled (by BIOS) in MSR_VM_CR\n",
        },
        NO_DEVICE,
        FIRMWARE_OFF,
        (None, True, True, True, False),
        runs=(),
        iommu=12,
        cpuid=SVM,
        msr={0xC0010114: 0x18},
    ),
    "amd of old, off in firmware": Machine(
        "composed: a kernel before 6.8 leaves the flag, and kvm_amd says why it does not load (arch/x86/kvm/svm/svm.c)",
        {"/proc/cpuinfo": AMD_CPU, "/dev/kvm": None, "/dev/kmsg": "3,900,18608374,-;kvm_amd: SVM disabled (by BIOS) in MSR_VM_CR on CPU 3\n"},
        NO_DEVICE,
        {key: status for key, status in FIRMWARE_OFF.items() if key != "cpu.nested_paging"},
        (None, True, True, True, False),
        runs=(),
        iommu=12,
        cpuid=SVM,
    ),
    "no feature": Machine(
        "composed: an Atom N450, which has no VMX (Intel's product pages), whose CPUID says so",
        {"/proc/cpuinfo": "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Atom(TM) CPU N450   @ 1.66GHz\nflags\t\t: fpu lm\n", "/dev/kvm": None},
        NO_DEVICE,
        PLAIN_GUEST,
        (None, True, True, False, False),
        runs=(),
        cpuid=NO_VMX,
    ),
    "xen dom0": Machine(
        "composed: detect_vm_xen_dom0 of systemd's src/basic/virt.c, include/xen/interface/features.h",
        {
            "/proc/cpuinfo": INTEL_GUEST_CPU,
            "/sys/hypervisor/type": "xen\n",
            "/sys/hypervisor/properties/features": "00002f51\n",
            "/dev/kvm": None,
        },
        NO_DEVICE,
        {**PLAIN_GUEST, "platform.runs": "fail"},
        (None, True, True, False, False),
        runs=("xen",),
        cpuid={**NO_VMX, 0x40000000: signature(b"XenVMMXenVMM")},
    ),
    "sev-snp": Machine(
        "composed: flags of an EPYC of the fourth generation with SEV-SNP on, arch/x86/kvm/svm/sev.c, AMD's manual, leaf 0x8000001F",
        {
            "/proc/cpuinfo": AMD_CPU.replace("7302P 16-Core", "9354 32-Core").replace("avic", "avic sme sev sev_es sev_snp debug_swap"),
            **{f"/sys/module/kvm_amd/parameters/{name}": "Y\n" for name in ("sev", "sev_es", "sev_snp", "npt", "avic")},
            "/sys/module/kvm_amd/parameters/nested": "1\n",
            "/dev/sev": "",
        },
        Report("ran", "run", 0.5, capabilities={**CAPABLE, "vm_types": 0x1F}),
        {"confidential.guests": "pass"},
        (True, True, True, True, True),
        iommu=60,
        cpuid={**SVM, 0x8000001F: (0x1B, 0, 0, 0)},
    ),
    "sev, not on": Machine(
        "composed: the same machine as it comes, with the parameter off",
        {
            "/proc/cpuinfo": AMD_CPU.replace("avic", "avic sme sev sev_es sev_snp"),
            **{f"/sys/module/kvm_amd/parameters/{name}": "N\n" for name in ("sev", "sev_es", "sev_snp", "nested")},
            "/sys/module/kvm_amd/parameters/npt": "N\n",
        },
        FAST,
        {"cpu.nested_paging": "warn"},
        (True, True, True, True, False),
        iommu=60,
        cpuid={**SVM, 0x8000001F: (0x1B, 0, 0, 0)},
    ),
    "tdx": Machine(
        "composed: X86_FEATURE_TDX_HOST_PLATFORM and the parameter tdx of arch/x86/kvm/vmx/tdx.c",
        {
            "/proc/cpuinfo": INTEL_CPU.replace("Gold 6230 CPU @ 2.10GHz", "Platinum 8592+").replace(" est", " est tdx_host_platform"),
            "/sys/module/kvm_intel/parameters/tdx": "Y\n",
            "/sys/module/kvm_intel/parameters/nested": "Y\n",
        },
        Report("ran", "run", 0.5, capabilities={**CAPABLE, "vm_types": 0x21}),
        {"confidential.guests": "pass"},
        (True, True, True, True, True),
        iommu=60,
        cpuid=VMX,
        msr={0x3A: 0x5},
    ),
    "virtualbox host": Machine(
        "composed: vboxdrv of VirtualBox loaded, whose guests hold the CPU (KVM: EBUSY in arch/x86/kvm)",
        {"/proc/cpuinfo": INTEL_CPU, "/sys/module/kvm_intel/parameters/nested": "Y\n", "/sys/module/vboxdrv/refcnt": "2\n"},
        Report("refused", "create_vm", error=16, capabilities=CAPABLE),
        {"platform.runs": "warn", "kvm.proof": "fail"},
        (None, True, True, True, False),
        runs=("kvm", "virtualbox"),
        iommu=12,
        cpuid=VMX,
    ),
    "aarch64": Machine(
        "composed: /proc/cpuinfo of an Ampere Altra (Neoverse N1, part 0xd0c)",
        {"/proc/cpuinfo": ARM_CPU, "/proc/sys/kernel/arch": "aarch64\n", f"{DMI}/sys_vendor": "Ampere(R)\n"},
        Report("ran", "create_vcpu", None, capabilities={**CAPABLE, "nested_state": 0}),
        {"cpu.virtualization": "unknown", "cpu.nested_paging": "unknown", "kvm.proof": "warn"},
        (None, True, True, True, False),
        iommu=7,
    ),
    "s390x": Machine(
        "composed: an LPAR with Secure Execution, facilities of Documentation/virt/kvm/s390/s390-pv.rst",
        {
            "/proc/cpuinfo": S390_CPU,
            "/proc/sys/kernel/arch": "s390x\n",
            "/proc/sysinfo": "Manufacturer: IBM\nType: 8561\n",
            "/proc/device-tree/.there": "",
            "/sys/firmware/uv/prot_virt_host": "1\n",
        },
        Report("ran", "create_vcpu", None, capabilities={**CAPABLE, "irqchip": 0}),
        {"cpu.nested_paging": "unknown", "kvm.proof": "warn", "confidential.guests": "pass"},
        (None, True, True, True, True),
        iommu=1,
    ),
}
