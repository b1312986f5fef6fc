# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every check, in the order in which they are reported."""

from __future__ import annotations

from functools import partial
from typing import Tuple

from ..model import Check, Facts
from ..spec import Request
from . import capacity, containers, cpu, devices, kvm, memory, network, platform, security
from .rule import Rule, guarded

RULES: Tuple[Rule, ...] = (
    *platform.RULES,
    *cpu.RULES,
    *kvm.RULES,
    *devices.RULES,
    *containers.RULES,
    *memory.RULES,
    *security.RULES,
    *capacity.RULES,
    *network.RULES,
)


def run_checks(facts: Facts, request: Request) -> Tuple[Check, ...]:
    chosen = [rule for rule in RULES if request.subsets.intersection(rule.subsets) and rule.when(request)]
    return tuple(guarded(rule.id, partial(rule.judge, facts, request)) for rule in chosen)
