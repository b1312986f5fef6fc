#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_volume
short_description: Make, fill, grow and delete volumes of libvirt's storage pools
version_added: 0.1.0
description:
  - Makes volumes in a storage pool of libvirt, empty, as a clone of another volume, or filled with a local file; grows, wipes and deletes them.
  - A volume that is there keeps its content, whatever the task says that it was made of. What no task can change in it is refused, not made anew.
  - An upload is read back and compared. Until it is whole, the volume begins with a mark of ours, so that no guest can take it for an image and
    the next run finds it and starts over, whatever interrupted it.
author:
  - virtops.linux contributors (@virtops)
options:
  pool:
    description: The pool that the volume is in. It must be active.
    type: str
    required: true
  name:
    description:
      - The volume's name. Required unless O(xml) has one.
    type: str
  state:
    description:
      - V(present) makes it where it is not there, and grows it.
      - V(absent) deletes it. Refused while a guest has it as a disk, or another volume of the pool stands on it.
    type: str
    choices: [present, absent]
    default: present
  xml:
    description:
      - What a new volume is made of, in libvirt's own format, for what has no option, such as encryption. The other options go on top of it.
      - A volume that is there keeps what it has of this. What has an option takes effect as that option does.
    type: str
  capacity:
    description:
      - The size that a guest sees, in any unit of libvirt, for example V(20GiB) or V(20G). A bare number counts bytes.
      - A smaller volume is grown. A larger one is refused unless O(allow_shrink).
      - A file that a running guest has as a disk grows under it, and the guest sees a larger disk.
        One that is beneath the image of a running guest, or that several run with, is not resized.
      - A volume that is there gets it at once.
    type: str
  allocation:
    description:
      - How much of a new volume is taken from the pool at once. V(0) makes a raw volume sparse.
      - Without it libvirt takes all of a raw volume, and as little as it can of any other.
      - A volume that is there keeps what it has.
    type: str
  format:
    description:
      - The format of a new volume, for example V(qcow2) or V(raw).
      - Refused where a volume is there that has another one.
    type: str
  backing:
    description:
      - The image that a new volume stands on.
      - Refused where a volume is there that has another one.
    type: dict
    suboptions:
      path:
        description: Its path.
        type: str
        required: true
      format:
        description:
          - Its format.
          - A volume that is there keeps what it has.
        type: str
        required: true
  clone:
    description:
      - The volume that a new one is copied from. Refused while a running guest uses it.
      - A volume that is there keeps what it has.
    type: dict
    suboptions:
      volume:
        description: Its name.
        type: str
        required: true
      pool:
        description: Its pool, where that is another one.
        type: str
  source:
    description:
      - A file on the machine that the task runs on, whose bytes a new volume is filled with. Holes stay holes.
      - With a remote O(uri) this carries an image to another host.
      - A volume that is there keeps what it has.
    type: path
  allow_shrink:
    description: Whether O(capacity) may cut off the end of the volume.
    type: bool
    default: false
  wipe:
    description: With O(state=absent), how the volume is overwritten before it goes. All but V(zero) and V(trim) need the program scrub.
    type: str
    choices: [zero, nnsa, dod, bsi, gutmann, schneier, pfitzner7, pfitzner33, random, trim]
notes:
  - An upload that lasts longer than three seconds shows on the controller's screen how far it is, every two seconds or somewhat more rarely.
    With C(async) nothing is shown.
extends_documentation_fragment:
  - virtops.linux.libvirt
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.libvirt_pool
  - module: virtops.linux.qcow2_image
  - name: Storage volume XML format
    description: Libvirt's reference of all that a volume can be.
    link: https://libvirt.org/formatstorage.html
"""

EXAMPLES = r"""
- name: A disk for a guest
  virtops.linux.libvirt_volume:
    pool: default
    name: web.qcow2
    capacity: 20GiB
    format: qcow2

- name: A disk that stands on an image
  virtops.linux.libvirt_volume:
    pool: default
    name: web1.qcow2
    capacity: 20GiB
    format: qcow2
    backing: {path: /var/lib/libvirt/images/base.qcow2, format: qcow2}

- name: A copy of another volume, larger
  virtops.linux.libvirt_volume:
    pool: default
    name: web2.qcow2
    clone: {volume: template.qcow2}
    capacity: 40GiB

- name: An image of this machine in a pool
  virtops.linux.libvirt_volume:
    pool: default
    name: installer.iso
    source: /srv/images/installer.iso

- name: No such volume, and nothing to read of it either
  virtops.linux.libvirt_volume:
    pool: default
    name: old.img
    state: absent
    wipe: zero
"""

RETURN = r"""
resource:
  description: The volume after the run.
  returned: success
  type: dict
  contains:
    pool:
      description: Its pool.
      type: str
    name:
      description: Its name.
      type: str
    state:
      description: present or absent.
      type: str
    capacity:
      description: The bytes that a guest sees.
      type: int
    allocation:
      description: The bytes that it takes of its pool.
      type: int
    format:
      description: Its format, none where its pool knows none.
      type: str
    backing:
      description: What it stands on, where the task says so.
      type: dict
    path:
      description: Where it is on the host.
      type: str
    unfinished:
      description: Whether an upload into it was interrupted.
      type: bool
  sample:
    pool: default
    name: web.qcow2
    state: present
    capacity: 21474836480
    format: qcow2
    path: /var/lib/libvirt/images/web.qcow2
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.volume.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
