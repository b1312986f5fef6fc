#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: memory_sharing
short_description: Set same-page merging (KSM) and transparent huge pages, now and at every boot
version_added: 0.1.0
description:
  - Sets how the kernel merges equal pages of guests (KSM), and how it gives programs huge pages by itself (THP).
    Only what is named is looked at.
  - What this kernel does not offer is refused before anything is touched.
  - Services such as ksmtuned and tuned set the same things while they run. Disable them, or leave to them what they set.
author:
  - virtops.linux contributors (@virtops)
options:
  ksm:
    description:
      - Same-page merging. It trades CPU time for memory, and lets one guest find out by timing whether another has the same page.
      - An empty dictionary has the next boot know nothing of KSM any more. What runs stays as it is.
    type: dict
    suboptions:
      run:
        description:
          - Whether pages are merged.
          - V(false) stops looking for equal pages. Those that are merged stay so until they are written to.
        type: bool
      pages_to_scan:
        description:
          - The number of pages to look at before each sleep.
          - Refused while O(ksm.advisor_mode) is V(scan-time), which sets it.
        type: int
      sleep_millisecs:
        description: The milliseconds to sleep after each round.
        type: int
      merge_across_nodes:
        description:
          - Whether pages of different NUMA nodes are merged. V(false) keeps guests off the memory of other nodes.
          - While pages are merged it cannot change. They are then taken apart first (V(unmerge_pages) in RV(ignore:actions)),
            and merging starts anew. That takes as much memory as merging had saved; where it is not available,
            it is refused with RV(ignore:code) V(not_enough_memory).
        type: bool
      max_page_sharing:
        description:
          - How many pages one page may stand for at most, from 2. Higher saves more memory, and makes it slower to move or reclaim a merged page.
          - Changes as O(ksm.merge_across_nodes) does.
        type: int
      stable_node_chains_prune_millisecs:
        description: How often the kernel clears up its lists of pages that reached O(ksm.max_page_sharing), in milliseconds.
        type: int
      use_zero_pages:
        description: Whether empty pages are merged with the kernel's own page of zeros.
        type: bool
      smart_scan:
        description: Whether pages that were never merged are looked at less often. Linux 6.7 and newer.
        type: bool
      advisor_mode:
        description:
          - Who sets O(ksm.pages_to_scan). V(none) leaves it to the user, V(scan-time) has the kernel aim at O(ksm.advisor_target_scan_time).
            Linux 6.8 and newer.
        type: str
        choices: [none, scan-time]
      advisor_target_scan_time:
        description: The seconds in which the advisor aims to look at all pages.
        type: int
      advisor_max_cpu:
        description: The percentage of one CPU that the advisor may use at most.
        type: int
      advisor_min_pages_to_scan:
        description: The lowest O(ksm.pages_to_scan) that the advisor sets.
        type: int
      advisor_max_pages_to_scan:
        description: The highest O(ksm.pages_to_scan) that the advisor sets.
        type: int
  transparent_hugepages:
    description:
      - Transparent huge pages.
      - An empty dictionary has the next boot know nothing of them any more. What runs stays as it is.
    type: dict
    suboptions:
      enabled:
        description:
          - Who gets them. V(madvise) gives them to programs that ask, which qemu does for the memory of guests.
        type: str
        choices: [always, madvise, never]
      defrag:
        description: When the kernel stops a program to make room for a huge page.
        type: str
        choices: [always, defer, defer+madvise, madvise, never]
      shmem_enabled:
        description: Who gets them for shared memory.
        type: str
        choices: [always, within_size, advise, never, deny, force]
      use_zero_page:
        description: Whether a huge page that is only read is the kernel's own page of zeros.
        type: bool
  khugepaged:
    description:
      - The kernel thread that turns small pages into huge ones in the background.
      - An empty dictionary has the next boot know nothing of it any more. What runs stays as it is.
    type: dict
    suboptions:
      defrag:
        description: Whether it moves other pages to make room.
        type: bool
      pages_to_scan:
        description: The number of pages to look at before each sleep, from 1.
        type: int
      scan_sleep_millisecs:
        description: The milliseconds to sleep after each round.
        type: int
      alloc_sleep_millisecs:
        description: The milliseconds to wait after there was no huge page to be had.
        type: int
      max_ptes_none:
        description: How many pages of a future huge page may be unused, which then take memory. Less than the pages in a huge page, 512 on x86-64.
        type: int
      max_ptes_swap:
        description: How many of them may be swapped out, and are read in again.
        type: int
      max_ptes_shared:
        description: How many of them may be shared with other processes.
        type: int
  persistent:
    description:
      - Have the next boot give the same, by C(/etc/tmpfiles.d/virtops-memory-sharing.conf). The kernel keeps these settings in sysfs, where no sysctl
        reaches; systemd-tmpfiles writes them early in the boot. What was kept before and is not named now stays.
      - With V(false) the file is left as it is.
    type: bool
    default: true
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.hugepages
  - module: virtops.linux.virt_host_info
  - name: Kernel Samepage Merging
    description: The kernel's documentation.
    link: https://docs.kernel.org/admin-guide/mm/ksm.html
  - name: Transparent Hugepage Support
    description: The kernel's documentation.
    link: https://docs.kernel.org/admin-guide/mm/transhuge.html
"""

EXAMPLES = r"""
- name: Merge equal pages of guests, but not across NUMA nodes
  virtops.linux.memory_sharing:
    ksm:
      run: true
      merge_across_nodes: false
      pages_to_scan: 1000

- name: Huge pages for whoever asks, which qemu does
  virtops.linux.memory_sharing:
    transparent_hugepages:
      enabled: madvise
      defrag: madvise

- name: Stop merging, and leave it to the kernel's default at the next boot
  virtops.linux.memory_sharing:
    ksm:
      run: false
    persistent: false

- name: Forget what was kept for KSM
  virtops.linux.memory_sharing:
    ksm: {}
"""

RETURN = r"""
resource:
  description: The settings after the run.
  returned: success
  type: dict
  contains:
    ksm:
      description: The running kernel's values of the options in O(ksm) that were named.
      type: dict
    transparent_hugepages:
      description: Likewise for O(transparent_hugepages).
      type: dict
    khugepaged:
      description: Likewise for O(khugepaged).
      type: dict
    kept:
      description: All that the file of this module gives at the next boot, in the form of the options.
      type: dict
    pages_shared:
      description: How many merged pages there are.
      type: int
    saved_memory:
      description: The bytes that merging saves, and that taking all pages apart would need.
      type: int
  sample:
    ksm: {pages_to_scan: 1000, merge_across_nodes: false, run: true}
    transparent_hugepages: {}
    khugepaged: {}
    kept: {ksm: {pages_to_scan: 1000, merge_across_nodes: false, run: true}}
    pages_shared: 0
    saved_memory: 0
available:
  description: The bytes that are available.
  returned: failure with RV(ignore:code) V(not_enough_memory)
  type: int
needed:
  description: The bytes that taking all merged pages apart needs.
  returned: failure with RV(ignore:code) V(not_enough_memory)
  type: int
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.memory_sharing.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
