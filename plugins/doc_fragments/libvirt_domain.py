# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation fragments: the options of a guest that come from tables, made of the rows that the module itself works by."""

from __future__ import annotations

import json

import yaml
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.table import ALONE, UNDER
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.tell import documentation

#: Options with code of their own, which the rows go under.
_OWN_CODE = yaml.safe_load(
    """
cpu:
  description:
    - The CPU that the guest sees.
    - A running guest gets it at its next start.
  type: dict
  suboptions:
    mode:
      description: How it is chosen. V(custom) needs O(cpu.model).
      type: str
      choices: [host-passthrough, host-model, maximum, custom]
    model:
      description: A model that libvirt knows, for example V(qemu64).
      type: str
disks:
  description:
    - The disks and CD-ROM drives, all of them. An empty list takes them away from the guest; nothing is deleted.
    - A disk is told from the others by its O(disks[].target).
    - A running guest gets or loses one at once on the buses virtio, scsi and usb, else at its next start.
      What changes in one that it keeps waits for that, unless an option says otherwise.
  type: list
  elements: dict
  suboptions:
    path:
      description:
        - An image file, or a block device below C(/dev/). A CD-ROM or floppy drive without one is empty.
        - A running guest gets it at once in a CD-ROM or floppy drive, else at its next start.
      type: str
    pool:
      description: The storage pool of O(disks[].volume).
      type: str
    volume:
      description: A volume in the pool, instead of O(disks[].path).
      type: str
    format:
      description:
        - The image's format. Without it a new disk whose path ends in C(.qcow2) is qcow2, any other raw.
        - An existing disk keeps its own.
      type: str
    target:
      description: The disk's name inside libvirt, for example V(vda). Without it the next free one of its bus, in the order of the list.
      type: str
    bus:
      description: The bus. New disks get V(virtio), CD-ROM drives V(sata), floppy drives V(fdc) and luns V(scsi). See O(disks[].target).
      type: str
      choices: [virtio, scsi, sata, usb, ide, fdc]
    device:
      description: What the guest sees. A new one is a V(disk). A V(lun) is a block device whose SCSI commands reach the host's.
      type: str
      choices: [disk, cdrom, floppy, lun]
    readonly:
      description: Whether the guest only reads it.
      type: bool
    boot_order:
      description: Its place among the devices to boot from, from 1; 0 takes the place away. Not together with O(boot).
      type: int
    serial:
      description: The serial number that the guest sees. An empty string takes it away.
      type: str
interfaces:
  description:
    - The network interfaces, all of them. An empty list takes them away.
    - One with O(interfaces[].mac) is known by it. The others are known by what they say, and then by their order.
      A new one gets a MAC address that is made from the host, the guest's name and the place in the list, and keeps it.
    - A running guest gets or loses one at once while the guest has a free slot for it, else at its next start.
      What changes in one that it keeps waits for that, unless an option says otherwise.
  type: list
  elements: dict
  suboptions:
    type:
      description: A libvirt network, a bridge of the host, an interface of the host (macvtap), or QEMU's own user-mode network.
      type: str
      choices: [network, bridge, user, direct]
      default: network
    source:
      description:
        - The name of the network, of the bridge or of the host's interface.
        - A running guest gets it at once between networks, and between bridges, else at its next start.
      type: str
    mac:
      description: The MAC address. One that another guest has already is a warning.
      type: str
    model:
      description: The device that the guest sees. A new one is V(virtio).
      type: str
    boot_order:
      description: Its place among the devices to boot from, from 1; 0 takes the place away. Not together with O(boot).
      type: int
"""
)


def _options():
    found = documentation(ALONE)
    for option, (table, above) in UNDER.items():
        own = _OWN_CODE[option]
        found[option] = {**own, "suboptions": {**own["suboptions"], **documentation(table, above, own["description"][-1])}}
    return found


class ModuleDocFragment:
    DOCUMENTATION: str = json.dumps({"options": _options()})
