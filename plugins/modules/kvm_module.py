#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_module
short_description: Load kernel modules for virtualization, now and at every boot
version_added: 0.1.0
description:
  - Loads a kernel module with its parameters and keeps it loaded after a reboot, or unloads it and keeps it out.
  - Parameters are compared with those of the running kernel, not only with files. A parameter that the running kernel lets be written is set at once;
    any other needs the module to be loaded again, which O(reload) decides.
  - What is built into the kernel counts as loaded. A kernel that loads no modules at all is said to be one.
  - Keeps one file of each kind for a module, C(/etc/modprobe.d/virtops-NAME.conf) and C(/etc/modules-load.d/virtops-NAME.conf).
    Lines in other files and on the kernel command line that want something else are named, by a warning and in RV(resource.conflicts),
    and never touched.
  - A parameter that the module does not have, or a value that is not of its type, is refused before anything is touched.
    The kernel itself says no more of the former than a line in its log.
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
      - V(absent) unloads it and removes what O(persistent) wrote. A module in use is refused with the processes, modules
        or interfaces that use it, unless O(blacklist) has it gone at the next boot.
      - V(reloaded) is V(present), and what runs is what the files say. The module is loaded again where a parameter differs from what O(parameters),
        the files in modprobe.d and the kernel command line give it, or where another build of it is installed than the one that runs
        (known for modules that carry a C(srcversion)). Where nothing differs, nothing is done. A module in use is refused, as by O(reload=force).
    type: str
    choices: [present, absent, reloaded]
    default: present
  parameters:
    description:
      - Parameters of the module. Only those named are looked at. V(true) and V(false) are 1 and 0, and equal the kernel's Y and N.
      - An empty dictionary takes away the parameters that this module wrote before.
    type: dict
  reload:
    description:
      - What to do where a parameter of the loaded module differs, and only loading it again would change it.
      - V(never) keeps it in the file, and returns it in RV(ignore:pending) with RV(resource.reboot_required) until the next boot.
        Where a line elsewhere wins over the file, no reboot is promised; the warning names that line.
      - V(if_unused) unloads the module and those that sit on it, and loads them again with the new parameters, if nothing uses them. Otherwise it
        does as V(never) and warns who uses it.
      - V(force) insists. Where something uses the module it fails with RV(ignore:code) V(module_in_use), before anything is touched,
        naming the processes (pid, command, and the guest that it runs), modules and interfaces. It never unloads what is in use.
      - A reload resets the parameters that neither O(parameters) nor a file gives. If the module does not load with the new ones,
        it is loaded again as before, and the new ones are not kept.
      - The default is the one that disturbs nobody. A reload takes C(/dev/kvm) or a network away for a moment, and that moment is for
        the owner of the host to choose, for example together with a drained host.
    type: str
    choices: [never, if_unused, force]
    default: never
  blacklist:
    description:
      - Whether the module is kept from being loaded, for O(state=absent).
      - V(alias) writes C(blacklist NAME), so that neither udev nor modules-load.d loads it. C(modprobe NAME) still does,
        and so does a module that needs it.
      - V(install) also writes C(install NAME /bin/false), which stops these too.
      - V(none) takes either away again. O(state=present) does so as well.
      - When not given, what is there stays.
    type: str
    choices: [none, alias, install]
  initramfs:
    description:
      - An initramfs holds copies of modules and of their options. A module that is loaded from it does not see a changed file.
      - V(auto) rebuilds the images that hold the module when its file changes, with C(update-initramfs) or C(dracut).
      - V(never) leaves them, and warns which ones are old.
    type: str
    choices: [auto, never]
    default: auto
  persistent:
    description:
      - Write C(/etc/modules-load.d/virtops-NAME.conf) and C(/etc/modprobe.d/virtops-NAME.conf), so that the next boot gives the same.
      - With V(false) these files are left as they are.
    type: bool
    default: true
  ignore_missing:
    description: Warn instead of failing where this host has no such module, no CPU for it, or has it built in without the parameter.
    type: bool
    default: false
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.virt_host_info
  - name: modprobe.d(5)
    description: Which files are read, in which order.
    link: https://man7.org/linux/man-pages/man5/modprobe.d.5.html
"""

EXAMPLES = r"""
- name: Load KVM for this machine's CPU
  virtops.linux.kvm_module:

- name: Allow guests of guests, at once where no guest runs and at the next boot elsewhere
  virtops.linux.kvm_module:
    name: auto
    parameters:
      nested: true
    reload: if_unused
    ignore_missing: true
  register: kvm

- name: Say which hosts wait for a reboot
  ansible.builtin.debug:
    msg: "Reboot this host: {{ kvm.pending | join(', ') }}"
  when: kvm.restart_required

- name: Load vhost_net where the kernel has it
  virtops.linux.kvm_module:
    name: vhost_net
    ignore_missing: true

- name: Keep the graphics driver away from a card that a guest gets
  virtops.linux.kvm_module:
    name: nouveau
    state: absent
    blacklist: install
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
      description: The running kernel's values of the parameters asked for, spelled as they were asked for where both mean the same.
      type: dict
    persistent:
      description: Whether it is loaded at boot, the parameters that this collection keeps for it, and how it is kept out.
      type: dict
    reboot_required:
      description: Whether the files hold something that only a reboot (or a reload) brings about. RV(ignore:pending) says what.
      type: bool
    conflicts:
      description: Lines of other files, or words of the kernel command line, that want something else.
      type: list
      elements: dict
      contains:
        file:
          description: The file, C(/proc/cmdline) for the kernel command line.
          type: str
        line:
          description: The line's number, from 1.
          type: int
        text:
          description: The line.
          type: str
    holders:
      description:
        - What keeps the module from being unloaded. Each has C(pid), C(command) and, where it is a guest, C(guest);
          or C(module), C(interface) or C(kernel).
        - Processes are looked for only where a reload or an unload is thought of, that is with O(parameters), O(reload) or O(state=absent).
      type: list
      elements: dict
  sample:
    name: kvm_amd
    loaded: true
    builtin: false
    parameters: {nested: "1"}
    persistent: {autoload: true, options: {nested: "1"}, blacklist: none}
    reboot_required: false
    conflicts: [{file: /etc/modprobe.d/kvm.conf, line: 2, text: options kvm_amd nested=0}]
    holders: [{pid: 4711, command: qemu-system-x86_64, guest: web}]
holders:
  description: What uses the module, as RV(resource.holders).
  returned: failure with RV(ignore:code) V(module_in_use)
  type: list
  elements: dict
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
