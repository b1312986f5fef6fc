# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change secrets."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from ...engine.errors import Failure
from ...engine.plan import Action
from ..connection import Connection
from ..xmltree import render
from . import plan
from .model import Desired
from .read import find


def apply(connection: Connection, action: Action) -> None:
    _do(action, connection)


def _require(connection: Connection, secret: Desired) -> Any:
    found = find(connection, secret)
    if found is None:
        raise Failure(f"secret {secret.label}: gone meanwhile; run the task again", "secret_not_found")
    return found


@singledispatch
def _do(action: Any, connection: Connection) -> None:
    raise TypeError(action)


@_do.register
def _define(action: plan.DefineSecret, connection: Connection) -> None:
    with connection.explained(f"secret {action.target}: libvirt refuses the definition"):
        connection.virt.secretDefineXML(render(action.definition))


@_do.register
def _set_value(action: plan.SetSecretValue, connection: Connection) -> None:
    found = _require(connection, action.secret)
    with connection.explained(f"secret {action.target}: its value cannot be set"):
        found.setValue(action.secret.value)
    action.secret.written.append(True)


@_do.register
def _undefine(action: plan.UndefineSecret, connection: Connection) -> None:
    found = _require(connection, action.secret)
    with connection.explained(f"secret {action.target}: cannot be undefined"):
        found.undefine()
