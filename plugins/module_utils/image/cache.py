# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cache of downloads, and what of it may go: as data.

Names in it are those that fetch gives: C(sha256-DIGITS), and C(.part) with C(.part.json) of a download that did not end.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action, Plan
from .params import parse_folders, plain_path
from .source import DIGITS

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "path": {"type": "path", "default": "/var/cache/virtops/images"},
        "unused_for": {"type": "str", "required": True},
        "dependents_in": {"type": "list", "elements": "path"},
        "uri": {"type": "str", "default": "qemu:///system"},
    },
}

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?P<number>[0-9]{1,6})\s*(?P<unit>[smhdw])")
_NAME = re.compile("(?:" + "|".join(f"{algorithm}-[0-9a-f]{{{count}}}" for algorithm, count in DIGITS.items()) + ")")
_UNFINISHED = (".part", ".part.json")


@dataclass(frozen=True)
class Desired:
    """unused_for: seconds. folders: where else images may stand on what is in the cache."""

    path: str
    unused_for: int
    folders: Tuple[str, ...] = ()
    uri: str = "qemu:///system"


@dataclass(frozen=True)
class Cached:
    """A file, or what is there of an unfinished one. size: bytes on disk. used: seconds since 1970. needed: why it has to stay."""

    path: str
    size: int
    used: float
    finished: bool = True
    needed: Optional[str] = None

    @property
    def last_used(self) -> str:
        return datetime.fromtimestamp(int(self.used), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Observed:
    """now: seconds since 1970, when it was looked at."""

    path: str
    files: Tuple[Cached, ...] = ()
    now: float = 0


@dataclass(frozen=True)
class RemoveCached(Action):
    """size: bytes that become free. used: what it was planned on; nothing that was used since then is removed."""

    size: int
    last_used: str
    finished: bool


def from_params(params: Mapping[str, Any]) -> Desired:
    found = _DURATION.fullmatch(params["unused_for"].strip())
    if not found:
        raise Failure(
            f"unused_for: {params['unused_for'][:40]!r} is no time; write a number and one of s, m, h, d and w, for example 30d", "invalid_age"
        )
    seconds = int(found["number"]) * _SECONDS[found["unit"]]
    return Desired(plain_path(params["path"].rstrip("/") or "/"), seconds, parse_folders(params["dependents_in"]), params["uri"])


def base_name(name: str) -> Optional[Tuple[str, bool]]:
    """The name under which a file of the cache is whole, and whether this one is. None: it is not the cache's."""
    for suffix in ("", *_UNFINISHED):
        base = name[: len(name) - len(suffix)]
        if name.endswith(suffix) and _NAME.fullmatch(base):
            return base, not suffix
    return None


def parts(path: str) -> Tuple[str, ...]:
    """The files of an unfinished download. path: that of the whole one."""
    return tuple(f"{path}{suffix}" for suffix in _UNFINISHED)


def nothing(desired: Desired) -> Observed:
    return Observed(desired.path)


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    gone: List[Cached] = [file for file in observed.files if _goes(file, observed, desired)]
    actions = tuple(RemoveCached(file.path, file.size, file.last_used, file.finished) for file in gone)
    return Plan(actions, replace(observed, files=tuple(file for file in observed.files if file not in gone)))


def _goes(file: Cached, observed: Observed, desired: Desired) -> bool:
    return file.needed is None and observed.now - file.used >= desired.unused_for


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    """why: what keeps a file."""
    shown = []
    for file in observed.files:
        why = file.needed or (None if _goes(file, observed, desired) else "it was used since")
        entry = {"name": posixpath.basename(file.path), "size": file.size, "last_used": file.last_used, "finished": file.finished}
        shown.append({**entry, **({"why": why} if why else {})})
    return {"path": observed.path, "files": shown}
