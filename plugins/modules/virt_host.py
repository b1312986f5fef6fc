#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: virt_host
short_description: Converge a whole virtualization host in one task
version_added: 0.1.0
description:
  - Takes lists of kernel modules, cgroups, bridges, disk images, and libvirt's secrets, pools, volumes, networks, filters and guests,
    and converges them in one process on the host.
    A hundred guests cost one round trip.
  - Each item has the options of the module that manages one such object. All items are checked before the first one is touched,
    and all mistakes are told at once.
  - Items with C(state=absent) go first and in reverse order, so that a guest goes before its network.
    The others follow in the order of the options here.
author:
  - virtops.linux contributors (@virtops)
options:
  uri:
    description: The libvirt connection of all libvirt objects here that have no C(uri) of their own.
    type: str
    default: qemu:///system
  modules:
    description: Kernel modules, each with the options of M(virtops.linux.kvm_module).
    type: list
    elements: dict
    default: []
  hugepages:
    description: Huge pages, each with the options of M(virtops.linux.hugepages).
    type: list
    elements: dict
    default: []
  cgroups:
    description: Cgroups, each with the options of M(virtops.linux.container_cgroup).
    type: list
    elements: dict
    default: []
  overlays:
    description: Overlay file systems, each with the options of M(virtops.linux.overlay_mount).
    type: list
    elements: dict
    default: []
  bridges:
    description: Bridges, each with the options of M(virtops.linux.bridge).
    type: list
    elements: dict
    default: []
  namespaces:
    description: Sets of namespaces, each with the options of M(virtops.linux.container_namespace).
    type: list
    elements: dict
    default: []
  images:
    description: Disk images, each with the options of M(virtops.linux.qcow2_image).
    type: list
    elements: dict
    default: []
  seeds:
    description: Cloud-init seeds, each with the options of M(virtops.linux.cloud_init_seed).
    type: list
    elements: dict
    default: []
  secrets:
    description: Secrets of libvirt, each with the options of M(virtops.linux.libvirt_secret).
    type: list
    elements: dict
    default: []
  pools:
    description: Storage pools of libvirt, each with the options of M(virtops.linux.libvirt_pool).
    type: list
    elements: dict
    default: []
  volumes:
    description: Volumes in these pools, each with the options of M(virtops.linux.libvirt_volume).
    type: list
    elements: dict
    default: []
  networks:
    description: Libvirt networks, each with the options of M(virtops.linux.libvirt_network).
    type: list
    elements: dict
    default: []
  nwfilters:
    description: Network filters of libvirt, each with the options of M(virtops.linux.libvirt_nwfilter).
    type: list
    elements: dict
    default: []
  profiles:
    description:
      - Named sets of options for the guests that have them in their O(virtops.linux.libvirt_domain#module:profile).
        See O(virtops.linux.libvirt_domain#module:profiles).
    type: dict
  guests:
    description: Guests, each with the options of M(virtops.linux.libvirt_domain).
    type: list
    elements: dict
    default: []
notes:
  - Downloads, conversions and uploads that last longer than three seconds show on the controller's screen how far they are,
    every two seconds or somewhat more rarely. With C(async) nothing is shown.
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.virt_host_info
"""

EXAMPLES = r"""
- name: A bridge for guests, a disk and a guest on both
  virtops.linux.virt_host:
    bridges:
      - name: br-guests
        stp: false
        addresses: [203.0.113.1/24]
    images:
      - path: /var/lib/libvirt/images/web.qcow2
        size: 20G
    guests:
      - name: web
        state: running
        autostart: true
        memory: 2GiB
        vcpus: 2
        disks:
          - path: /var/lib/libvirt/images/web.qcow2
        interfaces:
          - type: bridge
            source: br-guests

- name: Many guests of two kinds
  virtops.linux.virt_host:
    profiles:
      web: {memory: 1GiB, vcpus: 2, machine: q35, rng: {model: virtio}, interfaces: [{source: default}]}
      large: {memory: 8GiB, vcpus: 4}
    guests:
      - {name: web-1, profile: web, disks: [{path: /var/lib/libvirt/images/web-1.qcow2}]}
      - {name: web-2, profile: web, disks: [{path: /var/lib/libvirt/images/web-2.qcow2}]}
      - {name: web-3, profile: [web, large], disks: [{path: /var/lib/libvirt/images/web-3.qcow2}]}

- name: Take the guest and the bridge away again; the disk stays
  virtops.linux.virt_host:
    bridges:
      - name: br-guests
        state: absent
    guests:
      - name: web
        state: absent
        force: true
"""

RETURN = r"""
resource:
  description: The objects after the run, in one list for each option.
  returned: success
  type: dict
  sample:
    modules: []
    bridges: [{name: br-guests, state: present, up: true}]
    guests: []
item:
  description: The item that failed, for example C(guests[2] web).
  returned: failure of an item
  type: str
mistakes:
  description: All mistakes in the options of all items.
  returned: failure with RV(ignore:code) V(invalid_options)
  type: list
  elements: str
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run_many import Section, run_many

# Each is imported when a task has such objects, because Python compiles a module anew in each run: all of them take it a second,
# and one takes a tenth of that. Ansible ships what an import names, wherever it stands.


def modules():
    from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.resource import RESOURCE

    return RESOURCE


def hugepages():
    from ansible_collections.virtops.linux.plugins.module_utils.hugepages.resource import RESOURCE

    return RESOURCE


def cgroups():
    from ansible_collections.virtops.linux.plugins.module_utils.cgroup.resource import RESOURCE

    return RESOURCE


def overlays():
    from ansible_collections.virtops.linux.plugins.module_utils.overlay.resource import RESOURCE

    return RESOURCE


def bridges():
    from ansible_collections.virtops.linux.plugins.module_utils.bridge.resource import RESOURCE

    return RESOURCE


def namespaces():
    from ansible_collections.virtops.linux.plugins.module_utils.namespace.resource import RESOURCE

    return RESOURCE


def images():
    from ansible_collections.virtops.linux.plugins.module_utils.image.resource import image_resource
    from ansible_collections.virtops.linux.plugins.module_utils.libvirt.disks import LibvirtGuests

    return image_resource(LibvirtGuests())


def seeds():
    from ansible_collections.virtops.linux.plugins.module_utils.seed.resource import RESOURCE

    return RESOURCE


def secrets():
    from ansible_collections.virtops.linux.plugins.module_utils.libvirt.secret.resource import RESOURCE

    return RESOURCE


def pools():
    from ansible_collections.virtops.linux.plugins.module_utils.libvirt.pool.resource import RESOURCE

    return RESOURCE


def volumes():
    from ansible_collections.virtops.linux.plugins.module_utils.libvirt.volume.resource import RESOURCE

    return RESOURCE


def networks():
    from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.resource import RESOURCE

    return RESOURCE


def nwfilters():
    from ansible_collections.virtops.linux.plugins.module_utils.libvirt.nwfilter.resource import RESOURCE

    return RESOURCE


def guests():
    from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import accelerated
    from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.resource import domain_resource

    return domain_resource(accelerated)


SECTIONS = (
    Section("modules", modules),
    Section("hugepages", hugepages),
    Section("cgroups", cgroups),
    Section("overlays", overlays),
    Section("bridges", bridges),
    Section("namespaces", namespaces),
    Section("images", images, inherits=("uri",), secrets=True),
    Section("seeds", seeds, secrets=True),
    Section("secrets", secrets, inherits=("uri",), secrets=True),
    Section("pools", pools, inherits=("uri",)),
    Section("volumes", volumes, inherits=("uri",)),
    Section("networks", networks, inherits=("uri",)),
    Section("nwfilters", nwfilters, inherits=("uri",)),
    Section("guests", guests, inherits=("uri", "profiles"), secrets=True),
)


def main():
    run_many({"uri": {"type": "str", "default": "qemu:///system"}, "profiles": {"type": "dict", "no_log": True}}, SECTIONS)


if __name__ == "__main__":
    main()
