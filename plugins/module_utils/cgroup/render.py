# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was asked for, as texts for this host's files or for the slice's settings, and what this host cannot do."""

from __future__ import annotations

from typing import Dict

from ..engine.errors import Failure
from .fields import BY_PATH, FIELDS, UNIFIED_PROPERTIES, encode_unified, unified_controller
from .model import SYSTEMD, Desired, Observed

IDLE_HAS_NO_WEIGHT = "is idle, and an idle cgroup has no shares or weight; set resources.cpu.idle: false too"


def unified_key(observed: Observed, file: str) -> str:
    """The file itself, or the slice's setting for it."""
    return UNIFIED_PROPERTIES.get(file, file) if observed.manager == SYSTEMD else file


def unsupported(observed: Observed, desired: Desired) -> Dict[str, str]:
    """What was asked for and cannot be had here → why."""
    found: Dict[str, str] = {}
    for path in desired.values:
        if path not in desired.implied and observed.knob(BY_PATH[path]) is None:
            found[path] = _why(observed, path)
    for file in desired.unified:
        reason = _why_unified(observed, file)
        if reason:
            found[f"unified.{file}"] = reason
    return found


def _why(observed: Observed, path: str) -> str:
    item = BY_PATH[path]
    if observed.manager == SYSTEMD:
        return f"systemd has no setting for it{'' if item.systemd is None else ' on a host with cgroup v1'}"
    knobs = [knob for knob in (item.v1, item.v2) if knob]
    place = observed.place(knobs[0].controller)
    if place is None:
        return f"this host has no {knobs[0].controller} controller"
    knob = item.v1 if place.version == 1 else item.v2
    return f"cgroup v{place.version} has no such limit" if knob is None else f"this kernel has no {knob.key}"


def _why_unified(observed: Observed, file: str) -> str:
    if observed.manager == SYSTEMD:
        return "" if file in UNIFIED_PROPERTIES and observed.hierarchy == "v2" else "systemd has no setting for it on this host"
    controller = unified_controller(file)
    place = observed.place(controller)
    if place is None:
        return f"this host has no {controller} controller"
    return "" if place.version == 2 else f"the {controller} controller is on cgroup v1 here"


def render(observed: Observed, desired: Desired, current: Dict[str, str]) -> Dict[str, str]:
    """The texts that are wanted: file or setting → text. current: those that are there."""
    texts, wanted = dict(current), {}
    for item in FIELDS:
        knob = observed.knob(item)
        if knob and item.path in desired.values:
            wanted[knob.key] = texts[knob.key] = knob.encode(desired.values[item.path], desired.around(texts, observed.page))
    for file, text in desired.unified.items():
        if _why_unified(observed, file):
            continue
        key = unified_key(observed, file)
        if key in wanted:
            raise Failure(f"resources.unified: {file} is what another option sets too; give one of them", "conflicting_resources")
        encoded = encode_unified(file, text, desired.around(texts, observed.page))
        wanted[key] = texts[key] = "infinity" if observed.manager == SYSTEMD and encoded == "max" else encoded
    return wanted
