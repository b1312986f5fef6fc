# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest's options as the XML they wish for. New devices are virtio; existing ones keep what they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Mapping, Optional, Set, Tuple

from ...engine.errors import Failure
from ...engine.units import format_size, parse_size
from ..record import NAMESPACE
from ..xmlmerge import overlay
from ..xmltree import Node, element, parse, plain_text
from .options.cpu import CPU
from .options.table import ALONE
from .options.write import Draft, write
from .rules import RULES
from .wish_console import console, graphics
from .wish_disks import disks, interface

GUEST_AGENT = "org.qemu.guest_agent.0"

#: The least that libvirt's units can carry usefully; a bare number such as 2048 is meant as something else than bytes.
_LEAST_MEMORY = 1024**2


def wish_from_options(params: Mapping[str, Any]) -> Node:
    """What has code of its own, under what the rows of the tables say."""
    rows = Draft("domain")
    write(tuple(entry for entry in ALONE if entry.option != "serial"), params, rows)
    if params["cpu"] and any(params["cpu"][entry.option] is not None for entry in CPU):
        write(CPU, params["cpu"], rows.at("cpu"), "cpu.")
    return overlay(rows.node(), _own_code(params), RULES)


def _own_code(params: Mapping[str, Any]) -> Node:
    owned: Set[str] = set()
    children: List[Optional[Node]] = []
    for tag in ("title", "description"):
        text = params[tag]
        if text:
            children.append(element(tag, text=plain_text(text, tag, lines=tag == "description")))
        elif text == "":
            owned.add(tag)
    if params["metadata"]:
        children.append(_metadata(params["metadata"]))
    elif params["metadata"] == "":
        owned.add("metadata")
    children += [_memory(params["memory"], "memory"), _memory(params["current_memory"], "currentMemory", "current_memory")]
    children += [_vcpus(params["vcpus"], params["max_vcpus"]), _cpu(params["cpu"]), _os(params), _devices(params)]
    return replace(element("domain", *children), owned=frozenset(owned))


def _metadata(text: str) -> Node:
    """Elements for other programs, each of a namespace of its own: what libvirt tells them apart by."""
    tree = parse(f"<metadata>{text}</metadata>", "metadata", "metadata")
    spaces = [child.tag[1:].partition("}")[0] if child.tag[:1] == "{" else "" for child in tree.children]
    if tree.text or any(child.tail for child in tree.children) or not spaces or "" in spaces:
        raise Failure(
            "metadata: it must be XML elements, each with a namespace; write for example <a:owner xmlns:a='urn:a' name='b'/>", "invalid_xml"
        )
    if len(set(spaces)) < len(spaces) or NAMESPACE in spaces:
        raise Failure("metadata: two of its elements have one namespace, or one that is taken; give each its own", "invalid_xml")
    return tree


def _memory(size: Optional[str], tag: str, option: Optional[str] = None) -> Optional[Node]:
    if size is None:
        return None
    size_bytes = parse_size(size, option or tag)
    if size_bytes < _LEAST_MEMORY:
        raise Failure(f"{option or tag}: {format_size(size_bytes)} is no memory for a guest; write a size with its unit, such as 2G", "invalid_size")
    return element(tag, text=str(size_bytes), unit="b")


def _vcpus(count: Optional[int], most: Optional[int]) -> Optional[Node]:
    for name, number in (("vcpus", count), ("max_vcpus", most)):
        if number is not None and number < 1:
            raise Failure(f"{name}: {number}; a guest needs 1 or more", "invalid_value")
    if most is not None and (count is None or count > most):
        raise Failure(f"max_vcpus: {most} needs vcpus as well, of at most as many; correct vcpus or max_vcpus", "invalid_value")
    if count is None:
        return None
    return element("vcpu", text=str(most or count), current=str(count) if most and count < most else None)


def _cpu(options: Optional[Mapping[str, Any]]) -> Optional[Node]:
    if not options or not (options["mode"] or options["model"]):
        return None
    mode, model = options["mode"] or "custom", options["model"]
    if (mode == "custom") != bool(model):
        raise Failure(f"cpu: mode {mode} {'needs a' if mode == 'custom' else 'has no'} model; correct mode or model", "invalid_value")
    return element("cpu", element("model", text=plain_text(model, "cpu.model")) if model else None, mode=mode)


def _os(params: Mapping[str, Any]) -> Optional[Node]:
    owned: Set[str] = set()
    children: List[Node] = []
    if params["arch"] or params["machine"]:
        kind = element("type", arch=params["arch"] or None, machine=params["machine"] or None)
        children.append(replace(kind, initial=element("type", text="hvm")))
    for tag in ("kernel", "initrd", "cmdline"):
        if params[tag]:
            children.append(element(tag, text=plain_text(params[tag], tag)))
        elif params[tag] == "":
            owned.add(tag)
    if params["boot"] is not None:
        ordered = [
            entry["boot_order"]
            for entry in (params["disks"] or []) + (params["interfaces"] or []) + (params["hostdevs"] or [])
            if entry["boot_order"] is not None
        ]
        if ordered:
            raise Failure("boot: cannot be used together with the boot_order of a device; use one of them", "invalid_value")
        children += [element("boot", dev=device) for device in params["boot"]]
        owned.add("boot")
    if not children and not owned:
        return None
    return replace(element("os", *children), owned=frozenset(owned))


def _devices(params: Mapping[str, Any]) -> Optional[Node]:
    owned: Set[str] = set()
    absent: Set[Tuple[str, str]] = set()
    children: List[Optional[Node]] = []
    if params["disks"] is not None:
        owned.add("disk")
        children += disks(params["disks"])
    if params["interfaces"] is not None:
        owned.add("interface")
        children += [interface(entry) for entry in params["interfaces"]]
    children += console(params, owned)
    if params["graphics"] is not None:
        owned.add("graphics")
        children.append(graphics(params["graphics"]))
    if params["guest_agent"]:
        target = element("target", type="virtio", name=GUEST_AGENT)
        children.append(replace(element("channel", target), initial=element("channel", type="unix")))
    elif params["guest_agent"] is False:
        if GUEST_AGENT in [channel["name"] for channel in params["channels"] or ()]:
            raise Failure(f"channels: {GUEST_AGENT} is there although guest_agent is false; leave one of them out", "invalid_value")
        absent.add(("channel", GUEST_AGENT))
    if params["memballoon"] is not None:
        children.append(element("memballoon", model="virtio" if params["memballoon"] else "none"))
    if not any(children) and not owned and not absent:
        return None
    return replace(element("devices", *children), owned=frozenset(owned), absent=frozenset(absent))
