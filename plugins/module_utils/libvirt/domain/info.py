# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What libvirt_domain_info tells: guests as their module takes them, and what no option says."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, List, Mapping, Tuple

from ...engine.host import Host
from ..connection import Connection, open_connection
from ..objects.info import SPEC as COMMON
from ..objects.info import things
from ..xmlmerge import claim
from .addresses import SOURCES, addresses_of
from .model import SPEC as DOMAIN
from .model import Desired, Observed
from .plan import facts, pending_fields
from .read import observe
from .rules import RULES, shared
from .said import said

SPEC: Dict[str, Any] = {
    "argument_spec": {**COMMON["argument_spec"], "addresses": {"type": "list", "elements": "str", "choices": list(SOURCES), "default": list(SOURCES)}}
}


def gather(host: Host, params: Mapping[str, Any]) -> Dict[str, Any]:
    found: List[Dict[str, Any]] = []
    details: Dict[str, Any] = {}
    with open_connection(host, params) as connection:
        for guest in things(connection, "listAllDomains", "guests"):
            name = guest.name()
            if params["name"] not in (None, name):
                continue
            observed = connection.lookup(partial(observe, connection, guest), f"guest {name}: cannot be read")
            if observed is None or observed.inactive is None:
                continue  # gone meanwhile
            details[name] = _details(connection, guest, observed, params["addresses"])
            if observed.persistent:
                kept = {"uri": params["uri"], "name": name, "state": _state(observed), "autostart": observed.autostart}
                found.append({**kept, **said(name, observed.inactive)})
    return {"guests": found, "details": details}


def _state(observed: Observed) -> str:
    """The state to keep; one that nobody can ask for is left alone."""
    return observed.state if observed.state in DOMAIN["argument_spec"]["state"]["choices"] else "present"


def _details(connection: Connection, guest: Any, observed: Observed, sources: List[str]) -> Dict[str, Any]:
    active = observed.active
    return {
        **facts(observed),
        "state": observed.state,
        "id": guest.ID() if active is not None else None,
        "persistent": observed.persistent,
        "pending": list(pending(guest.name(), observed)),
        "addresses": addresses_of(connection, guest, sources) if active is not None else [],
    }


def pending(name: str, observed: Observed) -> Tuple[str, ...]:
    """The fields in which what runs, or what was saved, is not as it is defined."""
    if observed.inactive is None or not observed.persistent:
        return ()
    wish = claim(observed.inactive.without("name", "@id"), RULES, shared)
    return pending_fields(observed, Desired(name, "present", wish))
