#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: qcow2_image
short_description: Create, grow and remove disk images
version_added: 0.1.0
description:
  - Makes qcow2 and raw images for guests, on their own or as overlays on a backing file, grows them in place,
    and keeps their owner, group and mode.
  - An existing image is compared by what its header says. Options that are not given are left as they are.
  - An image is never shrunk and never made anew. What an image cannot change is an error that names the option and both values.
  - An image that a guest or another process has open is never changed or removed. The error names the guest and the process,
    in check mode too.
  - No existing file is opened before it is known to be a regular file, its format is never guessed from the contents of a guest's disk,
    and every backing file below it is looked at first. qemu-img reads it under limits of memory and time.
author:
  - virtops.linux contributors (@virtops)
options:
  path:
    description: The image, as an absolute path. Its directory must exist.
    type: path
    required: true
  state:
    description:
      - V(present) creates the image, or grows it.
      - V(absent) removes the file. All other options but O(force) are then without effect.
    type: str
    choices: [present, absent]
    default: present
  format:
    description:
      - The format of the image. A new one is V(qcow2) where nothing is said, an existing one keeps what it is.
      - Whatever does not begin like qcow2 counts as V(raw). Such a file only grows where O(format=raw) says that it is an image.
    type: str
    choices: [qcow2, raw]
  size:
    description:
      - The size of the guest's disk, for example V(20G), V(512MiB) or V(10 GB). K, M, G, T, P and E, alone or with iB, are powers of 1024,
        KB and so on powers of 1000, and a number alone counts bytes. It is rounded up to whole sectors of 512 bytes.
      - A new image without O(backing_file) needs it. A new overlay has the size of its backing file where nothing is said, and never less.
      - A larger size grows an existing image. Partitions and file systems in it stay as they are.
    type: str
  backing_file:
    description:
      - The image that this one is an overlay on. A relative path starts at the directory of O(path) and is kept in the image as written.
      - An empty string is no backing file.
    type: str
  backing_format:
    description:
      - The format of O(backing_file). Where nothing is said it is told by looking at the file. It is always written to the image.
      - Say V(raw) where O(backing_file) is a raw disk that a guest has written to, so that its contents cannot pass for qcow2.
    type: str
    choices: [qcow2, raw]
  cluster_size:
    description: The size of a cluster, a power of two from V(512) to V(2M), with units as in O(size). A new image has V(64K).
    type: str
  compat:
    description:
      - The version of qcow2. V(0.10) is for qemu before 1.1, without any of the other options below. A new image has V(1.1).
        An existing one is amended. Write it in quotes.
      - Going to V(0.10) switches O(lazy_refcounts) off.
    type: str
    choices: ["0.10", "1.1"]
  lazy_refcounts:
    description: Whether updates of reference counts may be put off, which is faster and needs a repair after a crash. An existing image is amended.
    type: bool
  refcount_bits:
    description: The width of a reference count. A new image has V(16).
    type: int
    choices: [1, 2, 4, 8, 16, 32, 64]
  extended_l2:
    description:
      - Whether clusters are allocated in 32 parts, which makes an overlay with large clusters smaller and faster.
        It needs clusters of V(16K) at least.
    type: bool
  compression_type:
    description: How compressed clusters are compressed. A new image has V(zlib).
    type: str
    choices: [zlib, zstd]
  preallocation:
    description:
      - What a new image takes up from the start. V(metadata) is for qcow2 only; V(falloc) reserves the whole size, V(full) writes it with zeros.
      - An overlay can have it only with O(extended_l2).
      - It counts only when the image is made. Later it is without effect.
    type: str
    choices: ["off", metadata, falloc, full]
  owner:
    description:
      - The user that owns the file, by name or number. A new image belongs to the user that the task runs as.
      - Libvirt itself gives the image of a running guest to its own user. Leave O(owner) and O(group) out for such images.
    type: str
  group:
    description: The group of the file, by name or number.
    type: str
  mode:
    description: The permissions of the file, octal and in quotes, for example V('0640'). A new image has V('0600').
    type: raw
  force:
    description: With O(state=absent), remove the image even where others in the same directory have it as their backing file. Those are lost.
    type: bool
    default: false
notes:
  - A new image is made as C(.NAME.xxxxxxxx.tmp) in its directory and gets its name when it is complete and on disk.
    It never takes the place of another file. What an interrupted run has left is removed by the next run for the same image.
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
requirements:
  - qemu-img (qemu-utils), but for O(state=absent)
seealso:
  - module: virtops.linux.libvirt_domain
  - name: The qcow2 format
    description: What the options mean in the file.
    link: https://www.qemu.org/docs/master/interop/qcow2.html
  - name: qemu-img
    description: The tool that makes and changes the images.
    link: https://www.qemu.org/docs/master/tools/qemu-img.html
"""

EXAMPLES = r"""
- name: An empty disk of 20 GiB
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/data.qcow2
    size: 20G

- name: A guest's disk on top of a shared base image, with more room than that
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/web1.qcow2
    backing_file: debian-12.qcow2
    size: 40G
    owner: libvirt-qemu
    group: libvirt-qemu
    mode: "0640"

- name: The same disk, grown
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/web1.qcow2
    size: 60G

- name: An overlay with large clusters, allocated in small parts
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/db1.qcow2
    backing_file: /var/lib/libvirt/images/debian-12.qcow2
    cluster_size: 128K
    extended_l2: true

- name: A raw disk whose whole size is reserved
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/log.img
    format: raw
    size: 4G
    preallocation: falloc

- name: A disk that is not needed any more
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/web1.qcow2
    state: absent
"""

RETURN = r"""
resource:
  description: The image after the run.
  returned: success
  type: dict
  contains:
    path:
      description: Its path.
      type: str
    state:
      description: V(present) or V(absent). Of an absent one there is nothing but O(path).
      type: str
    format:
      description: Its format.
      type: str
    size:
      description: The size of the guest's disk, in bytes.
      type: int
    human_size:
      description: The same, rounded, for people.
      type: str
    actual_size:
      description: The bytes that the file takes up. A prediction of a new image does not have it.
      type: int
    backing_file:
      description: The name of its backing file, as it stands in the image. Not there without one.
      type: str
    backing_format:
      description: The format of the backing file.
      type: str
    cluster_size:
      description: Of a qcow2 image, the size of a cluster in bytes.
      type: int
    compat:
      description: Of a qcow2 image, the version of the format.
      type: str
    lazy_refcounts:
      description: Of a qcow2 image, whether updates of reference counts may be put off.
      type: bool
    refcount_bits:
      description: Of a qcow2 image, the width of a reference count.
      type: int
    extended_l2:
      description: Of a qcow2 image, whether clusters are allocated in parts.
      type: bool
    compression_type:
      description: Of a qcow2 image, how compressed clusters are compressed.
      type: str
    owner:
      description: The owner's name, or number where it has no name.
      type: str
    group:
      description: The group's name or number.
      type: str
    mode:
      description: The permissions, octal.
      type: str
  sample:
    path: /var/lib/libvirt/images/web1.qcow2
    state: present
    format: qcow2
    size: 42949672960
    human_size: 40.0 GiB
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
    actual_size: 200704
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.image.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
