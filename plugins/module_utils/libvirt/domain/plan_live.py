# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a wish a running guest can have at once, by the table of fields, and the steps that give it that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence, Tuple

from ...engine.plan import Action
from ..xmlmerge import differences, merge
from ..xmltree import Node, render
from . import actions as a
from .fields import row_of
from .pins import PINS, pins_of, same_thread, unpinned, without_hollow
from .plan_live_blkio import device_limits, of_devices
from .plan_live_devices import devices
from .plan_live_part import Guest, live_part, outside_the_balloon, with_text
from .plan_live_threads import thread_ids, threads_come, threads_go
from .rules import RULES
from .same import UNLIMITED

#: KiB that the balloon rounds to. Source: VIRTIO_BALLOON_PFN_SHIFT.
_BALLOON_STEP = 4
_PARAMETERS = {
    "set_scheduler_parameters": a.SetSchedulerParameters,
    "set_memory_parameters": a.SetMemoryParameters,
    "set_blkio_parameters": a.SetBlkioParameters,
}


@dataclass(frozen=True)
class Live:
    """active: the guest after the actions."""

    active: Node
    actions: Tuple[Action, ...]
    warnings: Tuple[str, ...] = ()


def go_live(guest: Guest, wish: Node, definition: Node) -> Live:
    """definition: what the guest is defined as by now, which has all of the wish that libvirt keeps."""
    kept = differences(definition, wish, RULES)
    active, come = threads_come(guest, guest.active, wish, definition)
    active, steps = _settings(guest, active, wish, kept)
    vcpus = _vcpus(guest, active, wish)
    active, more = devices(guest, vcpus.active, wish, definition, kept)
    active, go = threads_go(guest, active, wish, definition)
    memory = _memory(guest, active, wish)  # memory modules that come or go count in the balloon's size
    return Live(memory.active, (*come, *steps, *vcpus.actions, *more, *go, *memory.actions), memory.warnings)


def balloon_reaches(active: Node, wish: Node) -> bool:
    """Whether the wished currentMemory needs no restart: the balloon of the running guest goes up to that much."""
    target, most = wish.get("currentMemory") or "", active.get("memory") or ""
    has_balloon = active.get("devices/memballoon@model") not in (None, "none")
    return has_balloon and target.isdigit() and most.isdigit() and int(target) <= int(most)


# Settings of the guest as a whole.


def _settings(guest: Guest, active: Node, wish: Node, kept: Tuple[str, ...]) -> Tuple[Node, List[Action]]:
    part = live_part(wish.without("devices", "currentMemory", "vcpu"), "", frozenset({"iothreads"}))
    if part is None:
        return active, []
    widest = unpinned(active, guest.cpus)
    part = _of_what_runs(part, active, widest)
    changes = [label for label in differences(active, part, RULES) if label not in kept]
    if not changes:
        return active, []
    after = without_hollow(merge(active, part, RULES))
    return after, _setting_steps(guest.name, active, part, after, widest)


def _of_what_runs(part: Node, active: Node, widest: str) -> Node:
    """Without the pins of vCPUs and IO threads that come with the next start, without the end of pins where nobody knows what comes then, and
    without what a device of the host cannot have at once."""
    most, threads = active.get("vcpu") or "1", thread_ids(active)

    def there(pin: Node) -> bool:
        vcpu, thread = pin.attributes.get("vcpu", ""), pin.attributes.get("iothread", "")
        if pin.tag == "vcpupin":
            return vcpu.isdigit() and most.isdigit() and int(vcpu) < int(most)
        return pin.tag != "iothreadpin" or (thread.isdigit() and int(thread) in threads)

    def tuning(one: Node) -> Node:
        if one.tag == "blkiotune":
            return of_devices(one, active.find("blkiotune"))
        if one.tag != "cputune":
            return one
        return replace(one, children=tuple(filter(there, one.children)), owned=one.owned if widest else one.owned - PINS.keys())

    return replace(part, children=tuple(map(tuning, part.children)))


def _setting_steps(name: str, old: Node, part: Node, after: Node, widest: str) -> List[Action]:
    steps: List[Action] = []
    for tag in ("title", "description"):
        if (old.get(tag) or "") != (after.get(tag) or ""):
            steps.append(a.SetMetadata(name, tag, after.get(tag) or None))
    kept = _children(after, "metadata")
    for new in kept:
        if new not in _children(old, "metadata"):
            steps.append(_metadata(name, new, render(replace(new, tag=new.tag.rpartition("}")[2]))))
    stay = {_namespace(one) for one in kept}
    steps += [_metadata(name, one, None) for one in _children(old, "metadata") if _namespace(one) not in stay]
    for event in _events(after):
        to = after.get(f"on_{event}")
        if to and to != old.get(f"on_{event}"):
            steps.append(a.SetLifecycleAction(name, event, to))
    for pin in _children(part, "cputune"):
        steps += _pin(name, pin, _children(old, "cputune"))
    for pin in pins_of(old):
        if not any(same_thread(pin, one) for one in pins_of(after)):
            steps += _pin(name, pin.with_attributes(cpuset=widest), _children(old, "cputune"))
    for tag in ("cputune", "memtune", "blkiotune"):
        steps += _parameters(name, tag, (*_children(part, tag), *_lifted(tag, old, after)), _children(old, tag))
    return steps + device_limits(name, old.find("blkiotune"), after.find("blkiotune"))


def _namespace(node: Node) -> str:
    return node.tag.rpartition("}")[0][1:]


def _metadata(name: str, node: Node, value: Optional[str]) -> a.SetMetadata:
    return a.SetMetadata(name, node.tag.rpartition("}")[2], value, _namespace(node) or None)


def _events(after: Node) -> Tuple[str, ...]:
    """In an order in which QEMU never gets what it refuses: a restart after power off together with an end after reboot."""
    return ("reboot", "poweroff", "crash") if after.get("on_poweroff") == "restart" else ("poweroff", "reboot", "crash")


def _children(node: Node, tag: str) -> Tuple[Node, ...]:
    found = node.find(tag)
    return found.children if found else ()


def _lifted(tag: str, old: Node, after: Node) -> Sequence[Node]:
    """Limits that are none any more."""
    stay = {one.tag for one in _children(after, tag)}
    gone = [one for one in _children(old, tag) if tag == "memtune" and one.tag not in stay]
    return [replace(one, text=str(UNLIMITED)) for one in gone]


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
    current = active.get("currentMemory") or ""
    if not balloon_reaches(active, wish) or not current.isdigit():
        return Live(active, ())
    out_of_reach, plugged = outside_the_balloon(active)
    now, goal = int(current) - plugged, min(int(wish.get("currentMemory") or "0"), int(active.get("memory") or "0") - out_of_reach)
    if abs(goal - now) < _BALLOON_STEP:
        return Live(active, ())
    if guest.balloon:
        return Live(with_text(active, "currentMemory", str(goal + plugged)), (a.SetMemory(guest.name, goal, guest.timeout),))
    waits = (f"guest {guest.name}: its memory balloon does not answer yet, so it still has {now} KiB; it gets {goal} KiB when it does",)
    return Live(active, (a.SetMemory(guest.name, goal),) if guest.asked else (), waits)


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
