# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a cgroup is to what it should be: which manager plans it, and what both share."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import Plan
from .fields import show
from .fields_other import RESERVED
from .knob import Field, Knob
from .model import SYSTEMD, Desired, Observed, Slice, controllers
from .names import slice_path, slice_unit
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
        shown.update(state=_state(settings is not None), active=observed.slice.active, enabled=observed.slice.enabled)
        if settings is not None:
            shown["unit_settings"] = dict(sorted(settings.items()))
    else:
        paths = _paths(observed, desired)
        shown.update(state=_state(bool(paths)), paths=paths)
        if desired.present:
            shown.update(_people(observed, desired))
    if desired.present:
        asked = _asked(observed, desired)
        if asked:
            shown["resources"] = asked
        reasons = unsupported(observed, desired)
        if reasons:
            shown["not_applied"] = list(reasons)
    return shown


def _people(observed: Observed, desired: Desired) -> Dict[str, Any]:
    """Processes in it, and to whom it is delegated."""
    there = [place for place in observed.places if place.exists]
    shown: Dict[str, Any] = {}
    if desired.processes:
        shown["processes"] = [process for process in desired.processes if there and all(process in place.members for place in there)]
    delegate: Dict[str, Any] = {}
    if desired.user is not None:
        delegate["user"] = desired.user if there and all(place.owner == desired.user for place in there) else ""
    if desired.given:
        delegate["controllers"] = sorted(desired.given & {name for place in there if place.version == 2 for name in place.given})
    return {**shown, "delegate": delegate} if delegate else shown


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
    for item in observed.fields:
        knob = observed.knob(item)
        if knob and item.path in desired.values and not item.name.endswith(RESERVED):
            show(shown, item, knob.shown or item.name, _decoded(knob, knobs, observed, desired))
    for file in desired.unified:
        text = knobs.get(unified_key(observed, file))
        if text is not None:
            shown.setdefault("unified", {})[file] = "max" if text == "infinity" else text
    return shown


def _texts(observed: Observed) -> Mapping[str, str]:
    return observed.slice.properties if observed.slice else observed.knobs


def _decoded(knob: Knob, knobs: Mapping[str, str], observed: Observed, desired: Optional[Desired] = None) -> Any:
    text = knobs.get(knob.key)
    return None if text is None else knob.decode(text, observed.around(knobs, desired))


def resources_in(observed: Observed, knobs: Mapping[str, str], of_kernel: bool = False) -> Dict[str, Any]:
    """Every limit in the texts of files or of a slice's settings, in OCI's words, so that it can be given to resources again.

    of_kernel: the texts are of cgroup v2's files, although systemd is the manager.
    """
    shown: Dict[str, Any] = {}
    for item in observed.fields:
        knob = _kernel_knob(item, knobs) if of_kernel else observed.knob(item)
        if not knob or knob.shown or item.name.endswith(RESERVED) or _said_by_twin(observed, item):
            continue
        show(shown, item, item.name, _decoded(knob, knobs, observed))
    if shown.get("cpu", {}).get("idle"):
        shown["cpu"].pop("shares", None)  # an idle cgroup's shares are the kernel's, and cannot be asked for
    return shown


def _kernel_knob(item: Field, knobs: Mapping[str, str]) -> Optional[Knob]:
    return next((knob for knob in item.v2 if knob.key in knobs), None)


def _said_by_twin(observed: Observed, item: Field) -> bool:
    """The same limit is shown in OCI's own unit."""
    twin = next((other for other in observed.fields if other.path == item.twin), None)
    knob = observed.knob(twin) if twin else None
    return knob is not None and not knob.shown


def facts(observed: Observed) -> Dict[str, Any]:
    """What a prediction may not know: every limit that the kernel or systemd shows, and what the kernel makes of it."""
    shown: Dict[str, Any] = {"manager": observed.manager, "hierarchy": observed.hierarchy, "persistent": observed.manager == SYSTEMD}
    resources = resources_in(observed, _texts(observed))
    if resources:
        shown["resources"] = resources
    effective = resources
    if observed.slice:
        shown["paths"] = [slice_path(observed.slice.unit)]
        effective = resources_in(observed, observed.slice.files, of_kernel=True)
    lists = _effective_lists(observed)
    if effective:
        shown["effective"] = {**effective, "cpu": {**effective.get("cpu", {}), **lists}} if lists else effective
    return shown


def _effective_lists(observed: Observed) -> Dict[str, str]:
    """The CPUs and memory nodes that there are to run on, where the kernel says so."""
    texts = observed.slice.files if observed.slice else observed.knobs
    found = {name: texts.get(f"cpuset.{name}.effective") or texts.get(f"cpuset.effective_{name}") for name in ("cpus", "mems")}
    return {name: text for name, text in found.items() if text}
