# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a change is watched over: what may cut the host off is armed first and confirmed last."""

from __future__ import annotations

from typing import List, Tuple

from ..engine.plan import Action
from .model import Desired, Observed
from .plan_actions import ArmRollback, BringUp, ConfirmChange, CreateBridge, MoveClient, ReloadBackend, RemoveFile, SetPortOption, WriteFile


def guarded(observed: Observed, desired: Desired, actions: List[Action]) -> Tuple[Action, ...]:
    """The actions of a plan, with the watch over them where it was asked for and is of use."""
    if desired.rollback is None or not _may_cut(observed, actions):
        return tuple(actions)
    links = [link.name for link in observed.links.values()]
    scope = tuple(dict.fromkeys([observed.name, *(port.name for port in observed.ports), *links]))
    files = tuple(action.target for action in actions if isinstance(action, (WriteFile, RemoveFile)))
    files += tuple(path for action in actions if isinstance(action, MoveClient) for pair in action.leases for path in pair)
    reload = tuple(action.argv for action in actions if isinstance(action, ReloadBackend))
    armed = ArmRollback(observed.name, desired.rollback.timeout, desired.rollback, scope, files or None, reload)
    last = (ConfirmChange(observed.name, desired.rollback),) if desired.rollback.word is None else ()
    return (armed, *actions, *last)


def _may_cut(observed: Observed, actions: List[Action]) -> bool:
    """A new bridge alone carries nothing yet. All else may: a port, an address, a route, an option of a bridge in use."""
    in_use = bool(observed.ports or observed.addresses or observed.leased)
    return any(not isinstance(action, (CreateBridge, BringUp, SetPortOption)) for action in actions) or (in_use and bool(actions))
