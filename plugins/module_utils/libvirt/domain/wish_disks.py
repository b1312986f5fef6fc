# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest's disks and interfaces as the XML that they wish for: what is new is virtio, what is there keeps what it is."""

from __future__ import annotations

import string
from dataclasses import replace
from typing import Any, List, Mapping, Optional

from ...engine.errors import Failure
from ..spelling import mac_address
from ..xmlmerge import overlay
from ..xmltree import Node, element, plain_text
from .options.disk import DISK, SECRET_TYPES
from .options.interface import INTERFACE
from .options.rows import Table
from .options.write import Draft, write
from .rules import RULES

#: Bus → how its disks are called. Source: formatdomain, target.
_DISK_NAMES = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd", "fdc": "fd"}
#: What a new device is on, where it is no virtio disk.
_BUSES = {"cdrom": "sata", "floppy": "fdc", "lun": "scsi"}
#: What may have no medium.
_DRIVES = ("cdrom", "floppy")


def disks(entries: List[Mapping[str, Any]]) -> List[Optional[Node]]:
    taken = [entry["target"] for entry in entries if entry["target"]]
    for target in taken:
        if taken.count(target) > 1:
            raise Failure(f"disks: two have the target {target}; give each its own", "invalid_value")
    nodes: List[Optional[Node]] = []
    for entry in entries:
        target = entry["target"]
        if not target:
            prefix = _DISK_NAMES[_bus(entry)]
            target = next(name for name in _names(prefix) if name not in taken)
            taken.append(target)
        nodes.append(_disk(entry, target))
    return nodes


def _names(prefix: str) -> List[str]:
    letters = string.ascii_lowercase
    return [prefix + one for one in letters] + [prefix + one + two for one in letters for two in letters]


def _bus(entry: Mapping[str, Any]) -> str:
    """The bus of a new disk; a CD-ROM cannot be virtio."""
    return str(entry["bus"] or _BUSES.get(entry["device"], "virtio"))


def _disk(entry: Mapping[str, Any], target: str) -> Node:
    path, pool, volume, cdrom = entry["path"], entry["pool"], entry["volume"], entry["device"] == "cdrom"
    network = entry["network"]
    empty = not path and not pool and not network
    if bool(pool) != bool(volume) or (path and pool) or (network and (path or pool)):
        raise Failure(f"disks: {target} needs one of path, network, or pool and volume", "invalid_value")
    if path and not path.startswith("/"):
        raise Failure(f"disks: {path!r} is not an absolute path; start it with a slash", "invalid_value")
    if empty and entry["device"] not in _DRIVES:
        raise Failure(f"disks: {target} has no path; add path, network, or pool and volume", "invalid_value")
    if cdrom and entry["readonly"] is False:
        raise Failure(f"disks: {target} is a CD-ROM, which is always read-only; leave readonly out", "invalid_value")
    if cdrom and _bus(entry) == "virtio":
        raise Failure(f"disks: {target} is a CD-ROM, which cannot be on the bus virtio; use sata, scsi, ide or usb", "invalid_value")
    if entry["device"] == "lun" and not (path or "").startswith("/dev/") and not (network and network["protocol"] == "iscsi"):
        raise Failure(
            f"disks: {target} is a lun, which only a block device or a network of iscsi can be; give a path below /dev/, or leave device out",
            "invalid_value",
        )
    if empty and entry["startup_policy"]:
        raise Failure(f"disks: {target} has no path, so its startup_policy says nothing; leave it out, or add path", "invalid_value")
    kind, source = "file", None
    if pool:
        kind, source = "volume", element("source", pool=plain_text(pool, "disks.pool"), volume=plain_text(volume, "disks.volume"))
    elif path:
        kind = "block" if path.startswith("/dev/") else "file"
        source = element("source", **{"dev" if kind == "block" else "file": plain_text(path, "disks.path")})
    elif network:
        kind, source = "network", element("source", _secret(network))
    described = plain_text(entry["format"], "disks.format") if entry["format"] else None
    wish = element(
        "disk",
        element("driver", type=described) if described else None,
        source,
        element("target", dev=plain_text(target, "disks.target"), bus=entry["bus"]),
        element("readonly") if entry["readonly"] else None,
        element("serial", text=plain_text(entry["serial"], "disks.serial")) if entry["serial"] else None,
        _boot(entry, "disks"),
        type=kind,
        device=entry["device"],
    )
    owned = {"readonly"} if entry["readonly"] is False else set()
    owned |= {"serial"} if entry["serial"] == "" else set()
    owned |= {"boot"} if entry["boot_order"] is not None else set()
    owned |= {"source"} if not source else set()
    guess = "qcow2" if (path or volume or "").endswith(".qcow2") else "raw"
    initial = element(
        "disk",
        element("driver", name="qemu", type=described or guess),
        element("target", dev=target, bus=_bus(entry) if not entry["target"] or target.startswith(_DISK_NAMES[_bus(entry)]) else None),
        device="disk",
    )
    wish = _with_rows(replace(wish, owned=frozenset(owned)), DISK, entry, "devices/disk", "disks.")
    return replace(_filled(wish, initial), initial=initial)


def _secret(network: Mapping[str, Any]) -> Optional[Node]:
    """The kind of secret follows from the protocol."""
    given = network["auth"] and any(network["auth"].values())
    return element("auth", element("secret", type=SECRET_TYPES.get(network["protocol"]))) if given else None


def _with_rows(wish: Node, table: Table, entry: Mapping[str, Any], path: str, above: str) -> Node:
    """The wish with what the rows say besides."""
    draft = Draft(wish.tag)
    write(table, entry, draft, above)
    return overlay(wish, draft.node(), RULES, path)


def _filled(wish: Node, initial: Node) -> Node:
    """The wish, whose children that initial has as well are themselves filled in when new."""
    children = tuple(replace(child, initial=initial.find(child.tag)) for child in wish.children)
    return replace(wish, children=children)


def _boot(entry: Mapping[str, Any], what: str) -> Optional[Node]:
    order = entry["boot_order"]
    if order is None or order == 0:
        return None
    if order < 0:
        raise Failure(f"{what}.boot_order: {order}; use 1 or more, or 0 for none", "invalid_value")
    return element("boot", order=str(order))


def interface(entry: Mapping[str, Any]) -> Node:
    kind, source = entry["type"], entry["source"]
    if kind == "user" and source:
        raise Failure(f"interfaces: type user has no source; leave {source!r} out, or use type network or bridge", "invalid_value")
    if kind != "user" and not source:
        raise Failure(f"interfaces: type {kind} needs a source, the name of the {_SOURCES[kind]}", "invalid_value")
    for option, only in (("mode", "direct"), ("portgroup", "network")):
        if entry[option] and kind != only:
            raise Failure(f"interfaces.{option}: {entry[option]!r} is for type {only}; leave it out", "invalid_value")
    if entry["filter_parameters"] and not entry["filter"]:
        raise Failure("interfaces.filter_parameters: they need a filter; add interfaces.filter", "invalid_value")
    wish = element(
        "interface",
        element("mac", address=mac_address(entry["mac"], "interfaces.mac")) if entry["mac"] else None,
        element("source", **{attribute_of_source(kind): plain_text(source, "interfaces.source")}) if source else None,
        element("model", type=plain_text(entry["model"], "interfaces.model")) if entry["model"] else None,
        _boot(entry, "interfaces"),
        type=kind,
    )
    owned = frozenset({"boot"}) if entry["boot_order"] is not None else frozenset()
    wish = _with_rows(replace(wish, owned=owned), INTERFACE, entry, "devices/interface", "interfaces.")
    return replace(wish, initial=element("interface", element("model", type="virtio")))


#: Type of an interface → what its source is called.
_SOURCES = {"network": "network", "bridge": "bridge", "direct": "host's interface"}


def attribute_of_source(kind: str) -> str:
    """Where the XML of an interface names its source."""
    return "dev" if kind == "direct" else kind
