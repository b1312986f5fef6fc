# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All pools, with their sizes."""

from __future__ import annotations

from typing import Any, Dict

from ..connection import Connection
from ..objects import model as objects
from ..objects.info import SPEC, gatherer
from .model import Observed
from .plan import facts
from .read import ACCESS


def _details(connection: Connection, pool: Any, observed: objects.Observed) -> Dict[str, Any]:
    active = observed.active is not None
    with connection.explained(f"pool {pool.name()}: cannot be read"):
        sizes = tuple(pool.info()[1:4]) if active else ()
        volumes = sorted(pool.listVolumes()) if active else []
    known = facts(Observed(inactive=observed.inactive, sizes=sizes))
    return {**known, "persistent": observed.persistent, "active": active, "volumes": volumes}


gather = gatherer(ACCESS, "pools", _details)
__all__ = ["SPEC", "gather"]
