# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All volumes of the active pools."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ...engine.host import Host
from ..connection import open_connection
from ..objects.info import things
from ..uri import URI_SPEC
from .model import Volume, volume_of

SPEC: Dict[str, Any] = {"argument_spec": {"uri": URI_SPEC, "pool": {"type": "str"}, "name": {"type": "str"}}}


def gather(host: Host, params: Mapping[str, Any]) -> Dict[str, Any]:
    found: List[Dict[str, Any]] = []
    details: Dict[str, Dict[str, Any]] = {}
    with open_connection(host, params) as connection:
        for pool in things(connection, "listAllStoragePools", "pools"):
            if not pool.isActive() or params["pool"] not in (None, pool.name()):
                continue
            with connection.explained(f"pool {pool.name()}: its volumes cannot be listed"):
                volumes = {volume.name(): volume_of(volume.XMLDesc(0)) for volume in pool.listAllVolumes(0)}
            for name in sorted(volumes):
                if params["name"] in (None, name):
                    volume = volumes[name]
                    found.append({"uri": params["uri"], **_options(pool.name(), name, volume)})
                    known = {"path": volume.path, "allocation": volume.allocation, "backing": volume.backing[0] if volume.backing else None}
                    details.setdefault(pool.name(), {})[name] = known
    return {"volumes": found, "details": details}


def _options(pool: str, name: str, volume: Volume) -> Dict[str, Any]:
    said: Dict[str, Any] = {"pool": pool, "name": name, "state": "present", "capacity": str(volume.capacity)}
    if volume.format:
        said["format"] = volume.format
    if volume.backing and volume.backing[1]:
        said["backing"] = {"path": volume.backing[0], "format": volume.backing[1]}
    return said
