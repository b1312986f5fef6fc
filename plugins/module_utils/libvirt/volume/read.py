# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A volume as libvirt has it, and what it is to be made of."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Optional

from ...engine.errors import Failure, NotReady
from ...engine.host import explained
from ..connection import Connection
from ..users import dependents_of, guests_of, running_disks_of
from ..xmltree import parse
from .model import Desired, Observed, Source, Volume, volume_of
from .stream import is_sealed

#: Types whose volumes are files, whose format libvirt tells from their first bytes.
_FILES = ("dir", "fs", "netfs", "vstorage")
_QCOW2 = b"QFI\xfb"
_BLOCK_GRAIN = 4 * 1024**2


def find_pool(connection: Connection, name: str) -> Any:
    """An active pool. NotReady C(pool_not_found), C(pool_not_active): an earlier task may be about to make it."""
    pool = connection.lookup(lambda: connection.virt.storagePoolLookupByName(name), f"pool {name}: cannot be read")
    if pool is None:
        raise NotReady(f"pool {name}: there is none; make it with libvirt_pool first", "pool_not_found")
    if not pool.isActive():
        raise NotReady(f"pool {name}: is not active, so its volumes cannot be seen; start it with libvirt_pool first", "pool_not_active")
    return pool


def find_volume(connection: Connection, pool: Any, name: str) -> Any:
    return connection.lookup(lambda: pool.storageVolLookupByName(name), f"volume {name}: cannot be read")


def read(connection: Connection, desired: Desired) -> Observed:
    pool = _pool_unless_gone(connection, desired)
    if pool is None:
        return Observed()
    with connection.explained(f"volume {desired.pool}/{desired.name}: cannot be read"):
        kind = parse(pool.XMLDesc(0), "libvirt's XML of a pool", "pool").attributes.get("type")
        files = kind in _FILES
        found = find_volume(connection, pool, desired.name)
        observed = Observed(probed=files, grain=1024 if files else _BLOCK_GRAIN)
        if found is not None:
            there = _with_users(connection, pool, desired, volume_of(found.XMLDesc(0)))
            if files and len(there.running) == 1 and desired.capacity:
                there = replace(there, disk=_disk_of(connection, desired, there))
            observed = replace(observed, volume=_with_seal(connection, found, desired, there))
        volume = observed.volume
        if desired.state == "present" and (volume is None or volume.unfinished):
            observed = replace(observed, source=_source(connection, desired))
    return observed


def _pool_unless_gone(connection: Connection, desired: Desired) -> Any:
    """Where there is no such pool, there is no such volume."""
    try:
        return find_pool(connection, desired.pool)
    except NotReady as not_ready:
        if desired.state == "absent" and not_ready.code == "pool_not_found":
            return None
        raise


def _with_seal(connection: Connection, found: Any, desired: Desired, volume: Volume) -> Volume:
    """A volume of ours may be half uploaded, or made and not uploaded to at all. Only raw ones can begin with the seal."""
    if volume.format not in (None, "raw"):
        return volume
    return replace(volume, unfinished=(desired.source is not None and volume.capacity == 0) or is_sealed(connection, found))


def _with_users(connection: Connection, pool: Any, desired: Desired, volume: Volume) -> Volume:
    """Who uses it, where that decides what may be done."""
    leaves = desired.state == "absent"
    if leaves or (desired.capacity and desired.capacity != volume.capacity) or desired.source:
        guests, running = guests_of(connection, desired.pool, desired.name, volume.path)
        dependents = dependents_of(pool, desired.name, volume.path) if leaves else ()
        return replace(volume, guests=guests, running=running, dependents=dependents)
    return volume


def _disk_of(connection: Connection, desired: Desired, volume: Volume) -> Optional[str]:
    """A guest that has it twice, or only beneath another image, makes nothing of it larger."""
    disks = running_disks_of(connection, volume.running[0], desired.pool, desired.name, volume.path)
    return disks[0] if len(disks) == 1 else None


def _source(connection: Connection, desired: Desired) -> Optional[Source]:
    if desired.clone:
        pool_name, name = desired.clone
        pool = find_pool(connection, pool_name)
        found = find_volume(connection, pool, name)
        if found is None:
            raise NotReady(f"volume {pool_name}/{name}: there is none to clone; make it first", "volume_not_found")
        volume = volume_of(found.XMLDesc(0))
        if _with_seal(connection, found, desired, volume).unfinished:
            raise NotReady(f"volume {pool_name}/{name}: an upload into it was interrupted; run the task that uploads it again", "upload_unfinished")
        running = guests_of(connection, pool_name, name, volume.path)[1]
        return Source(volume.allocation, volume.capacity, volume.format, running)
    return _file(connection, desired.source) if desired.source else None


def _file(connection: Connection, path: str) -> Source:
    """A local file, by its first bytes. Source: qemu's docs/interop/qcow2.txt, the header."""
    real = connection.host.path(path)
    if not os.path.isfile(real):
        raise NotReady(f"source: there is no file {path} on this host; make it first", "source_not_found")
    with explained("read", path), open(real, "rb") as handle:
        head = handle.read(32)
        size = os.fstat(handle.fileno()).st_size
    if not size:
        raise Failure(f"source: {path} is empty; give a file with content", "invalid_source")
    if head.startswith(_QCOW2):
        return Source(size, int.from_bytes(head[24:32], "big"), "qcow2")
    return Source(size, size)
