# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process that is kept running in a set of namespaces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ..engine.errors import Failure

#: Source: config.md of the OCI runtime specification: process.args, process.cwd, process.env, root.path, linux.cgroupsPath.
PROCESS: Dict[str, Any] = {
    "type": "dict",
    "options": {
        "args": {"type": "list", "elements": "str", "required": True},
        "cwd": {"type": "str"},
        "env": {"type": "dict"},
        "root": {"type": "path"},
        "cgroups_path": {"type": "str"},
    },
}

_CGROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*(/[A-Za-z0-9_][A-Za-z0-9_.:-]*)*")


@dataclass(frozen=True)
class Wanted:
    """root: a directory that it takes for /, or "" for the host's. cgroup: a name as container_cgroup has it, or ""."""

    args: Tuple[str, ...]
    cwd: str = "/"
    env: Tuple[Tuple[str, str], ...] = ()
    root: str = ""
    cgroup: str = ""

    @property
    def slice(self) -> str:
        """The cgroup as the name of a slice."""
        return self.cgroup if not self.cgroup or self.cgroup.endswith(".slice") else f"{self.cgroup}.slice"

    def shown(self) -> Dict[str, Any]:
        shown: Dict[str, Any] = {"args": list(self.args), "cwd": self.cwd}
        for key, value in (("env", dict(self.env)), ("root", self.root), ("cgroups_path", self.cgroup)):
            if value:
                shown[key] = value
        return shown


def wanted(given: Mapping[str, Any]) -> Wanted:
    """Of the option, or of what shown() gave. No args: none is to run."""
    env = tuple(sorted((str(key), str(value)) for key, value in (given.get("env") or {}).items()))
    return Wanted(tuple(given["args"]), given.get("cwd") or "/", env, given.get("root") or "", given.get("cgroups_path") or "")


def from_option(given: Optional[Mapping[str, Any]]) -> Optional[Wanted]:
    if given is None:
        return None
    found = wanted(given)
    for text in (*found.args, found.cwd, found.root, *(word for pair in found.env for word in pair)):
        if "\x00" in text or "\n" in text:
            raise Failure(
                "process: a word has a line break or a zero in it, which no unit and no command line takes; leave it out", "invalid_process"
            )
    if found.args and not found.args[0]:
        raise Failure("process: the first word of args is empty; name the program", "invalid_process")
    for option, path in (("cwd", found.cwd), ("root", found.root or "/")):
        if not path.startswith("/"):
            raise Failure(f"process: {option}: {path!r} is not an absolute path; begin it with /", "invalid_process")
    for key, _value in found.env:
        if not key or "=" in key:
            raise Failure(f"process: env: {key!r} names no variable; use a name without =", "invalid_process")
    if found.cgroup and not _CGROUP.fullmatch(found.cgroup):
        raise Failure(
            f"process: cgroups_path: {found.cgroup!r} names no cgroup; use the name that container_cgroup made, for example containers",
            "invalid_process",
        )
    return found
