# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What libvirt knows of image files: whose disks they are, and in which folders there are any."""

from __future__ import annotations

import os
from typing import Any, Iterator, Optional, Tuple

from ..engine.errors import NotReady
from ..engine.host import Host
from .connection import Connection, open_connection
from .uri import is_local
from .xmltree import Node, parse


class LibvirtGuests:
    """Asked by images, see image.guests. Where libvirt is not there, it knows of nothing."""

    def disk(self, host: Host, uri: str, identity: Tuple[int, int]) -> Optional[Tuple[str, str]]:
        if not is_local(uri):
            return None
        try:
            with open_connection(host, {"uri": uri}) as connection, connection.explained(f"{uri}: cannot list the guests"):
                for domain in connection.virt.listAllDomains(connection.api.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                    for path, target in _disks(connection, domain):
                        if _identity(host, path) == identity:
                            return str(domain.name()), target
        except NotReady:
            pass
        return None

    def resize(self, host: Host, uri: str, guest: str, disk: str, size: int) -> None:
        with open_connection(host, {"uri": uri}) as connection, connection.explained(f"{guest}: its disk {disk} cannot be grown"):
            connection.virt.lookupByName(guest).blockResize(disk, size, connection.api.VIR_DOMAIN_BLOCK_RESIZE_BYTES)

    def folders(self, host: Host, uri: str) -> Tuple[str, ...]:
        """Those of all pools of files, and of all disks of all guests, running or not."""
        if not is_local(uri):
            return ()
        try:
            with open_connection(host, {"uri": uri}) as connection, connection.explained(f"{uri}: cannot list pools and guests"):
                return tuple(dict.fromkeys(_folders(connection)))
        except NotReady:
            return ()

    def disks(self, host: Host, uri: str) -> Tuple[Tuple[str, str], ...]:
        if not is_local(uri):
            return ()
        try:
            with open_connection(host, {"uri": uri}) as connection, connection.explained(f"{uri}: cannot list the guests"):
                guests = connection.virt.listAllDomains(0)
                return tuple((str(guest.name()), path) for guest in guests for path, _target in _disks(connection, guest))
        except NotReady:
            return ()


def _folders(connection: Connection) -> Iterator[str]:
    api = connection.api
    of_files = api.VIR_CONNECT_LIST_STORAGE_POOLS_DIR | api.VIR_CONNECT_LIST_STORAGE_POOLS_FS | api.VIR_CONNECT_LIST_STORAGE_POOLS_NETFS
    for pool in connection.virt.listAllStoragePools(of_files):
        node = _description(connection, pool, "pool")
        path = node.get("target/path") if node else None
        if path:
            yield path
    for domain in connection.virt.listAllDomains(0):
        for path, _target in _disks(connection, domain):
            yield os.path.dirname(path)


def _description(connection: Connection, thing: Any, root: str) -> Optional[Node]:
    """The XML of a guest or a pool; None where it went away since it was listed."""
    try:
        return parse(thing.XMLDesc(), f"libvirt's XML of {thing.name()}", root)
    except connection.api.libvirtError as error:
        if error.get_error_code() in (connection.api.VIR_ERR_NO_DOMAIN, connection.api.VIR_ERR_NO_STORAGE_POOL):
            return None
        raise


def _disks(connection: Connection, domain: Any) -> Iterator[Tuple[str, str]]:
    """The file of each disk, and the name of the disk in the guest."""
    node = _description(connection, domain, "domain")
    devices = node.find("devices") if node else None
    for disk in devices.all("disk") if devices else ():
        path, target = disk.get("source@file"), disk.get("target@dev")
        if path and target:
            yield path, target


def _identity(host: Host, path: str) -> Optional[Tuple[int, int]]:
    try:
        found = os.stat(host.path(path))
    except OSError:
        return None
    return found.st_dev, found.st_ino
