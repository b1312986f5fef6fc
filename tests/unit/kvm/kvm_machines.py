# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The machines that the tests of this package talk about, as the files that each of them has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Optional

from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import Report
from support.hosts import FakeHost

MEMINFO = "MemTotal:       32768000 kB\nMemFree:        30000000 kB\nMemAvailable:   31457280 kB\nSwapTotal:       1048576 kB\n"
UNIFIED = {
    "/proc/self/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate 0 0\n",
    "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
}
TOPOLOGY = {
    "/sys/devices/system/cpu/online": "0-3\n",
    **{f"/sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list": f"{n % 2},{n % 2 + 2}\n" for n in range(4)},
    "/sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:       16384000 kB\nNode 0 MemFree:        15000000 kB\n",
    "/sys/devices/system/node/node0/cpulist": "0,2\n",
    "/sys/devices/system/node/node1/meminfo": "Node 1 MemTotal:       16384000 kB\n",
    "/sys/devices/system/node/node1/cpulist": "1,3\n",
}
COMMON = {
    "/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
    "/proc/sys/kernel/arch": "x86_64\n",
    "/proc/modules": "kvm 1142784 1 kvm_amd, Live 0x0\n",
    "/proc/sys/kernel/modules_disabled": "0\n",
    "/proc/meminfo": MEMINFO,
    "/dev/kvm": "",
    "/dev/vhost-net": "",
    "/dev/net/tun": "",
    "/var/lib/misc": "",
    **TOPOLOGY,
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
ARM_CPU = (
    "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd evtstrm aes\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
    "CPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n"
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

#: name → files (None: it has no such file), groups of its IOMMU, namespaces, and what its guest reported.
MACHINES: Dict[str, Dict[str, Any]] = {
    "intel": {
        "files": {"/proc/cpuinfo": INTEL_CPU, "/sys/module/kvm_intel/parameters/nested": "Y\n", "/sys/class/dmi/id/sys_vendor": "Dell Inc.\n"},
        "iommu": 41,
        "guest": Report("ran", "run", 0.52),
    },
    "amd": {
        "files": {"/proc/cpuinfo": AMD_CPU, "/sys/module/kvm_amd/parameters/nested": "0\n", "/sys/module/kvm/parameters/halt_poll_ns": "1\n"},
        "iommu": 18,
        "guest": Report("ran", "run", 0.9),
    },
    "paravirtual": {
        "files": {
            "/proc/cpuinfo": GUEST_CPU,
            "/proc/modules": None,
            "/dev/vhost-net": None,
            "/.dockerenv": "",
            "/sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc kvm-clock \n",
            "/sys/module/kvm_pvm/taint": "",
            "/proc/self/mounts": "cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0\n"
            "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n"
            "cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0\n"
            "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n",
            "/proc/cgroups": "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\nmemory\t4\t11\t1\npids\t8\t1\t0\n",
            "/sys/fs/cgroup/unified/cgroup.controllers": "hugetlb\n",
        },
        "guest": Report("ran", "run", 930.0),
    },
    "kvm guest": {
        "files": {
            "/proc/cpuinfo": GUEST_CPU,
            "/sys/class/dmi/id/sys_vendor": "QEMU\n",
            "/sys/devices/system/clocksource/clocksource0/available_clocksource": "kvm-clock tsc acpi_pm \n",
            "/dev/kvm": None,
        },
        "guest": Report("refused", "open", error=2),
    },
    "aarch64": {
        "files": {"/proc/cpuinfo": ARM_CPU, "/proc/sys/kernel/arch": "aarch64\n", "/sys/class/dmi/id/sys_vendor": "Ampere(R)\n"},
        "iommu": 7,
        "guest": Report("ran", "create_vcpu", None),
    },
    "container": {
        "files": {
            "/proc/cpuinfo": INTEL_CPU,
            "/run/systemd/container": "docker\n",
            "/dev/kvm": None,
            "/dev/vhost-net": None,
            "/dev/net/tun": None,
            "/sys/fs/cgroup/cgroup.controllers": "cpu\n",
        },
        "namespaces": OWN_NAMESPACES,
        "guest": Report("refused", "open", error=2),
    },
}


def build(tmp_path: Path, name: str, files: Optional[Dict[str, Optional[str]]] = None) -> FakeHost:
    """One of MACHINES, with files of its own on top."""
    machine = MACHINES[name]
    tree = {**COMMON, **machine["files"], **(files or {})}
    host = FakeHost(tmp_path, {path: text for path, text in tree.items() if text is not None})
    if host.exists("/dev/kvm"):
        os.chmod(host.path("/dev/kvm"), 0o666)  # noqa: S103 - as udev leaves it
    for number in range(machine.get("iommu", 0)):
        os.makedirs(host.path(f"/sys/kernel/iommu_groups/{number}"))
    os.makedirs(host.path("/proc/self/ns"))
    for kind, inode in machine.get("namespaces", FIRST_NAMESPACES).items():
        os.symlink(f"{kind}:[{inode}]", host.path(f"/proc/self/ns/{kind}"))
    return host
