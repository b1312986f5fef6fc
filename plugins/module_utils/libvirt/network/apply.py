# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that only networks have."""

from __future__ import annotations

from typing import Any

from ...engine.errors import Failure
from ..connection import Connection
from ..objects.apply import apply as apply_step
from ..xmltree import Node, render
from .model import Plug
from .plan import PlugIn, StartAgain
from .plan_live import Update
from .read import ACCESS

_COMMANDS = {"add": "ADD_LAST", "modify": "MODIFY", "delete": "DELETE"}


def apply(connection: Connection, action: Any) -> None:
    if isinstance(action, Update):
        _update(connection, action)
    elif isinstance(action, PlugIn):
        _plug_in(connection, action.subject, Plug(action.guest, action.mac, action.device, isolated=action.isolated), action.bridge)
    elif isinstance(action, StartAgain):
        _start_again(connection, action)
    else:
        apply_step(connection, action, ACCESS)


def _update(connection: Connection, action: Update) -> None:
    """In what runs alone: see plan_live."""
    api = connection.api
    command = getattr(api, f"VIR_NETWORK_UPDATE_COMMAND_{_COMMANDS[action.command]}")
    section = getattr(api, f"VIR_NETWORK_SECTION_{action.section.upper().replace('-', '_')}")
    with connection.explained(f"{action.subject}: {action.member} is defined, and cannot be changed in the running network"):
        network = ACCESS.require(connection, action.target)
        network.update(command, section, action.index, render(action.definition), api.VIR_NETWORK_UPDATE_AFFECT_LIVE)


def _plug_in(connection: Connection, subject: str, plug: Plug, bridge: str) -> None:
    ip = connection.host.require("ip", "iproute2")
    try:
        connection.host.run([ip, "link", "set", "dev", plug.device, "master", bridge])
        if plug.isolated:
            connection.host.run([ip, "link", "set", "dev", plug.device, "type", "bridge_slave", "isolated", "on"])
    except Failure as failure:
        message = f"{subject}: the interface {plug.device} of guest {plug.guest} cannot be plugged into {bridge} again: {failure.message}"
        raise Failure(message, "plug_in_failed", **failure.details) from failure


def _start_again(connection: Connection, action: StartAgain) -> None:
    try:
        apply_step(connection, action, ACCESS)
    except Failure as failure:
        raise _back(connection, action, action.previous, failure) from failure


def _back(connection: Connection, action: StartAgain, previous: Node, failure: Failure) -> Failure:
    """To what ran before, with its guests. The Failure tells every error on the way."""
    with connection.explained(f"{failure.message}; and its previous definition cannot be restored", failure.code):
        network = ACCESS.define(connection, render(previous))
    with connection.explained(f"{failure.message}; its previous definition is back in place, and does not start either", failure.code):
        network.create()
    bridge = previous.get("bridge@name")
    for plug in action.plugs:
        if bridge and plug.here and plug.master:
            _plug_in(connection, f"{failure.message}; its previous definition runs again", plug, bridge)
    message = f"{failure.message}; its previous definition is back in place, and runs again"
    return Failure(message, failure.code, **{**failure.details, "rolled_back": True})
