#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: container_cgroup_info
short_description: Limits, usage, pressure and events of cgroups
version_added: 0.1.0
description:
  - Tells what cgroups are limited to, what they use now, how often a limit was hit, which processes are in them, and who manages them.
  - The limits are in the words of M(virtops.linux.container_cgroup), and given to it again they change nothing.
author:
  - virtops.linux contributors (@virtops)
options:
  names:
    description:
      - The cgroups, each as O(virtops.linux.container_cgroup#module:name).
      - Without it, all cgroups of the host, or all slices where systemd runs it.
    type: list
    elements: str
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.info
seealso:
  - module: virtops.linux.container_cgroup
"""

EXAMPLES = r"""
- name: How are the containers doing
  virtops.linux.container_cgroup_info:
    names: [containers]
  register: found

- name: Nothing was killed for its memory
  ansible.builtin.assert:
    that: found.details[0].events.oom_kill | default(0) == 0

- name: Give them the same limits again
  virtops.linux.container_cgroup:
    name: "{{ item.name }}"
    state: "{{ item.state }}"
    resources: "{{ item.resources | default(omit) }}"
  loop: "{{ found.cgroups }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
cgroups:
  description:
    - The cgroups, each as options of M(virtops.linux.container_cgroup) that change nothing.
    - A cgroup that is not there has O(virtops.linux.container_cgroup#module:state=absent).
    - Slices that others wrote are left out. Of slices, the limits are those in the file of this collection.
  returned: success
  type: list
  elements: dict
  sample:
    - name: containers
      state: present
      resources:
        cpu: {idle: false, weight: 59, period: 100000, quota: 150000, burst: 0}
        memory: {limit: 2147483648, reservation: 1073741824, swap: -1, min: 0, high: -1}
        pids: {limit: 2000}
details:
  description: What else is known, of every cgroup.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name that was asked for.
      type: str
    exists:
      description: Whether it is there. Where not, there is little more.
      type: bool
    manager:
      description: Who keeps it, V(systemd) or V(cgroupfs).
      type: str
    hierarchy:
      description: What the host has mounted, V(v1), V(v2) or V(hybrid).
      type: str
    paths:
      description: Its directories.
      type: list
      elements: str
    effective:
      description: All limits, as the kernel has them.
      type: dict
    usage:
      description:
        - C(cpu_usec), C(memory), C(memory_peak) and C(swap) in bytes, and C(pids), as far as the kernel counts them here.
      type: dict
    events:
      description:
        - How often limits were hit. C(throttled) of C(periods) of CPU time, for C(throttled_usec) in all.
        - C(oom_kill) processes killed for memory, C(memory_high) and C(memory_max) times at a limit of memory, and C(pids_max) forks refused.
        - Before Linux 6.11, C(pids_max) is counted in the cgroup that tried to fork, even where the limit is of one above it, such as a slice.
      type: dict
    pressure:
      description: How long work waited for C(cpu), C(memory) and C(io), as the kernel's pressure stall information says it.
      type: dict
    processes:
      description: The numbers of the processes in it. Of a slice, in the units within it.
      type: list
      elements: int
    active:
      description: Whether the slice is started. Returned with systemd.
      type: bool
    enabled:
      description: Whether the slice is started at boot. Returned with systemd.
      type: bool
    managed:
      description: Whether this collection wrote a unit file or a drop-in for the slice. Returned with systemd.
      type: bool
    unit_file:
      description: The slice's unit file, empty where it has none. Returned with systemd.
      type: str
    drop_ins:
      description: The drop-ins of the slice. Returned with systemd.
      type: list
      elements: str
"""

from ansible_collections.virtops.linux.plugins.module_utils.cgroup.info import SPEC, gather
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info


def main():
    run_info(SPEC, gather)


if __name__ == "__main__":
    main()
