# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters: as every object of libvirt, but that they have no running state of their own, and stay while somebody refers to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Optional, Tuple

from ...engine.plan import Plan
from ..objects import plan as objects
from ..objects.model import Desired
from .model import NWFILTER, Observed


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    base = objects.plan(observed, desired, NWFILTER)
    # An earlier task of the same play may be about to take these away, so this is refused when it comes to it.
    users = in_use(desired.name, observed.users) if desired.state == "absent" else None
    return replace(base, warnings=(*base.warnings, users), after=replace(base.after, users=())) if users else base


def in_use(name: str, users: Tuple[str, ...]) -> Optional[str]:
    """The sentence that refuses to undefine a filter, or None."""
    return f"nwfilter {name}: is in use by {', '.join(users)}; take it from there first" if users else None


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
