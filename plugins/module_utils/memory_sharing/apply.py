# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change how memory is shared."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from ..engine.host import Host
from ..engine.plan import Action
from . import plan
from .fields import BY_KEY


def apply(host: Host, action: Action) -> None:
    _do(action, host)


@singledispatch
def _do(action: Any, host: Host) -> None:
    raise TypeError(action)


@_do.register
def _set(action: plan.SetValue, host: Host) -> None:
    host.write_knob(BY_KEY[action.target].path, action.value)


@_do.register
def _unmerge(action: plan.UnmergePages, host: Host) -> None:
    host.write_knob(BY_KEY["ksm.run"].path, "2")


@_do.register
def _keep(action: plan.KeepValues, host: Host) -> None:
    host.write(action.target, action.text)


@_do.register
def _forget(action: plan.ForgetValues, host: Host) -> None:
    host.remove(action.target)
