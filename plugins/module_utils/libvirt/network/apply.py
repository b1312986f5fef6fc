# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change networks."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from ...engine.errors import Failure
from ...engine.plan import Action
from ..connection import Connection
from ..xmlmerge import canonical, differences
from ..xmltree import parse, render
from . import plan
from .rules import RULES


def apply(connection: Connection, action: Action) -> None:
    _do(action, connection)


def _find(connection: Connection, name: str) -> Any:
    with connection.explained(f"network {name}: gone meanwhile"):
        return connection.virt.networkLookupByName(name)


@singledispatch
def _do(action: Any, connection: Connection) -> None:
    raise TypeError(action)


@_do.register
def _define(action: plan.DefineNetwork, connection: Connection) -> None:
    with connection.explained(f"network {action.target}: libvirt refuses the definition"):
        network = connection.virt.networkDefineXML(render(action.definition))
        text = network.XMLDesc(connection.api.VIR_NETWORK_XML_INACTIVE)
    lost = differences(canonical(parse(text, action.target, "network"), RULES), action.wish, RULES)
    if lost:
        raise Failure(
            f"network {action.target}: defined, but libvirt did not keep {', '.join(lost)}; correct these or leave them out",
            "not_kept",
            lost=list(lost),
            changed=True,
        )


@_do.register
def _start(action: plan.StartNetwork, connection: Connection) -> None:
    with connection.explained(f"network {action.target}: does not start", "start_failed"):
        _find(connection, action.target).create()


@_do.register
def _stop(action: plan.StopNetwork, connection: Connection) -> None:
    with connection.explained(f"network {action.target}: cannot be stopped"):
        _find(connection, action.target).destroy()


@_do.register
def _autostart(action: plan.SetAutostart, connection: Connection) -> None:
    with connection.explained(f"network {action.target}: autostart cannot be set"):
        _find(connection, action.target).setAutostart(int(action.enabled))


@_do.register
def _undefine(action: plan.UndefineNetwork, connection: Connection) -> None:
    with connection.explained(f"network {action.target}: cannot be undefined"):
        _find(connection, action.target).undefine()
