# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The images of a guest that goes, and which of them others need."""

from __future__ import annotations

import json
from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple

from ...engine.errors import Failure
from ..connection import Connection
from ..uri import is_local
from ..users import Source, bases_in, guests_with_sources
from ..xmltree import Node
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
    for guest in guests_with_sources(connection):
        if guest.name != name:
            for path in _paths(connection, guest.sources):
                others[path] = f"the guest {guest.name} uses it"
    yield from others.items()
    if is_local(connection.uri):
        yield from _bases(connection, [*others, *_neighbours(connection, own)], set(own))
    for path, user in _bases_of_volumes(connection):
        yield path, f"the volume {user} stands on it"


def _paths(connection: Connection, sources: Iterable[Source]) -> Iterator[str]:
    for said in sources:
        if "file" in said:
            yield said["file"]
        elif said.get("pool"):
            path = _volume_path(connection, said["pool"], said.get("volume", ""))
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
            bases = list(bases_in(pool))
        except api.libvirtError:  # gone meanwhile
            continue
        for volume, base in bases:
            yield base, volume
