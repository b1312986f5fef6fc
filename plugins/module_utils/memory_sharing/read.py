# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How this host shares memory, as sysfs shows it, and what our file gives at the next boot."""

from __future__ import annotations

import os
import re
from typing import Dict, Tuple

from ..engine.host import Host
from .fields import FIELDS, GROUPS, field_at
from .model import KEPT_PATH, Desired, Observed


def parse_kept(text: str) -> Dict[str, str]:
    """A field's key → value, in a tmpfiles.d file of ours. Lines about files that are not in the table are not ours."""
    kept: Dict[str, str] = {}
    for path, value in re.findall(r"^w (\S+) - - - - (\S+)$", text, re.MULTILINE):
        field = field_at(path)
        if field:
            kept[field.key] = value
    return kept


def read(host: Host, desired: Desired) -> Observed:
    values: Dict[str, str] = {}
    offered: Dict[str, Tuple[str, ...]] = {}
    for field in FIELDS:
        shown = host.read(field.path)
        if shown is not None:
            values[field.key], offered[field.key] = field.parse(shown)
    page = os.sysconf("SC_PAGE_SIZE")
    available = re.search(r"^MemAvailable:\s+(\d+) kB$", host.try_read("/proc/meminfo") or "", re.MULTILINE)
    return Observed(
        values,
        offered,
        kept=parse_kept(host.read(KEPT_PATH) or ""),
        shared=_number(host, "/sys/kernel/mm/ksm/pages_shared"),
        merged=_number(host, "/sys/kernel/mm/ksm/pages_sharing") * page,
        available=int(available[1]) * 1024 if available else 0,
        huge_page=_number(host, "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size") // page,
        groups=frozenset(group.name for group in GROUPS if host.is_dir(group.directory)),
    )


def _number(host: Host, path: str) -> int:
    return int((host.try_read(path) or "0").strip())
