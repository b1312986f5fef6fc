# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A pool as libvirt has it, and what it stands on as this machine has it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ...engine.host import Host
from ..connection import Connection
from ..objects.access import Access
from ..uri import is_local
from .model import DIRECTORIES, FORMATTED, POOL, Desired, Observed
from .plan import field_of

ACCESS = Access(POOL, "storagePool", "listAllStoragePools", "VIR_STORAGE_XML_INACTIVE")


def read(connection: Connection, desired: Desired) -> Observed:
    base = ACCESS.read(connection, desired)
    known = {name: getattr(base, name) for name in base.__dataclass_fields__}
    observed = Observed(**known)
    if observed.active is not None:
        pool = ACCESS.require(connection, desired.name)
        with connection.explained(f"pool {desired.name}: cannot be read"):
            sizes = tuple(pool.info()[1:4])
            contents = tuple(sorted(pool.listVolumes())) if desired.delete else ()
        return Observed(**known, sizes=sizes, contents=contents)
    if not is_local(connection.uri):
        return observed
    return Observed(**known, **_foundation(connection.host, observed, desired))


def _foundation(host: Host, observed: Observed, desired: Desired) -> Dict[str, Any]:
    kind, path = field_of(observed, desired, "@type"), field_of(observed, desired, "target/path")
    device = field_of(observed, desired, "source/device@path")
    found: Dict[str, Any] = {}
    if kind in DIRECTORIES and path:
        found["directory"] = host.is_dir(path)
        if desired.delete and kind == "dir":
            found["contents"] = tuple(host.list(path))
    if kind in FORMATTED and kind != "logical" and device and desired.build != "never":
        found["content"] = holds_something(host, device)
    return found


def holds_something(host: Host, device: str) -> Optional[bool]:
    """Whether a device has a file system, a partition table or anything else that blkid knows."""
    if not host.exists(device):
        return None
    probed = host.run(["blkid", "--probe", "--output", "export", device], check=False)
    return {0: True, 2: False}.get(probed.rc)
