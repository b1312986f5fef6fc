# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest's XML as libvirt itself spells it. Source: libvirt's formatdomain and src/conf/domain_conf.c."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Callable, Dict, List, Optional

from ..spelling import kib, mac_address, members_of_set, number, pci_address, set_of_numbers, sized, sized_anyhow, uuid_text
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
_RUNTIME_CHILDREN = {"devices/disk": ("mirror",), "": ("id",), "seclabel": ("imagelabel",)}
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


def _domain(node: Node) -> Node:
    """Metadata that is empty, as it is when the last of it was taken from a running guest, is none."""
    return replace(node, children=tuple(child for child in node.children if child.tag != "metadata" or child.says_something))


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
    if node.attributes.get("snapshot") == "no" and (node.attributes.get("device") == "cdrom" or node.find("readonly")):  # it never has any
        node = node.without("@snapshot")
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
    if source and node.tag == "channel" and _own_socket(source.attributes.get("path", _OWN_SOCKETS), node.get("target@name")):
        node = node.without("source")
    return node.without("protocol")


def _own_socket(path: str, channel: Optional[str]) -> bool:
    """Source: qemuDomainChrMatchDefaultPath, which takes a folder for a guest's own wherever it is."""
    return path.startswith(_OWN_SOCKETS) or (channel is not None and re.search(f"domain-[^/]+/{re.escape(channel)}$", path) is not None)


def _boot_menu(node: Node) -> Node:
    return node.without("@timeout") if node.attributes.get("enable") == "no" else node


def _cpu_tuning(node: Node) -> Node:
    """How sets of CPUs and threads are scheduled is kept of each alone."""
    children: List[Node] = []
    for child in node.children:
        name = {"vcpusched": "vcpus", "iothreadsched": "iothreads"}.get(child.tag, "")
        members = members_of_set(child.attributes[name]) if name in child.attributes else None
        children += [child] if members is None else [child.with_attributes(**{name: str(member)}) for member in sorted(members)]
    return replace(node, children=tuple(children))


def _numa_memory(node: Node) -> Node:
    return node.without("@nodeset") if node.attributes.get("placement") == "auto" else node


def _file_modes(node: Node) -> Node:
    modes = {name: node.attributes[name] for name in ("fmode", "dmode") if re.fullmatch("[0-7]+", node.attributes.get(name, ""))}
    return node.with_attributes(**{name: f"{int(mode, 8):04o}" for name, mode in modes.items()})


def _redirected(node: Node) -> Node:
    """What is -1 may be anything. A version has two decimals: 9.4 is 9.40. Source: virDomainRedirFilterUSBDevDefFormat."""
    said = {name: value for name, value in node.attributes.items() if value != "-1"}
    for name, digits in (("class", 2), ("vendor", 4), ("product", 4)):
        if name in said:
            said[name] = re.sub("[a-f]", lambda digit: digit[0].upper(), number(said[name], digits))
    version = re.fullmatch(r"([0-9]+)(?:\.([0-9]{1,2}))?", said.get("version", ""))
    if version:
        said["version"] = f"{int(version[1])}.{(version[2] or ''):0<2}"
    return replace(node, attributes=said)


#: Models of network cards that libvirt knows, whose case it does not mind. Source: virDomainNetModelType.
_CARDS = (
    "netfront rtl8139 virtio e1000 e1000e igb virtio-transitional virtio-non-transitional usb-net spapr-vlan lan9118 scm91c111 vlance vmxnet "
    "vmxnet2 vmxnet3 Am79C970A 82540EM 82545EM 82543GC"
)
_CARD = {name.lower(): name for name in _CARDS.split()}


def _card(node: Node) -> Node:
    model = node.attributes.get("type", "")
    return node.with_attributes(type=_CARD[model.lower()]) if model.lower() in _CARD else node


def _graphics(node: Node) -> Node:
    """The port that a running guest found."""
    return node.with_attributes(port="-1") if node.attributes.get("autoport") == "yes" and "port" in node.attributes else node


_RULES: Dict[str, Callable[[Node], Node]] = {
    "": _domain,
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
    "devices/interface/model": _card,
    "devices/filesystem": _file_modes,
    "devices/redirfilter/usbdev": _redirected,
    "os/bootmenu": _boot_menu,
    "cputune": _cpu_tuning,
    "numatune/memory": _numa_memory,
}


def _address(path: str, node: Node) -> Node:
    kind = node.attributes.get("type")
    if kind == "pci" or (kind is None and "slot" in node.attributes):
        return pci_address(node)
    if kind in ("drive", "virtio-serial", "usb", "ccid", "dimm") or (path == "devices/hostdev/source/address" and "device" in node.attributes):
        plain = ("controller", "bus", "target", "unit", "port", "slot", "device")
        return node.with_attributes(**{k: v if "." in v else number(v) for k, v in node.attributes.items() if k in plain})
    return node
