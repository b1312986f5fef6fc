# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who uses an image, as far as libvirt knows: guests that have it, volumes that stand on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Tuple

from .connection import Connection
from .xmltree import parse, walk

Source = Mapping[str, str]


@dataclass(frozen=True)
class User:
    """A guest. sources: the attributes of all sources in its definition and at run time. running: of those that it runs with."""

    name: str
    sources: Tuple[Source, ...]
    running: Tuple[Source, ...]


def guests_with_sources(connection: Connection) -> Iterator[User]:
    """All guests, in one bulk call."""
    for guest in connection.virt.listAllDomains(0):
        try:
            name, active, inactive = guest.name(), bool(guest.isActive()), connection.api.VIR_DOMAIN_XML_INACTIVE
            current = _sources(guest.XMLDesc(0))
            defined = _sources(guest.XMLDesc(inactive)) if active else ()
        except connection.api.libvirtError:
            continue  # gone meanwhile
        yield User(name, current + defined, current if active else ())


def _sources(text: str) -> Tuple[Source, ...]:
    return tuple(node.attributes for node in walk(parse(text, "libvirt's XML of a guest", "domain")) if node.tag == "source")


def guests_of(connection: Connection, pool: str, name: str, path: str) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """The guests that have the volume in their definition or at run time, and those of them that run with it."""

    def has(sources: Tuple[Source, ...]) -> bool:
        return any(_is_volume(said, pool, name, path) for said in sources)

    having = [user for user in guests_with_sources(connection) if has(user.sources)]
    return tuple(sorted(user.name for user in having)), tuple(sorted(user.name for user in having if has(user.running)))


def running_disks_of(connection: Connection, guest: str, pool: str, name: str, path: str) -> Tuple[str, ...]:
    """The disks of a running guest that are the volume itself, and not an image that stands on it, by their targets."""
    devices = parse(connection.virt.lookupByName(guest).XMLDesc(0), "libvirt's XML of a guest", "domain").find("devices")
    disks = devices.all("disk") if devices else ()
    having = [disk for disk in disks for source in [disk.find("source")] if source and _is_volume(source.attributes, pool, name, path)]
    return tuple(disk.get("target@dev") or "" for disk in having)


def _is_volume(said: Source, pool: str, name: str, path: str) -> bool:
    if said.get("pool") == pool and said.get("volume") == name:
        return True
    return bool(path) and path in (said.get("file"), said.get("dev"), said.get("name"))


def bases_in(pool: Any) -> Iterator[Tuple[str, str]]:
    """The volumes of a pool that stand on another image, and its path."""
    for volume in pool.listAllVolumes(0):
        base = (parse(volume.XMLDesc(0), "libvirt's XML of a volume", "volume").get("backingStore/path") or "").strip()
        if base:
            yield volume.name(), base


def dependents_of(pool: Any, name: str, path: str) -> Tuple[str, ...]:
    """The volumes of the same pool that have it as their backing file."""
    return tuple(sorted(other for other, base in bases_in(pool) if other != name and base == path))
