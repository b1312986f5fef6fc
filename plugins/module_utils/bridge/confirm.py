# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A change that waits to be confirmed, as a resource: confirmed, or rolled back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, Mapping, Optional, Tuple

from ..engine.errors import Failure, NotReady
from ..engine.host import Host
from ..engine.plan import HIDDEN, Action, Plan
from ..engine.run import Resource
from . import rollback
from .model_rollback import verify_target

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "rollback_id": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["confirmed", "rolled_back"], "default": "confirmed"},
        "confirm": {"type": "str", "choices": ["connection", "gateway"]},
        "verify_hosts": {"type": "list", "elements": "str"},
        "reason": {"type": "str"},
    },
}
_OVER = {"confirmed": "confirmed", "rolled_back": "rolled_back"}


@dataclass(frozen=True)
class Desired:
    word: str
    state: str = "confirmed"
    check_gateway: bool = False
    hosts: Tuple[str, ...] = ()
    reason: str = "it was asked for"


@dataclass(frozen=True)
class Observed:
    """state: waiting, confirmed or rolled_back."""

    word: str
    state: str
    bridge: str = ""
    reason: Optional[str] = None
    silent: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Confirm(Action):
    word: str = field(metadata=HIDDEN)


@dataclass(frozen=True)
class RollBack(Action):
    word: str = field(metadata=HIDDEN)
    reason: str = ""


def from_params(params: Mapping[str, Any]) -> Desired:
    hosts = tuple(params["verify_hosts"] or ())
    for host in hosts:
        verify_target(host)
    return Desired(params["rollback_id"], params["state"], params["confirm"] == "gateway", hosts, params["reason"] or Desired.reason)


def read(host: Host, desired: Desired) -> Observed:
    change = rollback.find(desired.word)
    if change is None:
        raise NotReady(
            f"{desired.word}: no change of this name waits on this host; look at the rollback_id that the bridge task had", "no_such_change"
        )
    state = _OVER.get(change.state, "waiting")
    asked = state == "waiting" and desired.state == "confirmed" and (desired.check_gateway or desired.hosts)
    silent = rollback.check(host, change, desired.check_gateway, desired.hosts) if asked else ()
    return Observed(desired.word, state, change.snapshot["bridge"], change.report.get("reason") if state == "rolled_back" else None, tuple(silent))


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if observed.state == desired.state:
        return Plan((), observed)
    if observed.state == "rolled_back":
        raise Failure(
            f"{observed.bridge}: the change was rolled back, because {observed.reason}; everything is as it was before",
            "rolled_back",
            rolled_back=True,
        )
    if observed.state == "confirmed":
        raise Failure(f"{observed.bridge}: the change was confirmed already and cannot be rolled back any more; change the bridge back", "confirmed")
    if observed.silent:
        raise Failure(
            f"{observed.bridge}: {' and '.join(observed.silent)} did not answer, so the change is not confirmed; it is rolled back in time",
            "no_answer",
            silent=list(observed.silent),
        )
    if desired.state == "confirmed":
        return Plan((Confirm(observed.bridge, desired.word),), replace(observed, state="confirmed"))
    return Plan((RollBack(observed.bridge, desired.word, desired.reason),), replace(observed, state="rolled_back", reason=desired.reason))


def apply(host: Host, action: Action) -> None:
    if isinstance(action, (Confirm, RollBack)):
        change = rollback.find(action.word)
        if change is None:
            raise Failure(f"{action.word}: the change is gone; run the bridge task again", "no_such_change")
        if isinstance(action, Confirm):
            rollback.confirm(change)
        else:
            rollback.roll_back(change, action.reason)


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    return {"rollback_id": observed.word, "bridge": observed.bridge, "state": observed.state}


def facts(observed: Observed) -> Dict[str, Any]:
    return {"reason": observed.reason}


def nothing(desired: Desired) -> Observed:
    return Observed(desired.word, "waiting")


RESOURCE = Resource(spec=SPEC, from_params=from_params, read=read, plan=plan, apply=apply, view=view, nothing=nothing, facts=facts)
