# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the process that runs in a set to the one that should."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Tuple

from ..engine.errors import NotReady
from ..engine.plan import Action
from . import actions as do
from .commands import process_words
from .model import Desired, Observed
from .unit import process_unit_text


def process(observed: Observed, desired: Desired, running: bool, boot: bool) -> Tuple[List[Action], Observed]:
    """running: whether the process that is observed runs in all namespaces of the set as they will be. boot: whether the set is kept."""
    wanted = desired.process
    if wanted is None:
        return [], observed
    if not wanted.args:
        return ended(observed), replace(observed, process=None, process_pids=(), process_unit=None, process_boot=False)
    if observed.lacks:
        raise NotReady(*observed.lacks)
    if observed.systemd:
        text = process_unit_text(desired.name, wanted.shown(), process_words(desired.name, wanted, observed.types), wanted.slice, boot)
        after = replace(observed, process=wanted, process_unit=text, process_boot=boot, process_pids=observed.process_pids or (0,))
        if running and observed.process_unit == text and observed.process_boot == boot:
            return [], after
        return [do.KeepProcess(desired.name, wanted.args, boot, text)], after
    if running and observed.process == wanted:
        return [], observed
    start = do.StartProcess(desired.name, wanted.args, wanted, observed.types)
    return [*ended(observed), start], replace(observed, process=wanted, process_pids=(0,))


def ended(observed: Observed) -> List[Action]:
    if observed.process_unit is not None:
        return [do.RemoveProcessUnit(observed.name)]
    return [do.EndProcess(observed.name, observed.process_pids)] if observed.process_pids or observed.process else []
