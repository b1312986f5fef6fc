#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_volume_info
short_description: Read libvirt's volumes
version_added: 0.1.0
description:
  - Reads the volumes of libvirt's active storage pools,
    in the form that M(virtops.linux.libvirt_volume) takes. Given back to it, nothing changes.
author:
  - virtops.linux contributors (@virtops)
options:
  pool:
    description: The only pool to look at.
    type: str
  name:
    description: The name of the only ones to read.
    type: str
extends_documentation_fragment:
  - virtops.linux.libvirt
  - virtops.linux.attributes
  - virtops.linux.attributes.info
seealso:
  - module: virtops.linux.libvirt_volume
"""

EXAMPLES = r"""
- name: Read volumes
  virtops.linux.libvirt_volume_info:
  register: found

- name: Keep them all as they are
  virtops.linux.virt_host:
    volumes: "{{ found.volumes }}"
"""

RETURN = r"""
volumes:
  description: The volumes, as options of M(virtops.linux.libvirt_volume).
  returned: success
  type: list
  elements: dict
  sample:
    - pool: default
      name: web.qcow2
      state: present
      capacity: "21474836480"
      format: qcow2
details:
  description: By pool and name, C(path), C(allocation) in bytes and C(backing), the path of the image that it stands on.
  returned: success
  type: dict
  sample:
    default:
      web.qcow2: {path: /var/lib/libvirt/images/web.qcow2, allocation: 196616, backing: null}
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.volume.info import SPEC, gather


def main():
    run_info(SPEC, gather)


if __name__ == "__main__":
    main()
