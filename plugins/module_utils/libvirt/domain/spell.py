# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest's XML as libvirt itself spells it. Source: libvirt's formatdomain and src/conf/domain_conf.c."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Callable, Dict

from ..spelling import kib, mac_address, number, pci_address, set_of_numbers, sized, sized_anyhow, uuid_text
from ..xmltree import Node

#: Element whose text is a size → the unit where none is said. Source: formatdomain.
_SIZES: Dict[str, str] = {
    "memory": "KiB",
    "currentMemory": "KiB",
    "maxMemory": "KiB",
    "memtune/hard_limit": "KiB",
    "memtune/soft_limit": "KiB",
    "memtune/swap_hard_limit": "KiB",
    "memtune/min_guarantee": "KiB",
    "devices/memory/target/size": "KiB",
    "devices/memory/target/block": "KiB",
    "devices/memory/target/requested": "KiB",
    "devices/memory/target/label/size": "KiB",
    "devices/memory/source/pagesize": "KiB",
    "devices/memory/source/alignsize": "KiB",
    "devices/controller/pcihole64": "KiB",
    "features/smm/tseg": "MiB",
}

_TEXT = {"name", "title", "description", "os/cmdline"}

#: Attributes that are sets of CPUs or NUMA nodes. Source: virBitmapFormat's callers.
_SETS = ("cpuset", "nodeset")

#: What a running guest's XML has and a definition does not keep: libvirt drops it from a definition that was made of one.
_RUNTIME_CHILDREN = {"devices/disk": ("mirror",), "": ("id",)}
_RUNTIME_ATTRIBUTES = {
    "devices/console": ("@tty",),
    "devices/channel/target": ("@state",),
    "devices/disk/source": ("@index",),
    "devices/interface/source": ("@portid",),
}
#: Where libvirt keeps the sockets that it makes itself; a definition that names one has it left out.
_OWN_SOCKETS = "/var/lib/libvirt/qemu/channel/"
_CHARACTER = (
    "devices/serial",
    "devices/parallel",
    "devices/console",
    "devices/channel",
    "devices/smartcard",
    "devices/redirdev",
    "devices/rng/backend",
)


def spell(path: str, node: Node) -> Node:
    node = replace(node, text=node.text if path in _TEXT else node.text.strip())
    node = node.without(*_RUNTIME_CHILDREN.get(path, ()), *_RUNTIME_ATTRIBUTES.get(path, ()))
    if path.endswith("/backingStore"):
        node = node.without("@index")
    if path.startswith("devices/"):
        node = replace(node, children=tuple(child for child in node.children if child.tag != "alias" or (child.get("@name") or "").startswith("ua-")))
    for name in _SETS:
        if name in node.attributes:
            node = node.with_attributes(**{name: set_of_numbers(node.attributes[name])})
    rule = _RULES.get(path)
    if rule:
        return rule(node)
    if path in _CHARACTER:
        return _character(node)
    if path in _SIZES:
        return sized(node, _SIZES[path], path)
    if node.tag == "address":
        return _address(path, node)
    return sized_anyhow(node) if node.text and "unit" in node.attributes else node


def _uuid(node: Node) -> Node:
    return replace(node, text=uuid_text(node.text, "uuid"))


def _page(node: Node) -> Node:
    if "size" not in node.attributes:
        return node
    size = sized(replace(node, text=node.attributes["size"]), "KiB", "hugepages")
    return replace(size, text="", attributes={**size.attributes, "size": size.text})


def _cell(node: Node) -> Node:
    if "cpus" in node.attributes:
        node = node.with_attributes(cpus=set_of_numbers(node.attributes["cpus"]))
    if "memory" not in node.attributes:
        return node
    size = kib(node.attributes["memory"], node.attributes.get("unit", "KiB"), "cpu/numa/cell")
    return node.with_attributes(memory=size, unit="KiB")


def _mac(node: Node) -> Node:
    return node.with_attributes(address=mac_address(node.attributes["address"], "interface")) if "address" in node.attributes else node


def _usb_id(node: Node) -> Node:
    return node.with_attributes(id=number(node.attributes["id"], 4)) if "id" in node.attributes else node


def _cpu(node: Node) -> Node:
    """With these modes the host says which model it is."""
    return node.without("model") if node.attributes.get("mode") in ("host-model", "host-passthrough", "maximum") else node


def _disk(node: Node) -> Node:
    """A drive without a medium has no type of source, and is printed as a file. One that was emptied while it ran has a hollow source."""
    source = node.find("source")
    if source is not None and node.attributes.get("device") in ("cdrom", "floppy") and not source.without("@index").says_something:
        node = node.without("source")
    empty = node.attributes.get("device") in ("cdrom", "floppy") and node.find("source") is None
    return node.with_attributes(type="file") if empty and "type" in node.attributes else node


def _iscsi(node: Node) -> Node:
    name = node.attributes.get("name", "")
    if node.attributes.get("protocol") == "iscsi" and name and "/" not in name:  # the LUN, which is 0 unless said
        return node.with_attributes(name=name + "/0")
    return node


def _interface(node: Node) -> Node:
    """Names of taps that libvirt made itself are made anew. Source: virDomainNetDefParseXML."""
    name = node.get("target@dev") or ""
    return node.without("target") if re.match(r"(vnet|macvtap|macvlan)[0-9]", name) else node


def _character(node: Node) -> Node:
    if node.attributes.get("type") != "unix":
        return node.without("source") if node.attributes.get("type") == "pty" else node
    source = node.find("source")
    if source and source.attributes.get("path", _OWN_SOCKETS).startswith(_OWN_SOCKETS) and node.tag == "channel":
        node = node.without("source")
    return node.without("protocol")


def _graphics(node: Node) -> Node:
    """The port that a running guest found."""
    return node.with_attributes(port="-1") if node.attributes.get("autoport") == "yes" and "port" in node.attributes else node


_RULES: Dict[str, Callable[[Node], Node]] = {
    "uuid": _uuid,
    "memoryBacking/hugepages/page": _page,
    "cpu/numa/cell": _cell,
    "cpu": _cpu,
    "devices/interface": _interface,
    "devices/interface/mac": _mac,
    "devices/hostdev/source/vendor": _usb_id,
    "devices/hostdev/source/product": _usb_id,
    "devices/disk": _disk,
    "devices/disk/source": _iscsi,
    "devices/hostdev/source": _iscsi,
    "devices/graphics": _graphics,
}


def _address(path: str, node: Node) -> Node:
    kind = node.attributes.get("type")
    if kind == "pci" or (kind is None and "slot" in node.attributes):
        return pci_address(node)
    if kind in ("drive", "virtio-serial", "usb", "ccid", "dimm") or (path == "devices/hostdev/source/address" and "device" in node.attributes):
        plain = ("controller", "bus", "target", "unit", "port", "slot", "device")
        return node.with_attributes(**{k: v if "." in v else number(v) for k, v in node.attributes.items() if k in plain})
    return node
