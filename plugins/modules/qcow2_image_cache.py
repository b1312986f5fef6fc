#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: qcow2_image_cache
short_description: Remove downloaded images that nobody uses any more
version_added: 0.1.0
description:
  - M(virtops.linux.qcow2_image) keeps downloads that have a checksum in a directory, and takes nothing out of it by itself.
    This module removes from there what was not used for some time and what nothing depends on.
  - A download is used when an image is made of it. The time of its last change says when that was.
  - What stands on a file of the cache keeps it, however old it is. These are overlays and links in the directories that are looked at,
    disks of guests of libvirt, running or not, and processes that have it open.
  - Downloads that were not finished go as well. One that is under way stays.
  - Files with other names than those of the cache are never touched.
author:
  - virtops.linux contributors (@virtops)
options:
  path:
    description: The directory, O(virtops.linux.qcow2_image#module:cache_dir). Where it does not exist there is nothing to do.
    type: path
    default: /var/cache/virtops/images
  unused_for:
    description: For how long a file must not have been used, for example V(30d) or V(12h). Units are s, m, h, d and w.
      V(0d) removes all that nothing depends on.
    type: str
    required: true
  dependents_in:
    description:
      - Further directories in which images may stand on files of the cache. Directories in these are not entered.
      - Always looked at are the cache itself and, where libvirt answers at O(uri), the directories of its pools and of the disks of its guests.
    type: list
    elements: path
  uri:
    description: The libvirt of this host that is asked for guests and for directories with images. It need not be there.
    type: str
    default: qemu:///system
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.qcow2_image
"""

EXAMPLES = r"""
- name: Downloaded images go when no guest was made of them for a month
  virtops.linux.qcow2_image_cache:
    unused_for: 30d

- name: All that nothing depends on, overlays in other places included
  virtops.linux.qcow2_image_cache:
    unused_for: 0d
    dependents_in: [/srv/guests]
"""

RETURN = r"""
resource:
  description: What is left.
  returned: success
  type: dict
  contains:
    path:
      description: The directory.
      type: str
    files:
      description:
        - What is in it, with C(name), C(size) in bytes on disk, C(last_used), whether it is C(finished), and in C(why) what keeps it.
      type: list
      elements: dict
  sample:
    path: /var/cache/virtops/images
    files:
      - name: sha256-9c5c1b2f1a0ce8a2d1c8d0d6e2a1a5b1f8f0b4d8d2b3d9d1f3d2c6f6f1c0a9e7
        size: 343932928
        last_used: "2026-11-01T08:30:00Z"
        finished: true
        why: it is needed by /var/lib/libvirt/images/web1.qcow2
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.image.cache_files import cache_resource
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.disks import LibvirtGuests


def main():
    run(cache_resource(LibvirtGuests()))


if __name__ == "__main__":
    main()
