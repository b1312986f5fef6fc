# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The images of a guest that goes, and which of them others need."""

from __future__ import annotations

import json
from typing import Dict, Iterator, List, Optional, Set, Tuple

from ...engine.errors import Failure
from ..connection import Connection
from ..uri import is_local
from ..xmltree import Node, parse, walk
from .model import Disk

_QCOW2 = "QFI"  # the magic number's letters, which is as much of it as is text
_MOST_FILES = 2000


def disks_of(connection: Connection, name: str, inactive: Node) -> Tuple[Disk, ...]:
    """Files and volumes only; drives and block devices are nobody's to delete."""
    devices = inactive.find("devices")
    disks = [disk for disk in devices.all("disk") if disk.attributes.get("device", "disk") == "disk"] if devices else []
    found = [(disk, one) for disk in disks for one in [_image(connection, disk)] if one]
    if not found:
        return ()
    files = {connection.host.realpath(path): label for path, label in _used(connection, name, [path for _disk, (path, _one) in found if path])}
    return tuple(_judged(connection, disk, path, one, files) for disk, (path, one) in found)


def _image(connection: Connection, disk: Node) -> Optional[Tuple[str, Disk]]:
    """The path of a disk's image, and what to delete it by. None where there is none, or it is none of ours."""
    path, pool, volume = disk.get("source@file"), disk.get("source@pool"), disk.get("source@volume")
    if path:
        return (path, Disk(path, path=path)) if _there(connection, path) else None
    if pool and volume:
        found = _volume_path(connection, pool, volume)
        return (found, Disk(f"{pool}/{volume}", pool=pool, volume=volume)) if found else None
    return None


def _there(connection: Connection, path: str) -> bool:
    return not is_local(connection.uri) or connection.host.exists(path)


def _volume_path(connection: Connection, pool: str, volume: str) -> Optional[str]:
    try:
        return str(connection.virt.storagePoolLookupByName(pool).storageVolLookupByName(volume).path())
    except connection.api.libvirtError:  # no such pool or volume: nothing to delete
        return None


def _judged(connection: Connection, disk: Node, path: str, one: Disk, files: Dict[str, str]) -> Disk:
    kept = None
    if disk.find("readonly"):
        kept = "it is read-only"
    elif disk.find("shareable"):
        kept = "it is shared"
    else:
        kept = files.get(connection.host.realpath(path))
    return Disk(one.label, one.path, one.pool, one.volume, kept)


def _used(connection: Connection, name: str, own: List[str]) -> Iterator[Tuple[str, str]]:
    """Files that others need, and who: the disks of other guests, what those stand on, and what any image beside ours stands on."""
    others: Dict[str, str] = {}
    for guest in connection.virt.listAllDomains():
        try:
            if guest.name() == name:
                continue
            texts = [guest.XMLDesc(flags) for flags in (0, connection.api.VIR_DOMAIN_XML_INACTIVE)]
        except connection.api.libvirtError:  # gone meanwhile
            continue
        for path in {path for text in texts for path in _sources(connection, parse(text, "libvirt's XML", "domain"))}:
            others[path] = f"the guest {guest.name()} uses it"
    yield from others.items()
    if is_local(connection.uri):
        yield from _bases(connection, [*others, *_neighbours(connection, own)], set(own))
    for path, user in _bases_of_volumes(connection):
        yield path, f"the volume {user} stands on it"


def _sources(connection: Connection, tree: Node) -> Iterator[str]:
    for node in walk(tree):
        if node.tag == "source" and "file" in node.attributes:
            yield node.attributes["file"]
        elif node.tag == "source" and node.attributes.get("pool"):
            path = _volume_path(connection, node.attributes["pool"], node.attributes.get("volume", ""))
            if path:
                yield path


def _neighbours(connection: Connection, own: List[str]) -> Iterator[str]:
    """Images in the folders of ours. Whoever made one on top of ours may have told no libvirt of it."""
    host = connection.host
    mine = {host.realpath(path) for path in own}
    for folder in sorted({path.rpartition("/")[0] for path in mine}):
        for name in host.list(folder)[:_MOST_FILES]:
            path = f"{folder}/{name}"
            if path not in mine and not host.is_dir(path) and _is_qcow2(connection, path):
                yield path


def _is_qcow2(connection: Connection, path: str) -> bool:
    return connection.host.head(path, len(_QCOW2)) == _QCOW2.encode()


def _bases(connection: Connection, images: List[str], own: Set[str]) -> Iterator[Tuple[str, str]]:
    host = connection.host
    for image in dict.fromkeys(images):
        if image in own or not host.exists(image):
            continue
        told = host.run([host.require("qemu-img", "qemu-utils"), "info", "-U", "--backing-chain", "--output=json", image], check=False)
        if told.rc:
            raise Failure(
                f"remove_disks: {image} cannot be read ({told.complaint}), so it cannot be known what it stands on; "
                "repair or move it, or delete the disks by hand",
                "unreadable_image",
            )
        for base in json.loads(told.stdout)[1:]:
            yield base["filename"], f"{image} stands on it"


def _bases_of_volumes(connection: Connection) -> Iterator[Tuple[str, str]]:
    api = connection.api
    for pool in connection.virt.listAllStoragePools(api.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        try:
            texts = [volume.XMLDesc(0) for volume in pool.listAllVolumes()]
        except api.libvirtError:  # gone meanwhile
            continue
        for text in texts:
            tree = parse(text, "libvirt's XML", "volume")
            base = tree.get("backingStore/path")
            if base:
                yield base, tree.get("name") or ""
