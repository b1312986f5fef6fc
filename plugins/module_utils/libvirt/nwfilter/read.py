# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter as libvirt has it, and who refers to it."""

from __future__ import annotations

from typing import Tuple

from ..connection import Connection
from ..objects.access import Access
from ..objects.model import Desired
from ..xmltree import parse, walk
from .model import NWFILTER, Observed

ACCESS = Access(NWFILTER, "nwfilter", "listAllNWFilters")


def read(connection: Connection, desired: Desired) -> Observed:
    base = ACCESS.read(connection, desired)
    users = users_of(connection, desired.name) if desired.state == "absent" and base.inactive is not None else ()
    return Observed(inactive=base.inactive, uuid_holder=base.uuid_holder, users=users)


def users_of(connection: Connection, name: str) -> Tuple[str, ...]:
    """Filters that refer to it, and guests that have it on an interface, in their definition or at run time."""
    api, found = connection.api, []
    for other in connection.virt.listAllNWFilters(0):
        if other.name() != name and _refers(other.XMLDesc(0), "filter", name):
            found.append(f"the filter {other.name()}")
    for guest in connection.virt.listAllDomains(0):
        try:
            texts = [guest.XMLDesc(api.VIR_DOMAIN_XML_INACTIVE), guest.XMLDesc(0)]
        except api.libvirtError:
            continue  # gone meanwhile
        if any(_refers(text, "domain", name) for text in texts):
            found.append(f"the guest {guest.name()}")
    return tuple(sorted(found))


def _refers(text: str, root: str, name: str) -> bool:
    return any(node.tag == "filterref" and node.attributes.get("filter") == name for node in walk(parse(text, "libvirt's XML", root)))
