#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_pool_info
short_description: Read libvirt's storage pools
version_added: 0.1.0
description:
  - Reads the storage pools of libvirt that are defined,
    in the form that M(virtops.linux.libvirt_pool) takes. Given back to it, nothing changes.
  - A transient pool, which goes when it stops, is in RV(details) alone.
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
  - module: virtops.linux.libvirt_pool
"""

EXAMPLES = r"""
- name: Read storage pools
  virtops.linux.libvirt_pool_info:
  register: found

- name: Keep them all as they are
  virtops.linux.virt_host:
    pools: "{{ found.pools }}"
"""

RETURN = r"""
pools:
  description: The pools, as options of M(virtops.linux.libvirt_pool).
  returned: success
  type: list
  elements: dict
  sample:
    - name: default
      state: active
      autostart: true
      xml: <pool type="dir">...</pool>
details:
  description:
    - By name, C(uuid), C(type), C(path), C(active), C(persistent), and of active pools C(capacity), C(allocation)
      and C(available) in bytes and the names of their C(volumes).
  returned: success
  type: dict
  sample:
    default:
      type: dir
      path: /var/lib/libvirt/images
      active: true
      capacity: 105089261568
      volumes: [web.qcow2]
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.pool.info import SPEC, gather


def main():
    run_info(SPEC, gather)


if __name__ == "__main__":
    main()
