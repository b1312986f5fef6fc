# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All objects of a kind, in the form that the module which manages them takes: given back to it, nothing changes."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping

from ...engine.host import Host
from ..connection import Connection, open_connection
from ..uri import URI_SPEC
from ..xmltree import pretty
from .access import Access
from .model import Observed
from .plan import state_of

SPEC: Dict[str, Any] = {"argument_spec": {"uri": URI_SPEC, "name": {"type": "str"}}}


def gatherer(access: Access, key: str, facts: Callable[[Connection, Any, Observed], Dict[str, Any]]) -> Callable[..., Dict[str, Any]]:
    """What run_info takes. key: of the list in the result. facts: what is known besides, which no option says."""

    def gather(host: Host, params: Mapping[str, Any]) -> Dict[str, Any]:
        with open_connection(host, params) as connection:
            return _gather(connection, access, key, facts, params)

    return gather


def things(connection: Connection, lister: str, sentence: str) -> List[Any]:
    """All objects of a kind, running or not, in one call, in the order of their names."""
    with connection.explained(f"{sentence}: cannot be listed"):
        return sorted(getattr(connection.virt, lister)(0), key=lambda thing: thing.name())


def _gather(
    connection: Connection, access: Access, key: str, facts: Callable[[Connection, Any, Observed], Dict[str, Any]], params: Mapping[str, Any]
) -> Dict[str, Any]:
    found: List[Dict[str, Any]] = []
    details: Dict[str, Any] = {}
    for thing in things(connection, access.lister, key):
        name = thing.name()
        if params["name"] in (None, name):
            observed = access.observe(connection, thing)
            details[name] = facts(connection, thing, observed)
            if observed.persistent and observed.inactive is not None:
                found.append({"uri": params["uri"], **_options(access, name, observed, pretty(observed.inactive))})
    return {key: found, "details": details}


def _options(access: Access, name: str, observed: Observed, xml: str) -> Dict[str, Any]:
    if not access.inactive_flag:
        return {"name": name, "state": "present", "xml": xml}
    return {"name": name, "state": state_of(observed), "autostart": observed.autostart, "xml": xml}
