# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change kernel modules."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from ..engine.errors import Failure
from ..engine.host import Host
from ..engine.plan import Action
from . import plan
from .read import autoload_path, options_path

_HEADER = "# Written by the Ansible collection virtops.linux; changes are overwritten.\n"


def apply(host: Host, action: Action) -> None:
    _do(action, host)


@singledispatch
def _do(action: Any, host: Host) -> None:
    raise TypeError(action)


@_do.register
def _load(action: plan.LoadModule, host: Host) -> None:
    words = [f"{key}={value}" for key, value in action.parameters.items()]
    result = host.run([host.require("modprobe", "kmod"), action.target, *words], check=False)
    if result.rc:
        raise Failure(
            f"{action.target}: the kernel did not load the module: {result.complaint}; its own message is in the kernel log (dmesg)",
            "module_not_loaded",
            stderr=result.stderr,
        )


@_do.register
def _unload(action: plan.UnloadModule, host: Host) -> None:
    result = host.run([host.require("modprobe", "kmod"), "--remove", action.target], check=False)
    if result.rc:
        raise Failure(
            f"{action.target}: cannot be unloaded: {result.complaint}; stop what uses it (guests, other modules) first",
            "module_in_use",
            stderr=result.stderr,
        )


@_do.register
def _set(action: plan.SetParameter, host: Host) -> None:
    host.write_knob(f"/sys/module/{action.target}/parameters/{action.parameter}", action.value)


@_do.register
def _write_options(action: plan.WriteOptions, host: Host) -> None:
    words = " ".join(f"{key}={value}" for key, value in action.parameters.items())
    host.write(options_path(action.target), f"{_HEADER}options {action.target} {words}\n")


@_do.register
def _remove_options(action: plan.RemoveOptions, host: Host) -> None:
    host.remove(options_path(action.target))


@_do.register
def _enable(action: plan.EnableAutoload, host: Host) -> None:
    host.write(autoload_path(action.target), f"{_HEADER}{action.target}\n")


@_do.register
def _disable(action: plan.DisableAutoload, host: Host) -> None:
    host.remove(autoload_path(action.target))
