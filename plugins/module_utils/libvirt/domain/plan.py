# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a guest is to what it should be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Set, Tuple

from ...engine.errors import Failure, NotReady
from ...engine.plan import HIDDEN, Action, Plan
from ..xmlmerge import differences, merge, project
from ..xmltree import Node, element, pretty
from .model import Desired, Observed, digest
from .rules import RULES, runtime


@dataclass(frozen=True)
class DefineDomain(Action):
    """changes: the fields that differ; None for a new guest. definition: the whole new one. wish: what it must contain."""

    changes: Optional[Tuple[str, ...]]
    definition: Node = field(metadata=HIDDEN)
    wish: Node = field(metadata=HIDDEN)


@dataclass(frozen=True)
class StartDomain(Action):
    """paused: start it with its CPUs stopped. previous: the definition to go back to when it does not start."""

    paused: Optional[bool] = None
    previous: Optional[Node] = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True)
class ShutDownDomain(Action):
    """Ask the guest to shut down and wait. timeout: seconds. force: destroy it after that."""

    timeout: int
    force: bool


@dataclass(frozen=True)
class DestroyDomain(Action):
    """Stop it at once, as pulling the plug does. Nothing of it on disk goes."""


@dataclass(frozen=True)
class SuspendDomain(Action):
    pass


@dataclass(frozen=True)
class ResumeDomain(Action):
    pass


@dataclass(frozen=True)
class WakeDomain(Action):
    """Out of the sleep that the guest's own system went into."""


@dataclass(frozen=True)
class SetAutostart(Action):
    enabled: bool


@dataclass(frozen=True)
class UndefineDomain(Action):
    """nvram: None where it has none, else whether its file goes as well. Disks stay."""

    nvram: Optional[bool] = None


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    shown: Dict[str, Any] = {"name": desired.name, "state": observed.state}
    if observed.inactive is None:
        return shown
    shown.update(autostart=observed.autostart, persistent=observed.persistent)
    part = project(observed.inactive, desired.wish, RULES)
    if part and desired.wish.says_something:
        shown["xml"] = pretty(part)
    if pending_fields(observed, desired):
        shown["pending"] = list(pending_fields(observed, desired))
    return shown


def facts(observed: Observed) -> Dict[str, Any]:
    tree = observed.inactive
    if tree is None:
        return {}
    devices = tree.find("devices")
    return {
        "uuid": tree.get("uuid"),
        "type": tree.attributes.get("type"),
        "macs": [nic.get("mac@address") for nic in devices.all("interface")] if devices else [],
    }


def nothing(desired: Desired) -> Observed:
    """No guest. A task that asks for no more than a state speaks of a guest that an earlier task is about to define: it is taken as shut off."""
    if desired.wish.says_something or desired.state == "absent":
        return Observed()
    return Observed(inactive=element("domain", element("name", text=desired.name)), state="shutoff")


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if desired.state == "absent":
        return _absent(observed, desired)
    define, definition, warnings = _define(observed, desired)
    actions: List[Action] = []
    after = replace(observed, inactive=definition, uuid_holder=None, state="shutoff" if observed.inactive is None else observed.state)
    if define:
        actions.append(define)
        after = replace(after, persistent=True, record=())
    steps, after = _change_state(after, desired, observed.inactive if define else None)
    actions += steps
    if desired.autostart is not None and desired.autostart != observed.autostart:
        actions.append(SetAutostart(desired.name, desired.autostart))
        after = replace(after, autostart=desired.autostart)
    return Plan(tuple(actions), after, pending=pending_fields(after, desired), warnings=warnings)


def pending_fields(observed: Observed, desired: Desired) -> Tuple[str, ...]:
    """What is defined as wished, and not so in the running guest. What libvirt does not keep will never come, so it is not waited for."""
    if observed.active is None:
        return ()
    undefined = differences(observed.inactive, desired.wish, RULES)
    return tuple(field for field in differences(runtime(observed.active, desired.wish), desired.wish, RULES) if field not in undefined)


def _define(observed: Observed, desired: Desired) -> Tuple[Optional[DefineDomain], Node, Tuple[str, ...]]:
    name, wish = desired.name, desired.wish
    if observed.uuid_holder:
        raise Failure(f"guest {name}: its uuid is that of the guest {observed.uuid_holder}; leave the uuid out", "uuid_in_use")
    if observed.inactive is None:
        definition = _new(observed, desired)
        return DefineDomain(name, None, definition, wish), definition, ()
    uuid = observed.inactive.get("uuid")
    if wish.get("uuid") not in (None, uuid):
        raise Failure(f"guest {name}: it has the uuid {uuid}, which cannot change; leave uuid out", "uuid_mismatch")
    changes = differences(observed.inactive, wish, RULES)
    if changes and observed.record == (desired.digest, digest(observed.inactive)):
        return None, observed.inactive, (f"guest {name}: libvirt does not keep {', '.join(changes)}; leave these out of the definition",)
    if not changes and observed.persistent:
        return None, observed.inactive, ()
    definition = _with_macs(merge(observed.inactive, wish, RULES), observed, name)
    return DefineDomain(name, changes, definition, wish), definition, ()


def _new(observed: Observed, desired: Desired) -> Node:
    name, wish = desired.name, desired.wish
    if not wish.says_something:
        raise NotReady(f"guest {name}: there is none, and the task does not say what it should be; give memory and disks, or xml", "domain_not_found")
    if wish.find("memory") is None and wish.find("maxMemory") is None and wish.find("cpu/numa") is None:
        raise Failure(f"guest {name}: a new guest needs memory; add memory, for example 2G", "missing_option")
    base = element("domain", element("name", text=name), type=wish.attributes.get("type") or observed.virt_type or "kvm")
    if not desired.from_xml:
        base = base.with_children(element("os", element("type", text="hvm")))
        arch = wish.get("os/type@arch") or observed.arch
        if arch in ("x86_64", "i686"):  # without ACPI a guest cannot be asked to shut down
            base = base.with_children(element("features", element("acpi"), element("apic")))
    return _with_macs(merge(base, wish, RULES), observed, name)


def _with_macs(definition: Node, observed: Observed, name: str) -> Node:
    """MAC addresses for new interfaces: always the same ones for the same place in the same guest on the same machine."""
    devices = definition.find("devices")
    if devices is None:
        return definition
    taken: Set[str] = {nic.get("mac@address") or "" for nic in devices.all("interface")}
    children: List[Node] = []
    place = 0
    for child in devices.children:
        if child.tag == "interface":
            if child.find("mac") is None:
                mac = _mac(observed.machine_id, name, place, taken)
                taken.add(mac)
                child = replace(child, children=(element("mac", address=mac), *child.children))
            place += 1
        children.append(child)
    whole = replace(devices, children=tuple(children))
    return replace(definition, children=tuple(whole if child is devices else child for child in definition.children))


def _mac(machine_id: str, name: str, place: int, taken: Set[str]) -> str:
    attempt = 0
    while True:
        seed = f"{machine_id}/{name}/{place}" + (f"/{attempt}" if attempt else "")
        octets = hashlib.sha256(seed.encode("utf-8", "replace")).digest()[:3]
        mac = "52:54:00:" + ":".join(f"{octet:02x}" for octet in octets)  # the prefix of QEMU and KVM
        if mac not in taken:
            return mac
        attempt += 1


def _change_state(observed: Observed, desired: Desired, previous: Optional[Node]) -> Tuple[List[Action], Observed]:
    """The steps from one state to another."""
    name, state, wanted = desired.name, observed.state, desired.state
    if wanted in ("present", state):
        return [], observed
    if wanted == "shutoff":
        return [_stop(state, desired)], replace(observed, state="shutoff", active=None)
    steps: List[Action] = []
    if state == "crashed":
        if not desired.force:
            raise Failure(f"guest {name}: crashed, and is kept as it was; look at it, then set force: true to end it", "invalid_state_change")
        steps.append(DestroyDomain(name))
        state = "shutoff"
    if state == "shutoff":
        steps.append(StartDomain(name, wanted == "paused" or None, previous))
        return steps, replace(observed, state=wanted, active=observed.inactive)
    if wanted == "paused":
        if state != "running":
            raise Failure(f"guest {name}: sleeps ({state}), so it cannot be paused; use state running first", "invalid_state_change")
        return [SuspendDomain(name)], replace(observed, state=wanted)
    return [WakeDomain(name) if state == "pmsuspended" else ResumeDomain(name)], replace(observed, state=wanted)


def _stop(state: str, desired: Desired) -> Action:
    if state == "running":
        return ShutDownDomain(desired.name, desired.timeout, desired.force)
    if state == "crashed" or desired.force:
        return DestroyDomain(desired.name)
    raise Failure(
        f"guest {desired.name}: {state}, so it cannot be asked to shut down; use state running first, or force: true to end it at once",
        "invalid_state_change",
    )


def _absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    if observed.inactive is None:
        return Plan((), observed)
    actions: List[Action] = []
    if observed.state != "shutoff":
        actions.append(_stop(observed.state, desired))
    if observed.persistent:
        loader = observed.inactive.find("os/nvram") or observed.inactive.get("os@firmware") == "efi"
        actions.append(UndefineDomain(desired.name, desired.remove_nvram if loader else None))
    return Plan(tuple(actions), Observed(machine_id=observed.machine_id, arch=observed.arch))
