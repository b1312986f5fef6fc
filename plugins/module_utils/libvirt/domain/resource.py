# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rooms of this package, wired for the engine."""

from __future__ import annotations

from typing import Any

from ...engine.run import Resource
from ..connection import Connection, open_connection
from .apply import apply
from .model import SPEC, Desired, Observed, from_params
from .plan import facts, nothing, plan, view
from .profile import with_profiles
from .read import Accelerated, read
from .wait import wait


def domain_resource(accelerated: Accelerated) -> Resource[Connection, Desired, Observed]:
    """accelerated: whether KVM is proven to work on a host; asked only for a new guest of type auto."""

    def read_here(connection: Connection, desired: Desired) -> Observed:
        return read(connection, desired, accelerated)

    options: Any = {"from_params": from_params, "plan": plan, "apply": apply, "view": view, "nothing": nothing, "facts": facts}
    options["complete"] = with_profiles
    return Resource(spec=SPEC, read=read_here, open=open_connection, wait=wait, **options)
