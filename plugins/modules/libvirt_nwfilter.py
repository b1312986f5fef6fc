#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_nwfilter
short_description: Define libvirt's network filters
version_added: 0.1.0
description:
  - Defines a network filter of libvirt, which guests refer to on their interfaces, and keeps it as described.
  - Libvirt applies a changed filter at once to the running guests that refer to it.
  - What the task does not say stays as it is, wherever it came from. The UUID always survives.
author:
  - virtops.linux contributors (@virtops)
options:
  name:
    description:
      - The filter's name. Required unless O(xml) has one.
    type: str
  state:
    description:
      - V(present) defines the filter.
      - V(absent) undefines it. Refused while a guest or another filter refers to it.
    type: str
    choices: [present, absent]
    default: present
  xml:
    description:
      - A definition, or part of one, in libvirt's own format. The other options go on top of it.
      - Naming one rule speaks for all rules, in that order.
    type: str
  chain:
    description:
      - The chain that the filter belongs to, for example V(root), V(ipv4) or V(arp). Libvirt's default is V(root).
      - Running guests that refer to the filter get it at once.
    type: str
  priority:
    description:
      - The place of the chain among others, from -1000 (first) to 1000 (last).
      - Running guests that refer to the filter get it at once.
    type: int
  filterrefs:
    description:
      - The filters that this one includes, all of them in this order. An empty list takes them away.
      - Running guests that refer to the filter get it at once.
    type: list
    elements: dict
    suboptions:
      filter:
        description: Its name. It must be there.
        type: str
        required: true
      parameters:
        description: Values of its variables, or lists of them, for example C(IP) with V(203.0.113.7).
        type: dict
  rules:
    description:
      - The filter's rules, all of them in this order. An empty list takes them away.
      - Running guests that refer to the filter get it at once.
    type: list
    elements: dict
    suboptions:
      action:
        description: What happens to a packet that matches.
        type: str
        choices: [accept, drop, reject, return, continue]
        required: true
      direction:
        description: Which way the packet goes, seen from the guest.
        type: str
        choices: [in, out, inout]
        required: true
      priority:
        description: The rule's place, from -1000 (first) to 1000 (last). Libvirt's default is 500.
        type: int
      statematch:
        description: V(false) leaves the state of the connection out of account.
        type: bool
      protocol:
        description: The protocol that the rule is about. Without one it matches everything.
        type: str
        choices: [all, all-ipv6, ah, ah-ipv6, arp, esp, esp-ipv6, icmp, icmpv6, igmp, ip, ipv6, mac, rarp, sctp, sctp-ipv6, stp, tcp, tcp-ipv6,
          udp, udp-ipv6, udplite, udplite-ipv6, vlan]
      match:
        description:
          - What the packet must have, in libvirt's words for the protocol, for example C(srcipaddr), C(dstportstart).
            A C(match) of V(no) negates.
        type: dict
extends_documentation_fragment:
  - virtops.linux.libvirt
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.libvirt_domain
  - name: Network filters
    description: Libvirt's reference of protocols, their fields and variables.
    link: https://libvirt.org/formatnwfilter.html
"""

EXAMPLES = r"""
- name: Web servers take HTTPS and SSH from one network, and nothing else
  virtops.linux.libvirt_nwfilter:
    name: web
    filterrefs:
      - filter: clean-traffic
    rules:
      - {action: accept, direction: in, protocol: tcp, match: {dstportstart: 443}}
      - {action: accept, direction: in, protocol: tcp, match: {srcipaddr: 198.51.100.0, srcipmask: 24, dstportstart: 22}}
      - {action: accept, direction: out}
      - {action: drop, direction: in, priority: 1000}

- name: No such filter
  virtops.linux.libvirt_nwfilter:
    name: web
    state: absent
"""

RETURN = r"""
resource:
  description: The filter after the run.
  returned: success
  type: dict
  contains:
    name:
      description: The filter's name.
      type: str
    state:
      description: present or absent.
      type: str
    xml:
      description: The part of its definition that the task speaks of.
      type: str
    uuid:
      description: Its UUID.
      type: str
  sample:
    name: web
    state: present
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.nwfilter.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
