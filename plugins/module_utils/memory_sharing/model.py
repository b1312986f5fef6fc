# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Memory sharing: kernel same-page merging and transparent huge pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, List, Mapping, Tuple

from .fields import FIELDS, GROUPS

SPEC: Dict[str, Any] = {
    "argument_spec": {
        **{
            group.name: {
                "type": "dict",
                "options": {item.name: item.spec() for item in sorted(FIELDS, key=lambda item: item.name) if item.group == group.name},
            }
            for group in GROUPS
        },
        "persistent": {"type": "bool", "default": True},
    },
}

KEPT_PATH = "/etc/tmpfiles.d/virtops-memory-sharing.conf"
_HEADER = "# Written by the Ansible collection virtops.linux; changes are overwritten.\n"


@dataclass(frozen=True)
class Desired:
    """values: a field's key → what the kernel is to be told. forgotten: the groups that are to be kept no longer."""

    values: Mapping[str, str]
    forgotten: FrozenSet[str] = frozenset()
    persistent: bool = True


@dataclass(frozen=True)
class Observed:
    """values: a field's key → the running kernel's value, for those that it has. offered: a field's key → the words that it takes.

    kept: what our file gives at the next boot.
    merged: bytes that taking all merged pages apart would need. shared: pages that stand for several.
    available: bytes that can be taken without swapping. huge_page: pages in a huge page, 0 where nobody says.
    """

    values: Mapping[str, str]
    offered: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    shared: int = 0
    merged: int = 0
    available: int = 0
    huge_page: int = 0
    groups: FrozenSet[str] = frozenset(group.name for group in GROUPS)


def from_params(params: Mapping[str, Any]) -> Desired:
    values: Dict[str, str] = {}
    forgotten: List[str] = []
    for group in GROUPS:
        given = params[group.name]
        if given is None:
            continue
        said = {item.key: item.text(given[item.name]) for item in FIELDS if item.group == group.name and given.get(item.name) is not None}
        values.update(said)
        if not said:
            forgotten.append(group.name)
    return Desired(values, frozenset(forgotten), params["persistent"])


def render(kept: Mapping[str, str]) -> str:
    """Our tmpfiles.d file. sysctl reaches none of these files; systemd-tmpfiles writes them early in the boot, before guests."""
    return _HEADER + "".join(f"w {item.path} - - - - {kept[item.key]}\n" for item in FIELDS if item.key in kept)
