#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: virt_host_info
short_description: Find out what a virtualization host can do, and what keeps it from doing more
version_added: 0.1.0
description:
  - Judges whether a machine can run guests and containers, in checks of a status, the evidence for it and the remedy.
  - KVM is proven by running a guest. A loop of two instructions runs through C(/dev/kvm) and is timed, which takes a fifth of a second.
    A machine whose C(/dev/kvm) is there and whose guests never finish booting is told from one that works, which neither
    the flags of the CPU nor C(virsh domcapabilities) can do. The guest runs in a process of its own that is killed after two seconds,
    or after less where the module was slow to start, so that the whole ends within five.
  - Returns facts as numbers, for placing guests, and fails where O(requirements) are not met and O(fail_on) says so.
  - What every check stands for, and how it compares with C(virt-host-validate), C(kvm-ok) and C(systemd-detect-virt),
    is the collection's page C(docs/checks.md).
  - Changes nothing on the host. Opening a device node may make the kernel load the driver behind it, as any use of it would.
  - What may hang (the guest, a device, a file system whose server is gone) runs in a process of its own, which is killed after a second or two.
  - Works as an ordinary user too. What that user cannot see is V(unknown), with the reason.
author:
  - virtops.linux contributors (@virtops)
options:
  gather_subset:
    description:
      - What to look at. Leave out what the machine is not meant for, so that it is not judged by it.
      - What O(requirements) need is read in any case. An empty list judges the requirements alone.
      - V(cpu) is the CPU, the hypervisor or the container that this machine itself runs in, and the hypervisors that it runs.
        A switch in the firmware is told from a missing feature by asking the CPU itself, and the kernel's log.
      - V(kvm) is C(/dev/kvm), its proof, its capabilities, the parameters of its module, and whether O(user) may use it.
      - V(confidential) is guests whose memory the host cannot read, by AMD SEV, SEV-ES and SEV-SNP, Intel TDX or IBM Secure Execution.
      - V(iommu) is whether devices can be passed to guests, with the groups of the IOMMU and their devices, and VFIO.
      - V(memory) is memory in all and available, huge pages by size and NUMA node, transparent huge pages, KSM, overcommit and swap.
      - V(devices) is C(/dev/vhost-net), C(/dev/vhost-vsock) and C(/dev/net/tun), which are opened, and FUSE.
      - V(cgroup) is the mode and the controllers of control groups.
      - V(namespace) is the kinds of namespaces, their limits, whether ordinary users may make them, and the limits on processes and files.
      - V(security) is SELinux, AppArmor, lockdown, Secure Boot and the vulnerabilities of the CPU.
      - V(capacity) is CPUs, NUMA nodes, memory, the space and the inodes at O(disk_paths), and what libvirt's guests were promised.
      - V(network) is a filter over bridges that cuts guests off, and subnets of virtual networks that clash with the host's routes.
    type: list
    elements: str
    choices: [all, cpu, kvm, confidential, iommu, memory, devices, cgroup, namespace, security, capacity, network]
    default: [all]
  kvm_probe:
    description:
      - Prove KVM by running a guest.
      - With V(false), C(/dev/kvm) is only opened, and RV(usable.kvm) stays unknown.
    type: bool
    default: true
  user:
    description:
      - The name or the number of a user, for whom the check C(kvm.user) says whether they may use C(/dev/kvm), by which group or
        entry of its access control list, and what to run so that they may.
      - Part of the subset V(kvm).
    type: str
  disk_paths:
    description: Where guests' disks go. Where a path is not there yet, its nearest parent is measured.
    type: list
    elements: path
    default: [/var/lib/libvirt/images]
  requirements:
    description:
      - What the machine must be able to do. Each one stated is a check of its own, C(requirement.NAME).
      - A requirement that cannot be proven, by an ordinary user for example, is not met.
    type: dict
    suboptions:
      kvm:
        description: Guests run on the CPU itself. Needs O(kvm_probe).
        type: bool
      nested:
        description: Guests may run KVM guests of their own.
        type: bool
      iommu:
        description: Devices can be passed to guests.
        type: bool
      sev_snp:
        description: Guests of AMD SEV-SNP can be started.
        type: bool
      tdx:
        description: Guests of Intel TDX can be started.
        type: bool
      min_memory:
        description:
          - Memory for guests, for example V(16GiB), once the host has kept O(host_reserve.memory).
          - Measured on what Linux has in all, whoever uses it now, so that a host with guests passes again. Firmware and kernel
            keep some, so a machine sold with 16 GiB has less.
        type: str
      min_vcpus:
        description: CPU threads online, once the host has kept O(host_reserve.vcpus).
        type: int
      min_disk:
        description:
          - A dictionary of paths and the space that must be free there, for example V({"/var/lib/libvirt/images":"200G"}),
            once the host has kept O(host_reserve.disk).
          - Paths on one file system share its space, so what they require adds up.
        type: dict
      hugepages:
        description:
          - A dictionary of sizes of huge pages and how many of them there must be, for example V({"1GiB":16}).
          - Pages in all, whoever uses them now, so that a host with guests passes again.
        type: dict
      modules:
        description: Modules that must be loaded, or built into the kernel, for example V(vhost_net). C(-) and C(_) are one.
        type: list
        elements: str
      controllers:
        description:
          - Controllers that control groups must have, for example V(memory) and V(io).
          - Version 1's V(blkio) and version 2's V(io) are the same, and so are V(cpuacct) and V(cpu).
        type: list
        elements: str
  host_reserve:
    description: What the host keeps for itself. Taken off before capacity and requirements are judged, and from RV(for_guests).
    type: dict
    suboptions:
      memory:
        description: Memory, for example V(2GiB).
        type: str
      vcpus:
        description: CPU threads.
        type: int
      disk:
        description: Space on each file system of O(disk_paths) and O(requirements.min_disk), for example V(10G).
        type: str
  fail_on:
    description:
      - V(never) reports and never fails.
      - V(fail) fails with RV(ignore:code) V(requirements_not_met) where a check, a requirement or not, has the status V(fail).
        All of them are named at once, and the whole report is in the result of the failed task.
      - V(warn) fails for those with the status V(warn) as well.
      - The status V(unknown) alone never fails the task. State a requirement where it should.
    type: str
    choices: [never, fail, warn]
    default: never
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.info
notes:
  - Every failure has RV(ignore:msg), one sentence with the way out, and RV(ignore:code), a stable word.
  - On architectures other than x86-64 the proof creates a virtual machine and a vCPU but times nothing, so RV(kvm.accelerated) is none
    and O(requirements.kvm) is not met.
seealso:
  - module: virtops.linux.kvm_module
"""

EXAMPLES = r"""
- name: Look at a host
  virtops.linux.virt_host_info:
  register: host

- name: Say what is to be done on it
  ansible.builtin.debug:
    msg: "{{ item.id }} is {{ item.status }}: {{ item.evidence }}. {{ item.remedy }}"
  loop: "{{ host.checks | rejectattr('status', 'equalto', 'pass') }}"
  loop_control:
    label: "{{ item.id }}"

- name: Run guests on the CPU where that is proven, in software elsewhere
  ansible.builtin.set_fact:
    guest_type: "{{ host.usable.kvm | ternary('kvm', 'qemu') }}"

- name: Stop the play on hosts that cannot take the guests, with every reason at once
  virtops.linux.virt_host_info:
    gather_subset: []
    requirements:
      kvm: "{{ guest_type == 'kvm' }}"
      min_memory: 2GiB
      min_vcpus: 1
      min_disk:
        /var/lib/libvirt/images: 1G
    host_reserve:
      memory: 1GiB
      disk: 5G
    fail_on: fail

- name: Ask whether a person may use KVM, and what to run so that they may
  virtops.linux.virt_host_info:
    gather_subset: [kvm]
    user: "{{ ansible_user | default('root') }}"
  register: host

- name: Check that a host is set up for passing network cards to large guests
  virtops.linux.virt_host_info:
    gather_subset: [iommu, memory]
    requirements:
      iommu: true
      modules: [vfio-pci]
      hugepages:
        1GiB: 16
  register: host

- name: Check a container host, which needs no KVM
  virtops.linux.virt_host_info:
    gather_subset: [cgroup, namespace, capacity, network]
    disk_paths: [/var/lib/containers]
    requirements:
      controllers: [cpu, memory, pids]
    fail_on: fail
"""

RETURN = r"""
checks:
  description: What was judged, in an order that stays the same.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description:
        - A stable name, C(platform.hypervisor), C(platform.container), C(platform.runs), C(kernel.modules), C(cpu.virtualization),
          C(cpu.nested_paging), C(kvm.device), C(kvm.user), C(kvm.proof), C(kvm.capabilities), C(confidential.guests), C(iommu.groups),
          C(iommu.vfio), C(device.vhost_net), C(device.vhost_vsock), C(device.tun), C(device.fuse), C(cgroup.mode), C(cgroup.controllers),
          C(namespace.kinds), C(namespace.limits), C(namespace.unprivileged), C(namespace.resources), C(memory.hugepages),
          C(memory.transparent_hugepages), C(memory.same_page_merging), C(memory.overcommit), C(memory.swap), C(security.modules),
          C(security.lockdown), C(security.secure_boot), C(security.vulnerabilities), C(capacity.memory), C(capacity.cpus), C(capacity.disk),
          C(capacity.inodes), C(capacity.promised), C(network.bridge_filter), C(network.subnets), or C(requirement.) and the name of
          the requirement.
      type: str
    status:
      description:
        - V(pass); V(warn), it works, but less well than it could; V(fail), it does not work; V(unknown), it cannot be told.
      type: str
    evidence:
      description: The value, and where it was read.
      type: str
    remedy:
      description: What to do, a command, a package, a switch in the firmware or an argument of the kernel. Empty where there is nothing to do.
      type: str
  sample:
    - id: cpu.virtualization
      status: fail
      evidence: >-
        the CPU has it, and the firmware has switched it off: no vmx or svm in /proc/cpuinfo; CPUID leaf 0x80000001 ECX bit 2 (SVM) is 1
      remedy: switch on SVM Mode (AMD-V) in the firmware, then power the machine off and on
facts:
  description:
    - What was read. A section is there where O(gather_subset) or O(requirements) need it. Sizes are in bytes.
      A value that this host does not have is none.
  returned: always
  type: dict
  contains:
    platform:
      description:
        - The kernel and its architecture, whether it loads modules and which kinds of namespaces it has, whether the task
          ran unprivileged, in a C(chroot) or in a user namespace of its own (C(private_users)), the hypervisor and the container
          that this machine runs in, V(none), a name or V(unknown), and which kind of C(confidential_guest) it is.
        - C(runs) is a list of the hypervisors that this machine runs, V(kvm), V(xen), V(microsoft), V(virtualbox) or V(vmware), each with
          its C(type), 1 where it has the hardware itself or is part of the kernel (as KVM is), 2 where it is a program.
      type: dict
    cpu:
      description:
        - Vendor and model, the flag of its virtualization (V(vmx), V(svm), V(sie)) and of nested paging (V(ept), V(npt)), further
          C(features), whether the CPU itself has virtualization (C(offered)), and whether the firmware has switched it off (C(firmware_off)).
      type: dict
    kvm:
      description:
        - The device C(/dev/kvm) with its owner, group, mode and whether it opens, the module behind it with its parameters, whether nested
          guests are on, the C(capabilities) that KVM answered, and the C(access) of O(user).
      type: dict
    confidential:
      description: For C(sev), C(sev_es), C(sev_snp), C(tdx) and C(secure_execution), whether the CPU has it and whether it is C(on).
      type: dict
    iommu:
      description: The groups with their devices (address, class, driver), the firmware's table, the kernel's arguments, and VFIO.
      type: dict
    memory:
      description:
        - Memory in all, available, and swap, C(overcommit) with its limit, C(hugepages), a list of sizes with the pages in all, free, reserved
          and by NUMA node, transparent huge pages, and C(same_pages), what KSM does.
      type: dict
    devices:
      description: C(/dev/vhost-net), C(/dev/vhost-vsock) and C(/dev/net/tun), like C(/dev/kvm), and C(fuse).
      type: dict
    cgroup:
      description: The mode, V(unified), V(hybrid), V(legacy) or V(none), the controllers, and those that version 2 delegates.
      type: dict
    namespace:
      description: The kinds with the most that a user may have, whether ordinary users may make them, and the limits on processes and files.
      type: dict
    security:
      description: The active security modules, SELinux, AppArmor, lockdown, Secure Boot, and the vulnerabilities in the kernel's words.
      type: dict
    capacity:
      description:
        - CPU threads online, cores, NUMA nodes, for each path the file system's mount point, size, free space and inodes, and C(promised),
          the guests of libvirt with the memory and the vCPUs that they are defined with.
      type: dict
    network:
      description: Whether bridged packets are filtered, the filters of forwarded packets, the virtual subnets, and the routes of the host.
      type: dict
    modules:
      description: For each of O(requirements.modules) whether it is there.
      type: dict
for_guests:
  description:
    - What is left for guests once the host has kept O(host_reserve), in bytes and CPU threads.
    - Of the guests that are there already, only the disks are taken off. What they were promised is in RV(facts.capacity).
  returned: always
  type: dict
  sample: {memory: 14931009536, vcpus: 7, disk: {/var/lib/libvirt/images: 214748364800}}
kvm:
  description: The proof.
  returned: always
  type: dict
  contains:
    usable:
      description: Whether a guest ran. None where that is not known, because the guest hung or none was run.
      type: bool
    accelerated:
      description: Whether it ran on the CPU itself, at 200 ns an iteration or less. None where that is not known.
      type: bool
    nanoseconds:
      description: Nanoseconds of an iteration, about 1 on hardware, 15 to 30 on a host that is itself emulated in software.
      type: int
    stage:
      description:
        - How far it got, V(open), V(api_version), V(create_vm), V(memory), V(create_vcpu), V(registers), V(run) or V(done).
          V(skipped) where no guest was to be run, V(fork) where no process could be started for it.
      type: str
    errno:
      description: The error that ended it there, for example V(EACCES), V(ENOENT), or V(EBUSY) where another hypervisor holds the CPU.
      type: str
    reason:
      description: The same in a sentence.
      type: str
  sample:
    usable: true
    accelerated: false
    nanoseconds: 930
    stage: done
    errno: null
    reason: >-
      /dev/kvm: a guest ran, at 930 ns an iteration of a two-instruction loop; above 200 ns, this is KVM without hardware
      acceleration, which emulates every instruction
usable:
  description: The short answer. None where it is not known.
  returned: always
  type: dict
  contains:
    kvm:
      description: Whether guests run on the CPU itself, as proven.
      type: bool
    lxc:
      description: Whether the kernel has what libvirt's LXC driver wants, which is user namespaces and the controllers cpuset and io besides.
      type: bool
    containers:
      description: Whether the kernel has the namespaces and the controllers (cpu, memory, pids) that containers are made of.
      type: bool
    passthrough:
      description: Whether devices can be passed to guests.
      type: bool
    confidential:
      description: Whether a kind of confidential guests is on.
      type: bool
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info
from ansible_collections.virtops.linux.plugins.module_utils.kvm.info import gather
from ansible_collections.virtops.linux.plugins.module_utils.kvm.spec import SPEC


def main():
    run_info(SPEC, gather)


if __name__ == "__main__":
    main()
