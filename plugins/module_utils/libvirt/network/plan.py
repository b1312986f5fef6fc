# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks: what is refused before libvirt is asked, and what results show besides."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict

from ...engine.errors import Failure
from ..objects import plan as objects
from ..objects.model import Desired, Kind, Observed
from ..xmltree import Node
from .rules import RULES, shared


def _possible(name: str, definition: Node) -> None:
    """Source: virNetworkDefParseXML."""
    mode = definition.get("forward@mode") or ("nat" if definition.find("forward") else "none")
    if mode in ("nat", "route", "open") and not definition.all("ip"):
        raise Failure(f"network {name}: forward mode {mode} needs an address; add ips, or use mode bridge or none", "missing_option")


NETWORK = Kind("network", "network", RULES, "bridge, ips or xml", shared=shared, remembers=True, possible=_possible)

plan = partial(objects.plan, kind=NETWORK)
view = partial(objects.view, kind=NETWORK)


def facts(observed: Observed) -> Dict[str, Any]:
    node = observed.active or observed.inactive
    return {"uuid": node.get("uuid"), "bridge": node.get("bridge@name")} if node else {}


def nothing(desired: Desired) -> Observed:
    return Observed()
