# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change kernel modules."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Mapping

from ..engine.errors import Failure
from ..engine.host import Host, Result
from ..engine.plan import Action
from . import plan
from .files import autoload_path, options_path, render, render_autoload
from .initramfs import rebuild
from .model import NO_BLACKLIST, Kept, same


def apply(host: Host, action: Action) -> None:
    _do(action, host)


@singledispatch
def _do(action: Any, host: Host) -> None:
    raise TypeError(action)


def _modprobe(host: Host, *words: str) -> Result:
    return host.run([host.require("modprobe", "kmod"), *words], check=False)


def _loading(host: Host, name: str, parameters: Mapping[str, str]) -> Result:
    return _modprobe(host, name, *(f"{key}={value}" for key, value in parameters.items()))


@_do.register
def _load(action: plan.LoadModule, host: Host) -> None:
    result = _loading(host, action.target, action.parameters)
    if result.rc:
        raise Failure(
            f"{action.target}: the kernel did not load the module: {result.complaint}; its own message is in the kernel log (dmesg)",
            "module_not_loaded",
            stderr=result.stderr,
        )
    _taken(host, action.target, action.parameters)


@_do.register
def _unload(action: plan.UnloadModule, host: Host) -> None:
    result = _modprobe(host, "--remove", action.target)
    if result.rc:
        raise Failure(
            f"{action.target}: cannot be unloaded: {result.complaint}; stop what uses it (guests, other modules) first",
            "module_in_use",
            stderr=result.stderr,
        )


@_do.register
def _reload(action: plan.ReloadModule, host: Host) -> None:
    """Down and up again. Whatever fails, what was loaded before is loaded again."""
    above = action.dependents or ()
    for name in (*above, action.target):
        result = _modprobe(host, "--remove", name)
        if result.rc:
            _restore(host, action)
            raise Failure(
                f"{action.target}: cannot be reloaded: {result.complaint}; it runs as before. Stop what uses it (guests, other modules) first",
                "module_in_use",
                stderr=result.stderr,
            )
    result = _loading(host, action.target, action.parameters)
    if result.rc:
        restored = _restore(host, action)
        raise Failure(
            f"{action.target}: the kernel did not load the module with the new parameters: {result.complaint}; "
            + ("it is loaded again as modprobe.d had it. " if restored else "NOR DID IT WITHOUT THEM, so it is not loaded now. ")
            + "The kernel's own message is in its log (dmesg)",
            "module_not_loaded",
            stderr=result.stderr,
        )
    for name in reversed(above):
        _load(plan.LoadModule(name, {}), host)
    _taken(host, action.target, action.parameters)


def _restore(host: Host, action: plan.ReloadModule) -> bool:
    """Load everything as the files say. modprobe passes over what is loaded."""
    results = [_modprobe(host, name) for name in (action.target, *reversed(action.dependents or ()))]
    return not any(result.rc for result in results)


def _taken(host: Host, name: str, parameters: Mapping[str, str]) -> None:
    """A module may load and still set a parameter otherwise: nested virtualization without nested paging, for example."""
    for key, text in parameters.items():
        current = (host.try_read(f"/sys/module/{name}/parameters/{key}") or "").strip()
        if current and not same(current, text):
            raise Failure(
                f"{name}: loaded, but the module set {key} to {current} instead of {text}; "
                "this CPU or kernel does not offer that, see the kernel log (dmesg)",
                "parameter_not_taken",
            )


@_do.register
def _set(action: plan.SetParameter, host: Host) -> None:
    host.write_knob(f"/sys/module/{action.target}/parameters/{action.parameter}", action.value)


@_do.register
def _write_options(action: plan.WriteOptions, host: Host) -> None:
    kept = Kept(action.parameters or None, action.blacklist or NO_BLACKLIST)
    host.write(options_path(action.target), render(action.target, kept))


@_do.register
def _remove_options(action: plan.RemoveOptions, host: Host) -> None:
    host.remove(options_path(action.target))


@_do.register
def _enable(action: plan.EnableAutoload, host: Host) -> None:
    host.write(autoload_path(action.target), render_autoload(action.target))


@_do.register
def _disable(action: plan.DisableAutoload, host: Host) -> None:
    host.remove(autoload_path(action.target))


@_do.register
def _rebuild(action: plan.RebuildInitramfs, host: Host) -> None:
    rebuild(host, action.target)
