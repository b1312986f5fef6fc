# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of sections with keys, as systemd-networkd and NetworkManager have them."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

Section = Tuple[str, List[str]]


def sections(text: str) -> List[Section]:
    """The sections with their lines, each as KEY=VALUE, without comments."""
    found: List[Section] = []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            found.append((line[1:-1], []))
        elif line and line[0] not in "#;" and found:
            key, _equals, value = line.partition("=")
            found[-1][1].append(f"{key.strip()}={value.strip()}")
    return found


def written(given: Sequence[Section]) -> str:
    return "".join(f"\n[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in given)


def values(given: Sequence[Section], *names: str) -> Dict[str, str]:
    """The keys of sections of these names. The last one counts."""
    return dict(line.split("=", 1) for name, lines in given if name in names for line in lines)
