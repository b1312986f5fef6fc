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
    the flags of the CPU nor C(virsh domcapabilities) can do. The guest runs in a process of its own that is killed after two seconds.
  - Returns facts as numbers, for placing guests, and fails where O(requirements) are not met and O(fail_on) says so.
  - Changes nothing on the host. Opening a device node may make the kernel load the driver behind it, as any use of it would.
  - Works as an ordinary user too. What that user cannot see is V(unknown), with the reason.
author:
  - virtops.linux contributors (@virtops)
options:
  gather_subset:
    description:
      - What to look at. Leave out what the machine is not meant for, so that it is not judged by it.
      - What O(requirements) need is read in any case. An empty list judges the requirements alone.
      - V(cpu) is the CPU, and the hypervisor or the container that this machine itself runs in.
      - V(kvm) is C(/dev/kvm), its proof and nested guests.
      - V(iommu) is whether devices can be passed to guests.
      - V(memory) is memory in all and available.
      - V(devices) is C(/dev/vhost-net) and C(/dev/net/tun), which are opened.
      - V(cgroup) is the mode and the controllers of control groups.
      - V(capacity) is CPUs, NUMA nodes, memory and the space at O(disk_paths).
    type: list
    elements: str
    choices: [all, cpu, kvm, iommu, memory, devices, cgroup, capacity]
    default: [all]
  kvm_probe:
    description:
      - Prove KVM by running a guest.
      - With V(false), C(/dev/kvm) is only opened, and RV(usable.kvm) stays unknown.
    type: bool
    default: true
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
      kvm: true
      min_memory: 16GiB
      min_vcpus: 8
      min_disk:
        /var/lib/libvirt/images: 200G
    host_reserve:
      memory: 2GiB
      vcpus: 1
      disk: 10G
    fail_on: fail

- name: Check a container host, which needs no KVM
  virtops.linux.virt_host_info:
    gather_subset: [cgroup, capacity]
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
        - A stable name, C(platform.hypervisor), C(platform.container), C(cpu.virtualization), C(cpu.nested_paging), C(kvm.device),
          C(kvm.proof), C(kernel.modules), C(iommu.groups), C(device.vhost_net), C(device.tun), C(cgroup.mode), C(cgroup.controllers),
          C(capacity.memory), C(capacity.cpus), C(capacity.disk), or C(requirement.) and the name of the requirement.
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
      evidence: no vmx or svm in /proc/cpuinfo
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
          ran unprivileged, and the hypervisor and the container that this machine runs in, V(none), a name or V(unknown).
      type: dict
    cpu:
      description: Vendor and model, the flag of its virtualization (V(vmx), V(svm), V(sie)) and of nested paging (V(ept), V(npt)).
      type: dict
    kvm:
      description: The device C(/dev/kvm) with its owner, group, mode and whether it opens, the module behind it, and whether nested guests are on.
      type: dict
    iommu:
      description: The number of IOMMU groups.
      type: dict
    memory:
      description: Memory in all, available, and swap.
      type: dict
    devices:
      description: C(/dev/vhost-net) and C(/dev/net/tun), like C(/dev/kvm).
      type: dict
    cgroup:
      description: The mode, V(unified), V(hybrid), V(legacy) or V(none), and the controllers.
      type: dict
    capacity:
      description: CPU threads online, cores, NUMA nodes, and for each path the file system's mount point, size and free space.
      type: dict
for_guests:
  description:
    - What is left for guests once the host has kept O(host_reserve), in bytes and CPU threads.
    - Of the guests that are there already, only the disks are taken off.
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
    containers:
      description: Whether the kernel has the namespaces and the controllers (cpu, memory, pids) that containers are made of.
      type: bool
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info
from ansible_collections.virtops.linux.plugins.module_utils.kvm.info import gather
from ansible_collections.virtops.linux.plugins.module_utils.kvm.spec import SPEC


def main():
    run_info(SPEC, gather)


if __name__ == "__main__":
    main()
