# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change pools."""

from __future__ import annotations

from typing import Any

from ...engine.errors import Failure
from ..connection import Connection
from ..objects.apply import apply as apply_step
from . import plan
from .read import ACCESS


def apply(connection: Connection, action: Any) -> None:
    if isinstance(action, plan.Build):
        _build(connection, action)
    elif isinstance(action, plan.StopEmpty):
        _stop_empty(connection, action)
    elif isinstance(action, plan.Delete):
        with connection.explained(f"{action.subject}: what it stands on cannot be deleted", "delete_failed"):
            ACCESS.require(connection, action.target).delete(0)
    else:
        apply_step(connection, action, ACCESS)


def _stop_empty(connection: Connection, action: plan.StopEmpty) -> None:
    with connection.explained(f"{action.subject}: cannot be read"):
        pool = ACCESS.require(connection, action.target)
        pool.refresh(0)  # what others have put there since libvirt looked last
        full = plan.not_empty(action.target, sorted(pool.listVolumes()))
    if full:
        raise Failure(full, "pool_not_empty")
    apply_step(connection, action, ACCESS)


def _build(connection: Connection, action: plan.Build) -> None:
    api = connection.api
    flags = {
        "missing": api.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE,
        "overwrite": api.VIR_STORAGE_POOL_BUILD_OVERWRITE,
        None: api.VIR_STORAGE_POOL_BUILD_NEW,
    }[action.format]
    pool = ACCESS.require(connection, action.target)
    try:
        with connection.explained(f"{action.subject}: cannot be built", "build_failed"):
            pool.build(flags)
    except Failure as failure:
        if action.undo:
            with connection.explained(f"{failure.message}; and it cannot be undefined again"):
                pool.undefine()
        raise
