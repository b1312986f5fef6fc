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
  - Everything else, and what libvirt would refuse to change, takes effect when the network starts again. Until then RV(pending) names the fields
    concerned, in every run.
  - When libvirt stops a network whose bridge it made itself, running guests lose their connection, and do not get it back when it starts again.
    This module plugs their interfaces in again, whoever stopped the network.
author:
  - virtops.linux contributors (@virtops)
options:
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
    description:
      - How packets leave the network.
      - An active network gets it at its next start, unless an option says otherwise.
    type: dict
    suboptions:
      mode:
        description:
          - How, in libvirt's words. V(none) is an isolated network.
        type: str
        choices: [none, nat, route, open, bridge, private, vepa, passthrough, hostdev]
      dev:
        description:
          - The only interface of the host that packets leave through. An empty string takes it away.
          - An active network gets it at once while it keeps its mode, else at its next start.
        type: str
      interfaces:
        description:
          - The interfaces of the host that guests are given one of, all of them. An empty list takes them away.
          - An active network gets it at once while it keeps its mode, else at its next start.
        type: list
        elements: str
      nat:
        description: How addresses are translated.
        type: dict
        suboptions:
          addresses:
            description: The host's addresses that packets leave with. An empty dict leaves the choice to the kernel.
            type: dict
            suboptions:
              start:
                description: The first one.
                type: str
              end:
                description: The last one. Without it, there is one.
                type: str
          ports:
            description: The ports that packets leave with. Libvirt's own are 1024 to 65535.
            type: dict
            suboptions:
              start:
                description: The first one.
                type: int
              end:
                description: The last one.
                type: int
          ipv6:
            description: Whether IPv6 is translated, too.
            type: bool
      pf:
        description: The physical function of SR-IOV whose virtual functions guests are given.
        type: str
      addresses:
        description: PCI addresses of the devices that guests are given, as in V(0000:03:10.1), all of them. They must be virtual functions of SR-IOV.
        type: list
        elements: str
      managed:
        description: Whether libvirt takes the devices from their drivers, and gives them back.
        type: bool
      driver:
        description: The driver through which guests are given devices, for example V(vfio).
        type: str
  bridge:
    description:
      - The bridge that libvirt makes for the network, or with O(forward.mode=bridge) the host's own bridge.
      - An active network gets it at its next start.
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
      zone:
        description: Its zone in firewalld.
        type: str
      mac_table_manager:
        description: Who keeps the table of addresses behind its ports. V(libvirt) knows those of the guests and floods nothing.
        type: str
        choices: [kernel, libvirt]
  mac:
    description:
      - The bridge's MAC address. Libvirt chooses one for a new network that has none.
      - An active network gets it at its next start.
    type: str
  domain:
    description:
      - The DNS domain of the network's DHCP server. An empty string takes it away.
      - An active network gets it at its next start.
    type: str
  domain_local_only:
    description:
      - Whether names in O(domain) are never asked of the host's own DNS servers.
      - An active network gets it at its next start.
    type: bool
  mtu:
    description:
      - The largest packet, in bytes.
      - An active network gets it at its next start.
    type: int
  ipv6:
    description:
      - Whether guests may speak IPv6 with each other, where O(ips) has no address of IPv6.
      - An active network gets it at its next start.
    type: bool
  isolated:
    description:
      - Whether guests reach only the host and what is behind it, and not each other.
      - An active network gets it at its next start.
    type: bool
  vlan:
    description:
      - The VLANs of the network, where Open vSwitch or a device of SR-IOV takes care of them. An empty dict takes them away.
      - An active network gets it at its next start.
    type: dict
    suboptions: &vlan
      trunk:
        description: Whether guests see the tags. More than one tag, or a native mode, makes it a trunk.
        type: bool
      tags:
        description: The VLANs, all of them.
        type: list
        elements: dict
        suboptions:
          id:
            description: The VLAN's number.
            type: int
            required: true
          native_mode:
            description: How packets without a tag are taken for this VLAN.
            type: str
            choices: [tagged, untagged]
  virtualport:
    description:
      - The switch that interfaces of the network are plugged into. An empty dict takes it away.
      - An active network gets it at its next start.
    type: dict
    suboptions: &virtualport
      type:
        description: In libvirt's words, such as V(openvswitch), V(802.1Qbg) or V(802.1Qbh).
        type: str
      parameters:
        description: Its parameters in libvirt's words, all of them, for example C(profileid).
        type: dict
  bandwidth:
    description:
      - What the network may carry, in both directions, seen from the guests. An empty dict takes the limits away.
      - An active network gets it at its next start.
    type: dict
    suboptions: &bandwidth
      inbound:
        description: Traffic to the guests.
        type: dict
        suboptions: &rate
          average:
            description: KiB in a second.
            type: int
            required: true
          peak:
            description: KiB in a second at most.
            type: int
          burst:
            description: KiB that go at the peak rate.
            type: int
      outbound:
        description: Traffic from the guests.
        type: dict
        suboptions: *rate
  trust_guest_rx_filters:
    description:
      - Whether guests may change the MAC addresses that a macvtap interface listens to.
      - An active network gets it at its next start.
    type: bool
  dns:
    description:
      - The DNS server of the network. An empty dict takes away all that is said of it.
      - An active network gets it at its next start, unless an option says otherwise.
    type: dict
    suboptions:
      enable:
        description: Whether there is one.
        type: bool
      forward_plain_names:
        description: Whether names without a dot are asked of the host's own DNS servers.
        type: bool
      forwarders:
        description: Whom it asks what it does not know, all of them.
        type: list
        elements: dict
        suboptions:
          address:
            description: The server's address. Without it, names in O(dns.forwarders[].domain) are asked of the host's own.
            type: str
          domain:
            description: The only domain that is asked there.
            type: str
      hosts:
        description:
          - Names of addresses, all of them.
          - An active network gets it at once.
        type: list
        elements: dict
        suboptions:
          ip:
            description: The address.
            type: str
            required: true
          hostnames:
            description: Its names.
            type: list
            elements: str
            required: true
      txt:
        description:
          - Texts, all of them.
          - An active network gets it at once.
        type: list
        elements: dict
        suboptions:
          name:
            description: The name in the DNS.
            type: str
            required: true
          value:
            description: The text.
            type: str
            required: true
      srv:
        description:
          - Where services are, all of them.
          - An active network gets it at once.
        type: list
        elements: dict
        suboptions:
          service:
            description: The service's name.
            type: str
            required: true
          protocol:
            description: For example V(tcp).
            type: str
            required: true
          domain:
            description: The domain that has the service.
            type: str
          target:
            description: The machine that serves it.
            type: str
          port:
            description: Its port there.
            type: int
          priority:
            description: Lower ones are asked first.
            type: int
          weight:
            description: The share among those of one priority.
            type: int
  ips:
    description:
      - The host's addresses in the network, all of them. An empty list takes them away.
      - An active network gets it at its next start, unless an option says otherwise.
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
      local_ptr:
        description: Whether addresses of the network are never asked of the host's own DNS servers.
        type: bool
      tftp_root:
        description: The folder that is served over TFTP. An empty string takes it away.
        type: str
      dhcp:
        description: What the DHCP server of this address hands out.
        type: dict
        suboptions:
          ranges:
            description:
              - The ranges of addresses, all of them.
              - An active network gets it at once.
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
              lease:
                description: How long an address is leased. Libvirt accepts no less than two minutes.
                type: dict
                suboptions: &lease
                  expiry:
                    description: So many units; 0 is for ever.
                    type: int
                    required: true
                  unit:
                    description: What C(expiry) counts.
                    type: str
                    choices: [seconds, minutes, hours]
                    default: minutes
          hosts:
            description:
              - The machines with an address of their own, all of them.
              - An active network gets it at once.
            type: list
            elements: dict
            suboptions:
              mac:
                description: The machine's MAC address. IPv4 only.
                type: str
              id:
                description: The machine's DUID. IPv6 only.
                type: str
              name:
                description: The machine's name.
                type: str
              ip:
                description: Its address.
                type: str
                required: true
              lease:
                description: How long an address is leased. Libvirt accepts no less than two minutes.
                type: dict
                suboptions: *lease
          bootp:
            description: What machines boot over the network. An empty dict takes it away.
            type: dict
            suboptions:
              file:
                description: The file.
                type: str
              server:
                description: The address of the server that has it, where that is another one.
                type: str
  routes:
    description:
      - Networks that are reached through a machine in this one, all of them.
      - An active network gets it at its next start.
    type: list
    elements: dict
    suboptions:
      address:
        description: The network's address, with its prefix, as in V(198.51.100.0/25), or without.
        type: str
        required: true
      prefix:
        description: The length of its prefix, where O(routes[].address) has none.
        type: int
      gateway:
        description: The machine.
        type: str
        required: true
      metric:
        description: Lower ones are taken first.
        type: int
  portgroups:
    description:
      - Classes of guests' interfaces, all of them. A guest that runs keeps what its portgroup was.
      - An active network gets it at once.
    type: list
    elements: dict
    suboptions:
      name:
        description: The class's name.
        type: str
        required: true
      default:
        description: Whether interfaces are in it that name none.
        type: bool
      vlan:
        description: The VLANs of the class, where Open vSwitch or a device of SR-IOV takes care of them. An empty dict takes them away.
        type: dict
        suboptions: *vlan
      virtualport:
        description: The switch that interfaces of the class are plugged into. An empty dict takes it away.
        type: dict
        suboptions: *virtualport
      bandwidth:
        description: What the class may carry, in both directions, seen from the guests. An empty dict takes the limits away.
        type: dict
        suboptions: *bandwidth
      trust_guest_rx_filters:
        description: Whether guests may change the MAC addresses that a macvtap interface listens to.
        type: bool
  dnsmasq_options:
    description:
      - Lines for the configuration of dnsmasq, all of them. Libvirt does not look into them.
      - An active network gets it at its next start.
    type: list
    elements: str
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
  - virtops.linux.libvirt
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

- name: Names, a class of guests with a limit, and a network behind a guest
  virtops.linux.libvirt_network:
    name: services
    bridge: {name: virbr-services}
    ips:
      - address: 198.51.100.1/25
      - address: fd00:51::1/64
    dns:
      hosts:
        - {ip: 198.51.100.10, hostnames: [db, db.example]}
        - {ip: "fd00:51::10", hostnames: [db]}
      forwarders:
        - {address: 203.0.113.53, domain: corp.example}
    routes:
      - {address: 203.0.113.0/25, gateway: 198.51.100.9}
    portgroups:
      - name: slow
        bandwidth: {inbound: {average: 1024}, outbound: {average: 1024}}

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
