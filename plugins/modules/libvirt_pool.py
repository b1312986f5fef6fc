#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_pool
short_description: Define, build and start libvirt's storage pools
version_added: 0.1.0
description:
  - Defines a storage pool of libvirt, builds what it stands on where that is asked for, starts and stops it, and keeps it as described.
  - What the task does not say stays as it is, wherever it came from. The UUID always survives.
  - Nothing that a pool stands on is written to or removed unless O(build) or O(delete) says so. Stopping and undefining a pool keep its volumes.
  - A changed definition of an active pool takes effect when the pool starts again. Until then RV(pending) names the fields concerned.
author:
  - virtops.linux contributors (@virtops)
options:
  name:
    description:
      - The pool's name. Required unless O(xml) has one.
    type: str
  state:
    description:
      - V(present) defines the pool, and leaves it active or inactive as it is.
      - V(active) defines and starts it.
      - V(inactive) defines it and stops it where it is active.
      - V(absent) stops and undefines it. Its volumes stay where they are.
    type: str
    choices: [present, active, inactive, absent]
    default: active
  autostart:
    description: Whether libvirt starts the pool when the host boots.
    type: bool
  xml:
    description:
      - A definition, or part of one, in libvirt's own format. The other options go on top of it.
      - Naming one member of a list, for example one C(host), speaks for the whole list. Everything else that it does not name stays.
    type: str
  type:
    description:
      - What the pool stands on, in libvirt's words. Required for a new pool, here or in O(xml).
      - An active pool gets it at its next start.
    type: str
    choices: [dir, fs, netfs, logical, disk, iscsi, iscsi-direct, scsi, mpath, rbd, gluster, zfs, vstorage]
  source:
    description:
      - Where the pool's storage comes from.
      - An active pool gets it at its next start.
    type: dict
    suboptions:
      name:
        description: The name of it, for example the volume group of a V(logical) pool, the pool of V(rbd) and V(zfs).
        type: str
      hosts:
        description: The servers of V(netfs), V(iscsi), V(rbd) and V(gluster), all of them.
        type: list
        elements: dict
        suboptions:
          name:
            description: A name or an address.
            type: str
            required: true
          port:
            description: Its port, where it is not the usual one.
            type: int
      devices:
        description: Block devices of V(fs), V(logical), V(disk) and V(zfs), or the target's IQN of V(iscsi), all of them.
        type: list
        elements: str
      dir:
        description: The exported directory of V(netfs), or the directory within a V(gluster) volume.
        type: str
      format:
        description: The file system, partition table or protocol, for example V(ext4), V(gpt), V(nfs). Libvirt has a default for each type.
        type: str
      initiator:
        description: The initiator's IQN of V(iscsi) and V(iscsi-direct). An empty string takes it away.
        type: str
      adapter:
        description: The SCSI host of a V(scsi) pool, for example V(scsi_host0).
        type: str
      protocol_version:
        description: The version of the V(netfs) protocol, for example V(4.2). An empty string takes it away.
        type: str
      auth:
        description: How to log in to V(iscsi) and V(rbd). The password is in a secret of libvirt.
        type: dict
        suboptions:
          type:
            description: V(chap) for iSCSI, V(ceph) for RBD.
            type: str
            choices: [chap, ceph]
            required: true
          username:
            description: The name to log in with.
            type: str
            required: true
          secret:
            description: The UUID of the secret.
            type: str
          secret_usage:
            description: The usage of the secret, see O(virtops.linux.libvirt_secret#module:usage).
            type: str
  target:
    description:
      - Where the pool's volumes appear on the host. Libvirt derives it for V(logical), V(zfs), V(rbd) and V(gluster).
      - An active pool gets it at its next start.
    type: dict
    suboptions:
      path:
        description: The directory of the volumes. V(fs) and V(netfs) are mounted on it.
        type: str
      mode:
        description:
          - The mode of that directory, in octal digits and quotes, for example V('0711'). Where a directory has another one, there is a warning.
          - It is given to a directory that is built, and to no other.
        type: str
      owner:
        description:
          - The number of its owner.
          - It is given to a directory that is built, and to no other.
        type: int
      group:
        description:
          - The number of its group.
          - It is given to a directory that is built, and to no other.
        type: int
  build:
    description:
      - Whether to make what an inactive pool stands on.
      - V(never) makes nothing.
      - V(missing) makes what is missing, for example the directory, and a file system, a partition table or a volume group on a device that
        is empty. A device that holds anything is used as it is.
      - V(overwrite) does the same, and when it defines a new pool it also destroys what the device holds.
    type: str
    choices: [never, missing, overwrite]
    default: never
  delete:
    description:
      - With O(state=absent), whether to remove what the pool stood on, for example its directory or its volume group.
      - Refused while there are volumes or other files in it.
    type: bool
    default: false
  restart:
    description:
      - V(if_required) restarts an active pool whose running state lacks something of the definition.
        Libvirt refuses that while a mounted pool is in use.
      - V(never) leaves that to you.
    type: str
    choices: [never, if_required]
    default: never
extends_documentation_fragment:
  - virtops.linux.libvirt
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.libvirt_volume
  - module: virtops.linux.libvirt_secret
  - name: Storage pool XML format
    description: Libvirt's reference of all that a pool can be.
    link: https://libvirt.org/formatstorage.html
"""

EXAMPLES = r"""
- name: A directory for the disks of the guests
  virtops.linux.libvirt_pool:
    name: guests
    type: dir
    target: {path: /srv/guests, mode: '0711'}
    build: missing
    autostart: true

- name: A file system of its own, made where the partition is empty
  virtops.linux.libvirt_pool:
    name: fast
    type: fs
    source: {devices: [/dev/nvme0n1p4], format: ext4}
    target: {path: /srv/fast}
    build: missing

- name: Installation media on a server
  virtops.linux.libvirt_pool:
    name: media
    state: present
    type: netfs
    source:
      hosts: [{name: nfs.example.org}]
      dir: /export/media
      format: nfs
    target: {path: /srv/media}

- name: A Ceph pool, with the password in a secret
  virtops.linux.libvirt_pool:
    name: ceph
    state: present
    type: rbd
    source:
      name: libvirt
      hosts: [{name: ceph1.example.org, port: 6789}, {name: ceph2.example.org, port: 6789}]
      auth: {type: ceph, username: libvirt, secret_usage: ceph libvirt}

- name: No such pool; its volumes stay
  virtops.linux.libvirt_pool:
    name: guests
    state: absent
"""

RETURN = r"""
resource:
  description: The pool after the run.
  returned: success
  type: dict
  contains:
    name:
      description: The pool's name.
      type: str
    state:
      description: active, inactive or absent.
      type: str
    autostart:
      description: Whether it starts with the host.
      type: bool
    persistent:
      description: Whether it is still defined after it stops.
      type: bool
    built:
      description: With O(build), whether what it stands on is there.
      type: bool
    xml:
      description: The part of its definition that the task speaks of.
      type: str
    uuid:
      description: Its UUID.
      type: str
    type:
      description: What it stands on.
      type: str
    path:
      description: Where its volumes are on the host, none where they are nowhere.
      type: str
    capacity:
      description: Its size in bytes, while it is active.
      type: int
    allocation:
      description: The bytes that are used, while it is active.
      type: int
    available:
      description: The bytes that are free, while it is active.
      type: int
  sample:
    name: guests
    state: active
    autostart: true
    persistent: true
    path: /srv/guests
pending:
  description: The fields of the definition that the running pool does not have yet.
  returned: success
  type: list
  elements: str
  sample: ["target/path"]
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.pool.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
