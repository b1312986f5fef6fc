# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The definition of a guest that is to be, whole, out of what it is and what is wished."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import List, Optional, Set, Tuple

from ...engine.errors import Failure, NotReady
from ..define import redefined, refuse_taken_uuid
from ..xmlmerge import merge
from ..xmltree import Node, element
from .actions import DefineDomain
from .model import Desired, Observed
from .rules import RULES


def define(observed: Observed, desired: Desired) -> Tuple[Optional[DefineDomain], Node, Tuple[str, ...]]:
    name, wish = desired.name, desired.wish
    refuse_taken_uuid(f"guest {name}", observed.uuid_holder)
    if observed.inactive is None:
        definition = _new(observed, desired)
        return DefineDomain(name, None, definition, wish), definition, _taken(observed, name)
    change, warnings = redefined(f"guest {name}", observed, observed.inactive, wish, RULES)
    if change is None:
        return None, observed.inactive, warnings
    definition = _with_macs(change[1], observed, name)
    return DefineDomain(name, change[0], definition, wish), definition, warnings + _taken(observed, name)


def _taken(observed: Observed, name: str) -> Tuple[str, ...]:
    """No refusal: one of two such guests may be meant to stand in for the other."""
    sentence = (
        "guest {}: its MAC address {} is that of the guest {}, too; on one network only one of them can be reached, so give one another address"
    )
    return tuple(sentence.format(name, mac, other) for mac, other in observed.mac_holders)


def _new(observed: Observed, desired: Desired) -> Node:
    name, wish = desired.name, desired.wish
    if not wish.says_something:
        raise NotReady(f"guest {name}: there is none, and the task does not say what it should be; give memory and disks, or xml", "domain_not_found")
    if wish.find("memory") is None and wish.find("maxMemory") is None and wish.find("cpu/numa") is None:
        raise Failure(f"guest {name}: a new guest needs memory; add memory, for example 2G", "missing_option")
    base = element("domain", element("name", text=name), type=wish.attributes.get("type") or observed.virt_type or "kvm")
    if not desired.from_xml:
        container = base.attributes["type"] == "lxc"
        system = (element("type", text="exe"), element("init", text="/sbin/init")) if container else (element("type", text="hvm"),)
        base = base.with_children(element("os", *system))
        if container:  # without a console it does not start
            base = base.with_children(element("devices", element("console", element("target", type="lxc", port="0"), type="pty")))
        arch = wish.get("os/type@arch") or observed.arch
        if not container and arch in ("x86_64", "i686"):  # without ACPI a guest cannot be asked to shut down
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
