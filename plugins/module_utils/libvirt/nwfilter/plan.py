# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters: as every object of libvirt, but that they have no running state of their own, and stay while somebody refers to them."""

from __future__ import annotations

from typing import Any, Dict

from ...engine.errors import Failure
from ...engine.plan import Plan
from ..objects import plan as objects
from ..objects.model import Desired
from .model import NWFILTER, Observed


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if desired.state == "absent" and observed.users:
        raise Failure(f"nwfilter {desired.name}: is in use by {', '.join(observed.users)}; take it from there first", "nwfilter_in_use")
    return objects.plan(observed, desired, NWFILTER)


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    shown = objects.view(observed, desired, NWFILTER)
    if observed.inactive is not None:
        shown["state"] = "present"
    for name in ("autostart", "persistent"):
        shown.pop(name, None)
    return shown


def facts(observed: Observed) -> Dict[str, Any]:
    return {"uuid": observed.inactive.get("uuid")} if observed.inactive else {}


def nothing(desired: Desired) -> Observed:
    return Observed()
