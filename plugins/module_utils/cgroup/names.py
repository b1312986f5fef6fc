# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of cgroups and of slices, and the files and paths that follow from them."""

from __future__ import annotations

import re
from typing import List

from ..engine.errors import Failure


def cgroup_name(text: str) -> str:
    parts: List[str] = text.split("/")
    if text.startswith("/"):
        raise Failure(f"name: {text!r} starts with /; write it relative to the root of the hierarchy, for example virtops/web", "invalid_name")
    for part in parts:
        if part in ("", ".", "..", "tasks") or part.startswith("cgroup.") or len(part.encode()) > 255 or re.search(r"[\x00-\x20\x7f]", part):
            raise Failure(
                f"name: {text!r} is not a path of cgroups; join names without spaces by single slashes, for example virtops/web", "invalid_name"
            )
    return text


# A slice's name is a path by itself: a-b.slice is below a.slice. Source: systemd.slice(5), unit_name_is_valid().
_SLICE = re.compile(r"[A-Za-z0-9:_.\\]+(-[A-Za-z0-9:_.\\]+)*\.slice")


def slice_unit(name: str) -> str:
    """The unit of a name, with or without .slice."""
    unit = name if name.endswith(".slice") else f"{name}.slice"
    if not _SLICE.fullmatch(unit) or len(unit) > 255:
        raise Failure(
            f"name: {name!r} is not the name of a slice, which systemd needs here; use letters, digits, _ and ., and single dashes for levels "
            "(virtops-web is below virtops)",
            "invalid_name",
        )
    return unit


def unit_path(unit: str) -> str:
    return f"/etc/systemd/system/{unit}"


def drop_in_path(unit: str) -> str:
    return f"/etc/systemd/system/{unit}.d/50-virtops.conf"


def slice_path(unit: str) -> str:
    """Where systemd puts a slice: a-b.slice is /a.slice/a-b.slice."""
    parts = unit[: -len(".slice")].split("-")
    return "".join(f"/{'-'.join(parts[:depth])}.slice" for depth in range(1, len(parts) + 1))
