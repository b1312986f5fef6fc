# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rooms of this package, wired for the engine."""

from __future__ import annotations

from typing import Any

from ...engine.errors import Failure
from ...engine.run import Resource
from ..connection import Connection, open_connection
from ..objects.apply import apply as apply_step
from ..objects.plan import Undefine
from .model import SPEC, from_params
from .plan import facts, in_use, nothing, plan, view
from .read import ACCESS, read, users_of


def _apply(connection: Connection, action: Any) -> None:
    if isinstance(action, Undefine):
        users = in_use(action.target, users_of(connection, action.target))
        if users:
            raise Failure(users, "nwfilter_in_use")
    apply_step(connection, action, ACCESS)


RESOURCE = Resource(
    spec=SPEC, from_params=from_params, read=read, plan=plan, apply=_apply, view=view, nothing=nothing, open=open_connection, facts=facts
)
