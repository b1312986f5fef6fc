#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_network_info
short_description: Read libvirt's virtual networks
version_added: 0.1.0
description:
  - Reads the virtual networks of libvirt that are defined,
    in the form that M(virtops.linux.libvirt_network) takes. Given back to it, nothing changes.
  - A transient network, which goes when it stops, is in RV(details) alone.
author:
  - virtops.linux contributors (@virtops)
options:
  name:
    description: The name of the only one to read.
    type: str
extends_documentation_fragment:
  - virtops.linux.libvirt
  - virtops.linux.attributes
  - virtops.linux.attributes.info
seealso:
  - module: virtops.linux.libvirt_network
"""

EXAMPLES = r"""
- name: Read virtual networks
  virtops.linux.libvirt_network_info:
  register: found

- name: Keep them all as they are
  virtops.linux.virt_host:
    networks: "{{ found.networks }}"
"""

RETURN = r"""
networks:
  description: The networks, as options of M(virtops.linux.libvirt_network).
  returned: success
  type: list
  elements: dict
  sample:
    - name: default
      state: active
      autostart: true
      xml: <network>...</network>
details:
  description:
    - By name, C(uuid), C(bridge), C(active), C(persistent), the running C(guests) on it, and the C(leases) of its DHCP server, with C(mac),
      C(address), C(hostname) and C(expires).
  returned: success
  type: dict
  sample:
    default:
      bridge: virbr0
      active: true
      leases: [{mac: "52:54:00:00:00:10", address: 198.51.100.10, hostname: web, expires: 1767225600}]
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.info import SPEC, gather


def main():
    run_info(SPEC, gather)


if __name__ == "__main__":
    main()
