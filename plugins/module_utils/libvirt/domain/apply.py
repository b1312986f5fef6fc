# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change guests."""

from __future__ import annotations

import time
from functools import singledispatch
from typing import Any

from ...engine.errors import Failure
from ...engine.plan import Action
from ..connection import Connection
from ..xmlmerge import differences
from ..xmltree import render
from . import plan
from .model import digest
from .read import split_record, state_word, tree_of
from .rules import RULES

_POLL_SECONDS = 0.2
#: A guest that was still booting missed the first press of its power button.
_ASK_AGAIN_SECONDS = 5.0
_NAMESPACE = "https://virtops.org/linux/1"


def apply(connection: Connection, action: Action) -> None:
    _do(action, connection)


def _find(connection: Connection, name: str) -> Any:
    with connection.explained(f"guest {name}: gone meanwhile"):
        return connection.virt.lookupByName(name)


@singledispatch
def _do(action: Any, connection: Connection) -> None:
    raise TypeError(action)


@_do.register
def _define(action: plan.DefineDomain, connection: Connection) -> None:
    api, name = connection.api, action.target
    with connection.explained(f"guest {name}: libvirt refuses the definition"):
        guest = connection.virt.defineXML(render(action.definition))
        outcome = split_record(tree_of(guest, api, inactive=True))[0]
    if not differences(outcome, action.wish, RULES):
        return
    # Remembered, so that the same request on the same definition is not asked for again. The plan warns of it.
    record = f"<request digest='{digest(action.wish)}' outcome='{digest(outcome)}'/>"
    with connection.explained(f"guest {name}: its metadata cannot be written"):
        guest.setMetadata(api.VIR_DOMAIN_METADATA_ELEMENT, record, "virtops", _NAMESPACE, api.VIR_DOMAIN_AFFECT_CONFIG)


@_do.register
def _start(action: plan.StartDomain, connection: Connection) -> None:
    guest, api = _find(connection, action.target), connection.api
    try:
        guest.createWithFlags(api.VIR_DOMAIN_START_PAUSED if action.paused else 0)
    except api.libvirtError as error:
        failure = connection.failure(error, f"guest {action.target}: does not start", "start_failed")
        if action.previous is None:
            raise failure from error
        with connection.explained(f"{failure.message}; and its previous definition cannot be restored"):
            connection.virt.defineXML(render(action.previous))
        raise Failure(
            f"{failure.message}; its previous definition is back in place", failure.code, **{**failure.details, "rolled_back": True, "changed": False}
        ) from error


@_do.register
def _shut_down(action: plan.ShutDownDomain, connection: Connection) -> None:
    guest = _find(connection, action.target)
    deadline = time.monotonic() + action.timeout
    ask = 0.0
    while time.monotonic() < deadline:
        if _is_off(guest, connection):
            return
        if time.monotonic() >= ask:
            ask = time.monotonic() + _ASK_AGAIN_SECONDS
            _ask(guest, connection, action.target)
        time.sleep(_POLL_SECONDS)
    if _is_off(guest, connection):
        return
    if not action.force:
        raise Failure(
            f"guest {action.target}: still running {action.timeout} seconds after it was asked to shut down; "
            "give it a longer timeout, or set force: true to end it then",
            "shutdown_timeout",
        )
    _end(guest, connection, action.target)


def _ask(guest: Any, connection: Connection, name: str) -> None:
    try:
        guest.shutdown()
    except connection.api.libvirtError as error:
        if not _is_off(guest, connection):
            raise connection.failure(error, f"guest {name}: cannot be asked to shut down") from error


def _is_off(guest: Any, connection: Connection) -> bool:
    try:
        return state_word(connection.api, guest.state()[0]) == "shutoff"
    except connection.api.libvirtError as error:
        if error.get_error_code() == connection.api.VIR_ERR_NO_DOMAIN:  # a transient guest is gone with its end
            return True
        raise


def _end(guest: Any, connection: Connection, name: str) -> None:
    try:
        guest.destroy()
    except connection.api.libvirtError as error:
        if not _is_off(guest, connection):
            raise connection.failure(error, f"guest {name}: cannot be ended") from error


@_do.register
def _destroy(action: plan.DestroyDomain, connection: Connection) -> None:
    _end(_find(connection, action.target), connection, action.target)


@_do.register
def _suspend(action: plan.SuspendDomain, connection: Connection) -> None:
    with connection.explained(f"guest {action.target}: cannot be paused"):
        _find(connection, action.target).suspend()


@_do.register
def _resume(action: plan.ResumeDomain, connection: Connection) -> None:
    with connection.explained(f"guest {action.target}: cannot be resumed"):
        _find(connection, action.target).resume()


@_do.register
def _wake(action: plan.WakeDomain, connection: Connection) -> None:
    with connection.explained(f"guest {action.target}: does not wake up"):
        _find(connection, action.target).pMWakeup(0)


@_do.register
def _autostart(action: plan.SetAutostart, connection: Connection) -> None:
    with connection.explained(f"guest {action.target}: autostart cannot be set"):
        _find(connection, action.target).setAutostart(int(action.enabled))


@_do.register
def _undefine(action: plan.UndefineDomain, connection: Connection) -> None:
    api = connection.api
    flags = api.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | api.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    if action.nvram is not None:
        flags |= api.VIR_DOMAIN_UNDEFINE_NVRAM if action.nvram else api.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
    guest = _find(connection, action.target)
    with connection.explained(f"guest {action.target}: cannot be undefined"):
        if connection.uri.startswith("qemu") and guest.listAllCheckpoints():  # QEMU's alone, and no other driver knows the flag
            flags |= api.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        guest.undefineFlags(flags)
