#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_init_seed
short_description: Write cloud-init seeds for guests
version_added: 0.1.0
description:
  - Writes the seed from which cloud-init in a guest takes its configuration (datasource NoCloud), as an ISO to be attached to the guest
    or as a plain directory.
  - A seed that is there is read back and compared file by file and byte by byte. O(on_change) says what becomes of one that differs.
  - Options that are not given leave their file in the seed as it is. A new seed without O(user_data) has an empty cloud-config.
  - Attach the ISO as a disk that is read only, of virtio. cloud-init finds it by its label. As an optical drive on SATA, kernels of cloud images
    (Debian's C(genericcloud), for one) have no driver for it, and the guest boots without its seed.
  - What cloud-init would silently ignore is refused. Text without header is, and so is a network configuration without version.
  - The contents are never shown. Results and diffs have the SHA-256 of each file, and the instance-id and host name.
author:
  - virtops.linux contributors (@virtops)
options:
  path:
    description: The ISO, or the directory, as an absolute path. The directory that it is in must exist.
    type: path
    required: true
  state:
    description:
      - V(present) writes the seed.
      - V(absent) removes it. All other options but O(format) are then without effect. A file that is not an ISO labelled C(cidata),
        and a directory with other files in it, are not removed.
    type: str
    choices: [present, absent]
    default: present
  format:
    description:
      - V(iso) is an ISO 9660 image with the volume label C(cidata). The same contents give the same bytes with the same version of xorriso.
        Only an ISO with that label is ever replaced, and it then holds the four files of a seed and nothing else.
      - V(directory) is the plain files, for a web server, a shared file system or C(/var/lib/cloud/seed/nocloud) of an image.
        Other files in the directory stay.
    type: str
    choices: [iso, directory]
    default: iso
  user_data:
    description:
      - What cloud-init does in the guest. A dictionary is a cloud-config. Text is taken as it is, and begins with C(#cloud-config), C(#!)
        or another header of cloud-init's, or is a MIME message.
      - A dictionary is written as C(#cloud-config) and JSON with sorted keys, which YAML readers take as YAML. Give text where you want
        to keep your own layout or comments.
      - An empty dictionary is an empty cloud-config.
      - Passwords in it should be hashes all the same. Whoever can read the disk of the guest reads the seed.
    type: raw
  meta_data:
    description:
      - What the guest is told of itself, above all C(local-hostname), its host name. C(instance-id) is the same as O(instance_id).
      - With an empty dictionary, only the instance-id remains in the file.
    type: dict
  network_config:
    description:
      - The network of the guest, as a dictionary or as YAML text in cloud-init's version 1 or 2.
      - An empty dictionary takes the file out of the seed. cloud-init then asks DHCP on the first interface.
    type: raw
  vendor_data:
    description:
      - What the provider of the guest wants done, written like O(user_data), which overrides it.
      - An empty dictionary takes it out of the seed.
    type: raw
  instance_id:
    description:
      - By this, cloud-init knows whether it has set up this guest already. Text without spaces and slashes.
      - Where nothing is said, a new seed gets one that is derived from its contents, and an existing one keeps its own.
    type: str
  on_change:
    description:
      - What becomes of an existing seed whose contents differ from the options.
      - V(ignore) leaves it as it is, and warns. O(owner), O(group) and O(mode) are set all the same.
      - V(refresh) writes it anew with the same instance-id. A guest that was set up with it takes little notice, only what cloud-init
        does at every boot.
      - V(new_instance_id) writes it anew with another instance-id, derived from the new contents and the old id, so that cloud-init
        sets the guest up again at its next start. That makes new host keys, too. O(instance_id) is then not allowed.
    type: str
    choices: [ignore, refresh, new_instance_id]
    default: refresh
  owner:
    description:
      - The user that owns the seed, by name or number. A new one belongs to the user that the task runs as.
      - Libvirt itself gives the seed of a running guest to the emulator's user. Where it was told not to, say that user here.
    type: str
  group:
    description: The group of the seed, by name or number.
    type: str
  mode:
    description:
      - The permissions of the ISO, or of the files in the directory, octal, in quotes and without x bits. A new seed has V('0600').
      - The directory has the same, with x for whoever may read.
    type: raw
notes:
  - A new seed is made in C(.NAME.xxxxxxxx.tmp), a directory that only its owner enters, in the directory of the ISO or in the directory of the
    files. It gets its name when it is complete and on disk. What an interrupted run has left is removed by the next run for the same seed.
  - A guest that runs keeps the ISO that it was started with. It sees the new one when it was shut down and started again.
  - Ansible itself does not log O(user_data), O(vendor_data) and O(network_config).
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
requirements:
  - xorriso, for O(format=iso) and O(state=present)
seealso:
  - module: virtops.linux.libvirt_domain
  - module: virtops.linux.qcow2_image
  - name: NoCloud
    description: The datasource that reads the seed.
    link: https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html
  - name: Formats of user data
    description: The headers that cloud-init knows.
    link: https://docs.cloud-init.io/en/latest/explanation/format.html
"""

EXAMPLES = r"""
- name: A seed with a user and a key
  virtops.linux.cloud_init_seed:
    path: /var/lib/libvirt/images/web-seed.iso
    user_data:
      users:
        - name: ops
          sudo: ALL=(ALL) NOPASSWD:ALL
          ssh_authorized_keys:
            - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBVZRcvRI2PlTp5SU8r8e8E1Tq4+0Yzs8HYdpXrlK2vD ops
    meta_data:
      local-hostname: web

- name: A guest that is set up by it
  virtops.linux.libvirt_domain:
    name: web
    memory: 1GiB
    vcpus: 1
    disks:
      - path: /var/lib/libvirt/images/web.qcow2
      - path: /var/lib/libvirt/images/web-seed.iso
        readonly: true

- name: A fixed address; whenever the seed changes, the guest is set up again at its next start
  virtops.linux.cloud_init_seed:
    path: /var/lib/libvirt/images/db-seed.iso
    user_data: |
      #cloud-config
      packages: [postgresql]
    meta_data:
      local-hostname: db.example.com
    network_config:
      version: 2
      ethernets:
        primary:
          match: {name: "en*"}
          addresses: [203.0.113.10/24]
          routes: [{to: default, via: 203.0.113.1}]
    on_change: new_instance_id

- name: The same as files
  virtops.linux.cloud_init_seed:
    path: /srv/web-seed
    format: directory
    user_data: |
      #!/bin/sh
      echo ready > /run/ready
    mode: "0644"

- name: No seed any more
  virtops.linux.cloud_init_seed:
    path: /var/lib/libvirt/images/web-seed.iso
    state: absent
"""

RETURN = r"""
resource:
  description: The seed after the run.
  returned: success
  type: dict
  contains:
    path:
      description: Where it is.
      type: str
    state:
      description: V(present) or V(absent). Without a seed, and with O(state=absent), only this, the path and the format are returned.
      type: str
    format:
      description: V(iso) or V(directory).
      type: str
    instance_id:
      description: The instance-id in its meta-data.
      type: str
    local_hostname:
      description: The host name in its meta-data, none where it has none.
      type: str
    user_data:
      description: V(sha256:) and the SHA-256 of the file user-data.
      type: str
    meta_data:
      description: The same of meta-data.
      type: str
    network_config:
      description: The same of network-config, none where the seed has none.
      type: str
    vendor_data:
      description: The same of vendor-data, none where the seed has none.
      type: str
    owner:
      description: The user that owns the ISO or the files; several with commas where the files differ.
      type: str
    group:
      description: Its group.
      type: str
    mode:
      description: Its permissions, octal.
      type: str
    directory:
      description: Owner, group and permissions of the directory, as they are of its files, thus without x. Only for O(format=directory).
      type: dict
  sample:
    path: /var/lib/libvirt/images/web-seed.iso
    state: present
    format: iso
    instance_id: iid-3f1c0d8a5b7e42960c1d
    local_hostname: web
    user_data: sha256:ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356
    meta_data: sha256:5d2f1b1c4e7a39d2b8c0f6a4e3d29187bbd0c65a8f9e40712d3c4b5a69788f10
    network_config:
    vendor_data:
    owner: root
    group: root
    mode: "0600"
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.seed.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
