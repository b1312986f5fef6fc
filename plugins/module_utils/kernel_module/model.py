# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel modules: what is wanted of one, and what is there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, Mapping, Optional

from ..engine.errors import Failure

AUTO = "auto"

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "name": {"type": "str", "default": AUTO},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "parameters": {"type": "dict"},
        "persistent": {"type": "bool", "default": True},
        "ignore_missing": {"type": "bool", "default": False},
    },
}

_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Desired:
    """name: folded (kvm_amd), or auto. parameters: None leaves alone, {} takes all of ours away."""

    name: str
    present: bool = True
    parameters: Optional[Mapping[str, str]] = None
    persistent: bool = True
    ignore_missing: bool = False


@dataclass(frozen=True)
class Observed:
    """name: the module's real name, None where this host has no such module.

    loadable: whether this kernel loads modules at all.
    parameters: the running kernel's values. writable: those of them that take effect when written.
    autoload, options: what the files that this collection owns say; None without such a file.
    """

    name: Optional[str]
    loaded: bool = False
    builtin: bool = False
    loadable: bool = True
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    writable: FrozenSet[str] = frozenset()
    autoload: bool = False
    options: Optional[Mapping[str, str]] = None


def fold(name: str) -> str:
    """The kernel treats - and _ in module names alike, and shows _."""
    return name.replace("-", "_")


def value(raw: Any) -> str:
    """A parameter's value as the kernel takes it. YAML's true and false are 1 and 0."""
    return str(int(raw)) if isinstance(raw, bool) else str(raw)


def same(left: str, right: str) -> bool:
    """Whether two spellings of a parameter mean the same: the kernel shows booleans as Y and N, and takes 1 and 0."""
    spellings = {"Y": "1", "y": "1", "N": "0", "n": "0"}
    return spellings.get(left, left) == spellings.get(right, right)


def from_params(params: Mapping[str, Any]) -> Desired:
    name = params["name"]
    if not _NAME.fullmatch(name):
        raise Failure(f"name: {name!r} is not the name of a kernel module; use letters, digits, - and _", "invalid_name")
    parameters = params["parameters"]
    if parameters is not None:
        parameters = {key: value(raw) for key, raw in parameters.items()}
        for key, text in parameters.items():
            if not _NAME.fullmatch(key) or not text or re.search(r"[\s\"'#\\]", text):
                raise Failure(
                    f"parameters: {key}={text!r} cannot be written to a modprobe.d file; use a name and a value without spaces and quotes",
                    "invalid_parameter",
                )
    return Desired(fold(name), params["state"] == "present", parameters, params["persistent"], params["ignore_missing"])
