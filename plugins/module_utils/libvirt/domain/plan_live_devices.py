# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of its devices a running guest can have at once: which come and go, and what changes in those that stay."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, FrozenSet, List, Optional, Set, Tuple

from ...engine.plan import Action
from ..xmlmerge import differences, label_of, matched, merge
from ..xmltree import Node
from . import actions as a
from .fields import LIVE, TABLE, row_of, row_of_member
from .plan_live_part import Guest, live_part, plain, with_text
from .rules import RULES

#: Buses whose disks come and go while the guest runs. Source: qemuDomainAttachDeviceDiskLiveInternal.
_HOT_BUSES = ("virtio", "scsi", "usb")
_DRIVES = ("cdrom", "floppy")
#: What belongs to the medium in a drive, and changes with it.
_MEDIUM = ("devices/disk@type", "devices/disk/driver@type")


def devices(guest: Guest, active: Node, wish: Node, definition: Node, kept: Tuple[str, ...]) -> Tuple[Node, List[Action]]:
    running, wished, defined = active.find("devices"), wish.find("devices"), definition.find("devices")
    if running is None or wished is None or defined is None:
        return active, []
    pairs, leaving = matched(running, wished, RULES, "devices")
    homes = [home for home, _new in matched(defined, wished, RULES, "devices")[0]]
    steps: List[Action] = []
    after = running
    for old in leaving:
        if guest.runs and _comes_and_goes(old, running):
            steps.append(a.DetachDevice(guest.name, _label(old), guest.timeout, old))
            after = _instead(after, old, None)
    for (old_one, new), home in zip(pairs, homes):
        if old_one is not None:
            changed, more = _update(guest, old_one, new, kept)
            after = _instead(after, old_one, changed)
            steps += more
        elif home is not None and not RULES.implied(f"devices/{new.tag}", new) and _fits(home, after, _with_modules(active, steps)):
            steps.append(a.AttachDevice(guest.name, _label(home), home))
            after = after.with_children(home)
    grown = replace(active, children=tuple(after if child is running else child for child in active.children))
    return _with_modules(grown, steps), steps


def _label(device: Node) -> str:
    return label_of("devices", f"devices/{device.tag}", device, RULES)


def _instead(devices: Node, old: Node, new: Optional[Node]) -> Node:
    children = [new if child is old else child for child in devices.children]
    return replace(devices, children=tuple(child for child in children if child is not None))


def _with_modules(active: Node, steps: List[Action]) -> Node:
    """The memory that modules bring and take. Only what is in a dimm is the guest's as soon as it comes."""
    size = {"memory": 0, "currentMemory": 0}
    for step in steps:
        if isinstance(step, (a.AttachDevice, a.DetachDevice)) and step.definition.tag == "memory":
            sign = 1 if isinstance(step, a.AttachDevice) else -1
            whole = int(step.definition.get("target/size") or "0")
            used = whole if step.definition.attributes.get("model") == "dimm" else int(step.definition.get("target/current") or "0")
            size["memory"] += sign * whole
            size["currentMemory"] += sign * used
    for tag, more in size.items():
        active = with_text(active, tag, str(int(active.get(tag) or "0") + more)) if more else active
    return active


def _comes_and_goes(device: Node, devices: Node) -> bool:
    if row_of_member(f"devices/{device.tag}").when != LIVE:
        return False
    if device.tag == "disk":
        return device.get("target@bus") in _HOT_BUSES
    if device.tag == "channel":
        return device.get("target@type") == "virtio" and any(one.attributes.get("type") == "virtio-serial" for one in devices.all("controller"))
    if device.tag == "input":
        return device.attributes.get("bus") == "usb"
    if device.tag == "watchdog":
        return device.attributes.get("model") == "i6300esb"
    return True


def _fits(device: Node, devices: Node, active: Node) -> bool:
    """Whether a running guest has a place for one more."""
    if not _comes_and_goes(device, devices):
        return False
    kinds = [one.attributes.get("type") for one in devices.all("controller")]
    if device.tag == "disk" and device.get("target@bus") != "virtio":
        return device.get("target@bus") in kinds
    if device.tag == "input":
        return "usb" in kinds
    if device.tag == "watchdog" and devices.find("watchdog"):
        return False
    if device.tag == "memory":
        return _fits_memory(device, devices, active)
    if device.tag == "channel":
        return device.attributes.get("type") != "spicevmc" or any(one.attributes.get("type") == "spice" for one in devices.all("graphics"))
    return _free_slots(device, devices)


def _fits_memory(module: Node, devices: Node, active: Node) -> bool:
    """Whether there is a slot for a memory module, and room for what it brings."""
    numbers = (active.get("maxMemory@slots"), active.get("maxMemory"), active.get("memory"), module.get("target/size"))
    if not all(number and number.isdigit() for number in numbers):
        return False
    slots, most, memory, size = (int(number or 0) for number in numbers)
    return len(devices.all("memory")) < slots and memory + size <= most


def _free_slots(device: Node, devices: Node) -> bool:
    """Whether a PCI slot is free that the device can be plugged into. On the PCIe root itself none can, on the old PCI bus all can."""
    bridges = [one for one in devices.all("controller") if one.attributes.get("type") == "pci"]
    if not any(one.attributes.get("model") == "pcie-root" for one in bridges):
        return True
    if not _is_express(device):
        return False
    ports = [one.attributes.get("index") for one in bridges if one.attributes.get("model") == "pcie-root-port"]
    used = {bus(device.find("address")) for device in devices.children}
    unplaced = sum(device.find("address") is None and device.tag in ("disk", "interface", "rng", "watchdog") for device in devices.children)
    return sum(str(port) not in used for port in ports) > unplaced


#: Network cards for PCI Express. Source: qemuDomainDeviceCalculatePCIConnectFlags, as all here.
_EXPRESS_CARDS = ("virtio", "virtio-non-transitional", "e1000e", "igb", "vmxnet3")


def _is_express(device: Node) -> bool:
    if device.tag == "interface":
        return device.get("model@type") in _EXPRESS_CARDS
    return device.tag != "watchdog" and device.attributes.get("model") != "virtio-transitional"


def bus(address: Optional[Node]) -> Optional[str]:
    if address is None or address.attributes.get("type") != "pci":
        return None
    return str(int(address.attributes.get("bus", "0"), 16))


def _update(guest: Guest, old: Node, new: Node, kept: Tuple[str, ...]) -> Tuple[Node, List[Action]]:
    path, label = f"devices/{new.tag}", _label(old)
    part = live_part(new, path, _dead_rows(old, new))
    labels = [field for field in differences(old, part, RULES, path, label) if field not in kept] if part else []
    if part is None or not labels:
        return old, []
    after = merge(old, part, RULES, path)
    by: Dict[str, List[str]] = {}
    for field in labels:
        by.setdefault(row_of(plain(field)).by, []).append(field)
    steps: List[Action] = []
    if "update_device" in by:
        only = live_part(part, path, frozenset(row.path for row in TABLE if row.by != "update_device"))
        device = merge(old, only, RULES, path) if only else old
        steps.append(
            a.UpdateDevice(
                guest.name, label, tuple(field for field in labels if row_of(plain(field)).by == "update_device"), old, device, guest.force
            )
        )
    if "set_block_iotune" in by:
        wanted, before = (device.find("iotune") or Node("iotune") for device in (after, old))
        gone = tuple((one.tag, 0) for one in before.children if wanted.find(one.tag) is None)
        values = tuple((one.tag, int(one.text) if one.text.isdigit() else one.text) for one in wanted.children) + gone
        steps.append(a.SetBlockIotune(guest.name, tuple(by["set_block_iotune"]), values, after.get("target@dev") or ""))
    if "set_memory_stats_period" in by:
        steps.append(a.SetMemoryStatsPeriod(guest.name, int(after.get("stats@period") or "0")))
    return after, steps


def _dead_rows(old: Node, new: Node) -> FrozenSet[str]:
    """Rows of the table that do not hold for this device."""
    moved = new.attributes.get("type", old.attributes.get("type")) != old.attributes.get("type")
    becomes = new.attributes.get("device", old.attributes.get("device"))
    dead: Set[str] = set()
    if old.tag == "disk" and (becomes not in _DRIVES or becomes != old.attributes.get("device")):
        dead.update(("devices/disk/source", *_MEDIUM))
    if old.tag == "disk" and "iotune" in new.owned and new.find("iotune") is None and old.find("iotune/group_name"):
        dead.add("devices/disk/iotune")  # no call takes a disk out of its group
    if old.tag == "interface" and (moved or old.attributes.get("type") not in ("network", "bridge")):
        dead.add("devices/interface/source")
    return frozenset(dead)
