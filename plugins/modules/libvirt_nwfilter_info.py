#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_nwfilter_info
short_description: Read libvirt's network filters
version_added: 0.1.0
description:
  - Reads the network filters of libvirt,
    in the form that M(virtops.linux.libvirt_nwfilter) takes. Given back to it, nothing changes.
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
  - module: virtops.linux.libvirt_nwfilter
"""

EXAMPLES = r"""
- name: Read network filters
  virtops.linux.libvirt_nwfilter_info:
  register: found

- name: Keep them all as they are
  virtops.linux.virt_host:
    nwfilters: "{{ found.nwfilters }}"
"""

RETURN = r"""
nwfilters:
  description: The filters, as options of M(virtops.linux.libvirt_nwfilter).
  returned: success
  type: list
  elements: dict
  sample:
    - name: no-mac-spoofing
      state: present
      xml: <filter name="no-mac-spoofing" chain="mac">...</filter>
details:
  description: By name, C(uuid) and C(chain).
  returned: success
  type: dict
  sample:
    no-mac-spoofing:
      chain: mac
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.nwfilter.info import SPEC, gather


def main():
    run_info(SPEC, gather)


if __name__ == "__main__":
    main()
