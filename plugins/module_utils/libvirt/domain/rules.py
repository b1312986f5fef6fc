# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the members of a guest's XML are told apart, and the rules of guests as a whole. Source: libvirt's formatdomain and src/conf/domain_conf.c."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Tuple

from ..xmlmerge import Key, Rules
from ..xmltree import Node
from .prune import prune
from .same import implied, same
from .spell import spell

_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"

#: List → (what makes its classes, what makes its keys). Empty keys: told apart by content, then by position.
_LISTS: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]] = {
    "devices/disk": ((), ("target@dev",)),
    "devices/interface": ((), ("mac@address",)),
    "devices/controller": (("@type",), ("@index",)),
    "devices/filesystem": ((), ("target@dir",)),
    "devices/hostdev": (("@mode", "@type"), ()),
    "devices/graphics": (("@type",), ()),
    "devices/channel": ((), ("target@name",)),
    "devices/serial": ((), ("target@port",)),
    "devices/parallel": ((), ("target@port",)),
    "devices/console": ((), ("target@port",)),
    "devices/input": (("@type", "@bus"), ()),
    "devices/shmem": ((), ("@name",)),
    "devices/sound": ((), ()),
    "devices/video": ((), ()),
    "devices/rng": ((), ()),
    "devices/redirdev": (("@bus",), ()),
    "devices/smartcard": ((), ()),
    "devices/watchdog": (("@model",), ()),
    "devices/hub": ((), ()),
    "devices/memory": (("@model",), ()),
    "devices/panic": ((), ()),
    "devices/lease": ((), ("key",)),
    "devices/tpm": ((), ()),
    "devices/audio": ((), ("@id",)),
    "devices/sound/codec": ((), ()),
    "devices/graphics/listen": ((), ()),
    "devices/graphics/channel": ((), ("@name",)),
    "devices/interface/ip": ((), ("@address",)),
    "devices/interface/route": ((), ("@address",)),
    "devices/interface/filterref/parameter": ((), ("@name",)),
    "devices/interface/vlan/tag": ((), ("@id",)),
    "devices/disk/source/host": ((), ()),
    "devices/redirfilter/usbdev": ((), ()),
    "devices/video/driver": ((), ()),
    "os/boot": ((), ()),
    "os/acpi/table": ((), ()),
    "os/initarg": ((), ()),
    "os/initenv": ((), ("@name",)),
    "os/firmware/feature": ((), ("@name",)),
    "clock/timer": ((), ("@name",)),
    "cpu/feature": ((), ("@name",)),
    "cpu/numa/cell": ((), ("@id",)),
    "cpu/numa/cell/cache": ((), ("@level",)),
    "cpu/numa/cell/distances/sibling": ((), ("@id",)),
    "cpu/numa/interconnects/latency": ((), ()),
    "cpu/numa/interconnects/bandwidth": ((), ()),
    "cputune/vcpupin": ((), ("@vcpu",)),
    "cputune/iothreadpin": ((), ("@iothread",)),
    "cputune/vcpusched": ((), ("@vcpus",)),
    "cputune/iothreadsched": ((), ("@iothreads",)),
    "cputune/cachetune": ((), ("@vcpus",)),
    "cputune/cachetune/cache": ((), ("@id", "@level", "@type")),
    "cputune/cachetune/monitor": ((), ("@level", "@vcpus")),
    "cputune/memorytune": ((), ("@vcpus",)),
    "cputune/memorytune/node": ((), ("@id",)),
    "numatune/memnode": ((), ("@cellid",)),
    "blkiotune/device": ((), ("path",)),
    "iothreadids/iothread": ((), ("@id",)),
    "vcpus/vcpu": ((), ("@id",)),
    "memoryBacking/hugepages/page": ((), ("@size", "@nodeset")),
    "idmap/uid": ((), ("@start",)),
    "idmap/gid": ((), ("@start",)),
    "seclabel": ((), ("@model",)),
    "sysinfo": ((), ("@type",)),
    "sysinfo/bios/entry": ((), ("@name",)),
    "sysinfo/system/entry": ((), ("@name",)),
    "sysinfo/chassis/entry": ((), ("@name",)),
    "sysinfo/baseBoard": ((), ()),
    "sysinfo/baseBoard/entry": ((), ("@name",)),
    "sysinfo/oemStrings/entry": ((), ()),
    "sysinfo/entry": ((), ("@name",)),
    "features/hyperv/feature": ((), ("@name",)),
    f"{_QEMU}commandline/{_QEMU}arg": ((), ()),
    f"{_QEMU}commandline/{_QEMU}env": ((), ("@name",)),
    f"{_QEMU}capabilities/{_QEMU}add": ((), ("@capability",)),
    f"{_QEMU}capabilities/{_QEMU}del": ((), ("@capability",)),
}

#: Their order is their meaning, so a member is its place.
_ORDERED = {"os/boot", "os/initarg", "sysinfo/oemStrings/entry", "devices/graphics/listen", f"{_QEMU}commandline/{_QEMU}arg"}

#: Lists that libvirt adds members to by itself, or that stand for the host's part of something.
_SHARED = {
    "devices/controller",
    "devices/input",
    "devices/console",
    "devices/audio",
    "devices/panic",
    "devices/tpm",
    "devices/sound/codec",
    "devices/graphics/listen",
    "devices/graphics/channel",
    "seclabel",
    "iothreadids/iothread",
    "vcpus/vcpu",
    "cpu/numa/cell/distances/sibling",
    "os/firmware/feature",
}


def key_fields(path: str) -> Tuple[str, ...]:
    """The fields that a member of this list is matched by: @attribute, child@attribute, child, or "" for its text."""
    classes, keys = _LISTS.get(path, ((), ()))
    return classes + keys


def _key(path: str, node: Node, place: int) -> Key:
    entry = _LISTS.get(path)
    if entry is None:
        return "", ""
    if path in _ORDERED:
        return path, str(place)
    classes = path + " ".join(node.get(name) or "" for name in entry[0])
    model = node.attributes.get("model", "")
    if path == "devices/controller" and model.startswith("ich9-"):  # USB companions share one index
        classes += model
    values = [node.get(name) or "" for name in entry[1]]
    return classes, "-".join(value for value in values if value) if any(values) else None


def _opaque(path: str) -> bool:
    return path.startswith("metadata/")


RULES = Rules(spell=spell, key=_key, same=same, implied=implied, prune=prune, opaque=_opaque)


def shared(path: str) -> bool:
    return path in _SHARED


def runtime(active: Node, wish: Node, definition: Node) -> Node:
    """The running XML as a definition: what was decided at its start, and so is met, is taken from the wish."""
    wished, runs = wish.find("cpu"), active.find("cpu")
    if wished is None or runs is None:
        return active
    if wished.attributes.get("mode") == "host-model" and runs.attributes.get("check") == "full":  # spelled out as a custom model once it runs
        return _with_cpu(active, wished)
    return _with_cpu(active, _decided(runs, wished, definition.get("cpu@match") == "minimum"))


def _decided(cpu: Node, wished: Node, at_least: bool) -> Node:
    """Whether a model may be another one, and whether an optional feature is there, is known of a CPU that runs.

    at_least: libvirt added what the host has besides.
    """
    named = {one.attributes.get("name"): one for one in wished.all("feature")}
    if at_least and cpu.attributes.get("match") == "exact":
        cpu = cpu.with_attributes(match="minimum")
    children: List[Node] = []
    for child in cpu.children:
        new = named.get(child.attributes.get("name")) if child.tag == "feature" else None
        if new is not None and new.attributes.get("policy") == "optional":
            children.append(new)
        elif child.tag == "model" and wished.get("model@fallback") == "allow":
            children.append(child.with_attributes(fallback="allow"))
        elif child.tag != "feature" or new is not None or not at_least:
            children.append(child)
    return replace(cpu, children=tuple(children))


def _with_cpu(tree: Node, cpu: Node) -> Node:
    return replace(tree, children=tuple(cpu if child.tag == "cpu" else child for child in tree.children))
