#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: hugepages
short_description: Set memory aside as huge pages, now and at every boot
version_added: 0.1.0
description:
  - Sets how many huge pages of one size there are, on the whole host or on one NUMA node, and has the next boot give the same.
  - Memory that is not available is not taken. What the kernel is asked for beyond that, it takes from whoever needs it.
  - The kernel gives fewer pages than it was asked for where free memory is too fragmented, and does not say so. This module counts them, has memory
    compacted and asks again. Where it is still less than O(minimum), it puts back what was there before and fails with RV(ignore:code)
    V(hugepages_not_granted), RV(asked) and RV(got).
author:
  - virtops.linux contributors (@virtops)
options:
  size:
    description:
      - The size of a page, for example V(2M) or V(1G).
      - When not given, it is the kernel's default size, which is V(2M) on x86-64 unless its command line says C(default_hugepagesz).
    type: str
  count:
    description:
      - The number of pages. V(0) gives them all back.
      - Pages that are in use when there should be fewer stay with their users, and go back to the host when those end.
    type: int
    required: true
  minimum:
    description:
      - The number of pages that are enough where fragmented memory does not give O(count). A warning then says how many there are. The kernel is
        asked for O(count) once; later runs leave it at that, and the next boot asks again.
      - With O(persistent=false) nothing remembers that it was asked, so that with at least so many it is not asked at all.
      - When not given, all of O(count) are needed.
      - In check mode nobody can foresee how many the kernel gives; the prediction is O(count).
    type: int
  numa_node:
    description:
      - The NUMA node whose pages are counted.
      - When not given, it is the whole host, and the kernel spreads the pages evenly over the nodes.
    type: int
  persistent:
    description:
      - Have the next boot give the same.
      - For pages of the default size on the whole host that is C(vm.nr_hugepages) in C(/etc/sysctl.d/virtops-hugepages.conf). No sysctl counts other
        sizes or one node, so for these it is a line of C(/etc/tmpfiles.d/virtops-hugepages-SIZE.conf), by which systemd-tmpfiles writes
        the kernel's file. Both happen early in the boot, when memory is hardly fragmented. A host that needs many pages of V(1G) is safest with
        C(hugepagesz=1G hugepages=COUNT) on its kernel command line, which this module does not touch.
      - With V(false) these files are left as they are.
    type: bool
    default: true
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.memory_sharing
  - module: virtops.linux.virt_host_info
  - name: HugeTLB pages
    description: The kernel's documentation.
    link: https://docs.kernel.org/admin-guide/mm/hugetlbpage.html
"""

EXAMPLES = r"""
- name: Half a GiB of huge pages for guests
  virtops.linux.hugepages:
    count: 256

- name: A page of 1 GiB on the first NUMA node, or none if memory is too fragmented until the next boot
  virtops.linux.hugepages:
    size: 1G
    count: 1
    minimum: 0
    numa_node: 0

- name: Give them all back
  virtops.linux.hugepages:
    count: 0
"""

RETURN = r"""
resource:
  description: The pages after the run.
  returned: success
  type: dict
  contains:
    size:
      description: The size of a page.
      type: str
    numa_node:
      description: The NUMA node, none for the whole host.
      type: int
    count:
      description: The number of pages, without RV(resource.surplus).
      type: int
    kept:
      description: How many the file of this module gives at the next boot.
      type: int
    free:
      description: How many nobody uses.
      type: int
    reserved:
      description: How many of the free ones on the whole host are promised to somebody.
      type: int
    surplus:
      description: How many there are beyond RV(resource.count), because they were in use when it was lowered.
      type: int
    available_memory:
      description: The bytes that could still be taken from the host, or from the node.
      type: int
    sizes:
      description: The sizes that this kernel and CPU have.
      type: list
      elements: str
    conflicts:
      description: Lines elsewhere, each with C(file), C(line) and C(text), that set pages of this size at boot as well.
      type: list
      elements: dict
  sample:
    size: 2 MiB
    numa_node: null
    count: 256
    kept: 256
    free: 256
    reserved: 0
    surplus: 0
    available_memory: 16432000000
    sizes: [2 MiB, 1 GiB]
    conflicts: []
asked:
  description: The number of pages that the kernel was asked for.
  returned: failure with RV(ignore:code) V(hugepages_not_granted)
  type: int
got:
  description: The number of pages that it gave.
  returned: failure with RV(ignore:code) V(hugepages_not_granted)
  type: int
available:
  description: The bytes that are available.
  returned: failure with RV(ignore:code) V(not_enough_memory)
  type: int
needed:
  description: The bytes that the pages take beyond those that are there.
  returned: failure with RV(ignore:code) V(not_enough_memory)
  type: int
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.hugepages.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
