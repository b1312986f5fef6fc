#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: container_cgroup
short_description: Limit what all containers in a cgroup use together
version_added: 0.1.0
description:
  - Makes a cgroup that containers are put into (Docker's C(cgroup-parent), Podman's C(--cgroup-parent)), and limits what they use together.
  - Limits are given in the words of the OCI runtime specification, and are converted to cgroup v1, cgroup v2 or systemd, as the host has them.
    They are compared in the host's own unit, as the kernel or systemd shows it. What is not given is left as it is.
  - Where systemd runs the host, the cgroup is a slice, kept in C(/etc/systemd/system/NAME.slice), and is there again after a reboot.
    A slice that others wrote gets a drop-in beside its unit file, and O(state=absent) takes back no more than that.
  - Within a unit that systemd runs with C(Delegate=yes) it is a directory, because systemd keeps its hands off what is there.
  - Elsewhere it is a directory in the cgroup file systems. It lasts until the reboot, and RV(resource.persistent) says so.
    Run the task at every boot.
author:
  - virtops.linux contributors (@virtops)
options:
  name:
    description:
      - The cgroup, relative to the root of the hierarchy. A plain name such as V(containers) does for every host.
      - With systemd it is the name of a slice, and V(.slice) is added where it is missing. V(virtops-web) is below V(virtops).
      - With cgroupfs it may be a path such as V(virtops/web). The cgroups above are made where they are missing, and are never removed.
      - A path such as V(system.slice/containerd.service/pods) is within a service that systemd runs.
    type: str
    required: true
  state:
    description:
      - V(present) makes the cgroup with the limits in O(resources).
      - V(absent) removes it and all cgroups below it. Refused while there are processes in it.
    type: str
    choices: [present, absent]
    default: present
  manager:
    description:
      - Who keeps the cgroup.
      - V(auto) is V(systemd) where systemd runs the host, and V(cgroupfs) elsewhere.
      - V(cgroupfs) is refused where systemd runs the host, but for cgroups within a unit with C(Delegate=yes), because systemd owns every
        other one and undoes what others write.
    type: str
    choices: [auto, systemd, cgroupfs]
    default: auto
  resources:
    description:
      - The limits. Only those that are given are looked at.
      - Without any, cgroup v1 gets the cgroup for its C(cpu), C(memory) and C(pids) controllers.
    type: dict
    suboptions:
      cpu:
        description: CPU time and the CPUs to run on.
        type: dict
        suboptions:
          shares:
            description:
              - The share of CPU time relative to other cgroups, V(2) to V(262144). The kernel's own value is V(1024).
              - On cgroup v2 and with systemd it becomes a weight, in the way that O(shares_conversion) says, and is returned as one.
            type: int
          weight:
            description: The same in cgroup v2's own unit, V(1) to V(10000), with V(100) as the kernel's value. Not on cgroup v1.
            type: int
          quota:
            description:
              - Microseconds of CPU time in each O(resources.cpu.period), at least V(1000), or V(-1) for no limit. Twice the period is two CPUs.
              - systemd keeps whole percents of a CPU, rounded up.
            type: str
          period:
            description: The length of a period in microseconds, V(1000) to V(1000000). The kernel's own value is V(100000).
            type: int
          burst:
            description: Microseconds of unused quota that may be used later, at most the quota. Not with systemd.
            type: int
          realtime_period:
            description: The length of a period for real-time tasks, in microseconds. Only on cgroup v1.
            type: int
          realtime_runtime:
            description: Microseconds for real-time tasks in each O(resources.cpu.realtime_period). Only on cgroup v1.
            type: int
          idle:
            description:
              - Run only when no other cgroup wants the CPU. Excludes O(resources.cpu.shares) and O(resources.cpu.weight).
              - With systemd from version 252 on.
            type: bool
          cpus:
            description: The CPUs to run on, for example V(0-3,8). On cgroup v1, a cgroup for which it is not given has its parent's.
            type: str
          mems:
            description: The memory nodes to use, for example V(0).
            type: str
      memory:
        description:
          - Memory. Sizes are bytes or have a unit, for example V(512M), and V(-1) is no limit. The kernel rounds them down to whole pages.
        type: dict
        suboptions:
          limit:
            description:
              - The most memory. Without limit (V(-1)), and with O(resources.memory.swap) not given, the swap is without limit too.
            type: str
          reservation:
            description:
              - Memory that is taken away last when memory is short, V(0) for none.
              - A soft limit on cgroup v1, and C(memory.low) on cgroup v2.
            type: str
          swap:
            description:
              - The most memory and swap together, as OCI counts it. Equal to O(resources.memory.limit) it forbids swap.
              - Needs a limit of memory, given here or set before.
            type: str
          min:
            description: Memory that is never taken away, V(0) for none and V(max) for all. Only on cgroup v2.
            type: str
          low:
            description: The same as O(resources.memory.reservation) by cgroup v2's own name. Only on cgroup v2.
            type: str
          high:
            description: Memory beyond which processes are slowed down and memory is taken away, or V(-1) for no limit. Only on cgroup v2.
            type: str
          swap_max:
            description: The most swap, without memory, as cgroup v2 counts it. Only on cgroup v2.
            type: str
          kernel:
            description: The most memory of the kernel's. Only on cgroup v1, and not since Linux 5.16.
            type: str
          kernel_tcp:
            description: The most memory for TCP buffers. Only on cgroup v1.
            type: str
          disable_oom_killer:
            description: Let processes wait for memory instead of killing them. Only on cgroup v1.
            type: bool
          swappiness:
            description: How readily memory is swapped out, V(0) to V(100). Only on cgroup v1.
            type: int
          check_before_update:
            description:
              - Refuse a limit below what is used now on cgroup v2, where the kernel would kill processes. On cgroup v1 the kernel itself refuses.
            type: bool
            default: true
      pids:
        description: Processes and threads.
        type: dict
        suboptions:
          limit:
            description: The most of them, or V(-1) for no limit.
            type: str
      block_io:
        description:
          - Block devices. A list of devices is the whole list. A device that it leaves out has no such limit afterwards.
        type: dict
        suboptions:
          weight:
            description:
              - The share of a device's time relative to other cgroups, V(10) to V(1000), for the bfq scheduler.
              - Without bfq it becomes an C(io.weight) on cgroup v2, by C(1 + (weight - 10) * 9999 / 990), and is returned as
                O(resources.block_io.io_weight). bfq's usual V(100) is then V(910), while C(io.weight) has V(100) as its own.
            type: int
          io_weight:
            description: The same in cgroup v2's own unit, V(1) to V(10000), with V(100) as the kernel's value. Not on cgroup v1.
            type: int
          weight_device:
            description: Devices with a weight of their own.
            type: list
            elements: dict
            suboptions:
              path:
                description: The device's path, for example V(/dev/sda).
                type: path
              major:
                description: Its major number, in place of O(resources.block_io.weight_device[].path).
                type: int
              minor:
                description: Its minor number.
                type: int
              weight:
                description: V(10) to V(1000).
                type: int
                required: true
          io_weight_device:
            description: Devices with a weight of their own, in cgroup v2's unit. Not on cgroup v1.
            type: list
            elements: dict
            suboptions:
              path:
                description: The device's path, for example V(/dev/sda).
                type: path
              major:
                description: Its major number, in place of O(resources.block_io.io_weight_device[].path).
                type: int
              minor:
                description: Its minor number.
                type: int
              weight:
                description: V(1) to V(10000).
                type: int
                required: true
          throttle_read_bps_device:
            description: The devices of which bytes read each second are limited, all of them. An empty list is no limit.
            type: list
            elements: dict
            suboptions:
              path:
                description: The device's path, for example V(/dev/sda).
                type: path
              major:
                description: Its major number, in place of O(resources.block_io.throttle_read_bps_device[].path).
                type: int
              minor:
                description: Its minor number.
                type: int
              rate:
                description: Bytes each second, for example V(10M).
                type: str
                required: true
          throttle_write_bps_device:
            description: The devices of which bytes written each second are limited, all of them. An empty list is no limit.
            type: list
            elements: dict
            suboptions:
              path:
                description: The device's path, for example V(/dev/sda).
                type: path
              major:
                description: Its major number, in place of O(resources.block_io.throttle_write_bps_device[].path).
                type: int
              minor:
                description: Its minor number.
                type: int
              rate:
                description: Bytes each second, for example V(10M).
                type: str
                required: true
          throttle_read_iops_device:
            description: The devices of which read operations each second are limited, all of them. An empty list is no limit.
            type: list
            elements: dict
            suboptions:
              path:
                description: The device's path, for example V(/dev/sda).
                type: path
              major:
                description: Its major number, in place of O(resources.block_io.throttle_read_iops_device[].path).
                type: int
              minor:
                description: Its minor number.
                type: int
              rate:
                description: Operations each second.
                type: str
                required: true
          throttle_write_iops_device:
            description: The devices of which write operations each second are limited, all of them. An empty list is no limit.
            type: list
            elements: dict
            suboptions:
              path:
                description: The device's path, for example V(/dev/sda).
                type: path
              major:
                description: Its major number, in place of O(resources.block_io.throttle_write_iops_device[].path).
                type: int
              minor:
                description: Its minor number.
                type: int
              rate:
                description: Operations each second.
                type: str
                required: true
      hugepage_limits:
        description: The most huge pages of each size, of those in use and of those reserved. Not with systemd.
        type: list
        elements: dict
        suboptions:
          page_size:
            description: The size of a page, for example V(2MB).
            type: str
            required: true
          limit:
            description: The most bytes in such pages, rounded down to whole ones, or V(-1) for no limit.
            type: str
            required: true
      rdma:
        description:
          - Limits of RDMA devices, a dictionary of C(hca_handles) and C(hca_objects) for each. It is the whole table. Not with systemd.
        type: dict
      network:
        description: Marks of network traffic. Only on cgroup v1 where its C(net_cls) and C(net_prio) hierarchies are mounted.
        type: dict
        suboptions:
          class_id:
            description: The class that traffic control sees, for example V(0x100001) for 10:1.
            type: int
          priorities:
            description: The priority of traffic on each interface. It is the whole list.
            type: list
            elements: dict
            suboptions:
              name:
                description: The interface.
                type: str
                required: true
              priority:
                description: From V(0) on.
                type: int
                required: true
      devices:
        description:
          - Rules of which devices may be used, of which the later ones win. They are the whole list. To allow only some, begin with one that
            denies all.
          - Rules that deny some devices and allow all others are refused, because nothing shows them afterwards.
          - On cgroup v1 and with systemd. cgroup v2 itself has no files for it. In a slice's unit, C(block-*) and C(char-*) are all devices,
            because systemd takes back what C(DevicePolicy=strict) denied only by allowing it.
        type: list
        elements: dict
        suboptions:
          allow:
            description: Whether the rule allows or denies.
            type: bool
            required: true
          type:
            description: Block devices, character devices, or V(a) for all devices, which is what it is without it.
            type: str
            choices: [a, b, c]
          major:
            description: The major number. Any without it.
            type: int
          minor:
            description: The minor number. Any without it.
            type: int
          access:
            description: Letters of V(rwm), to read, to write and to make device nodes. All of them without it.
            type: str
      unified:
        description:
          - Files of cgroup v2 and their values, for what the other options have no words for, for example C(memory.high).
          - C(io.max), C(io.weight) and C(rdma.max) take lines of a device and its limits, and what no line speaks of stays.
          - With systemd, files that it has a setting for.
        type: dict
  processes:
    description:
      - Numbers of processes that are to be in the cgroup. Those that are in it already stay there.
      - Not with systemd, where units are in slices, and processes in units.
    type: list
    elements: int
  delegate:
    description:
      - Let a user make cgroups below this one, and move processes between them.
      - Not with systemd, which delegates services and scopes, but not slices.
    type: dict
    suboptions:
      user:
        description: Who owns the cgroup. The limits stay with root.
        type: str
      controllers:
        description: Controllers for the cgroups below, for example V(memory). Only on cgroup v2, where the cgroup can then hold no processes itself.
        type: list
        elements: str
  shares_conversion:
    description:
      - How O(resources.cpu.shares) becomes a weight.
      - V(current) is the curve of runc since 1.3.2 and of crun, on which V(1024) shares are a weight of V(100).
      - V(linear) is the straight line of older ones, on which V(1024) shares are a weight of V(39).
    type: str
    choices: [current, linear]
    default: current
  on_unsupported:
    description:
      - What to do with a limit that the host cannot have, for example O(resources.memory.swappiness) on cgroup v2.
      - V(warn) sets the others and returns it in RV(resource.not_applied).
    type: str
    choices: [fail, warn]
    default: fail
  force:
    description:
      - With O(state=present), take a limit of processes below what runs now, and on cgroup v2 a limit of memory below what is used.
      - With O(state=absent), move processes out of the cgroup, to the nearest one above that may hold any. No process is stopped.
      - Of no effect on slices, because systemd stops what runs in a slice that it stops. Stop the services and containers first.
    type: bool
    default: false
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.container_cgroup_info
  - name: OCI runtime specification
    description: The meaning of the limits.
    link: https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md
  - name: systemd.resource-control(5)
    description: The settings of slices.
    link: https://www.freedesktop.org/software/systemd/man/latest/systemd.resource-control.html
"""

EXAMPLES = r"""
- name: Leave the host enough to live on, whatever its containers do
  virtops.linux.container_cgroup:
    name: containers
    resources:
      cpu:
        shares: 512
        quota: 150000
      memory:
        limit: 2G
        reservation: 1G
      pids:
        limit: 2000

- name: Keep batch jobs to one CPU, on hosts of every kind
  virtops.linux.container_cgroup:
    name: batch
    on_unsupported: warn
    resources:
      cpu:
        cpus: "0"
        idle: true
      memory:
        swappiness: 10

- name: Slow the writers of a disk down, and keep all devices but the harmless ones away from them
  virtops.linux.container_cgroup:
    name: backup
    on_unsupported: warn
    resources:
      block_io:
        throttle_write_bps_device:
          - major: 8
            minor: 0
            rate: 20M
      devices:
        - allow: false
        - {allow: true, type: c, major: 1, minor: 3}
        - {allow: true, type: c, major: 136, access: rw}

- name: Take the limit of memory back
  virtops.linux.container_cgroup:
    name: containers
    resources:
      memory:
        limit: -1

- name: Remove the cgroup
  virtops.linux.container_cgroup:
    name: batch
    state: absent
"""

RETURN = r"""
resource:
  description: The cgroup after the run.
  returned: success
  type: dict
  contains:
    name:
      description: The name that was asked for.
      type: str
    state:
      description: V(present) or V(absent).
      type: str
    manager:
      description: Who keeps it, V(systemd) or V(cgroupfs).
      type: str
    hierarchy:
      description: What the host has mounted, V(v1), V(v2), or V(hybrid), where controllers may be in either.
      type: str
    paths:
      description: Its directories, one for each hierarchy of cgroup v1. With systemd, its path below the root of the hierarchy.
      type: list
      elements: str
    resources:
      description:
        - All limits that are in effect, as the kernel or systemd shows them, in the words of O(resources). Sizes are bytes, V(-1) is no limit.
        - Where the host counts in weights, O(resources.cpu.shares) is returned as C(weight).
      type: dict
    effective:
      description:
        - The same as the kernel has it, after systemd's rounding, with the CPUs and memory nodes that there really are to run on.
      type: dict
    processes:
      description: Those of O(processes) that are in it. Returned where they were asked for.
      type: list
      elements: int
    delegate:
      description: To whom it is delegated, with C(user) and C(controllers). Returned where it was asked for.
      type: dict
    not_applied:
      description: The limits that the host cannot have. Returned with O(on_unsupported=warn), where there are any.
      type: list
      elements: str
    persistent:
      description: Whether it is there again after a reboot.
      type: bool
    active:
      description: Whether the slice is started. Returned with systemd.
      type: bool
    enabled:
      description: Whether the slice is started at boot. Returned with systemd.
      type: bool
    unit_settings:
      description: The settings in the slice's unit file. Returned with systemd.
      type: dict
  sample:
    name: containers
    state: present
    manager: cgroupfs
    hierarchy: v2
    paths: [/sys/fs/cgroup/containers]
    resources:
      cpu: {idle: false, weight: 59, period: 100000, quota: 150000, burst: 0}
      memory: {limit: 2147483648, reservation: 1073741824, swap: -1, min: 0, high: -1}
      pids: {limit: 2000}
    persistent: false
"""

from ansible_collections.virtops.linux.plugins.module_utils.cgroup.resource import RESOURCE
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
