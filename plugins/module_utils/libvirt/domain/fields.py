# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a change of a guest's definition takes effect in a guest that runs: one table, for planning, for documentation and for tests.

Source: libvirt's src/qemu/qemu_driver.c, qemu_hotplug.c and qemu_domain.c, which say what QEMU's driver changes in a running guest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Tuple

LIVE = "live"
NEXT_BOOT = "next_boot"


@dataclass(frozen=True)
class Field:
    """path: tags below the root joined with slashes, an attribute behind @. With [] at its end: the coming and going of such an element.
    What has no row of its own is as the row above it says.

    when: live or next_boot. by: the action that does it in the running guest. where: the condition of a live change, for people.
    goes: whether taking it away is live as well. goes_where: the condition of that, for people.
    """

    path: str
    when: str
    by: str = ""
    where: str = ""
    goes: bool = False
    goes_where: str = ""


def _rows(when: str, by: str, prefix: str, names: str, goes: bool = False, goes_where: str = "") -> Tuple[Field, ...]:
    return tuple(Field(prefix + name, when, by, goes=goes, goes_where=goes_where) for name in names.split())


#: What is pinned no more gets the CPUs that it would have without a pin, where they are known.
_ANY_CPU = "where the task runs on the guest's host, which keeps no CPU isolated, and numad does not place the guest"

TABLE: Tuple[Field, ...] = (
    Field("", NEXT_BOOT),
    Field("title", LIVE, "set_metadata", goes=True),
    Field("description", LIVE, "set_metadata", goes=True),
    Field("metadata", LIVE, "set_metadata", goes=True),
    Field("memory", NEXT_BOOT),
    Field("currentMemory", LIVE, "set_memory", "where its memory balloon answers, up to the memory that it started with"),
    Field("vcpu", NEXT_BOOT),
    Field("vcpu@current", LIVE, "set_vcpus", "up to the most that it started with, and under KVM down to as many as it started with"),
    *_rows(LIVE, "set_scheduler_parameters", "cputune/", "shares period quota global_period global_quota emulator_period emulator_quota"),
    *_rows(LIVE, "set_scheduler_parameters", "cputune/", "iothread_period iothread_quota"),
    *_rows(LIVE, "pin_vcpu", "cputune/", "vcpupin", True, _ANY_CPU),
    *_rows(LIVE, "pin_emulator", "cputune/", "emulatorpin", True, _ANY_CPU),
    *_rows(LIVE, "pin_iothread", "cputune/", "iothreadpin", True, _ANY_CPU),
    Field("iothreads", LIVE, "add_iothread", "while no disk uses one that goes", goes=True),
    *_rows(LIVE, "set_memory_parameters", "memtune/", "hard_limit soft_limit swap_hard_limit", True),
    Field("blkiotune/weight", LIVE, "set_blkio_parameters"),
    Field("blkiotune/device", LIVE, "set_blkio_parameters", goes=True, goes_where="where it has no weight"),
    Field("blkiotune/device/weight", NEXT_BOOT),
    *_rows(LIVE, "set_lifecycle_action", "", "on_poweroff on_reboot on_crash"),
    Field("devices/disk[]", LIVE, "attach_device", "on the buses virtio, scsi and usb", goes=True),
    Field("devices/disk/source", LIVE, "update_device", "in a CD-ROM or floppy drive", goes=True),
    *(Field(f"devices/disk{path}", LIVE, "update_device", "in a CD-ROM or floppy drive") for path in ("@type", "/driver@type")),
    Field("devices/disk/iotune", LIVE, "set_block_iotune", goes=True),
    Field("devices/interface[]", LIVE, "attach_device", "while the guest has a free slot for it", goes=True),
    Field("devices/interface/source", LIVE, "update_device", "between networks, and between bridges"),
    Field("devices/interface/source@portgroup", NEXT_BOOT),
    Field("devices/interface/link", LIVE, "update_device"),
    Field("devices/interface/bandwidth", LIVE, "update_device", goes=True),
    *(Field(f"devices/interface/{name}", LIVE, "update_device", goes=True) for name in ("filterref", "port", "coalesce")),
    Field("devices/graphics@passwd", LIVE, "update_device"),
    Field("devices/channel[]", LIVE, "attach_device", "where the guest has a virtio-serial controller", goes=True),
    Field("devices/rng[]", LIVE, "attach_device", "while the guest has a free slot for it", goes=True),
    Field("devices/watchdog[]", LIVE, "attach_device", "as V(i6300esb) on machines with PCI slots, which V(q35) has none of", goes=True),
    Field("devices/input[]", LIVE, "attach_device", "on the bus usb", goes=True),
    Field("devices/memory[]", LIVE, "attach_device", "while the guest has free memory slots", goes=True),
    Field("devices/memory/target/requested", LIVE, "update_device", "of a V(virtio-mem) that it runs with"),
    Field("devices/memballoon/stats", LIVE, "set_memory_stats_period"),
)

_BY_PATH: Dict[str, Field] = {row.path: row for row in TABLE}


def row_of(path: str) -> Field:
    """The row that a field belongs to."""
    while path not in _BY_PATH:
        head, at, _name = path.rpartition("@")
        path = head if at else path.rpartition("/")[0]
    return _BY_PATH[path]


def row_of_member(path: str) -> Field:
    """The row for the coming and going of an element."""
    return _BY_PATH.get(path + "[]") or row_of(path)


#: Option with code of its own → the field that it is, for its documentation. What the rows of options/ say knows its field by itself.
OPTIONS: Dict[str, str] = {
    "title": "title",
    "description": "description",
    "metadata": "metadata",
    "type": "",
    "memory": "memory",
    "current_memory": "currentMemory",
    "vcpus": "vcpu@current",
    "max_vcpus": "vcpu",
    "arch": "",
    "machine": "",
    "cpu": "",
    "disks": "devices/disk[]",
    "disks.path": "devices/disk/source",
    "interfaces": "devices/interface[]",
    "interfaces.source": "devices/interface/source",
    "kernel": "",
    "initrd": "",
    "cmdline": "",
    "boot": "",
    "console": "",
    "console_log": "",
    "graphics": "",
    "graphics.password": "devices/graphics@passwd",
    "guest_agent": "devices/channel[]",
    "memballoon": "",
}


#: Those of them with a value that takes the field away.
TAKEN_AWAY = ("title", "description", "metadata", "disks", "disks.path", "interfaces", "graphics.password", "guest_agent")


def effect(option: str) -> str:
    """The sentences of an option's documentation that say when a running guest gets it, and loses it."""
    row = _BY_PATH[OPTIONS[option]]
    lost = loss(row) if option in TAKEN_AWAY else ""
    return f"{sentence(row)} {lost}" if lost else sentence(row)


#: Behind the sentence of what comes and goes.
KEPT = "What changes in one that it keeps waits for that, unless an option says otherwise."


def sentence(row: Field) -> str:
    if row.when == NEXT_BOOT:
        return "A running guest gets it at its next start."
    if row.path.endswith("[]"):
        at_once = f"at once {row.where}, else at its next start" if row.where else "at once"
        return f"A running guest gets or loses one {at_once}. {KEPT}"
    return f"A running guest gets it at once {row.where}, else at its next start." if row.where else "A running guest gets it at once."


#: What libvirt takes from no running guest, or prints as long as it runs.
KEEPS = "What is taken away goes at its next start."


def loss(row: Field) -> str:
    """The sentence that says when a running guest loses it, empty where that is as with getting it."""
    if row.when == NEXT_BOOT or (row.goes and not row.goes_where):
        return ""
    return f"What is taken away goes at once {row.goes_where}, else at its next start." if row.goes else KEEPS


def loss_of_all(rows: Mapping[str, Field]) -> str:
    """The same where all of it goes together. rows: option → its field."""
    live = {option: row for option, row in rows.items() if row.when == LIVE}
    sentences = {loss(row) for row in live.values()}
    if len(sentences) <= 1:
        return sentences.pop() if sentences else ""
    *names, last = (f"C({option})" for option, row in live.items() if row.goes)
    first = f"{', '.join(names)} and {last}" if names else last
    return f"{KEEPS[:-1]}, except for {first}, which say so themselves."
