#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_domain_info
short_description: Read libvirt's guests
version_added: 0.1.0
description:
  - Reads the guests of libvirt that are defined, running or not,
    in the form that M(virtops.linux.libvirt_domain) takes. Given back to it, nothing changes.
  - What the module has options for is in options, the rest in C(xml). A guest that its options do not give again exactly is in C(xml) alone.
  - Passwords are never read. Where what was read is given back, they stay as they are.
  - A running guest that differs from its own definition in something that can change at once is brought in line when it is given back.
    RV(details) has these fields in C(pending).
  - A transient guest, which goes when it shuts down, is in RV(details) alone.
author:
  - virtops.linux contributors (@virtops)
options:
  name:
    description: The name of the only one to read.
    type: str
  addresses:
    description:
      - Who is asked for the IP addresses of running guests. An empty list asks nobody.
      - V(lease) is the DHCP server of libvirt's networks, V(agent) the QEMU guest agent where it listens, V(arp) the table of neighbours
        of the host that libvirt is on.
    type: list
    elements: str
    choices: [lease, agent, arp]
    default: [lease, agent, arp]
extends_documentation_fragment:
  - virtops.linux.libvirt
  - virtops.linux.attributes
  - virtops.linux.attributes.info
seealso:
  - module: virtops.linux.libvirt_domain
"""

EXAMPLES = r"""
- name: Read all guests
  virtops.linux.libvirt_domain_info:
  register: found

- name: Tell which of them wait for a restart
  ansible.builtin.debug:
    msg: "{{ found.details | dict2items | selectattr('value.pending') | map(attribute='key') }}"

- name: Keep them all as they are
  virtops.linux.virt_host:
    guests: "{{ found.guests }}"
"""

RETURN = r"""
guests:
  description: The guests, as options of M(virtops.linux.libvirt_domain).
  returned: success
  type: list
  elements: dict
  sample:
    - name: web
      state: running
      autostart: true
      type: kvm
      memory: 2GiB
      vcpus: 2
      disks: [{path: /var/lib/libvirt/images/web.qcow2, format: qcow2, target: vda, bus: virtio, device: disk}]
      xml: <domain>...</domain>
details:
  description:
    - By name, C(uuid), C(type), C(macs), C(state), C(persistent), the C(id) of a running guest,
      and in C(pending) the fields in which what runs, or what was saved, is not as it is defined.
    - C(state) is the one of O(virtops.linux.libvirt_domain#module:state), or V(crashed), or V(pmsuspended) where the guest sleeps.
    - C(addresses) has the C(mac) and C(address) of each, in C(sources) who told it, its C(prefix) where that is known,
      and the C(name) that the interface has in the guest where the agent told it.
  returned: success
  type: dict
  sample:
    web:
      state: running
      persistent: true
      pending: [memory]
      addresses: [{mac: "52:54:00:00:00:10", address: 198.51.100.10, prefix: 24, sources: [lease, arp]}]
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.info import SPEC, gather


def main():
    run_info(SPEC, gather)


if __name__ == "__main__":
    main()
