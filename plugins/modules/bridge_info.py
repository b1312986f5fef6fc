#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_info
short_description: Read Linux bridges, and who is attached to them
version_added: 0.1.0
description:
  - Reads the bridges of the running kernel, whoever made them, in the form that M(virtops.linux.bridge) takes. Given back to it, nothing changes.
  - What no option says is in RV(details), with every port and who is behind it, VLANs and the forwarding table.
  - Guests are found by the process that holds their tap device open, containers by the network namespace at the other end of a port.
    Only root sees those of others.
author:
  - virtops.linux contributors (@virtops)
options:
  name:
    description: The name of the only bridge to read. Where there is none, the result is empty.
    type: str
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.info
seealso:
  - module: virtops.linux.bridge
"""

EXAMPLES = r"""
- name: Read all bridges
  virtops.linux.bridge_info:
  register: found

- name: Keep them all as they are
  virtops.linux.virt_host:
    bridges: "{{ found.bridges }}"

- name: Name the guests on br0
  ansible.builtin.debug:
    msg: "{{ found.details.br0.ports | map(attribute='attached.guest', default='') | select | list }}"
  when: "'br0' in found.details"
"""

RETURN = r"""
bridges:
  description:
    - The bridges, as options of M(virtops.linux.bridge).
    - Without the ports of guests and containers, which come and go with those. A MAC address and an MTU that the kernel chose are left out,
      and VLANs where the bridge does not look at them.
  returned: success
  type: list
  elements: dict
  sample:
    - name: br0
      state: present
      stp: false
      forward_delay: 0
      addresses: [203.0.113.7/24]
      ports: [{name: eth0, cost: 4, isolated: false}]
      persist: networkd
details:
  description: What no option says, by the name of the bridge.
  returned: success
  type: dict
  contains:
    up:
      description: Whether it is switched on.
      type: bool
    operstate:
      description: The kernel's word for whether it carries frames, for example V(up), V(down) and V(unknown).
      type: str
    mac_address:
      description: Its MAC address.
      type: str
    mtu:
      description: Its MTU in bytes.
      type: int
    leased:
      description: Its addresses with a lifetime (DHCP, router advertisements).
      type: list
      elements: str
    vlans:
      description: The VLANs of the bridge itself, as the option C(vlans) of M(virtops.linux.bridge) has them.
      type: list
      elements: dict
    ports:
      description:
        - Every port, with C(name), C(kind), C(up), C(mac_address), C(mtu), the C(state) of the spanning tree, its C(vlans), and C(attached).
        - C(attached) has, for a guest, C(pid), C(command) and C(guest), its name. For a container it has C(pid) and C(command) of its
          first process and C(namespace), the file that keeps its network namespace, where there are such. Otherwise it is empty.
      type: list
      elements: dict
    fdb:
      description:
        - The forwarding table, with C(mac), C(port) and, where the bridge filters by it, C(vlan).
        - C(local) addresses are those of the bridge and of its ports, C(static) ones were set by somebody, and all others were learned.
      type: list
      elements: dict
    backend:
      description: What keeps the bridge after a reboot by way of M(virtops.linux.bridge), V(networkd), V(ifupdown) or V(none).
      type: str
    files:
      description: The files that do, by their paths.
      type: dict
  sample:
    br0:
      up: true
      operstate: up
      mac_address: "52:54:00:12:34:56"
      mtu: 1500
      leased: []
      vlans: []
      ports:
        - {name: vnet0, kind: tun, up: true, mac_address: "fe:54:00:12:34:57", mtu: 1500, state: forwarding, vlans: [],
           attached: {pid: 4711, command: qemu-system-x86_64, guest: web}}
      fdb: [{mac: "52:54:00:12:34:57", port: vnet0, local: false, static: false}]
      backend: none
      files: {}
"""

from ansible_collections.virtops.linux.plugins.module_utils.bridge.info import SPEC, gather
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info


def main():
    run_info(SPEC, gather)


if __name__ == "__main__":
    main()
