#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: qcow2_image_info
short_description: Find out what disk images are, what they stand on, and who uses them
version_added: 0.1.0
description:
  - Reads the headers of disk images, the chain of backing files below them, the images that stand on them, their snapshots,
    their allocation, and which guests and processes have them open.
  - Nothing in an image is trusted. No backing file, no data file and no extent that an image names is opened before it was seen to be
    a plain file, and no format is left to qemu-img to guess. What must not be used is reported with the reason, and fails nothing.
  - Images in use can be read as well.
author:
  - virtops.linux contributors (@virtops)
options:
  paths:
    description:
      - Image files, and directories, as absolute paths.
      - Of a directory, the files that begin like an image (qcow2, vmdk, vdi, vhdx, or a disk with a boot sector) or whose names end
        in C(.img) or C(.raw). Directories in it are not entered.
    type: list
    elements: path
    required: true
  dependents_in:
    description:
      - Further directories in which images may stand on these. Directories in them are not entered.
      - Always looked at are the directory of each image and, where libvirt answers at O(uri), the directories of its pools and of the disks
        of its guests.
    type: list
    elements: path
  uri:
    description: The libvirt of this host that is asked for directories with images. It need not be there.
    type: str
    default: qemu:///system
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.info
requirements:
  - qemu-img (qemu-utils)
seealso:
  - module: virtops.linux.qcow2_image
"""

EXAMPLES = r"""
- name: All images of this host
  virtops.linux.qcow2_image_info:
    paths: [/var/lib/libvirt/images]
  register: found

- name: Which of them nobody uses and nothing stands on
  ansible.builtin.debug:
    msg: "{{ found.details | selectattr('exists') | rejectattr('in_use') | rejectattr('dependents') | map(attribute='path') | list }}"

- name: Keep them as they are, which changes nothing
  virtops.linux.virt_host:
    images: "{{ found.images }}"
"""

RETURN = r"""
images:
  description:
    - The images, each as options of M(virtops.linux.qcow2_image) that change nothing.
    - A file that is not there has O(virtops.linux.qcow2_image#module:state=absent). One that must not be used is left out.
  returned: success
  type: list
  elements: dict
  sample:
    - path: /var/lib/libvirt/images/web1.qcow2
      state: present
      format: qcow2
      size: 42949672960
      backing_file: debian-12.qcow2
      backing_format: qcow2
      cluster_size: 65536
      compat: "1.1"
      lazy_refcounts: false
      refcount_bits: 16
      extended_l2: false
      compression_type: zlib
      owner: libvirt-qemu
      group: libvirt-qemu
      mode: "0640"
details:
  description: What else is known, of every file in the order of RV(images) and of those that are left out there.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    exists:
      description: Whether it is there. Where not, there is nothing more.
      type: bool
    problem:
      description: Why it must not be used, in a sentence. Only there where it must not, and then most of the rest is not known.
      type: str
    code:
      description: The same as a stable word, for example V(unsafe_backing_file).
      type: str
    format:
      description: Its format, told by looking. Whatever does not begin like another one is V(raw).
      type: str
    size:
      description: The size of the guest's disk, in bytes.
      type: int
    human_size:
      description: The same, rounded, for people.
      type: str
    actual_size:
      description: The bytes that the file takes up.
      type: int
    file_size:
      description: The length of the file in bytes, holes included.
      type: int
    chain:
      description: The backing files below it, C(path) and C(format) of each, from the nearest down.
      type: list
      elements: dict
    dependents:
      description: The images that have it as their backing file, in the directories that are looked at.
      type: list
      elements: str
    snapshots:
      description: Its internal snapshots, with C(id), C(name), C(date) in seconds since 1970 and C(vm_state_size) in bytes.
      type: list
      elements: dict
    dirty:
      description: Whether its reference counts are out of date, which the next writer repairs.
      type: bool
    corrupt:
      description: Whether qemu has marked it as corrupt.
      type: bool
    encrypted:
      description: Whether it is encrypted.
      type: bool
    encryption:
      description:
        - Its C(format), C(cipher_alg), C(cipher_mode) and C(hash_alg), and in C(passphrases) how many passphrases open it.
          Null where it is not encrypted.
      type: dict
    in_use:
      description: Whether somebody has it open with the locks of qemu.
      type: bool
    used_by:
      description: Who that is, with C(pid), C(command) and C(guest), as far as this user may see.
      type: list
      elements: dict
    leftovers:
      description: Temporary files of interrupted runs of M(virtops.linux.qcow2_image).
      type: list
      elements: str
    source:
      description: What M(virtops.linux.qcow2_image) made it of.
      type: str
    checksums:
      description: The checksums of that.
      type: list
      elements: str
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run_info
from ansible_collections.virtops.linux.plugins.module_utils.image.info import SPEC, gatherer
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.disks import LibvirtGuests


def main():
    run_info(SPEC, gatherer(LibvirtGuests()))


if __name__ == "__main__":
    main()
