# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans and actions: what is to be done, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Dict, Generic, Tuple, TypeVar

State = TypeVar("State")


#: The metadata of a dataclass field that actions and results never show: a secret, or bulk that the diff shows better.
#: Use: C(password: str = field(metadata=HIDDEN)).
HIDDEN = {"hidden": True}


@dataclass(frozen=True)
class Action:
    """One step. Subclasses are frozen dataclasses; their name in snake_case is the word in C(actions)."""

    target: str

    @property
    def kind(self) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def describe(self) -> Dict[str, Any]:
        """The action as results show it: C(action), C(target) and every field that is set and not hidden."""
        shown: Dict[str, Any] = {"action": self.kind}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not item.metadata.get("hidden"):
                shown[item.name] = list(value) if isinstance(value, tuple) else value
        return shown


@dataclass(frozen=True)
class Plan(Generic[State]):
    """What turns the observed state into the desired one.

    after: the state that will be read when the actions are done.
    pending: fields that are kept but take effect only after the resource (or the host) restarts.
    """

    actions: Tuple[Action, ...]
    after: State
    pending: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()
