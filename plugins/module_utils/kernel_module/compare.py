# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of a module against what there is of it. Pure, like the plan that is made of it."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Tuple

from .model import (
    ALIAS,
    AUTOLOAD,
    BLACKLIST,
    FALSE,
    FORBIDDEN,
    INSTALL,
    NO_BLACKLIST,
    OPTIONS,
    Desired,
    Holder,
    Kept,
    Line,
    Observed,
    kept_after,
    same,
)


def configured(observed: Observed, options: Optional[Mapping[str, str]]) -> Dict[str, str]:
    """The parameters that the next load gets from all files and the kernel command line, ours with these options."""
    merged: Dict[str, str] = {}
    ranked = [line for line in observed.lines if line.kind == OPTIONS]
    for line in ranked:
        if not line.wins:
            merged.update(line.parameters)
    merged.update(options or {})
    for line in ranked:
        if line.wins:
            merged.update(line.parameters)
    return merged


def wanted(observed: Observed, desired: Desired) -> Dict[str, str]:
    """The parameters that the running module is to have."""
    kept = kept_after(Kept(observed.options, observed.blacklist), desired)
    return {**(configured(observed, kept.options) if desired.reloaded else {}), **(desired.parameters or {})}


def differing(observed: Observed, desired: Desired) -> Dict[str, str]:
    """Those of them that the running module shows otherwise. What it does not show cannot be compared."""
    pairs = wanted(observed, desired).items()
    return {key: text for key, text in pairs if key in observed.parameters and not same(observed.parameters[key], text)}


def waiting(observed: Observed, desired: Desired) -> Tuple[str, ...]:
    """What our files hold and the next boot (or a reload) brings about.

    Not where a line elsewhere wins: no reboot gets past that. Nor for what is built in.
    """
    if observed.builtin or not observed.loaded or observed.name is None:
        return ()
    if not desired.present:
        return ("loaded",) if observed.blacklist != NO_BLACKLIST and desired.blacklist in (ALIAS, INSTALL) else ()
    own = observed.options or {}
    coming = configured(observed, own)
    return tuple(f"parameters.{key}" for key, text in differing(observed, desired).items() if key in own and same(coming[key], text))


def conflicts(observed: Observed, desired: Desired) -> List[Line]:
    """The lines elsewhere that want something else."""
    if not desired.present:
        return [line for line in observed.lines if line.kind == AUTOLOAD]
    given = desired.parameters or {}
    return [
        line
        for line in observed.lines
        if line.kind in (BLACKLIST, FALSE, FORBIDDEN)
        or (line.kind == OPTIONS and any(key in given and not same(text, given[key]) for key, text in line.parameters.items()))
    ]


def obstacles(observed: Observed) -> List[Holder]:
    """Everything that a plain unload of the module meets."""
    return [*(Holder(module=name) for name in reversed(observed.dependents)), *observed.holders]


CONSEQUENCE = {
    BLACKLIST: "so nothing loads it at boot",
    FALSE: "so modprobe does not load it",
    FORBIDDEN: "so the kernel does not load it",
    AUTOLOAD: "so it is loaded at every boot all the same",
}


def told(observed: Observed, desired: Desired) -> Tuple[str, ...]:
    """Warnings about lines that are not ours to change."""
    said: List[str] = []
    for line in conflicts(observed, desired):
        loses = desired.persistent and not line.wins
        rank = "which loses to this collection's file, and misleads whoever reads it" if loses else "which counts when the module is loaded again"
        said.append(f"{observed.name or desired.name}: {line}, {CONSEQUENCE.get(line.kind, rank)}; take it out there")
    return tuple(said)
