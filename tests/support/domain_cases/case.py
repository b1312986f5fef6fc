# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a case of options is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Options = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """one, other: the options, all of which differ between the two. beside: what both have. missing: what the machine that tests run on
    may lack, so that libvirt refuses the definition in words that this is found in."""

    one: Options
    other: Options
    beside: Options = field(default_factory=dict)
    missing: str = ""
