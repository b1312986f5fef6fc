# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings of memory sharing: one table for the argument spec, for checking, reading, writing and keeping them.

Source: Documentation/admin-guide/mm/ksm.rst and transhuge.rst, mm/ksm.c and mm/khugepaged.c in Linux 6.12, whose words these are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

from ..engine.errors import Failure

_UINT = 2**32 - 1


@dataclass(frozen=True)
class Group:
    """A dictionary of options. directory: where the kernel has the files. config: what a kernel without that directory lacks."""

    name: str
    directory: str
    config: str


GROUPS = (
    Group("ksm", "/sys/kernel/mm/ksm", "CONFIG_KSM"),
    Group("transparent_hugepages", "/sys/kernel/mm/transparent_hugepage", "CONFIG_TRANSPARENT_HUGEPAGE"),
    Group("khugepaged", "/sys/kernel/mm/transparent_hugepage/khugepaged", "CONFIG_TRANSPARENT_HUGEPAGE"),
)
_BY_NAME = {group.name: group for group in GROUPS}


@dataclass(frozen=True)
class Field:
    """A setting: an option of its group, and a file of the kernel's of the same name.

    form: flag, number or word. lowest, highest: the range that the kernel takes.
    below_huge_page: the number must be less than the pages of one huge page, which only the host knows.
    unmerged: it changes only while no page is merged.
    """

    group: str
    name: str
    form: str
    lowest: int = 0
    highest: int = _UINT
    choices: Tuple[str, ...] = ()
    below_huge_page: bool = False
    unmerged: bool = False

    @property
    def key(self) -> str:
        return f"{self.group}.{self.name}"

    @property
    def path(self) -> str:
        return f"{_BY_NAME[self.group].directory}/{self.name}"

    def spec(self) -> Dict[str, Any]:
        """The option's entry in an argument spec."""
        found: Dict[str, Any] = {"type": {"flag": "bool", "number": "int"}.get(self.form, "str")}
        return {**found, "choices": list(self.choices)} if self.choices else found

    def text(self, raw: Any) -> str:
        """What the user wrote → what the kernel takes. Failure where it takes no such value."""
        if self.form == "number" and not self.lowest <= raw <= self.highest:
            raise Failure(f"{self.key}: {raw} is out of range; use {self.lowest} to {self.highest}", "invalid_value")
        return str(int(raw)) if self.form == "flag" else str(raw)

    def parse(self, shown: str) -> Tuple[str, Tuple[str, ...]]:
        """What the kernel's file shows → the value, and the words that this kernel offers: "always [madvise] never"."""
        if self.form == "word":
            chosen = re.search(r"\[([^]]+)\]", shown)
            return (chosen[1] if chosen else ""), tuple(shown.replace("[", "").replace("]", "").split())
        value = shown.strip()
        # ksm/run: 2 is stopped as well, with everything taken apart.
        return ("1" if value == "1" else "0") if self.form == "flag" else value, ()

    def show(self, text: str) -> Any:
        """A value as results show it, in the option's own type."""
        if not text:
            return None
        return text == "1" if self.form == "flag" else int(text) if self.form == "number" else text


_DEFRAG = ("always", "defer", "defer+madvise", "madvise", "never")
_SHMEM = ("always", "within_size", "advise", "never", "deny", "force")

#: In the order in which they are written: who is in charge of pages_to_scan before it, and the switch last.
FIELDS = (
    Field("ksm", "advisor_mode", "word", choices=("none", "scan-time")),
    Field("ksm", "advisor_max_cpu", "number", 1, 100),
    Field("ksm", "advisor_min_pages_to_scan", "number", 1),
    Field("ksm", "advisor_max_pages_to_scan", "number", 1),
    Field("ksm", "advisor_target_scan_time", "number", 1),
    Field("ksm", "pages_to_scan", "number"),
    Field("ksm", "sleep_millisecs", "number"),
    Field("ksm", "merge_across_nodes", "flag", unmerged=True),
    Field("ksm", "max_page_sharing", "number", 2, 2**31 - 1, unmerged=True),
    Field("ksm", "stable_node_chains_prune_millisecs", "number"),
    Field("ksm", "use_zero_pages", "flag"),
    Field("ksm", "smart_scan", "flag"),
    Field("ksm", "run", "flag"),
    Field("transparent_hugepages", "enabled", "word", choices=("always", "madvise", "never")),
    Field("transparent_hugepages", "defrag", "word", choices=_DEFRAG),
    Field("transparent_hugepages", "shmem_enabled", "word", choices=_SHMEM),
    Field("transparent_hugepages", "use_zero_page", "flag"),
    Field("khugepaged", "defrag", "flag"),
    Field("khugepaged", "pages_to_scan", "number", 1),
    Field("khugepaged", "scan_sleep_millisecs", "number"),
    Field("khugepaged", "alloc_sleep_millisecs", "number"),
    Field("khugepaged", "max_ptes_none", "number", below_huge_page=True),
    Field("khugepaged", "max_ptes_swap", "number", below_huge_page=True),
    Field("khugepaged", "max_ptes_shared", "number", below_huge_page=True),
)
BY_KEY = {field.key: field for field in FIELDS}
_BY_PATH = {field.path: field for field in FIELDS}


def group_of(field: Field) -> Group:
    return _BY_NAME[field.group]


def field_at(path: str) -> Optional[Field]:
    return _BY_PATH.get(path)
