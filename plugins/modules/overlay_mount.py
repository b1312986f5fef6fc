#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: overlay_mount
short_description: Mount overlay file systems, now and at every boot
version_added: 0.1.0
description:
  - Lays directories over each other with the kernel's overlay file system, as container engines do with the layers of an image.
  - What is compared is what the kernel has mounted, not only a file. When the layers change, the overlay is really mounted anew,
    as C(mount -o remount) answers well and changes nothing.
  - What is in use is not unmounted; the failure names the processes.
  - Symbolic links are followed before mounting, so that a link which leads elsewhere later is a change.
author:
  - virtops.linux contributors (@virtops)
options:
  path:
    description:
      - The directory to mount at. It may be one of the layers itself.
      - Where several mounts cover each other there, the topmost one counts. Nothing is ever mounted twice.
    type: path
    required: true
  state:
    description:
      - These are the words of M(ansible.posix.mount), with the same meaning, but directories are never removed.
      - V(mounted) mounts it now and keeps it as O(persistent) says.
      - V(unmounted) unmounts it now. What is kept for the next boot stays.
      - V(absent) unmounts it and keeps it no longer.
    type: str
    choices: [mounted, unmounted, absent]
    default: mounted
  lowerdir:
    description:
      - The directories to read from, the topmost first. They are never written to and never created.
      - Required with O(state=mounted).
    type: list
    elements: path
  upperdir:
    description:
      - The directory that takes what is written. Its owner and mode become those of the overlay's root.
      - Without it the overlay is read-only and needs two directories in O(lowerdir). An overlay that is mounted or kept for the next boot
        already keeps its own; an empty string makes it read-only.
    type: path
  workdir:
    description:
      - A directory for the kernel alone, empty, on the same mount as O(upperdir) and not inside it.
      - Goes with O(upperdir).
    type: path
  options:
    description:
      - Options of the mount. Only those named are looked at; an empty dictionary takes the kernel's own defaults for all.
      - "Of the overlay, V(true), V(false) or a word: C(redirect_dir) (V(follow), V(nofollow)), C(index), C(nfs_export), C(xino) (V(auto)),
        C(metacopy), C(uuid) (V(auto), V(null)), C(verity) (V(require)), C(volatile), C(userxattr), C(default_permissions)."
      - "Of the mount, V(true) or V(false), changed while it is in use: C(ro), C(nosuid), C(nodev), C(noexec), C(noatime), C(nodiratime),
        C(strictatime), C(nosymfollow)."
      - For the boot only, C(_netdev), C(nofail) and any C(x-NAME).
      - Compared with what the kernel shows and with its defaults in C(/sys/module/overlay/parameters), as it leaves out what is default
        and shows what nobody asked for.
    type: dict
  persistent:
    description:
      - Where the mount is kept for the next boot. There is only ever one place.
      - V(systemd) writes the mount unit in C(/etc/systemd/system) and enables it. It waits for the mounts that the layers are on.
      - V(fstab) writes a line of C(/etc/fstab). Other lines stay as they are.
      - V(none) keeps it nowhere, so it lasts until the next boot.
      - V(auto) leaves it where it is kept already. Otherwise it is V(systemd) where systemd runs, and V(fstab) where it does not.
    type: str
    choices: [auto, systemd, fstab, none]
    default: auto
  recreate:
    description:
      - Whether to unmount and mount again when the layers or the options of the overlay change.
      - V(if_unused) does so unless a process, another mount or another mount namespace uses it.
      - V(always) does not wait for processes; they go on with the old layers until they close what they have open.
        It is refused all the same where they could go on writing to the same O(upperdir).
      - V(never) keeps the change for the next boot and returns it in RV(ignore:pending).
    type: str
    choices: [never, if_unused, always]
    default: if_unused
  create_dirs:
    description:
      - Create O(path), O(upperdir) and O(workdir) where they are missing. O(upperdir) gets owner and mode of the topmost lower directory.
    type: bool
    default: false
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: ansible.posix.mount
  - name: Overlay Filesystem
    description: The kernel's documentation of the layers and the options.
    link: https://docs.kernel.org/filesystems/overlayfs.html
"""

EXAMPLES = r"""
- name: A writable tree over the release that the link leads to
  virtops.linux.overlay_mount:
    path: /srv/app
    lowerdir:
      - /opt/app/current
    upperdir: /var/lib/app/upper
    workdir: /var/lib/app/work
    create_dirs: true
    options:
      nodev: true
      nosuid: true

- name: Three layers merged, read-only, until the next boot
  virtops.linux.overlay_mount:
    path: /srv/merged
    lowerdir:
      - /opt/layers/top
      - /opt/layers/middle
      - /opt/layers/base
    persistent: none
    create_dirs: true

- name: Take it away again; the directories stay
  virtops.linux.overlay_mount:
    path: /srv/app
    state: absent
"""

RETURN = r"""
resource:
  description: The mount after the run.
  returned: success
  type: dict
  contains:
    path:
      description: The directory, without symbolic links.
      type: str
    mounted:
      description: Whether an overlay is mounted there.
      type: bool
    lowerdir:
      description: Its lower directories, the topmost first.
      type: list
      elements: str
      returned: when mounted
    upperdir:
      description: Its upper directory, none where it is read-only.
      type: str
      returned: when mounted
    workdir:
      description: Its work directory.
      type: str
      returned: when mounted
    options:
      description: The options that were asked for.
      type: dict
      returned: when mounted
    boot:
      description: Where it is kept for the next boot, C(systemd) or C(fstab), whether it is mounted then, and with which options.
      type: dict
  sample:
    path: /srv/app
    mounted: true
    lowerdir: [/opt/app/3.1]
    upperdir: /var/lib/app/upper
    workdir: /var/lib/app/work
    options: {nodev: true, nosuid: true}
    boot:
      systemd:
        enabled: true
        options: lowerdir=/opt/app/3.1,upperdir=/var/lib/app/upper,workdir=/var/lib/app/work,nodev,nosuid
holders:
  description: Who uses the mount, each with C(pid), C(command) and C(what). A further mount has no C(pid).
  returned: failure with RV(ignore:code) V(mount_busy)
  type: list
  elements: dict
  sample: [{"pid": 4711, "command": "nginx", "what": "has /srv/app/access.log open"}]
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.overlay.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
