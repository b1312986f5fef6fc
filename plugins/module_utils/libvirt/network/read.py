# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network as libvirt has it."""

from __future__ import annotations

from ..connection import Connection
from ..xmlmerge import canonical
from ..xmltree import parse
from .model import Desired, Observed
from .rules import RULES


def read(connection: Connection, desired: Desired) -> Observed:
    api, virt = connection.api, connection.virt
    sentence = f"network {desired.name}: cannot be read"
    network = connection.lookup(lambda: virt.networkLookupByName(desired.name), sentence)
    with connection.explained(sentence):
        if network is None:
            uuid = desired.wish.get("uuid")
            holder = connection.lookup(lambda: virt.networkLookupByUUIDString(uuid), sentence) if uuid else None
            return Observed(uuid_holder=holder.name() if holder else None)
        active, persistent = bool(network.isActive()), bool(network.isPersistent())
        inactive = parse(network.XMLDesc(api.VIR_NETWORK_XML_INACTIVE), sentence, "network")
        return Observed(
            inactive=canonical(inactive, RULES),
            active=canonical(parse(network.XMLDesc(0), sentence, "network"), RULES) if active else None,
            autostart=bool(network.autostart()) if persistent else False,
            persistent=persistent,
        )
