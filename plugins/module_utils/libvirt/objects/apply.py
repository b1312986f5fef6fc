# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change objects of libvirt, for every kind of them."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from ...engine.errors import Failure
from ..connection import Connection
from ..define import digest
from ..record import split_record, with_record
from ..xmlmerge import differences
from ..xmltree import render
from . import plan
from .access import Access


def apply(connection: Connection, action: plan.Step, access: Access) -> None:
    _do(action, connection, access)


@singledispatch
def _do(action: Any, connection: Connection, access: Access) -> None:
    raise TypeError(action)


@_do.register
def _define(action: plan.Define, connection: Connection, access: Access) -> None:
    with connection.explained(f"{action.subject}: libvirt refuses the definition"):
        thing = access.define(connection, render(action.definition))
        outcome = split_record(access.definition(connection, thing))[0]
    lost = differences(outcome, action.wish, action.of.rules)
    if not lost:
        return
    if action.of.remembers:
        # So that the same request on the same definition is not asked for again. The plan warns of it.
        record = (digest(action.wish), digest(outcome))
        with connection.explained(f"{action.subject}: its metadata cannot be written"):
            access.define(connection, render(with_record(outcome, record)))
        return
    # There is nowhere to remember it, and left as it is, every run would define it again.
    with connection.explained(f"{action.subject}: libvirt did not keep {', '.join(lost)}, and the definition cannot be taken back"):
        if action.previous is None:
            thing.undefine()
        else:
            access.define(connection, render(action.previous))
    raise Failure(
        f"{action.subject}: libvirt does not keep {', '.join(lost)}, so nothing was changed; correct these or leave them out",
        "not_kept",
        lost=list(lost),
    )


@_do.register
def _start(action: plan.Start, connection: Connection, access: Access) -> None:
    with connection.explained(f"{action.subject}: does not start", "start_failed"):
        access.require(connection, action.target).create()


@_do.register
def _stop(action: plan.Stop, connection: Connection, access: Access) -> None:
    with connection.explained(f"{action.subject}: cannot be stopped"):
        access.require(connection, action.target).destroy()


@_do.register
def _autostart(action: plan.SetAutostart, connection: Connection, access: Access) -> None:
    with connection.explained(f"{action.subject}: autostart cannot be set"):
        access.require(connection, action.target).setAutostart(int(action.enabled))


@_do.register
def _undefine(action: plan.Undefine, connection: Connection, access: Access) -> None:
    with connection.explained(f"{action.subject}: cannot be undefined"):
        access.require(connection, action.target).undefine()
