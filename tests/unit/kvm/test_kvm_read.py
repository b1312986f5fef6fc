# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.capacity import parse_cpu_list
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.cgroup import parse_cgroup_mounts
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.cpu import parse_cpu
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.hypervisor import hypervisor
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.memory import parse_meminfo
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.platform import container
from ansible_collections.virtops.linux.plugins.module_utils.kvm.sections.machine import Cpu
from ansible_collections.virtops.linux.plugins.module_utils.kvm.sections.system import Disk
from ansible_collections.virtops.linux.plugins.module_utils.kvm.spec import Request
from kvm_machine import FakeRegisters
from kvm_machines import MACHINES
from kvm_parts import AMD_CPU, ARM_CPU, FIRST_NAMESPACES, GUEST_CPU, INTEL_CPU, OWN_NAMESPACES
from support.hosts import FakeHost

DMI = "/sys/class/dmi/id"
CLOCKS = "/sys/devices/system/clocksource/clocksource0/available_clocksource"


@pytest.mark.parametrize(
    ("text", "cpu"),
    [
        (INTEL_CPU, Cpu("GenuineIntel", "Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz", "vmx", "ept", ("vpid", "unrestricted_guest"))),
        ("flags\t\t: vmx ept vpid\n", Cpu(None, None, "vmx", "ept", ("vpid",))),
        (AMD_CPU, Cpu("AuthenticAMD", "AMD EPYC 7302P 16-Core Processor", "svm", "npt", ("nrip_save", "avic"))),
        (GUEST_CPU, Cpu("AuthenticAMD", "AMD EPYC", None, None)),
        (ARM_CPU, Cpu("ARM", "part 0xd0c", None, None)),
        ("CPU implementer\t: 0x99\n", Cpu("0x99", None, None, None)),
        ("vendor_id       : IBM/S390\nfeatures\t: esan3 zarch sie\n", Cpu("IBM/S390", None, "sie", None)),
        ("processor\t: 0\ncpu\t\t: POWER9, altivec supported\n", Cpu(None, "POWER9, altivec supported", None, None)),
        ("", Cpu(None, None, None, None)),
    ],
)
def test_cpus(text, cpu):
    assert parse_cpu(text) == cpu


@pytest.mark.parametrize(
    ("cpuinfo", "files", "name", "words"),
    [
        (INTEL_CPU, {f"{DMI}/sys_vendor": "Amazon EC2\n"}, "none", "no hypervisor flag"),
        (GUEST_CPU, {f"{DMI}/sys_vendor": "QEMU\n"}, "qemu", "sys_vendor is QEMU"),
        (GUEST_CPU, {f"{DMI}/sys_vendor": "QEMU\n", CLOCKS: "kvm-clock tsc\n"}, "kvm", "clock source kvm-clock"),
        (GUEST_CPU, {CLOCKS: "tsc kvm-clock \n"}, "kvm", "clock source kvm-clock"),
        (GUEST_CPU, {f"{DMI}/sys_vendor": "Amazon EC2\n", CLOCKS: "kvm-clock tsc\n"}, "amazon", "Amazon EC2"),
        (GUEST_CPU, {f"{DMI}/product_name": "Google Compute Engine\n", CLOCKS: "kvm-clock\n"}, "google", "product_name"),
        (GUEST_CPU, {f"{DMI}/sys_vendor": "VMware, Inc.\n"}, "vmware", "VMware, Inc."),
        (GUEST_CPU, {f"{DMI}/sys_vendor": "innotek GmbH\n"}, "virtualbox", "innotek"),
        (GUEST_CPU, {f"{DMI}/sys_vendor": "Microsoft Corporation\n", f"{DMI}/product_name": "Virtual Machine\n"}, "microsoft", "product_name"),
        (GUEST_CPU, {CLOCKS: "hyperv_clocksource_tsc_page acpi_pm\n"}, "microsoft", "hyperv_clocksource"),
        (GUEST_CPU, {f"{DMI}/sys_vendor": "BHYVE\n"}, "bhyve", "BHYVE"),
        (GUEST_CPU, {"/sys/hypervisor/type": "xen\n"}, "xen", "/sys/hypervisor/type"),
        (GUEST_CPU, {f"{DMI}/sys_vendor": "Somebody\n"}, "unknown", "no name of it"),
        (ARM_CPU, {"/proc/device-tree/hypervisor/compatible": "linux,kvm\0"}, "kvm", "linux,kvm"),
        (ARM_CPU, {"/proc/device-tree/hypervisor/compatible": "xen,xen-4.14\0xen,xen\0"}, "xen", "xen,xen"),
        (ARM_CPU, {"/proc/device-tree/compatible": "linux,dummy-virt\0", "/proc/device-tree/fw-cfg": ""}, "qemu", "QEMU"),
        (ARM_CPU, {f"{DMI}/sys_vendor": "Amazon EC2\n", f"{DMI}/product_name": "a1.metal\n"}, "none", "no hypervisor in"),
        (ARM_CPU, {f"{DMI}/sys_vendor": "Amazon EC2\n", f"{DMI}/product_name": "a1.large\n"}, "amazon", "Amazon EC2"),
        (ARM_CPU, {}, "unknown", "not there"),
        (ARM_CPU, {"/proc/device-tree/ibm,partition-name": "lp1", "/proc/device-tree/hmc-managed?": ""}, "powervm", "PowerVM"),
        ("vendor_id\t: User Mode Linux\n", {}, "uml", "User Mode Linux"),
        ("", {"/proc/sysinfo": "Type: 8561\nVM00 Control Program: KVM/Linux\n"}, "kvm", "KVM/Linux"),
    ],
)
def test_hypervisors(tmp_path, cpuinfo, files, name, words):
    found, evidence = hypervisor(FakeHost(tmp_path, files), cpuinfo, FakeRegisters(MACHINES["aarch64"]))
    assert found == name
    assert words in evidence and str(tmp_path) not in evidence


@pytest.mark.parametrize(
    ("files", "namespaces", "name"),
    [
        ({"/.dockerenv": ""}, FIRST_NAMESPACES, "none"),  # an image for containers, booted as a machine
        ({"/.dockerenv": ""}, OWN_NAMESPACES, "docker"),
        ({"/run/.containerenv": 'engine="podman"\n'}, OWN_NAMESPACES, "podman"),
        ({"/run/systemd/container": "systemd-nspawn\n"}, OWN_NAMESPACES, "systemd-nspawn"),
        ({"/proc/1/environ": "PATH=/bin\0container=lxc\0TERM=linux\0"}, OWN_NAMESPACES, "lxc"),
        ({"/proc/sys/kernel/osrelease": "5.15.153.1-microsoft-standard-WSL2\n"}, OWN_NAMESPACES, "wsl"),
        ({"/proc/vz/.there": ""}, OWN_NAMESPACES, "openvz"),
        ({}, OWN_NAMESPACES, "unknown"),
        ({}, {}, "none"),
    ],
)
def test_containers(tmp_path, files, namespaces, name):
    assert container(FakeHost(tmp_path, files), namespaces)[0] == name


@pytest.mark.parametrize(
    ("mounts", "mode"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n", "unified"),
        ("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n", "hybrid"),
        ("tmpfs /sys/fs/cgroup tmpfs ro 0 0\ncgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n", "legacy"),
        ("proc /proc proc rw 0 0\n", "none"),
    ],
)
def test_cgroup_modes(mounts, mode):
    assert parse_cgroup_mounts(mounts)[0] == mode


def test_controllers_of_both_versions(machine):
    bench = machine("paravirtual")
    cgroup = bench.facts().cgroup
    assert cgroup is not None
    assert (cgroup.mode, cgroup.controllers) == ("hybrid", ("cpu", "hugetlb", "memory"))


def test_memory_and_lists():
    assert parse_meminfo("MemTotal:       24684084 kB\nHugePages_Total:       0\n") == {"MemTotal": 24684084 * 1024}
    with pytest.raises(Failure, match="no MemTotal"):
        parse_meminfo("")
    assert parse_cpu_list("0-3,8,10-11\n") == [0, 1, 2, 3, 8, 10, 11]
    assert parse_cpu_list("\n") == []


def test_a_disk_is_measured_at_the_nearest_parent_that_exists(machine):
    bench = machine("intel")
    capacity = bench.facts(Request(disk_paths=("/var/lib/libvirt/images", "/var/lib/misc"))).capacity
    assert capacity is not None
    first, second = capacity.disks
    assert isinstance(first, Disk) and first.path == "/var/lib/libvirt/images" and first.free
    assert (first.mount, first.total) == (second.mount, second.total)


@pytest.mark.parametrize(
    ("files", "loads", "words"),
    [
        ({}, True, "/proc/modules is there"),
        ({"/proc/modules": None}, False, "loads no modules at all"),
        ({"/proc/sys/kernel/modules_disabled": "1\n"}, False, "kernel.modules_disabled=1"),
    ],
)
def test_whether_modules_load(machine, files, loads, words):
    bench = machine("intel", files)
    platform = bench.facts().platform
    assert platform.loads_modules is loads and words in platform.module_evidence


def test_unnumbered_cpus_have_threads_but_no_cores(machine):
    bench = machine("intel", {"/sys/devices/system/cpu/cpu3/topology/thread_siblings_list": None})
    capacity = bench.facts().capacity
    assert capacity is not None
    assert (capacity.threads, capacity.cores) == (4, None)
