# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a secret is to what it should be. Its value is in no plan that is shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Tuple

from ...engine.errors import Failure
from ...engine.plan import HIDDEN, Action, Plan
from ..xmltree import Node, element
from .model import NONE, OTHER, SAME, UNKNOWN, USAGE, Desired, Observed, Secret


@dataclass(frozen=True)
class DefineSecret(Action):
    """changes: None for a new one."""

    changes: Optional[Tuple[str, ...]]
    definition: Node = field(metadata=HIDDEN)


@dataclass(frozen=True)
class SetSecretValue(Action):
    secret: Desired = field(metadata=HIDDEN)


@dataclass(frozen=True)
class UndefineSecret(Action):
    secret: Desired = field(metadata=HIDDEN)


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if desired.state == "absent":
        steps = (UndefineSecret(desired.label, desired),) if observed.secret else ()
        return Plan(steps, Observed())
    if observed.usage_holder:
        raise Failure(f"secret {desired.label}: {observed.usage_holder} has this usage already; use that uuid, or none", "usage_in_use")
    old = observed.secret
    wanted = _wanted(old, desired)
    _possible(old, wanted, desired)
    sets, warnings = _sets_value(old, wanted, desired)
    actions: List[Action] = []
    now = old
    if sets and wanted.private and (old is None or not old.private):
        # A private secret's value can never be looked at, so it becomes private only when it has it: a run that is
        # interrupted in between is found and completed by the next one.
        now = _define(actions, now, replace(wanted, private=False), desired)
    elif now is None or not sets:
        now = _define(actions, now, wanted, desired)
    if sets:
        actions.append(SetSecretValue(desired.label, desired))
        now = replace(now or wanted, value=SAME)
    now = _define(actions, now, replace(wanted, value=now.value), desired)
    return Plan(tuple(actions), Observed(now), warnings=warnings)


def _define(actions: List[Action], old: Optional[Secret], new: Secret, desired: Desired) -> Secret:
    changes = None
    if old is not None:
        changes = tuple(name for name in ("usage", "description", "ephemeral", "private") if getattr(old, name) != getattr(new, name))
        if not changes:
            return old
    actions.append(DefineSecret(desired.label, changes, _definition(new)))
    return replace(new, value=old.value if old else NONE)


def _wanted(old: Optional[Secret], desired: Desired) -> Secret:
    base = old or Secret(desired.uuid)
    said = {name: getattr(desired, name) for name in ("uuid", "usage", "description", "ephemeral", "private")}
    return replace(base, **{name: value for name, value in said.items() if value is not None})


def _possible(old: Optional[Secret], wanted: Secret, desired: Desired) -> None:
    """Source: virSecretObjListAdd and secretDefineXML."""
    label = desired.label
    if old is None:
        return
    if old.usage != wanted.usage:
        raise Failure(f"secret {label}: is for {old.usage or 'nothing in particular'}, which cannot change; undefine it first", "usage_differs")
    if old.uuid != wanted.uuid:
        raise Failure(f"secret {label}: it has the uuid {old.uuid}, which cannot change; leave uuid out", "uuid_mismatch")
    if old.private and not wanted.private:
        raise Failure(f"secret {label}: is private, and stays so; undefine it first, and give its value again", "private_secret")


def _sets_value(old: Optional[Secret], wanted: Secret, desired: Desired) -> Tuple[bool, Tuple[str, ...]]:
    if desired.value is None:
        return False, ()
    if old is None or old.value == NONE:
        return True, ()
    if desired.update == "on_create":
        return False, ()
    if old.value != UNKNOWN:
        return old.value == OTHER, ()
    if desired.update == "always":
        return True, ()
    return False, (f"secret {desired.label}: is private, so whether it has this value cannot be seen; set update_value: always to set it again",)


def _definition(secret: Secret) -> Node:
    usage = None
    if secret.usage:
        usage = element("usage", element(USAGE[secret.usage.type], text=secret.usage.id), type=secret.usage.type)
    return element(
        "secret",
        element("uuid", text=secret.uuid) if secret.uuid else None,
        element("description", text=secret.description) if secret.description else None,
        usage,
        ephemeral="yes" if secret.ephemeral else "no",
        private="yes" if secret.private else "no",
    )


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    """Everything but the value; of that, whether it is the one that the task gives."""
    secret = observed.secret
    shown: Dict[str, Any] = {"secret": desired.label, "state": "present" if secret else "absent"}
    if secret is None:
        return shown
    shown.update(description=secret.description, ephemeral=secret.ephemeral, private=secret.private)
    if secret.usage:
        shown["usage"] = {"type": secret.usage.type, "id": secret.usage.id}
    if desired.value is not None:
        shown["content"] = secret.value
    return shown


def facts(observed: Observed) -> Dict[str, Any]:
    return {"uuid": observed.secret.uuid} if observed.secret else {}


def nothing(desired: Desired) -> Observed:
    return Observed()
