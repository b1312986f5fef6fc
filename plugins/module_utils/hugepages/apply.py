# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change huge pages."""

from __future__ import annotations

from contextlib import suppress
from functools import singledispatch
from typing import Any, Optional

from ..engine.errors import Failure
from ..engine.host import Host
from ..engine.plan import Action
from . import plan
from .model import knob

_COMPACT = "/proc/sys/vm/compact_memory"


def apply(host: Host, action: Action) -> None:
    _do(action, host)


@singledispatch
def _do(action: Any, host: Host) -> None:
    raise TypeError(action)


@_do.register
def _set(action: plan.SetPages, host: Host) -> None:
    """The kernel gives what it can and never says that it was less. What was not enough is given back: nobody uses half a grant."""
    enough = action.count if action.minimum is None else action.minimum
    got = _ask(host, action)
    if got < action.count and host.exists(_COMPACT):
        # Moving what is movable is all that can be done at run time, and harms nobody. Dropping caches would.
        with suppress(Failure):
            host.write_knob(_COMPACT, "1")
        got = _ask(host, action)
    if got < enough:
        host.write_knob(knob(action.size, action.node), str(action.before))
        fewer = f"Set count or minimum to {got}, run" if got else "Run"
        raise _not_granted(action, got, f"free memory is too fragmented; put back to {action.before}. {fewer} this right after a boot")


def _not_granted(action: plan.SetPages, got: int, because: str) -> Failure:
    return Failure(
        f"{action.target}: asked for {action.count}, got {got}, because {because}, or have the kernel reserve them at boot with "
        f"{_command_line(action.size, action.node, action.count)} on its command line",
        "hugepages_not_granted",
        asked=action.count,
        got=got,
    )


def _ask(host: Host, action: plan.SetPages) -> int:
    path = knob(action.size, action.node)
    try:
        host.write_knob(path, str(action.count))
    except Failure as failure:
        if failure.details.get("errno") != "EINVAL":
            raise
        # Without CONFIG_CONTIG_ALLOC a kernel has its gigantic pages from boot, or not at all.
        raise _not_granted(action, action.before, "this kernel gives pages of this size only at boot; use a smaller size") from failure
    return int(host.read(path) or 0) - int(host.read(knob(action.size, action.node, "surplus_hugepages")) or 0)


def _command_line(size: int, node: Optional[int], count: int) -> str:
    unit = f"{size >> 30}G" if size % (1 << 30) == 0 else f"{size >> 20}M" if size % (1 << 20) == 0 else f"{size >> 10}K"
    return f"hugepagesz={unit} hugepages={count if node is None else f'{node}:{count}'}"


@_do.register
def _keep(action: plan.KeepPages, host: Host) -> None:
    host.write(action.target, action.text)


@_do.register
def _forget(action: plan.ForgetPages, host: Host) -> None:
    host.remove(action.target)
