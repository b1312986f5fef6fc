#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_module
short_description: Load kernel modules for virtualization, now and at every boot
version_added: 0.1.0
description:
  - Loads a kernel module with its parameters and keeps it loaded after a reboot.
  - Parameters are compared with those of the running kernel, not only with files.
  - What is built into the kernel counts as loaded. A kernel that loads no modules at all is said to be one.
author:
  - virtops.linux contributors (@virtops)
options:
  name:
    description:
      - The module, for example V(kvm_intel), V(vhost_net) or V(tun). V(-) and V(_) are the same.
      - V(auto) is the KVM module of the CPU's vendor, V(kvm_intel) or V(kvm_amd), or V(kvm) where the kernel has KVM built in.
    type: str
    default: auto
  state:
    description:
      - V(present) loads the module.
      - V(absent) unloads it and removes the files that O(persistent) made.
    type: str
    choices: [present, absent]
    default: present
  parameters:
    description:
      - Parameters of the module. Only those named are looked at.
      - A parameter that the running kernel lets be written is set at once. Any other of a loaded module
        is written to the modprobe.d file and returned in RV(ignore:pending) until the next boot.
      - An empty dictionary takes away the parameters that this module wrote before.
    type: dict
  persistent:
    description:
      - Write C(/etc/modules-load.d/virtops-NAME.conf) and C(/etc/modprobe.d/virtops-NAME.conf), so that the next boot gives the same.
        Other files are never touched.
    type: bool
    default: true
  ignore_missing:
    description: Warn instead of failing where this host has no such module, or no CPU for it.
    type: bool
    default: false
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.virt_host_info
"""

EXAMPLES = r"""
- name: Load KVM for this machine's CPU
  virtops.linux.kvm_module:

- name: Allow guests of guests
  virtops.linux.kvm_module:
    name: auto
    parameters:
      nested: true
    ignore_missing: true

- name: Load vhost_net where the kernel has it
  virtops.linux.kvm_module:
    name: vhost_net
    ignore_missing: true
"""

RETURN = r"""
resource:
  description: The module after the run.
  returned: success
  type: dict
  contains:
    name:
      description: The module's name, none where this host has no such module.
      type: str
    loaded:
      description: Whether it is loaded.
      type: bool
    builtin:
      description: Whether it is part of the kernel, so that there is nothing to load.
      type: bool
    parameters:
      description: The running kernel's values of the parameters asked for.
      type: dict
    persistent:
      description: Whether it is loaded at boot, and the parameters that this collection keeps for it.
      type: dict
  sample:
    name: kvm_amd
    loaded: true
    builtin: false
    parameters: {nested: "1"}
    persistent: {autoload: true, options: {nested: "1"}}
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
