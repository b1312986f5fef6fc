#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_domain
short_description: Define, start and stop libvirt guests
version_added: 0.1.0
description:
  - Defines a guest (a domain, in libvirt's words), starts and stops it, and keeps it as described.
  - What the task does not say stays as it is, wherever it came from. UUID and MAC addresses of an existing guest always survive.
  - The definition is changed first. What a running guest can have at once it gets at once, as each option says; the rest when it starts
    again. Until then RV(pending) names the fields concerned, in every run. See O(restart).
  - New devices are virtio unless the task says otherwise. Disk images are never created here, and deleted only by O(remove_disks).
author:
  - virtops.linux contributors (@virtops)
options:
  name:
    description:
      - The guest's name. Required unless O(xml) has one.
    type: str
  state:
    description:
      - V(present) defines the guest, and leaves it running or not as it is.
      - V(running) defines and starts it, and resumes it where it is paused.
      - V(shutoff) asks it to shut down, and waits for that. See O(timeout) and O(force). A saved guest is off already;
        with O(force=true) its saved memory is thrown away.
      - V(paused) pauses it; a guest that does not run is started without letting its CPUs run.
      - V(saved) saves the memory of a running or paused guest in a file of libvirt's (managed save) and ends it.
        The next start goes on from there, with the definition that it was saved with; RV(pending) tells what differs.
      - V(absent) shuts it down like V(shutoff) and undefines it. What goes with it the O(remove_nvram), O(remove_tpm),
        O(remove_managed_save), O(remove_snapshots), O(remove_checkpoints) and O(remove_disks) options say.
    type: str
    choices: [present, running, shutoff, paused, saved, absent]
    default: present
  autostart:
    description: Whether libvirt starts the guest when the host boots.
    type: bool
  xml:
    description:
      - A definition, or part of one, in libvirt's own format. The other options go on top of it.
      - Naming one member of a list, for example one C(disk), speaks for the whole list. Everything else that it does not name stays.
    type: str
  profile:
    description:
      - Names of O(profiles) that this guest has, the last of them with the last word. What the task itself says goes over them all.
    type: list
    elements: str
  profiles:
    description:
      - Named sets of options of this module, as defaults of the guests that name them in O(profile).
        All options but O(name), O(uri) and these two can be in one.
      - Dictionaries, such as O(graphics), merge option by option. Everything else, lists such as O(disks) too, is taken as a whole.
        V(null) takes away what a profile says.
      - M(virtops.linux.virt_host) takes them for all its guests.
    type: dict
  title:
    description:
      - A short description, on one line. An empty string takes it away.
      - A running guest gets it at once.
    type: str
  description:
    description:
      - A long description. An empty string takes it away.
      - A running guest gets it at once.
    type: str
  metadata:
    description:
      - XML elements that libvirt keeps for other programs, each with a namespace of its own, by which it is told from the others.
        Those of other namespaces stay. An empty string takes them all away.
      - A running guest gets it at once.
    type: str
  type:
    description:
      - The hypervisor, in libvirt's words, for example V(kvm) or V(qemu).
      - V(auto) is for new guests, and what they get when nothing is said. It is V(kvm) where KVM is proven to run guests on the CPU,
        else V(qemu). An existing guest keeps its type. Only the local QEMU can be proven, so with that of another host in O(uri) state the type.
        A container of C(lxc:///system) is V(lxc), has a console, and starts C(/sbin/init) of its file system for C(/), unless its O(xml) says
        otherwise.
      - A running guest gets it at its next start.
    type: str
  memory:
    description:
      - The guest's memory, with its unit, for example V(2G) or V(2048MiB). Required for a new guest unless O(xml) says it.
      - It is rounded up to whole KiB.
      - A running guest gets it at its next start.
    type: str
  current_memory:
    description:
      - What the guest gets of O(memory) to begin with, the rest being the balloon's. All of it, where only O(memory) is said.
      - A running guest gets it at once where its memory balloon answers, up to the memory that it started with, else at its next start.
    type: str
  vcpus:
    description:
      - The number of virtual CPUs. Without O(max_vcpus) also the most that there can be.
      - A running guest gets it at once up to the most that it started with, and under KVM down to as many as it started with, else at its next start.
    type: int
  max_vcpus:
    description:
      - How many virtual CPUs there can be while the guest runs. Needs O(vcpus), which is how many there are.
      - A running guest gets it at its next start.
    type: int
  arch:
    description:
      - The CPU architecture, for example V(x86_64) or V(aarch64). Libvirt chooses the host's for a new guest that has none.
      - A running guest gets it at its next start.
    type: str
  machine:
    description:
      - The machine type, for example V(q35) or V(pc-i440fx-7.2).
      - With V(q35) and V(pc) a guest keeps the version that it was defined with. Another family gives all its devices new addresses.
      - A running guest gets it at its next start.
    type: str
  kernel:
    description:
      - A kernel on the host to boot directly. An empty string takes it away.
      - A running guest gets it at its next start.
    type: path
  initrd:
    description:
      - The initial RAM disk of O(kernel). An empty string takes it away.
      - A running guest gets it at its next start.
    type: path
  cmdline:
    description:
      - The command line of O(kernel). An empty string takes it away.
      - A running guest gets it at its next start.
    type: str
  boot:
    description:
      - The kinds of devices to boot from, in order.
      - A running guest gets it at its next start.
    type: list
    elements: str
    choices: [hd, cdrom, network, fd]
  console:
    description:
      - V(true) gives a serial console, for C(virsh console).
      - V(false) takes all serial ports and consoles away.
      - A running guest gets it at its next start.
    type: bool
  console_log:
    description:
      - A file on the host that gets all the serial console says; it implies O(console). An empty string takes it away.
      - A running guest gets it at its next start.
    type: path
  graphics:
    description:
      - The graphical console.
      - A running guest gets it at its next start.
    type: dict
    suboptions:
      type:
        description: Its protocol. V(none) takes all graphical consoles away.
        type: str
        choices: [none, vnc, spice]
        required: true
      listen:
        description: The address of the host that it listens at.
        type: str
      port:
        description: Its TCP port. V(-1) is a free one at every start, and what a new console has.
        type: int
      password:
        description:
          - The password to connect, which for V(vnc) has at most 8 characters. An empty string takes it away.
          - A running guest gets it at once. What is taken away goes at its next start.
        type: str
  guest_agent:
    description:
      - Whether the guest has the channel of the QEMU guest agent.
      - A running guest gets or loses one at once where the guest has a virtio-serial controller, else at its next start.
        What changes in one that it keeps waits for that, unless an option says otherwise.
    type: bool
  memballoon:
    description:
      - Whether the guest has a virtio memory balloon. Libvirt gives new guests one.
      - A running guest gets it at its next start.
    type: bool
  restart:
    description:
      - Whether a running guest may be restarted where a change can take effect in no other way.
      - V(never) leaves such changes in RV(pending).
      - V(if_required) shuts the guest down like O(state=shutoff), with O(timeout) and O(force), and starts it again.
        A definition that does not start is taken back, and the guest runs again with the one before.
    type: str
    choices: [never, if_required]
    default: never
  force:
    description:
      - End a guest at once, as pulling the plug does, when it did not shut down within O(timeout) seconds,
        or when it cannot be asked to because it is paused, asleep or crashed.
      - Change the medium of a CD-ROM drive whose tray the guest has locked.
    type: bool
    default: false
  timeout:
    description: Seconds that a guest has to shut down, to give a device back, or to bring its memory balloon where it should be.
    type: int
    default: 60
  wait_for:
    description:
      - What to wait for once the guest runs, which needs O(state=running). Waiting is no change, and what is there already is not waited for.
        Check mode does not wait.
      - V(address) is an IP address that others can reach, of which the DHCP server of a network of libvirt's, the guest agent or the host's table
        of neighbours know. A lease of the guest's last run counts while it is valid.
      - V(agent) is an answer of the QEMU guest agent, so that the guest's own system is up. Needs O(guest_agent).
      - V(cloud_init) is the end of cloud-init in this boot of the guest, whose result the guest agent reads. Its errors are an error.
        The agent must be allowed to read files (C(guest-file-open), C(guest-file-read) and C(guest-file-close)), which some distributions switch
        off, and libvirt notes in its log that it was asked to.
      - In M(virtops.linux.virt_host), all guests are started before the first is waited for.
    type: list
    elements: str
    choices: [address, agent, cloud_init]
  wait_timeout:
    description:
      - Seconds to wait for what O(wait_for) says. A guest that is not there by then is an error that tells what is there - its addresses, its agent,
        the stage of cloud-init, and the last line of its console where O(console_log) keeps it. A guest that stops meanwhile is one at once.
    type: int
    default: 300
  remove_nvram:
    description: With O(state=absent), whether the file with the guest's UEFI variables goes as well.
    type: bool
    default: true
  remove_tpm:
    description: With O(state=absent), whether the files of the guest's emulated TPM go as well.
    type: bool
    default: true
  remove_managed_save:
    description: With O(state=absent), whether a guest with saved memory may go, and the saved memory with it. If not, the task fails.
    type: bool
    default: true
  remove_snapshots:
    description: With O(state=absent), whether a guest with snapshots may go, and libvirt's records of them with it. If not, the task fails.
    type: bool
    default: true
  remove_checkpoints:
    description: With O(state=absent), whether a guest with checkpoints may go, and libvirt's records of them with it. If not, the task fails.
    type: bool
    default: true
  remove_disks:
    description:
      - With O(state=absent), delete the images of the guest's disks once it is undefined, files as well as volumes.
      - Never deleted are CD-ROM and floppy images, read-only and shared disks, block devices, backing files, and any image that another guest
        uses or another image stands on. Warnings tell which disks stay and why.
    type: bool
    default: false
extends_documentation_fragment:
  - virtops.linux.libvirt
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
  - virtops.linux.libvirt_domain
seealso:
  - module: virtops.linux.libvirt_domain_info
  - module: virtops.linux.libvirt_network
  - module: virtops.linux.qcow2_image
  - name: Domain XML format
    description: Libvirt's reference of all that a guest can be.
    link: https://libvirt.org/formatdomain.html
"""

EXAMPLES = r"""
- name: A guest that runs
  virtops.linux.libvirt_domain:
    name: web
    state: running
    autostart: true
    memory: 2G
    vcpus: 2
    machine: q35
    disks:
      - path: /var/lib/libvirt/images/web.qcow2
    interfaces:
      - source: default
    console: true
    rng: {model: virtio}
    guest_agent: true

- name: Start it, and go on when it can be logged in to
  virtops.linux.libvirt_domain:
    name: web
    state: running
    wait_for: [address, cloud_init]
    wait_timeout: 600
  register: started

- name: Tell where
  ansible.builtin.debug:
    msg: "{{ started.resource.addresses | default([]) | map(attribute='address') }}"

- name: More memory; the other settings stay, and pending says what waits for a restart
  virtops.linux.libvirt_domain:
    name: web
    memory: 4G

- name: A kernel of the host's, and the console in a file
  virtops.linux.libvirt_domain:
    name: tiny
    memory: 128M
    kernel: /var/lib/libvirt/boot/vmlinuz
    initrd: /var/lib/libvirt/boot/initrd.img
    cmdline: console=ttyS0
    console_log: /var/log/libvirt/qemu/tiny-console.log

- name: A guest of a kind; what it says itself goes over its profiles
  virtops.linux.libvirt_domain:
    name: worker-1
    profile: [virtio, small]
    vcpus: 2
    profiles:
      virtio:
        machine: q35
        rng: {model: virtio}
        guest_agent: true
        graphics: {type: vnc, listen: 127.0.0.1}
      small:
        memory: 512M
        vcpus: 1

- name: Another disk and more CPUs at once, and a restart if something else needs one
  virtops.linux.libvirt_domain:
    name: web
    memory: 4G
    vcpus: 3
    max_vcpus: 8
    disks:
      - path: /var/lib/libvirt/images/web.qcow2
      - path: /var/lib/libvirt/images/web-data.qcow2
    restart: if_required
    timeout: 120

- name: Memory to disk, to go on later with state running
  virtops.linux.libvirt_domain:
    name: web
    state: saved

- name: A guest with firmware variables of its own, huge pages, pinned CPUs and a directory of the host
  virtops.linux.libvirt_domain:
    name: database
    memory: 2G
    vcpus: 2
    machine: q35
    loader: {path: /usr/share/OVMF/OVMF_CODE_4M.fd, type: pflash, readonly: true}
    nvram: {template: /usr/share/OVMF/OVMF_VARS_4M.fd}
    cpu:
      mode: host-passthrough
      topology: {sockets: 1, cores: 2, threads: 1}
    memory_backing: {hugepages: true, source: memfd, access: shared}
    iothreads: 1
    cputune:
      vcpupin:
        - {vcpu: 0, cpuset: "0"}
        - {vcpu: 1, cpuset: "1"}
    disks:
      - path: /var/lib/libvirt/images/database.qcow2
        cache: none
        discard: unmap
        iothread: 1
        iotune: {total_iops_sec: 2000}
    interfaces:
      - type: direct
        source: eth0
        mode: bridge
    filesystems:
      - {target: data, source: /srv/data, driver: virtiofs}
    hostdevs:
      - {type: pci, address: "0000:01:00.0"}
    watchdog: {model: i6300esb, action: reset}
    vsock: {cid: auto}

- name: No watchdog and no socket, and the rest stays
  virtops.linux.libvirt_domain:
    name: database
    memory: 2G
    watchdog: {}
    vsock: {}

- name: Anything that libvirt can do
  virtops.linux.libvirt_domain:
    name: pinned
    memory: 1G
    xml: |
      <domain type="qemu">
        <vcpu>2</vcpu>
        <os><type machine="q35">hvm</type></os>
        <features><acpi/></features>
        <cputune><vcpupin vcpu="0" cpuset="0"/></cputune>
      </domain>

- name: Shut down, and end it after two minutes if it does not
  virtops.linux.libvirt_domain:
    name: web
    state: shutoff
    timeout: 120
    force: true

- name: No such guest; its disks stay
  virtops.linux.libvirt_domain:
    name: web
    state: absent
    force: true

- name: No such guest and no disks of its own, unless somebody else needs them
  virtops.linux.libvirt_domain:
    name: web
    state: absent
    force: true
    remove_disks: true
"""

RETURN = r"""
resource:
  description: The guest after the run.
  returned: success
  type: dict
  contains:
    name:
      description: The guest's name.
      type: str
    state:
      description: running, paused, shutoff, saved, pmsuspended, crashed or absent.
      type: str
    autostart:
      description: Whether it starts with the host.
      type: bool
    persistent:
      description: Whether it is still defined after it shuts down.
      type: bool
    xml:
      description: The part of its definition that the task speaks of, with passwords hidden.
      type: str
    uuid:
      description: Its UUID.
      type: str
    type:
      description: Its hypervisor type, for example kvm.
      type: str
    macs:
      description: The MAC addresses of its interfaces, in order.
      type: list
      elements: str
    addresses:
      description: Where something was waited for, its IP addresses as M(virtops.linux.libvirt_domain_info) tells them.
      type: list
      elements: dict
    cloud_init:
      description: Where its end was waited for, C(datasource), and C(errors), which is empty.
      type: dict
  sample:
    name: web
    state: running
    autostart: true
    persistent: true
    type: kvm
    macs: ["52:54:00:1c:04:7e"]
pending:
  description: The fields of the definition that the running guest does not have yet.
  returned: success
  type: list
  elements: str
  sample: [memory, "devices/disk[vdb]"]
missing:
  description: What did not come in time, of what O(wait_for) says. Beside it, C(addresses) has those that did.
  returned: when the time of a wait is over
  type: list
  elements: str
  sample: [agent]
rolled_back:
  description: The changed definition did not start, and the one before it is back in place, and runs if it ran.
  returned: when a start fails after a change
  type: bool
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import accelerated
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.resource import domain_resource


def main():
    run(domain_resource(accelerated))


if __name__ == "__main__":
    main()
