# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All network filters."""

from __future__ import annotations

from typing import Any, Dict

from ..connection import Connection
from ..objects import model as objects
from ..objects.info import SPEC, gatherer
from .read import ACCESS


def _details(connection: Connection, nwfilter: Any, observed: objects.Observed) -> Dict[str, Any]:
    return {"uuid": observed.inactive.get("uuid"), "chain": observed.inactive.get("@chain")} if observed.inactive else {}


gather = gatherer(ACCESS, "nwfilters", _details)
__all__ = ["SPEC", "gather"]
