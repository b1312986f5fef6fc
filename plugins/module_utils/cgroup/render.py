# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was asked for, as texts for this host's files or for the slice's settings, and what this host cannot do."""

from __future__ import annotations

from typing import Dict, Mapping

from ..engine.errors import Failure
from .convert import UNLIMITED
from .fields import FIELDS, field_of
from .fields_other import HUGEPAGES
from .knob import number
from .model import SYSTEMD, Desired, Observed
from .unified import UNIFIED_PROPERTIES, encode_unified, unified_controller

IDLE_HAS_NO_WEIGHT = "is idle, and an idle cgroup has no shares or weight; set resources.cpu.idle: false too"


def unified_key(observed: Observed, file: str) -> str:
    """The file itself, or the slice's setting for it."""
    return UNIFIED_PROPERTIES.get(file, file) if observed.manager == SYSTEMD else file


def unsupported(observed: Observed, desired: Desired) -> Dict[str, str]:
    """What was asked for and cannot be had here → why."""
    found: Dict[str, str] = {}
    for path in desired.values:
        if path not in desired.implied and observed.knob(field_of(path)) is None:
            found[path] = _why(observed, path)
    for file in desired.unified:
        reason = _why_unified(observed, file)
        if reason:
            found[f"unified.{file}"] = reason
    return found


def _why(observed: Observed, path: str) -> str:
    item = field_of(path)
    if observed.manager == SYSTEMD:
        return f"systemd has no setting for it{'' if item.systemd is None else ' on a host with cgroup v1'}"
    names = {knob.controller for knob in (*item.v1, *item.v2)}
    place = next((place for place in observed.places if place.controllers & names), None)
    if place is None:
        if item.group == "devices":
            return "cgroup v2 has no files for devices, only programs in the kernel; systemd can, on a host that it runs"
        return f"this host has no {' or '.join(sorted(names))} controller"
    knobs = item.knobs(place.version)
    return f"this kernel has no {' or '.join(knob.key for knob in knobs)}" if knobs else f"cgroup v{place.version} has no such limit"


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
    for item in (*FIELDS, *(field_of(path) for path in desired.values if path.startswith(f"{HUGEPAGES}."))):
        knob = observed.knob(item)
        if knob and item.path in desired.values:
            wanted[knob.key] = texts[knob.key] = knob.encode(desired.values[item.path], observed.around(texts, desired))
            further = knob.also(desired.values[item.path])
            wanted.update(further)
            texts.update(further)
    _refuse_swap_alone(observed, desired, texts)
    for file, text in desired.unified.items():
        if _why_unified(observed, file):
            continue
        key = unified_key(observed, file)
        if key in wanted:
            raise Failure(f"resources.unified: {file} is what another option sets too; give one of them", "conflicting_resources")
        encoded = encode_unified(file, text, observed.around(texts, desired))
        wanted[key] = texts[key] = "infinity" if observed.manager == SYSTEMD and encoded == "max" else encoded
    return wanted


def _refuse_swap_alone(observed: Observed, desired: Desired, texts: Mapping[str, str]) -> None:
    """Memory and swap together need a limit of memory. cgroup v2 can do with "no limit" where it is asked for, v1 cannot."""
    swap, limit = observed.knob(field_of("memory.swap")), observed.knob(field_of("memory.limit"))
    if not swap or not limit or desired.values.get("memory.swap") in (None, UNLIMITED):
        return
    explicit = "memory.limit" in desired.values and swap.key != "memory.memsw.limit_in_bytes"
    if number(texts.get(limit.key, "max")) == UNLIMITED and not explicit:
        raise Failure(
            "resources.memory.swap: counts memory and swap together, so it needs a memory limit; set resources.memory.limit too", "swap_without_limit"
        )


#: Limits that are refused below what is used: file or setting → what it counts.
_COUNTED = {"memory.max": "memory", "MemoryMax": "memory", "pids.max": "pids", "TasksMax": "pids"}


def refuse_below_usage(observed: Observed, desired: Desired, current: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """cgroup v2 kills processes for a new limit of memory; a limit of processes lets none start. cgroup v1 refuses such memory itself."""
    for key, what in _COUNTED.items():
        text, used = wanted.get(key, "max"), observed.usage.get(what)
        if used is None or number(text) == UNLIMITED or text == current.get(key) or int(text) >= used or desired.force:
            continue
        if what == "memory" and desired.check_usage:
            raise Failure(
                f"{desired.name}: uses {used} bytes of memory, and with a limit of {text} the kernel would kill processes; "
                "raise resources.memory.limit, or set resources.memory.check_before_update: false",
                "limit_below_usage",
            )
        if what == "pids":
            raise Failure(
                f"{desired.name}: has {used} processes and threads, and with a limit of {text} could start none; "
                "raise resources.pids.limit, or set force: true",
                "limit_below_usage",
            )
