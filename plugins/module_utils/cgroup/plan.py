# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a cgroup is to what it should be: which manager plans it, and what both share."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import Plan
from .fields import FIELDS, Knob
from .model import SYSTEMD, Desired, Observed, Slice, controllers, slice_path, slice_unit
from .plan_cgroupfs import plan_cgroupfs
from .plan_slice import plan_slice
from .render import unified_key, unsupported


def nothing(desired: Desired) -> Observed:
    """Reading is not ready only where systemctl is missing, so that systemd will be the manager."""
    return Observed(SYSTEMD, "v2", slice=Slice(slice_unit(desired.name)))


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    warnings = _unsupported(observed, desired) if desired.present else ()
    made = plan_slice(observed, observed.slice, desired) if observed.slice else plan_cgroupfs(observed, desired)
    return Plan(made.actions, made.after, warnings=warnings)


def _unsupported(observed: Observed, desired: Desired) -> Tuple[str, ...]:
    reasons = unsupported(observed, desired)
    sentences = tuple(f"resources.{path}: {reason}" for path, reason in reasons.items())
    if sentences and not desired.warn_unsupported:
        raise Failure(f"{sentences[0]}; leave it out, or set on_unsupported: warn", "unsupported_resource", not_applied=list(reasons))
    return tuple(f"{sentence}; it is not applied" for sentence in sentences)


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    """What the user spoke of."""
    shown: Dict[str, Any] = {"name": desired.name}
    if observed.slice:
        settings = observed.slice.settings
        shown.update(state=_state(settings is not None), active=observed.slice.active)
        if settings is not None:
            shown["unit_settings"] = dict(sorted(settings.items()))
    else:
        paths = _paths(observed, desired)
        shown.update(state=_state(bool(paths)), paths=paths)
    if desired.present:
        asked = _asked(observed, desired)
        if asked:
            shown["resources"] = asked
        reasons = unsupported(observed, desired)
        if reasons:
            shown["not_applied"] = list(reasons)
    return shown


def _state(there: bool) -> str:
    return "present" if there else "absent"


def _paths(observed: Observed, desired: Desired) -> List[str]:
    there = [place for place in observed.places if place.exists]
    if desired.present:
        needed = controllers(desired, observed)
        return [place.path for place in there if place.controllers & needed]
    return [path for place in there for path in (place.path, *reversed(place.below))]


def _asked(observed: Observed, desired: Desired) -> Dict[str, Any]:
    shown: Dict[str, Any] = {}
    knobs = _texts(observed)
    for item in FIELDS:
        knob = observed.knob(item)
        if knob and item.path in desired.values:
            _show(shown, item.group, knob.shown or item.name, _decoded(knob, knobs, observed, desired))
    for file in desired.unified:
        text = knobs.get(unified_key(observed, file))
        if text is not None:
            shown.setdefault("unified", {})[file] = "max" if text == "infinity" else text
    return shown


def _texts(observed: Observed) -> Mapping[str, str]:
    return observed.slice.properties if observed.slice else observed.knobs


def _decoded(knob: Knob, knobs: Mapping[str, str], observed: Observed, desired: Optional[Desired] = None) -> Any:
    text = knobs.get(knob.key)
    around = (desired or Desired("")).around(knobs, observed.page)
    return None if text is None else knob.decode(text, around)


def _show(shown: Dict[str, Any], group: str, name: str, value: Any) -> None:
    if value is not None:
        shown.setdefault(group, {})[name] = value


def facts(observed: Observed) -> Dict[str, Any]:
    """Every limit that the kernel or systemd shows, in OCI's words, so that it can be given to resources again."""
    shown: Dict[str, Any] = {"manager": observed.manager, "hierarchy": observed.hierarchy, "persistent": observed.manager == SYSTEMD}
    if observed.slice:
        shown["paths"] = [slice_path(observed.slice.unit)]
    resources: Dict[str, Any] = {}
    knobs = _texts(observed)
    for item in FIELDS:
        knob = observed.knob(item)
        if knob and not knob.shown:
            _show(resources, item.group, item.name, _decoded(knob, knobs, observed))
    if resources.get("cpu", {}).get("idle"):
        resources["cpu"].pop("shares", None)  # an idle cgroup's shares are the kernel's, and cannot be asked for
    if resources:
        shown["resources"] = resources
    return shown
