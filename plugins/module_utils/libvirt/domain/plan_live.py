# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a wish a running guest can have at once, by the table of fields, and the steps that give it that."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, List, Optional, Tuple

from ...engine.plan import Action
from ..xmlmerge import below_of, differences, label_of, matched, merge
from ..xmltree import Node, render
from . import actions as a
from .fields import LIVE, TABLE, row_of, row_of_member
from .rules import RULES

#: Buses whose disks come and go while the guest runs. Source: qemuDomainAttachDeviceDiskLiveInternal.
_HOT_BUSES = ("virtio", "scsi", "usb")
_DRIVES = ("cdrom", "floppy")
#: What belongs to the medium in a drive, and changes with it.
_MEDIUM = ("devices/disk@type", "devices/disk/driver@type")
_NAMES = re.compile(r"\[[^]]*\]")
#: KiB that the balloon rounds to. Source: VIRTIO_BALLOON_PFN_SHIFT.
_BALLOON_STEP = 4
_PARAMETERS = {
    "set_scheduler_parameters": a.SetSchedulerParameters,
    "set_memory_parameters": a.SetMemoryParameters,
    "set_blkio_parameters": a.SetBlkioParameters,
}


@dataclass(frozen=True)
class Guest:
    """A guest that runs.

    runs: whether its CPUs do; a paused guest gives nothing back. balloon: whether its balloon answers, and stands still.
    asked: whether this run changes the definition's currentMemory. timeout, force: as the task says.
    """

    name: str
    active: Node
    runs: bool
    balloon: bool
    asked: bool
    timeout: int
    force: bool


@dataclass(frozen=True)
class Live:
    """active: the guest after the actions."""

    active: Node
    actions: Tuple[Action, ...]
    warnings: Tuple[str, ...] = ()


def go_live(guest: Guest, wish: Node, definition: Node) -> Live:
    """definition: what the guest is defined as by now, which has all of the wish that libvirt keeps."""
    kept = differences(definition, wish, RULES)
    active, steps = _settings(guest, wish, kept)
    memory = _memory(guest, active, wish)
    vcpus = _vcpus(guest, memory.active, wish)
    devices, more = _devices(guest, vcpus.active, wish, definition, kept)
    return Live(devices, (*steps, *memory.actions, *vcpus.actions, *more), memory.warnings)


def balloon_reaches(active: Node, wish: Node) -> bool:
    """Whether the wished currentMemory needs no restart: the balloon of the running guest goes up to that much."""
    target, most = wish.get("currentMemory") or "", active.get("memory") or ""
    has_balloon = active.get("devices/memballoon@model") not in (None, "none")
    return has_balloon and target.isdigit() and most.isdigit() and int(target) <= int(most)


# Settings of the guest as a whole.


def _settings(guest: Guest, wish: Node, kept: Tuple[str, ...]) -> Tuple[Node, List[Action]]:
    part = _live_part(wish.without("devices", "currentMemory", "vcpu"), "", frozenset())
    if part is None:
        return guest.active, []
    changes = [label for label in differences(guest.active, part, RULES) if label not in kept]
    if not changes:
        return guest.active, []
    after = merge(guest.active, part, RULES)
    return after, _setting_steps(guest, part, after)


def _setting_steps(guest: Guest, part: Node, after: Node) -> List[Action]:
    steps: List[Action] = []
    old, name = guest.active, guest.name
    for tag in ("title", "description"):
        if (old.get(tag) or "") != (after.get(tag) or ""):
            steps.append(a.SetMetadata(name, tag, after.get(tag) or None))
    for new in _children(part, "metadata"):
        if not any(new == one for one in _children(old, "metadata")):
            namespace, _brace, local = new.tag.rpartition("}")
            steps.append(a.SetMetadata(name, local, render(replace(new, tag=local)), namespace[1:] or None))
    for event in _events(after):
        to = after.get(f"on_{event}")
        if to and to != old.get(f"on_{event}"):
            steps.append(a.SetLifecycleAction(name, event, to))
    for pin in _children(part, "cputune"):
        steps += _pin(name, pin, _children(old, "cputune"))
    for tag in ("cputune", "memtune", "blkiotune"):
        steps += _parameters(name, tag, _children(part, tag), _children(old, tag))
    return steps


def _events(after: Node) -> Tuple[str, ...]:
    """In an order in which QEMU never gets what it refuses: a restart after power off together with an end after reboot."""
    return ("reboot", "poweroff", "crash") if after.get("on_poweroff") == "restart" else ("poweroff", "reboot", "crash")


def _children(node: Node, tag: str) -> Tuple[Node, ...]:
    found = node.find(tag)
    return found.children if found else ()


def _pin(name: str, pin: Node, old: Tuple[Node, ...]) -> List[Action]:
    cpuset = pin.attributes.get("cpuset", "")
    numbers = {key: value for key, value in pin.attributes.items() if key != "cpuset"}
    if any(one.tag == pin.tag and one.attributes == pin.attributes for one in old):
        return []
    if pin.tag == "emulatorpin":
        return [a.PinEmulator(name, cpuset)]
    if pin.tag == "iothreadpin" and numbers.get("iothread", "").isdigit():
        return [a.PinIothread(name, int(numbers["iothread"]), cpuset)]
    if pin.tag == "vcpupin" and numbers.get("vcpu", "").isdigit():
        return [a.PinVcpu(name, int(numbers["vcpu"]), cpuset)]
    return []


#: Parameters whose name in the interface is not that of their element. Source: libvirt-domain.h.
_PARAMETER_NAMES = {"shares": "cpu_shares", "period": "vcpu_period", "quota": "vcpu_quota"}


def _parameters(name: str, tag: str, new: Tuple[Node, ...], old: Tuple[Node, ...]) -> List[Action]:
    values: Dict[str, List[Tuple[str, a.Value]]] = {}
    changes: Dict[str, List[str]] = {}
    before = {one.tag: one.text for one in old}
    for one in new:
        by = row_of(f"{tag}/{one.tag}").by
        if by in _PARAMETERS and before.get(one.tag) != one.text and one.text.lstrip("-").isdigit():
            values.setdefault(by, []).append((_PARAMETER_NAMES.get(one.tag, one.tag), int(one.text)))
            changes.setdefault(by, []).append(f"{tag}/{one.tag}")
    return [_PARAMETERS[by](name, tuple(changes[by]), tuple(values[by])) for by in values]


# Memory and vCPUs.


def _memory(guest: Guest, active: Node, wish: Node) -> Live:
    wished, current = wish.get("currentMemory") or "", active.get("currentMemory") or ""
    if not balloon_reaches(active, wish) or not current.isdigit() or abs(int(wished) - int(current)) < _BALLOON_STEP:
        return Live(active, ())
    if guest.balloon:
        return Live(_with(active, "currentMemory", wished), (a.SetMemory(guest.name, int(wished), guest.timeout),))
    waits = (f"guest {guest.name}: its memory balloon does not answer yet, so it still has {current} KiB; it gets {wished} KiB when it does",)
    return Live(active, (a.SetMemory(guest.name, int(wished)),) if guest.asked else (), waits)


def _with(tree: Node, tag: str, text: str) -> Node:
    return replace(tree, children=tuple(replace(child, text=text) if child.tag == tag else child for child in tree.children))


def _vcpus(guest: Guest, active: Node, wish: Node) -> Live:
    old, new = active.find("vcpu"), wish.find("vcpu")
    if old is None or new is None or wish.find("vcpus"):  # which of them are online is said one by one
        return Live(active, ())
    most, online = old.text, old.attributes.get("current", old.text)
    wished = new.attributes.get("current") or new.text or online
    if not (most.isdigit() and online.isdigit() and wished.isdigit()) or wished == online or int(wished) > int(most):
        return Live(active, ())
    if int(wished) < int(online) and (int(wished) < _fixed_vcpus(active, int(online)) or not guest.runs or active.attributes.get("type") != "kvm"):
        return Live(active, ())  # QEMU's emulation cannot take a vCPU away: the request times out, and the emulator may crash after it
    after = replace(old, attributes={**old.without("@current").attributes, **({"current": wished} if wished != most else {})})
    children = tuple(after if child is old else child for child in active.children if child.tag != "vcpus")
    return Live(replace(active, children=children), (a.SetVcpus(guest.name, int(wished)),))


def _fixed_vcpus(active: Node, online: int) -> int:
    """vCPUs that the guest started with, and cannot give back."""
    listed = _children(active, "vcpus")
    return sum(one.attributes.get("enabled") == "yes" and one.attributes.get("hotpluggable") == "no" for one in listed) if listed else online


# Devices.


def _devices(guest: Guest, active: Node, wish: Node, definition: Node, kept: Tuple[str, ...]) -> Tuple[Node, List[Action]]:
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
        elif home is not None and not RULES.implied(f"devices/{new.tag}", new) and _fits(home, after):
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
    """The memory that modules bring and take."""
    size = 0
    for step in steps:
        if isinstance(step, (a.AttachDevice, a.DetachDevice)) and step.definition.tag == "memory":
            text = step.definition.get("target/size") or "0"
            size += int(text) if isinstance(step, a.AttachDevice) else -int(text)
    for tag in ("memory", "currentMemory") if size else ():
        active = _with(active, tag, str(int(active.get(tag) or "0") + size))
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


def _fits(device: Node, devices: Node) -> bool:
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
    return device.tag in ("channel", "memory") or _free_slots(devices)


def _free_slots(devices: Node) -> bool:
    """Whether a PCI slot is free that devices can be plugged into. On the PCIe root itself they cannot, on the old PCI bus they can."""
    bridges = [one for one in devices.all("controller") if one.attributes.get("type") == "pci"]
    if not any(one.attributes.get("model") == "pcie-root" for one in bridges):
        return True
    ports = [one.attributes.get("index") for one in bridges if one.attributes.get("model") == "pcie-root-port"]
    used = {bus(device.find("address")) for device in devices.children}
    unplaced = sum(device.find("address") is None and device.tag in ("disk", "interface", "rng", "watchdog") for device in devices.children)
    return sum(str(port) not in used for port in ports) > unplaced


def bus(address: Optional[Node]) -> Optional[str]:
    if address is None or address.attributes.get("type") != "pci":
        return None
    return str(int(address.attributes.get("bus", "0"), 16))


def _update(guest: Guest, old: Node, new: Node, kept: Tuple[str, ...]) -> Tuple[Node, List[Action]]:
    path, label = f"devices/{new.tag}", _label(old)
    part = _live_part(new, path, _dead_rows(old, new))
    labels = [field for field in differences(old, part, RULES, path, label) if field not in kept] if part else []
    if part is None or not labels:
        return old, []
    after = merge(old, part, RULES, path)
    by: Dict[str, List[str]] = {}
    for field in labels:
        by.setdefault(row_of(_plain(field)).by, []).append(field)
    steps: List[Action] = []
    if "update_device" in by:
        only = _live_part(part, path, frozenset(row.path for row in TABLE if row.by != "update_device"))
        device = merge(old, only, RULES, path) if only else old
        steps.append(
            a.UpdateDevice(
                guest.name, label, tuple(field for field in labels if row_of(_plain(field)).by == "update_device"), old, device, guest.force
            )
        )
    if "set_block_iotune" in by:
        wanted = after.find("iotune") or Node("iotune")
        values = tuple((one.tag, int(one.text) if one.text.isdigit() else one.text) for one in wanted.children)
        steps.append(a.SetBlockIotune(guest.name, tuple(by["set_block_iotune"]), values, after.get("target@dev") or ""))
    if "set_memory_stats_period" in by:
        steps.append(a.SetMemoryStatsPeriod(guest.name, int(after.get("stats@period") or "0")))
    return after, steps


def _dead_rows(old: Node, new: Node) -> FrozenSet[str]:
    """Rows of the table that do not hold for this device."""
    moved = new.attributes.get("type", old.attributes.get("type")) != old.attributes.get("type")
    if old.tag == "disk" and old.attributes.get("device") not in _DRIVES:
        return frozenset({"devices/disk/source", *_MEDIUM})
    if old.tag == "interface" and (moved or old.attributes.get("type") not in ("network", "bridge")):
        return frozenset({"devices/interface/source"})
    return frozenset()


def _plain(label: str) -> str:
    """A field's path without the names of the elements in it: devices/disk/source for devices/disk[vda]/source."""
    return _NAMES.sub("", label)


def _live_part(node: Node, path: str, dead: FrozenSet[str]) -> Optional[Node]:
    """What of a wish the table calls live, without the dead rows; None where nothing is."""

    def live(field: str, goes: bool = False) -> bool:
        row = row_of(field)
        return row.when == LIVE and row.path not in dead and (row.goes or not goes)

    children = (_live_part(child, below_of(path, child.tag), dead) for child in node.children)
    part = Node(
        node.tag,
        {name: value for name, value in node.attributes.items() if live(f"{path}@{name}")},
        node.text if live(path) else "",
        tuple(child for child in children if child is not None),
        node.tail,
        frozenset(one for one in node.owned if live(path + one if one[:1] == "@" else below_of(path, one), goes=True)),
    )
    return part if part.says_something else None
