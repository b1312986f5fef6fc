# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change volumes."""

from __future__ import annotations

import time
from functools import singledispatch
from typing import Any, Callable

from ...engine.errors import Failure
from ...engine.plan import Action
from ..connection import Connection
from ..users import dependents_of, guests_of
from ..xmltree import render
from . import plan
from .model import Volume
from .read import find_pool, find_volume
from .stream import upload

#: A pool that has just taken an upload looks its volumes over by itself, and refuses whoever comes meanwhile.
_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.05
_SECTOR = 512


def apply(connection: Connection, action: Action) -> None:
    _do(action, connection)


def _label(action: plan.VolumeStep) -> str:
    return f"volume {action.pool}/{action.target}"


def _volume(connection: Connection, action: plan.VolumeStep) -> Any:
    with connection.explained(f"{_label(action)}: cannot be found again"):
        return find_pool(connection, action.pool).storageVolLookupByName(action.target)


def _refresh(connection: Connection, pool: Any) -> None:
    """The pool's own look at its volumes, waiting for those who have it busy."""
    _patiently(connection, lambda: pool.refresh(0))


def _patiently(connection: Connection, call: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return call()
        except connection.api.libvirtError as error:
            busy = error.get_error_code() in (connection.api.VIR_ERR_INTERNAL_ERROR, connection.api.VIR_ERR_OPERATION_INVALID)
            if not (busy and ("asynchronous" in str(error) or "in use" in str(error))) or time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_SECONDS)


def _unused(connection: Connection, action: plan.VolumeStep) -> Any:
    """The volume, after it was seen that nobody has it."""
    volume = _volume(connection, action)
    with connection.explained(f"{_label(action)}: cannot be read"):
        path = volume.path()
        guests = guests_of(connection, action.pool, action.target, path)[0]
        dependents = dependents_of(find_pool(connection, action.pool), action.target, path)
    user = plan.in_use(Volume(0, guests=guests, dependents=dependents), f"{action.pool}/{action.target}")
    if user:
        raise Failure(user, "volume_in_use")
    return volume


@singledispatch
def _do(action: Any, connection: Connection) -> None:
    raise TypeError(action)


@_do.register
def _create(action: plan.CreateVolume, connection: Connection) -> None:
    pool = find_pool(connection, action.pool)
    xml = render(action.definition)
    with connection.explained(f"{_label(action)}: libvirt refuses to make it"):
        if action.clone is None:
            _patiently(connection, lambda: pool.createXML(xml, 0))
            return
        original = find_volume(connection, find_pool(connection, action.clone[0]), action.clone[1])
        _patiently(connection, lambda: pool.createXMLFrom(xml, original, 0))


@_do.register
def _upload(action: plan.UploadVolume, connection: Connection) -> None:
    volume = _volume(connection, action)
    upload(connection, volume, action.source, _label(action))
    with connection.explained(f"pool {action.pool}: cannot be refreshed"):
        _refresh(connection, find_pool(connection, action.pool))


@_do.register
def _resize(action: plan.ResizeVolume, connection: Connection) -> None:
    if action.guest:
        _grow_under(connection, action, action.guest)
        return
    flags = connection.api.VIR_STORAGE_VOL_RESIZE_SHRINK if action.shrink else 0
    volume = _volume(connection, action)
    with connection.explained(f"{_label(action)}: cannot be resized"):
        _patiently(connection, lambda: volume.resize(action.capacity, flags))


def _grow_under(connection: Connection, action: plan.ResizeVolume, guest: str) -> None:
    """Through the emulator, which has the image open, so that the guest sees its disk grow. It counts in sectors."""
    size = -(-action.capacity // _SECTOR) * _SECTOR
    with connection.explained(f"{_label(action)}: cannot be made larger under the guest {guest}"):
        connection.virt.lookupByName(guest).blockResize(action.disk, size, connection.api.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


@_do.register
def _wipe(action: plan.WipeVolume, connection: Connection) -> None:
    algorithm = getattr(connection.api, f"VIR_STORAGE_VOL_WIPE_ALG_{action.algorithm.upper()}")
    volume = _unused(connection, action)
    with connection.explained(f"{_label(action)}: cannot be wiped"):
        _patiently(connection, lambda: volume.wipePattern(algorithm, 0))


@_do.register
def _delete(action: plan.DeleteVolume, connection: Connection) -> None:
    volume = _unused(connection, action)
    with connection.explained(f"{_label(action)}: cannot be deleted"):
        _patiently(connection, lambda: volume.delete(0))
