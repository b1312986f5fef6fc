# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who uses a volume: guests with it as a disk, and volumes that stand on it."""

from __future__ import annotations

from typing import Any, List, Tuple

from ..connection import Connection
from ..xmltree import Node, parse, walk
from .model import backing_of


def guests_of(connection: Connection, pool: str, name: str, path: str) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """The guests that have the volume in their definition or at run time, and those of them that run. One bulk call."""
    having: List[str] = []
    running: List[str] = []
    for guest in connection.virt.listAllDomains(0):
        try:
            active, inactive = bool(guest.isActive()), connection.api.VIR_DOMAIN_XML_INACTIVE
            texts = [guest.XMLDesc(0)] + ([guest.XMLDesc(inactive)] if active else [])
            has = [_has(parse(text, guest.name(), "domain"), pool, name, path) for text in texts]
        except connection.api.libvirtError:
            continue  # gone meanwhile
        if any(has):
            having.append(guest.name())
            if active and has[0]:
                running.append(guest.name())
    return tuple(sorted(having)), tuple(sorted(running))


def _has(domain: Node, pool: str, name: str, path: str) -> bool:
    for node in walk(domain):
        if node.tag == "source":
            said = node.attributes
            if said.get("pool") == pool and said.get("volume") == name:
                return True
            if path and path in (said.get("file"), said.get("dev"), said.get("name")):
                return True
    return False


def dependents_of(pool: Any, name: str, path: str) -> Tuple[str, ...]:
    """The volumes of the same pool that have it as their backing file."""
    found = []
    for volume in pool.listAllVolumes(0):
        if volume.name() != name:
            backing = backing_of(parse(volume.XMLDesc(0), "libvirt's XML of a volume", "volume"))
            if backing and backing[0] == path:
                found.append(volume.name())
    return tuple(sorted(found))
