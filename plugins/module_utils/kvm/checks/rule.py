# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a check is: a rule with a function, and what keeps one that fails from taking others along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional, Tuple, TypeVar

from ..model import UNKNOWN, Check, Facts
from ..spec import Request

Section = TypeVar("Section")

#: status, evidence, remedy
Verdict = Tuple[str, str, str]


class Unseen(Exception):
    """What a check is about could not be read. The text says why."""


@dataclass(frozen=True)
class Rule:
    """subsets: the check is made where one of them was asked for. when: and where this holds of the request."""

    id: str
    subsets: Tuple[str, ...]
    judge: Callable[[Facts, Request], Verdict]
    when: Callable[[Request], bool] = lambda request: True


def guarded(identity: str, judge: Callable[[], Verdict], otherwise: str = UNKNOWN) -> Check:
    """A check, whatever its function does. otherwise: the status where it cannot be told."""
    try:
        return Check(identity, *judge())
    except Unseen as unseen:
        return Check(identity, otherwise, f"cannot be told: {unseen}")
    except Exception as error:
        return Check(identity, otherwise, f"cannot be told: {type(error).__name__} in this check: {error}", "report this with the result's facts")


def need(facts: Facts, name: str, section: Optional[Section]) -> Section:
    """A section of the facts, or Unseen with the reason."""
    if section is None:
        raise Unseen(facts.unseen.get(name, f"the section {name} was not read"))
    return section
