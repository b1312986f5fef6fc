# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two values for each option of a guest that has code of its own, and the field that it is."""

from __future__ import annotations

from support.domain_cases.case import Case, Options

IMAGES = "/var/lib/libvirt/images/vt-or-"
NETWORK = "vt-or"
MACS = ("52:54:00:ab:00:01", "52:54:00:ab:00:02", "52:54:00:ab:00:03")

#: Option → its field.
OWN_FIELDS = {
    **{option: option for option in ("title", "description", "metadata", "memory")},
    **{option: f"os/{option}" for option in ("kernel", "initrd", "cmdline", "boot")},
    **{option: f"os/type@{option}" for option in ("arch", "machine")},
    "type": "@type",
    "current_memory": "currentMemory",
    "vcpus": "vcpu@current",
    "max_vcpus": "vcpu",
    "cpu.mode": "cpu@mode",
    "cpu.model": "cpu/model",
    "disks.path": "devices/disk/source@file",
    **{f"disks.{option}": f"devices/disk/source@{option}" for option in ("pool", "volume")},
    "disks.format": "devices/disk/driver@type",
    "disks.target": "devices/disk/target@dev",
    "disks.bus": "devices/disk/target@bus",
    "disks.device": "devices/disk@device",
    "disks.readonly": "devices/disk/readonly",
    "disks.boot_order": "devices/disk/boot@order",
    "disks.serial": "devices/disk/serial",
    "interfaces.type": "devices/interface@type",
    "interfaces.source": "devices/interface/source",
    "interfaces.mac": "devices/interface[]",
    "interfaces.model": "devices/interface/model@type",
    "interfaces.boot_order": "devices/interface/boot@order",
    "console": "devices/serial",
    "console_log": "devices/serial/log@file",
    "graphics.type": "devices/graphics@type",
    "graphics.listen": "devices/graphics@listen",
    "graphics.port": "devices/graphics@port",
    "graphics.password": "devices/graphics@passwd",
    "guest_agent": "devices/channel[]",
    "memballoon": "devices/memballoon@model",
}


def _disks(first: Options, second: Options, third: Options, more: Options) -> list[Options]:
    return [
        {"target": "vda", **first},
        {"target": "sda", **second},
        {"target": "sdb", "path": f"{IMAGES}sdb", **third},
        {"target": "sdc", "bus": "sata", **more},
    ]


_NIC = {"source": NETWORK, "mac": MACS[0]}
_THIRD = {"type": "user", "mac": MACS[2]}

OWN_CODE: dict[str, Case] = {
    "texts": Case(
        {
            "type": "kvm",
            "arch": "i686",
            "machine": "pc",
            "title": "A & B",
            "description": "<c>",
            "metadata": "<a:x xmlns:a='urn:vt:a'/>",
            "memory": "300M",
            "current_memory": "200M",
            "vcpus": 5,
            "max_vcpus": 6,
            "cpu": {"mode": "custom", "model": "Nehalem"},
            "kernel": "/srv/vt-a",
            "initrd": "/srv/vt-b",
            "cmdline": "c='d'",
            "boot": ["network"],
            "console_log": "/var/log/libvirt/vt-or-a.log",
            "graphics": {"type": "vnc", "listen": "127.0.0.2", "port": 5999, "password": "second"},
            "guest_agent": True,
            "memballoon": True,
        },
        {
            "type": "qemu",
            "arch": "x86_64",
            "machine": "q35",
            "title": "",
            "description": "<d>",
            "metadata": "",
            "memory": "320M",
            "current_memory": "220M",
            "vcpus": 3,
            "max_vcpus": 8,
            "cpu": {"mode": "maximum"},
            "kernel": "/srv/vt-e",
            "initrd": "/srv/vt-f",
            "cmdline": "g",
            "boot": ["hd", "network"],
            "console": True,
            "console_log": "/var/log/libvirt/vt-or-b.log",
            "graphics": {"type": "spice", "listen": "127.0.0.1", "port": -1},
            "guest_agent": False,
            "memballoon": False,
        },
    ),
    "disks and interfaces": Case(
        {
            "disks": _disks(
                {"path": f"{IMAGES}other", "format": "qcow2", "serial": "A1", "readonly": True},
                {"pool": "vt-none", "volume": "vt-none"},
                {"boot_order": 1},
                {"path": "/srv/vt-a", "device": "disk"},
            ),
            "interfaces": [{**_NIC, "model": "e1000", "boot_order": 2}, {"type": "user", "mac": MACS[1]}, _THIRD],
        },
        {
            "disks": [
                *_disks(
                    {"path": f"{IMAGES}vda", "bus": "sata", "readonly": False}, {"path": f"{IMAGES}sda"}, {"readonly": False}, {"device": "cdrom"}
                ),
                {"target": "sdz", "device": "cdrom", "bus": "sata"},
            ],
            "interfaces": [{**_NIC, "model": "virtio"}, {"type": "bridge", "source": "vt-none", "mac": MACS[1]}, _THIRD],
        },
    ),
}
