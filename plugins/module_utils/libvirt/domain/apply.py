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
from ..define import digest
from ..record import NAMESPACE, split_record
from ..uri import driver, is_local
from ..xmlmerge import differences
from ..xmltree import Node, render
from . import actions as a
from .apply_live import change_live
from .read import state_word, tree_of
from .rules import RULES

_POLL_SECONDS = 0.2
#: A guest that was still booting missed the first press of its power button.
_ASK_AGAIN_SECONDS = 5.0


def apply(connection: Connection, action: Action) -> None:
    connection.forget()
    with connection.explained(f"guest {action.target}: {action.kind.replace('_', ' ')} is not done"):
        _do(action, connection)


def _find(connection: Connection, name: str) -> Any:
    with connection.explained(f"guest {name}: cannot be found again"):
        return connection.virt.lookupByName(name)


@singledispatch
def _do(action: Any, connection: Connection) -> None:
    change_live(action, connection, _find(connection, action.target))


@_do.register
def _define(action: a.DefineDomain, connection: Connection) -> None:
    api, name = connection.api, action.target
    with connection.explained(f"guest {name}: libvirt refuses the definition"):
        guest = connection.virt.defineXML(render(action.definition))
        outcome = split_record(tree_of(guest, api, inactive=True))[0]
    if not differences(outcome, action.wish, RULES):
        return
    # Remembered, so that the same request on the same definition is not asked for again. The plan warns of it.
    record = f"<request digest='{digest(action.wish)}' outcome='{digest(outcome)}'/>"
    with connection.explained(f"guest {name}: its metadata cannot be written"):
        guest.setMetadata(api.VIR_DOMAIN_METADATA_ELEMENT, record, "virtops", NAMESPACE, api.VIR_DOMAIN_AFFECT_CONFIG)


@_do.register
def _start(action: a.StartDomain, connection: Connection) -> None:
    guest, api = _find(connection, action.target), connection.api
    try:
        guest.createWithFlags(api.VIR_DOMAIN_START_PAUSED if action.paused else 0)
    except api.libvirtError as error:
        failure = connection.failure(error, f"guest {action.target}: does not start", "start_failed")
        if action.previous is None:
            raise failure from error
        raise _back(action, action.previous, failure, connection) from error
    if not action.paused and state_word(api, guest.state()[0]) == "paused":  # it was saved while it was paused
        _resume_it(guest, connection, action.target)


def _back(action: a.StartDomain, previous: Node, failure: Failure, connection: Connection) -> Failure:
    """To the definition that did start, and to running where the guest ran. The Failure tells every error on the way."""
    with connection.explained(f"{failure.message}; and its previous definition cannot be restored", failure.code):
        guest = connection.virt.defineXML(render(previous))
    details = {**failure.details, "rolled_back": True, "changed": action.restart}
    if not action.restart:
        return Failure(f"{failure.message}; its previous definition is back in place", failure.code, **details)
    with connection.explained(f"{failure.message}; its previous definition is back in place, and does not start either", failure.code):
        guest.createWithFlags(connection.api.VIR_DOMAIN_START_PAUSED if action.paused else 0)
    return Failure(f"{failure.message}; its previous definition is back in place, and runs again", failure.code, **details)


@_do.register
def _shut_down(action: a.ShutDownDomain, connection: Connection) -> None:
    guest = _find(connection, action.target)
    deadline = time.monotonic() + action.timeout
    ask = 0.0
    while time.monotonic() < deadline:
        if _is_off(guest, connection):
            return
        if time.monotonic() >= ask and _ask(guest, connection, action.target, again=ask > 0):
            ask = time.monotonic() + _ASK_AGAIN_SECONDS
        time.sleep(_POLL_SECONDS)
    if _is_off(guest, connection):
        return
    if not action.force:
        raise Failure(
            f"guest {action.target}: still running {action.timeout} seconds after it was asked to shut down; "
            "give it a longer timeout, or set force: true to end it then; what was defined meanwhile waits for its next start",
            "shutdown_timeout",
        )
    _end(guest, connection, action.target)


def _ask(guest: Any, connection: Connection, name: str, again: bool) -> bool:
    """Whether it could be asked.

    A container is asked by initctl, as libvirt does by itself, and then by a signal: not every init listens to the former. One that was
    started a moment ago has no init yet, which libvirt calls an invalid operation.
    """
    container = driver(connection.uri) == "lxc"
    try:
        if again and container:
            guest.shutdownFlags(connection.api.VIR_DOMAIN_SHUTDOWN_SIGNAL)
        else:
            guest.shutdown()
    except connection.api.libvirtError as error:
        if container and error.get_error_code() == connection.api.VIR_ERR_OPERATION_INVALID:
            return False
        if not _is_leaving(guest, connection):
            raise connection.failure(error, f"guest {name}: cannot be asked to shut down") from error
    return True


def _is_leaving(guest: Any, connection: Connection) -> bool:
    """Whether libvirt takes it down already. Until all is cleared away it is not active any more, and not off either."""
    return _is_off(guest, connection) or not guest.isActive()


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
def _destroy(action: a.DestroyDomain, connection: Connection) -> None:
    _end(_find(connection, action.target), connection, action.target)


@_do.register
def _suspend(action: a.SuspendDomain, connection: Connection) -> None:
    with connection.explained(f"guest {action.target}: cannot be paused"):
        _find(connection, action.target).suspend()


@_do.register
def _resume(action: a.ResumeDomain, connection: Connection) -> None:
    _resume_it(_find(connection, action.target), connection, action.target)


def _resume_it(guest: Any, connection: Connection, name: str) -> None:
    with connection.explained(f"guest {name}: cannot be resumed"):
        guest.resume()


@_do.register
def _wake(action: a.WakeDomain, connection: Connection) -> None:
    with connection.explained(f"guest {action.target}: does not wake up"):
        _find(connection, action.target).pMWakeup(0)


@_do.register
def _autostart(action: a.SetAutostart, connection: Connection) -> None:
    with connection.explained(f"guest {action.target}: autostart cannot be set"):
        _find(connection, action.target).setAutostart(int(action.enabled))


@_do.register
def _save(action: a.SaveDomain, connection: Connection) -> None:
    with connection.explained(f"guest {action.target}: cannot be saved"):
        _find(connection, action.target).managedSave(connection.api.VIR_DOMAIN_SAVE_RUNNING)


@_do.register
def _discard(action: a.DiscardSavedDomain, connection: Connection) -> None:
    with connection.explained(f"guest {action.target}: its saved memory cannot be removed"):
        _find(connection, action.target).managedSaveRemove(0)


@_do.register
def _undefine(action: a.UndefineDomain, connection: Connection) -> None:
    api = connection.api
    flags = 0
    for there, name in (
        (action.managed_save, "MANAGED_SAVE"),
        (action.snapshots, "SNAPSHOTS_METADATA"),
        (action.checkpoints, "CHECKPOINTS_METADATA"),
    ):
        flags |= getattr(api, f"VIR_DOMAIN_UNDEFINE_{name}") if there else 0
    for goes, name in ((action.nvram, "NVRAM"), (action.tpm, "TPM")):
        if goes is not None:  # libvirt knows of the TPM's files since 8.9; before, they always went
            flags |= getattr(api, f"VIR_DOMAIN_UNDEFINE_{'' if goes else 'KEEP_'}{name}", 0)
    with connection.explained(f"guest {action.target}: cannot be undefined"):
        _find(connection, action.target).undefineFlags(flags)


@_do.register
def _remove_disk(action: a.RemoveDisk, connection: Connection) -> None:
    label = action.path or f"{action.pool}/{action.volume}"
    with connection.explained(f"guest {action.target}: is gone, but its disk {label} cannot be deleted"):
        if action.pool:
            connection.virt.storagePoolLookupByName(action.pool).storageVolLookupByName(action.volume).delete(0)
        elif is_local(connection.uri):
            connection.host.remove(action.path or "")
        else:
            connection.virt.storageVolLookupByPath(action.path).delete(0)
