#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: container_namespace
short_description: Keep named namespaces, with their hostname, mappings, interfaces and a process
version_added: 0.1.0
description:
  - Makes a set of namespaces and keeps it under a name, without a process having to live in it. It is what C(unshare) does by hand, declared.
  - Each namespace is a file in C(/run/virtops/namespaces/NAME), named as in C(/proc/PID/ns), for C(nsenter), for container engines
    and for C(NetworkNamespacePath=) of systemd. A network namespace is in C(ip netns) as well.
  - A pid namespace lives as long as its first process. A C(sleep) that buries orphans is started as that one, found again by the namespace
    and started again where it has ended.
  - Namespaces are compared by device and inode of their files, never by name.
author:
  - virtops.linux contributors (@virtops)
options:
  name:
    description: The name of the set.
    type: str
    required: true
  state:
    description:
      - V(present) makes what is missing of the set.
      - V(absent) takes it away. Links that were moved inside go back to the host.
    type: str
    choices: [present, absent]
    default: present
  types:
    description:
      - The namespaces of the set, in the words of the OCI runtime specification.
      - Needed to make a set. Later V(network), V(uts), V(ipc), V(cgroup), V(time) and V(mount) can be added. For anything else
        take the set away first.
      - With V(user), the others belong to that user namespace.
    type: list
    elements: str
    choices: [cgroup, ipc, mount, network, pid, time, user, uts]
  hostname:
    description: The host name in the V(uts) namespace.
    type: str
  uid_mappings:
    description: User ids of the V(user) namespace. The kernel takes them once.
    type: list
    elements: dict
    suboptions:
      container_id:
        description: The first id inside.
        type: int
        required: true
      host_id:
        description: The first id outside.
        type: int
        required: true
      size:
        description: How many ids follow each other.
        type: int
        required: true
  gid_mappings:
    description: Group ids of the V(user) namespace. The kernel takes them once.
    type: list
    elements: dict
    suboptions:
      container_id:
        description: The first id inside.
        type: int
        required: true
      host_id:
        description: The first id outside.
        type: int
        required: true
      size:
        description: How many ids follow each other.
        type: int
        required: true
  loopback:
    description: Whether the loopback of the V(network) namespace is up. The kernel makes it down.
    type: bool
  interfaces:
    description:
      - Links in the V(network) namespace, brought up. Those that are not listed stay as they are.
      - An empty list deletes veth pairs and gives all other links back to the host.
    type: list
    elements: dict
    suboptions:
      name:
        description: The name inside.
        type: str
        required: true
      peer:
        description: Make a veth pair, with this name for the end that stays on the host.
        type: str
      link:
        description: Move this link of the host inside instead. It loses its addresses.
        type: str
      bridge:
        description: The bridge on the host that O(interfaces[].peer) becomes a port of. An empty string takes it out of its bridge.
        type: str
      addresses:
        description: All its addresses with their prefix. An empty list removes them.
        type: list
        elements: str
      mtu:
        description: Its MTU in bytes.
        type: int
      routes:
        description:
          - All its routes but those that the kernel makes for its addresses. An empty list removes them.
          - What DHCP or a router said is left alone.
        type: list
        elements: dict
        suboptions:
          to:
            description: V(default), or a network with its prefix.
            type: str
            required: true
          via:
            description: The gateway, on a network of the interface's. Needed for V(default). Without it the network is on the link itself.
            type: str
  process:
    description:
      - A process that is kept running in all namespaces of the set, in the words of the OCI runtime specification.
      - Where systemd runs it is a unit C(virtops-namespace-NAME-process.service), which starts it again where it ends, and at every boot where
        the set is O(persistent). Elsewhere a run of the module starts it again, and what it says is in
        C(/run/virtops/namespaces/NAME/process.log).
      - It is started anew where anything of this changes. It ends with O(state=absent), also without O(force).
    type: dict
    suboptions:
      args:
        description: The program and its arguments. An empty list ends the process.
        type: list
        elements: str
        required: true
      cwd:
        description: The directory that it starts in, as seen from inside. V(/) where it is not given.
        type: str
      env:
        description: Its environment variables. It has C(PATH) and these, and no others.
        type: dict
      root:
        description:
          - A directory of the host's that is its C(/), for example an overlay mount. In a set with V(pid) and V(mount), C(/proc) there is its own.
          - It has to be mounted before a V(mount) namespace is made, which does not see later mounts of the host's.
        type: path
      cgroups_path:
        description:
          - The cgroup that it runs in, a name as in O(virtops.linux.container_cgroup#module:name).
          - Where systemd runs, it is the slice of the unit.
        type: str
  persistent:
    description:
      - Make the set again at every boot, by a unit of systemd's. It runs the same commands as this module.
      - Without it a set is made again at boot where systemd runs and the set has no V(user) namespace, which cannot be kept so.
      - Without systemd a set lasts until the next boot.
    type: bool
  force:
    description: With O(state=absent), end the processes that live in the namespaces. Otherwise they are named and nothing is done.
    type: bool
    default: false
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.bridge
  - module: virtops.linux.container_cgroup
  - module: virtops.linux.overlay_mount
"""

EXAMPLES = r"""
- name: A bridge for it
  virtops.linux.bridge:
    name: br-web
    addresses: [198.51.100.1/24]

- name: The namespaces of a container that is on the bridge
  virtops.linux.container_namespace:
    name: web
    types: [network, uts, ipc, mount, pid]
    hostname: web.example.org
    loopback: true
    interfaces:
      - name: eth0
        peer: veth-web
        bridge: br-web
        addresses: [198.51.100.10/24]
        routes:
          - {to: default, via: 198.51.100.1}

- name: What runs in it
  virtops.linux.container_namespace:
    name: web
    types: [network, uts, ipc, mount, pid]
    process:
      args: [python3, -m, http.server, "80"]
      cwd: /srv

- name: Run a command in them
  ansible.builtin.command:
    argv: [nsenter, --uts=/run/virtops/namespaces/web/uts, --net=/run/virtops/namespaces/web/net, ip, address]
  changed_when: false

- name: Namespaces in which root is nobody outside
  virtops.linux.container_namespace:
    name: sandbox
    types: [user, uts, ipc]
    uid_mappings:
      - {container_id: 0, host_id: 100000, size: 65536}
    gid_mappings:
      - {container_id: 0, host_id: 100000, size: 65536}

- name: Take both away, whoever lives in them
  virtops.linux.container_namespace:
    name: "{{ item }}"
    state: absent
    force: true
  loop: [web, sandbox]
"""

RETURN = r"""
resource:
  description: The set after the run, in the words of the options, those fields that were asked for.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    types:
      description: The namespaces that are there.
      type: list
      elements: str
    init:
      description: Whether the first process of the V(pid) namespace lives.
      type: bool
      returned: with a V(pid) namespace
    persistent:
      description: Whether it is made again at boot.
      type: bool
    boot:
      description: What is made at boot.
      type: dict
      returned: when RV(resource.persistent)
    process:
      description: The process that is declared, and whether it is C(running).
      type: dict
      returned: with O(process)
    process_pids:
      description: Its number on the host and those of its children, the first of which waits for the others where the set has a V(pid) namespace.
      type: list
      elements: int
  sample:
    name: web
    types: [network, uts, ipc, mount, pid]
    init: true
    hostname: web.example.org
    loopback: true
    interfaces:
      - {name: eth0, peer: veth-web, bridge: br-web, up: true, mtu: 1500, addresses: [198.51.100.10/24]}
    persistent: false
    process_pids: []
processes:
  description: Who lives in the namespaces, each with C(pid) and C(command).
  returned: failure with RV(ignore:code) V(namespace_in_use)
  type: list
  elements: dict
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.namespace.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
