# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the members of a guest's XML are told apart, and the rules of guests as a whole. Source: libvirt's formatdomain and src/conf/domain_conf.c."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, Tuple

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


def runtime(active: Node, wish: Node) -> Node:
    """The running XML as a definition: what only looks different because it runs is taken from the wish."""
    wished = wish.find("cpu")
    if wished is None:
        return active
    if wished.attributes.get("mode") in ("host-model", "maximum"):  # spelled out as a custom model once it runs
        return replace(active, children=tuple(wished if child.tag == "cpu" else child for child in active.children))
    if "feature" in wished.owned and wished.attributes.get("mode", "custom") == "custom":  # libvirt adds what the host has besides, or has not
        named = {one.get("@name") for one in wished.all("feature")}
        active = _with_cpu(
            active, lambda cpu: replace(cpu, children=tuple(one for one in cpu.children if one.tag != "feature" or one.get("@name") in named))
        )
    check = wished.attributes.get("check")  # how strictly the model was checked, by the time that it runs
    return _with_cpu(active, lambda cpu: cpu.with_attributes(check=check)) if check else active


def _with_cpu(tree: Node, change: Callable[[Node], Node]) -> Node:
    return replace(tree, children=tuple(change(child) if child.tag == "cpu" else child for child in tree.children))
