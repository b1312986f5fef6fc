# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the machines of these tests are put together from: files as a healthy host has them, and CPUs."""

from __future__ import annotations

from typing import Dict, Optional, Tuple

Files = Dict[str, Optional[str]]

MEMINFO = (
    "MemTotal:       32768000 kB\nMemFree:        30000000 kB\nMemAvailable:   31457280 kB\n"
    "SwapTotal:       1048576 kB\nSwapFree:        1048576 kB\nCommitLimit:    17432576 kB\nCommitted_AS:    2097152 kB\n"
)
UNIFIED = {
    "/proc/self/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate 0 0\n",
    "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
    "/sys/fs/cgroup/cgroup.subtree_control": "cpuset cpu io memory pids\n",
}
TOPOLOGY = {
    "/sys/devices/system/cpu/online": "0-3\n",
    **{f"/sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list": f"{n % 2},{n % 2 + 2}\n" for n in range(4)},
    "/sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:       16384000 kB\nNode 0 MemFree:        15000000 kB\n",
    "/sys/devices/system/node/node0/cpulist": "0,2\n",
    "/sys/devices/system/node/node1/meminfo": "Node 1 MemTotal:       16384000 kB\n",
    "/sys/devices/system/node/node1/cpulist": "1,3\n",
}
HUGE = {
    f"/sys/kernel/mm/hugepages/hugepages-{kib}kB/{name}": f"{count if name != 'surplus_hugepages' else 0}\n"
    for kib, count in ((2048, 1024), (1048576, 0))
    for name in ("nr_hugepages", "free_hugepages", "resv_hugepages", "surplus_hugepages")
}
HUGE_NODES = {
    f"/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/{name}": f"{count}\n"
    for node, count in ((0, 1000), (1, 24))
    for name in ("nr_hugepages", "free_hugepages")
}
MERGING = {"/sys/kernel/mm/ksm/run": "0\n", "/sys/kernel/mm/ksm/pages_shared": "0\n", "/sys/kernel/mm/ksm/pages_sharing": "0\n"}
LIMITS = {
    **{f"/proc/sys/user/max_{kind}_namespaces": "127236\n" for kind in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")},
    "/proc/sys/kernel/pid_max": "4194304\n",
    "/proc/sys/fs/inotify/max_user_instances": "128\n",
    "/proc/sys/fs/inotify/max_user_watches": "249984\n",
}
SECURITY = {
    "/sys/kernel/security/lsm": "lockdown,capability,landlock,yama,apparmor,tomoyo,bpf",
    "/sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
    "/sys/module/apparmor/parameters/enabled": "Y\n",
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": "\6\0\0\0\1",
    "/sys/devices/system/cpu/vulnerabilities/spectre_v2": "Mitigation: Retpolines; IBPB: conditional\n",
    "/sys/devices/system/cpu/vulnerabilities/meltdown": "Not affected\n",
}
ROUTES = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "eth0\t00000000\t017100CB\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "eth0\t007100CB\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
)
COMMON: Files = {
    "/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
    "/proc/sys/kernel/arch": "x86_64\n",
    "/proc/modules": "kvm 1142784 1 kvm_amd, Live 0x0\n",
    "/proc/sys/kernel/modules_disabled": "0\n",
    "/proc/meminfo": MEMINFO,
    "/proc/sys/vm/overcommit_memory": "0\n",
    "/proc/net/route": ROUTES,
    "/dev/kvm": "",
    "/dev/vhost-net": "",
    "/dev/vhost-vsock": "",
    "/dev/net/tun": "",
    "/dev/vfio/vfio": "",
    "/sys/module/vfio_pci/refcnt": "0\n",
    "/sys/fs/fuse/connections/.there": "",
    "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "/sys/kernel/mm/transparent_hugepage/defrag": "always defer defer+madvise [madvise] never\n",
    "/var/lib/misc": "",
    **TOPOLOGY,
    **HUGE,
    **HUGE_NODES,
    **MERGING,
    **LIMITS,
    **SECURITY,
    **UNIFIED,
}

INTEL_CPU = (
    "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz\n"
    "flags\t\t: fpu vme msr pae lm vmx smx est\nvmx flags\t: vnmi preemption_timer ept vpid unrestricted_guest\n\nprocessor\t: 1\n"
)
AMD_CPU = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7302P 16-Core Processor\nflags\t\t: fpu lm svm npt nrip_save avic\n"
# As a machine without nested virtualization under KVM showed it.
GUEST_CPU = (
    "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
    "flags\t\t: fpu vme de pse tsc msr pae rdtscp lm hypervisor lahf_lm cmp_legacy\n"
)
INTEL_GUEST_CPU = INTEL_CPU.replace(" vmx smx est", " hypervisor").replace("vmx flags\t: vnmi preemption_timer ept vpid unrestricted_guest\n", "")
NESTED_CPU = INTEL_CPU.replace(" vmx smx est", " vmx hypervisor")
ARM_CPU = (
    "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd evtstrm aes\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
    "CPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n"
)
S390_CPU = (
    "vendor_id       : IBM/S390\n# processors    : 4\nfeatures\t: esan3 zarch stfle msa ldisp eimm dfp edat etf3eh highgprs te vx sie\n"
    "facilities      : 0 1 2 3 4 6 7 8 9 10 158 161\n"
)
FIRST_NAMESPACES = {
    "cgroup": 0xEFFFFFFB,
    "ipc": 0xEFFFFFFF,
    "mnt": 4026531841,
    "net": 4026531840,
    "pid": 0xEFFFFFFC,
    "user": 0xEFFFFFFD,
    "uts": 0xEFFFFFFE,
}
OWN_NAMESPACES = {**FIRST_NAMESPACES, "pid": 4026532280, "uts": 4026532278, "ipc": 4026532279, "cgroup": 4026532300}

#: As KVM answered on the build machine, and on a Debian 12 host with hardware.
EMULATING = {
    "irqchip": 1,
    "user_memory": 1,
    "recommended_vcpus": 2,
    "memory_slots": 32764,
    "max_vcpus": 1024,
    "max_vcpu_id": 4096,
    "nested_state": 0,
    "dirty_log_ring": 1048576,
    "vm_types": 1,
}
CAPABLE = {**EMULATING, "recommended_vcpus": 4, "nested_state": 16384}


def signature(text: bytes) -> Tuple[int, int, int, int]:
    """Leaf 0x40000000 of a hypervisor of that name."""
    ebx, ecx, edx = (int.from_bytes(text.ljust(12, b"\0")[start : start + 4], "little") for start in (0, 4, 8))
    return 0x40000001, ebx, ecx, edx


VMX = {0x1: (0x50657, 0, 1 << 5, 0)}
NO_VMX = {0x1: (0x50657, 0, 0, 0)}
SVM = {0x80000001: (0x830F10, 0, 1 << 2, 0)}
NO_SVM = {0x80000001: (0x830F10, 0, 0, 0)}
