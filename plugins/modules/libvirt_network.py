#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_network
short_description: Define and start libvirt's virtual networks
version_added: 0.1.0
description:
  - Defines a virtual network of libvirt, starts and stops it, and keeps it as described.
  - What the task does not say stays as it is, wherever it came from. The UUID and the MAC address of the bridge always survive.
  - A changed definition of an active network is defined at once, and what libvirt can change in a network that runs is changed there as well,
    without a restart. These are ranges and hosts of DHCP, hosts, texts and service records of the DNS, portgroups and forward interfaces.
    What ran otherwise than it is defined is put right in the same way.
  - Everything else takes effect when the network starts again. Until then RV(pending) names the fields concerned, in every run.
  - When libvirt stops a network whose bridge it made itself, running guests lose their connection, and do not get it back when it starts again.
    This module plugs their interfaces in again, whoever stopped the network.
author:
  - virtops.linux contributors (@virtops)
options:
  uri:
    description: The libvirt connection.
    type: str
    default: qemu:///system
  name:
    description:
      - The network's name. Required unless O(xml) has one.
    type: str
  state:
    description:
      - V(present) defines the network, and leaves it active or inactive as it is.
      - V(active) defines and starts it.
      - V(inactive) defines it and stops it where it is active.
      - V(absent) stops and undefines it.
    type: str
    choices: [present, active, inactive, absent]
    default: active
  autostart:
    description: Whether libvirt starts the network when the host boots.
    type: bool
  xml:
    description:
      - A definition, or part of one, in libvirt's own format. The other options go on top of it.
      - Naming one member of a list, for example one C(ip), speaks for the whole list. Everything else that it does not name stays.
    type: str
  forward:
    description: How packets leave the network.
    type: dict
    suboptions:
      mode:
        description:
          - How, in libvirt's words. V(none) is an isolated network.
        type: str
        choices: [none, nat, route, open, bridge, private, vepa, passthrough, hostdev]
      dev:
        description: The only interface of the host that packets leave through. An empty string takes it away.
        type: str
  bridge:
    description: The bridge that libvirt makes for the network, or with O(forward.mode=bridge) the host's own bridge.
    type: dict
    suboptions:
      name:
        description: Its name. Libvirt chooses one for a new network that has none.
        type: str
      stp:
        description: Whether it runs the spanning tree protocol.
        type: bool
      delay:
        description: Its forward delay in seconds.
        type: int
  mac:
    description: The bridge's MAC address. Libvirt chooses one for a new network that has none.
    type: str
  domain:
    description: The DNS domain of the network's DHCP server. An empty string takes it away.
    type: str
  mtu:
    description: The largest packet, in bytes.
    type: int
  ips:
    description: The host's addresses in the network, all of them. An empty list takes them away.
    type: list
    elements: dict
    suboptions:
      address:
        description: An IPv4 or IPv6 address, with its prefix, as in V(192.168.100.1/24), or without.
        type: str
        required: true
      prefix:
        description: The length of the network's prefix, where O(ips[].address) has none.
        type: int
      dhcp:
        description: What the DHCP server of this address hands out.
        type: dict
        suboptions:
          ranges:
            description: The ranges of addresses, all of them.
            type: list
            elements: dict
            suboptions:
              start:
                description: The first address.
                type: str
                required: true
              end:
                description: The last address.
                type: str
                required: true
          hosts:
            description: The machines with an address of their own, all of them.
            type: list
            elements: dict
            suboptions:
              mac:
                description: The machine's MAC address. IPv4 only.
                type: str
              name:
                description: The machine's name.
                type: str
              ip:
                description: Its address.
                type: str
                required: true
  restart:
    description:
      - V(if_required) restarts an active network whose running state lacks something of the definition.
        Running guests are off the network for that moment, and plugged in again. Where this cannot be done, because libvirt runs on
        another host than the task for example, the task fails before anything is changed.
      - Where the new definition does not start, the previous one is put back and runs again, with its guests.
      - V(never) leaves that to you. The guests concerned are in the result, in RV(resource.guests).
    type: str
    choices: [never, if_required]
    default: never
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.libvirt_domain
  - name: Network XML format
    description: Libvirt's reference of all that a network can be.
    link: https://libvirt.org/formatnetwork.html
"""

EXAMPLES = r"""
- name: A network of their own for the lab's guests
  virtops.linux.libvirt_network:
    name: lab
    autostart: true
    forward: {mode: nat}
    domain: lab.example
    ips:
      - address: 192.0.2.1
        prefix: 24
        dhcp:
          ranges:
            - {start: 192.0.2.100, end: 192.0.2.199}
          hosts:
            - {mac: "52:54:00:00:00:10", name: web, ip: 192.0.2.10}

- name: The host's bridge br0 as a network
  virtops.linux.libvirt_network:
    name: lan
    forward: {mode: bridge}
    bridge: {name: br0}

- name: A network from XML
  virtops.linux.libvirt_network:
    xml: |
      <network>
        <name>dark</name>
        <bridge name="virbr-dark"/>
        <ip address="198.51.100.1" netmask="255.255.255.0"/>
      </network>

- name: No such network
  virtops.linux.libvirt_network:
    name: lab
    state: absent
"""

RETURN = r"""
resource:
  description: The network after the run.
  returned: success
  type: dict
  contains:
    name:
      description: The network's name.
      type: str
    state:
      description: active, inactive or absent.
      type: str
    autostart:
      description: Whether it starts with the host.
      type: bool
    persistent:
      description: Whether it is still defined after it stops.
      type: bool
    xml:
      description: The part of its definition that the task speaks of.
      type: str
    uuid:
      description: Its UUID.
      type: str
    bridge:
      description: The name of its bridge, none where it has none.
      type: str
    guests:
      description: The running guests on it, where it is active.
      type: list
      elements: str
    unplugged:
      description: Interfaces of running guests that are in no bridge although the network runs. None of them, once the task has run.
      type: list
      elements: str
  sample:
    name: lab
    state: active
    autostart: true
    persistent: true
    bridge: virbr1
    guests: [web, db]
pending:
  description: The fields of the definition that the running network does not have yet.
  returned: success
  type: list
  elements: str
  sample: ["mtu@size"]
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
