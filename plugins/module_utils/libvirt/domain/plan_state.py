# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From one state to another: up, down and away."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Tuple

from ...engine.errors import Failure
from ...engine.plan import Action, Plan
from ..xmltree import Node
from . import actions as a
from .model import Desired, Observed

Steps = Tuple[List[Action], Observed]

_UP = ("running", "paused")


def up(observed: Observed, desired: Desired, previous: Optional[Node]) -> Steps:
    """What it takes that a guest runs that should. previous: the definition to go back to when it does not start."""
    name, state, wanted = desired.name, observed.state, desired.state
    if wanted not in _UP or wanted == state:
        return [], observed
    steps: List[Action] = []
    if state == "crashed":
        if not desired.force:
            raise Failure(f"guest {name}: crashed, and is kept as it was; look at it, then set force: true to end it", "invalid_state_change")
        steps.append(a.DestroyDomain(name))
        state = "shutoff"
    if state in ("shutoff", "saved"):
        steps.append(a.StartDomain(name, wanted == "paused" or None, previous))
        return steps, replace(observed, state=wanted, active=observed.saved or observed.inactive, saved=None, balloon=False)
    if wanted == "paused":
        if state != "running":
            raise Failure(f"guest {name}: sleeps ({state}), so it cannot be paused; use state running first", "invalid_state_change")
        return [], observed  # once it has all that needs a guest that runs
    return [a.WakeDomain(name) if state == "pmsuspended" else a.ResumeDomain(name)], replace(observed, state=wanted)


def down(observed: Observed, desired: Desired) -> Steps:
    """What it takes that a guest rests that should."""
    name, state, wanted = desired.name, observed.state, desired.state
    if wanted in ("present", "running", state):
        return [], observed
    if wanted == "paused":
        return [a.SuspendDomain(name)], replace(observed, state="paused")
    if wanted == "saved":
        if state not in _UP:
            raise Failure(f"guest {name}: {state}, so there is nothing to save; use state running first", "invalid_state_change")
        return [a.SaveDomain(name)], replace(observed, state="saved", active=None, saved=observed.active)
    if state == "saved":  # off already, and what its memory holds is not thrown away for a word
        return ([a.DiscardSavedDomain(name)], replace(observed, state="shutoff", saved=None)) if desired.force else ([], observed)
    return [stop(state, desired)], replace(observed, state="shutoff", active=None)


def stop(state: str, desired: Desired) -> Action:
    if state == "running":
        return a.ShutDownDomain(desired.name, desired.timeout, desired.force)
    if state == "crashed" or desired.force:
        return a.DestroyDomain(desired.name)
    raise Failure(
        f"guest {desired.name}: {state}, so it cannot be asked to shut down; use state running first, or force: true to end it at once",
        "invalid_state_change",
    )


def absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    if observed.inactive is None:
        return Plan((), observed)
    actions: List[Action] = []
    if observed.state not in ("shutoff", "saved"):
        actions.append(stop(observed.state, desired))
    if observed.persistent:
        actions.append(_undefine(observed, observed.inactive, desired))
    warnings: List[str] = []
    for disk in observed.disks if desired.remove_disks else ():
        if disk.kept:
            warnings.append(f"guest {desired.name}: {disk.label} stays, because {disk.kept}")
        else:
            actions.append(a.RemoveDisk(desired.name, disk.path, disk.pool, disk.volume))
    return Plan(tuple(actions), Observed(machine_id=observed.machine_id, arch=observed.arch), warnings=tuple(warnings))


def _undefine(observed: Observed, inactive: Node, desired: Desired) -> a.UndefineDomain:
    has_nvram = inactive.find("os/nvram") or inactive.get("os@firmware") == "efi"
    has_tpm = inactive.get("devices/tpm/backend@type") == "emulator"
    going = {
        "managed_save": ("saved memory", observed.state == "saved", desired.remove_managed_save),
        "snapshots": ("snapshots", observed.snapshots, desired.remove_snapshots),
        "checkpoints": ("checkpoints", observed.checkpoints, desired.remove_checkpoints),
    }
    for name, (words, there, allowed) in going.items():
        if there and not allowed:
            raise Failure(f"guest {desired.name}: it has {words}, which do not outlive it; remove them, or set remove_{name}: true", f"has_{name}")
    return a.UndefineDomain(
        desired.name,
        desired.remove_nvram if has_nvram else None,
        desired.remove_tpm if has_tpm else None,
        *(bool(there) or None for _words, there, _allowed in going.values()),
    )
