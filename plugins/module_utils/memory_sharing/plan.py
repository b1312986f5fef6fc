# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From how this host shares memory to how it should."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping

from ..engine.errors import Failure
from ..engine.plan import HIDDEN, Action, Plan
from ..engine.units import human_size
from .fields import BY_KEY, FIELDS, GROUPS, Field, group_of
from .model import KEPT_PATH, Desired, Observed, render

_RUN, _ADVISOR, _PAGES = "ksm.run", "ksm.advisor_mode", "ksm.pages_to_scan"


@dataclass(frozen=True)
class SetValue(Action):
    """target: the field's key, for example ksm.run."""

    value: str


@dataclass(frozen=True)
class UnmergePages(Action):
    """Stop merging and give every process its own copy again: some settings change in no other way."""


@dataclass(frozen=True)
class KeepValues(Action):
    """target: the file."""

    text: str = field(default="", metadata=HIDDEN)


@dataclass(frozen=True)
class ForgetValues(Action):
    """target: the file."""


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    asked = {key: observed.values[key] for key in desired.values if key in observed.values}
    return {**_grouped(asked), "kept": {name: values for name, values in _grouped(observed.kept).items() if values}}


def _grouped(values: Mapping[str, str]) -> Dict[str, Dict[str, Any]]:
    shown = [(item, item.show(values[item.key])) for item in FIELDS if item.key in values]
    return {group.name: {item.name: value for item, value in shown if item.group == group.name} for group in GROUPS}


def facts(observed: Observed) -> Dict[str, Any]:
    return {"pages_shared": observed.shared, "saved_memory": observed.merged}


def nothing(desired: Desired) -> Observed:
    return Observed(dict.fromkeys(desired.values, ""), {key: BY_KEY[key].choices for key in desired.values})


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    _check(observed, desired)
    actions: List[Action] = []
    ordered = [item.key for item in FIELDS if item.key in desired.values]
    differing = {key: desired.values[key] for key in ordered if desired.values[key] != observed.values[key]}
    if _ADVISOR in differing and _PAGES in desired.values:
        differing = {key: desired.values[key] for key in ordered if key in differing or key == _PAGES}  # the switch puts it to its default
    running = dict(observed.values)
    after = observed
    if observed.shared and any(BY_KEY[key].unmerged for key in differing):
        _check_memory(observed, [key for key in differing if BY_KEY[key].unmerged])
        actions.append(UnmergePages("ksm"))
        if running[_RUN] == "1" and desired.values.get(_RUN, "1") == "1":
            differing[_RUN] = "1"
        after = replace(after, shared=0, merged=0)
    actions += [SetValue(key, text) for key, text in differing.items()]
    after = replace(after, values={**running, **differing})
    if desired.persistent:
        kept = {key: text for key, text in observed.kept.items() if BY_KEY[key].group not in desired.forgotten}
        kept.update(desired.values)
        if kept != observed.kept:
            actions.append(KeepValues(KEPT_PATH, render(kept)) if kept else ForgetValues(KEPT_PATH))
            after = replace(after, kept=kept)
    return Plan(tuple(actions), after)


def _check(observed: Observed, desired: Desired) -> None:
    for key, text in desired.values.items():
        item = BY_KEY[key]
        if key not in observed.values:
            raise Failure(_not_offered(item, observed), "setting_unsupported")
        words = observed.offered.get(key, ())
        if item.form == "word" and text not in words:
            raise Failure(f"{key}: this kernel takes no {text!r}; it takes {', '.join(words)}", "setting_unsupported")
        if item.below_huge_page and 0 < observed.huge_page <= int(text):
            raise Failure(
                f"{key}: {text} is out of range; a huge page has {observed.huge_page} pages here, so use 0 to {observed.huge_page - 1}",
                "invalid_value",
            )
    if _PAGES in desired.values and desired.values.get(_ADVISOR, observed.values.get(_ADVISOR, "none")) != "none":
        raise Failure(f"{_PAGES}: the advisor sets it, because {_ADVISOR} is not none; set that to none, or leave {_PAGES} out", "advisor_in_charge")


def _not_offered(item: Field, observed: Observed) -> str:
    if item.group not in observed.groups:
        return f"{item.key}: this kernel has no {group_of(item).directory}; boot one that is built with {group_of(item).config}"
    return f"{item.key}: this kernel has no {item.path}; leave it out, or boot a kernel that is newer"


def _check_memory(observed: Observed, keys: List[str]) -> None:
    if observed.merged > observed.available:
        raise Failure(
            f"{' and '.join(keys)}: can only change once all merged pages are taken apart, which takes {human_size(observed.merged)}, "
            f"and only {human_size(observed.available)} are available; stop guests first",
            "not_enough_memory",
            available=observed.available,
            needed=observed.merged,
        )
