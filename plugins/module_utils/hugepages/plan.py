# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the huge pages that there are to those that there should be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional

from ..engine.errors import Failure
from ..engine.plan import HIDDEN, Action, Plan
from ..engine.units import format_size, human_size
from .model import Desired, Observed, kept_path, knob, label

_DEFAULT_SIZE = 2 * 1024 * 1024
_HEADER = "# Written by the Ansible collection virtops.linux; changes are overwritten.\n"


@dataclass(frozen=True)
class SetPages(Action):
    """minimum: with fewer, everything is put back to what it was before. None where it must be all."""

    count: int
    minimum: Optional[int] = None
    before: int = field(default=0, metadata=HIDDEN)
    size: int = field(default=0, metadata=HIDDEN)
    node: Optional[int] = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True)
class KeepPages(Action):
    """target: the file."""

    count: int
    text: str = field(default="", metadata=HIDDEN)


@dataclass(frozen=True)
class ForgetPages(Action):
    """target: the file."""


def kept_text(size: int, default: int, node: Optional[int], count: int) -> str:
    if size == default and node is None:
        return f"{_HEADER}vm.nr_hugepages = {count}\n"
    return f"{_HEADER}w {knob(size, node)} - - - - {count}\n"


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    return {"size": format_size(observed.size), "numa_node": desired.node, "count": observed.count, "kept": observed.kept or 0}


def facts(observed: Observed) -> Dict[str, Any]:
    return {
        "free": observed.free,
        "reserved": observed.reserved,
        "surplus": observed.surplus,
        "available_memory": observed.available,
        "sizes": [format_size(size) for size in observed.sizes],
        "conflicts": [rival.describe() for rival in observed.rivals],
    }


def nothing(desired: Desired) -> Observed:
    size = desired.size or _DEFAULT_SIZE
    return Observed(size, size, (size,), () if desired.node is None else (desired.node,), available=desired.count * size)


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    _check(observed, desired)
    name = label(observed.size, desired.node)
    actions: List[Action] = []
    warnings: List[str] = []
    after = observed
    if not _settled(observed, desired):
        _check_memory(name, observed, desired)
        minimum = None if desired.minimum == desired.count else desired.minimum
        actions.append(SetPages(name, desired.count, minimum, observed.count, observed.size, desired.node))
        after = replace(after, count=desired.count, surplus=max(0, observed.used - desired.count))
    elif observed.count < desired.count:
        warnings.append(f"{name}: there are {observed.count} of {desired.count}, which minimum: {desired.minimum} takes as enough")
    if after.surplus:
        warnings.append(f"{name}: {observed.used} are in use, so {after.surplus} beyond count go back to the host when their users end")
    if desired.persistent and (observed.kept or 0) != desired.count:
        path = kept_path(observed.size, observed.default, desired.node)
        text = kept_text(observed.size, observed.default, desired.node, desired.count)
        actions.append(KeepPages(path, desired.count, text) if desired.count else ForgetPages(path))
        after = replace(after, kept=desired.count or None)
    if desired.persistent:
        warnings += [f"{name}: {rival.file}:{rival.line} says {rival.text!r}, which the next boot heeds as well" for rival in observed.rivals]
    return Plan(tuple(actions), after, warnings=tuple(warnings))


def _settled(observed: Observed, desired: Desired) -> bool:
    """Fewer than count are enough where the kernel was asked for count before, which our file tells; asking again would change nothing."""
    asked_before = not desired.persistent or observed.kept == desired.count
    return observed.count == desired.count or (asked_before and desired.minimum <= observed.count < desired.count)


def _check(observed: Observed, desired: Desired) -> None:
    if not observed.sizes:
        raise Failure(
            "huge pages: this kernel has none (no /sys/kernel/mm/hugepages); boot one that is built with CONFIG_HUGETLBFS", "hugepages_unsupported"
        )
    if observed.size not in observed.sizes:
        offered = ", ".join(format_size(size) for size in observed.sizes)
        raise Failure(f"size: this kernel and CPU have no {label(observed.size, None)}; they have {offered}", "hugepage_size_unsupported")
    if desired.node is not None and desired.node not in observed.nodes:
        raise Failure(f"numa_node: this host has no NUMA node {desired.node}; it has {_numbers(observed)}", "numa_node_missing")


def _numbers(observed: Observed) -> str:
    return ", ".join(str(node) for node in observed.nodes) or "none"


def _check_memory(name: str, observed: Observed, desired: Desired) -> None:
    more = (desired.count - observed.count) * observed.size
    if more > observed.available:
        fit = observed.count + observed.available // observed.size
        raise Failure(
            f"{name}: {desired.count} take {human_size(more)} more, and only {human_size(observed.available)} are available"
            f"{'' if desired.node is None else ' there'}; set count to {fit} or less, stop guests, or add memory",
            "not_enough_memory",
            available=observed.available,
            needed=more,
        )
