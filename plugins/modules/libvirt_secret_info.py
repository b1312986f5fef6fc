#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_secret_info
short_description: Read libvirt's secrets, without their values
version_added: 0.1.0
description:
  - Reads the secrets of libvirt, but never their values,
    in the form that M(virtops.linux.libvirt_secret) takes. Given back to it, nothing changes.
author:
  - virtops.linux contributors (@virtops)
options:
  usage_type:
    description: The only kind of usage to read.
    type: str
    choices: [ceph, iscsi, tls, volume, vtpm]
extends_documentation_fragment:
  - virtops.linux.libvirt
  - virtops.linux.attributes
  - virtops.linux.attributes.info
seealso:
  - module: virtops.linux.libvirt_secret
"""

EXAMPLES = r"""
- name: Read secrets, without their values
  virtops.linux.libvirt_secret_info:
  register: found

- name: Keep them all as they are
  virtops.linux.virt_host:
    secrets: "{{ found.secrets }}"
"""

RETURN = r"""
secrets:
  description: The secrets, as options of M(virtops.linux.libvirt_secret).
  returned: success
  type: list
  elements: dict
  sample:
    - uuid: 2ec115d7-3a88-3ceb-bc12-0ac909a6fd87
      state: present
      usage: {type: ceph, id: client.libvirt}
      description: ""
      ephemeral: false
      private: true
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.secret.info import SPEC, gather


def main():
    run_info(SPEC, gather)


if __name__ == "__main__":
    main()
