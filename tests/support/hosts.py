# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts for unit tests: a tree of files, and commands that must come exactly as written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host, Result

Script = Sequence[Tuple[Sequence[str], Result]]


class FakeHost(Host):
    """files: path → text, laid out below tmp_path. script: the commands to come, in order, with their results."""

    def __init__(self, tmp_path: Path, files: Optional[Dict[str, str]] = None, script: Script = ()) -> None:
        super().__init__(str(tmp_path))
        self.script: List[Tuple[Sequence[str], Result]] = list(script)
        for path, text in (files or {}).items():
            real = Path(self.path(path))
            real.parent.mkdir(parents=True, exist_ok=True)
            real.write_text(text)

    def which(self, name: str) -> Optional[str]:
        return name

    def run(
        self, argv: Sequence[str], stdin: Optional[str] = None, timeout: Optional[float] = None, check: bool = True, inherit: Sequence[int] = ()
    ) -> Result:
        assert self.script, f"a command too many: {argv}"
        expected, result = self.script.pop(0)
        assert list(argv) == list(expected), f"{argv} instead of {expected}"
        if check and result.rc:
            raise Failure(f"{argv[0]}: {result.complaint}", "command_failed")
        return result

    def text(self, path: str) -> str:
        return Path(self.path(path)).read_text()

    def exhausted(self) -> bool:
        """Whether every command of the script was run."""
        return not self.script


def converged(plan: Any, observed: Any, desired: Any) -> Any:
    """The plan, after the invariant of every planner was seen to hold: planning on its own outcome asks for nothing."""
    first = plan(observed, desired)
    again = plan(first.after, desired)
    assert again.actions == (), f"planning again asks for {again.actions}"
    assert again.pending == first.pending
    return first
