# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks as a kind of libvirt's objects."""

from __future__ import annotations

from ...engine.errors import Failure
from ..objects.model import Kind
from ..xmltree import Node
from .plan_live import go_live
from .rules import RULES, shared

#: Modes of networks whose bridge libvirt itself makes at the start and takes away at the end.
_OWN_BRIDGE = ("none", "nat", "route", "open")


def mode_of(definition: Node) -> str:
    return definition.get("forward@mode") or ("nat" if definition.find("forward") else "none")


def has_own_bridge(definition: Node) -> bool:
    return mode_of(definition) in _OWN_BRIDGE


def _possible(name: str, definition: Node) -> None:
    """Source: virNetworkDefParseXML."""
    mode = mode_of(definition)
    if mode in ("nat", "route", "open") and not definition.all("ip"):
        raise Failure(f"network {name}: forward mode {mode} needs an address; add ips, or use mode bridge or none", "missing_option")


NETWORK = Kind("network", "network", RULES, "bridge, ips or xml", shared=shared, remembers=True, possible=_possible, live=go_live)
