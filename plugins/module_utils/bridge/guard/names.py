# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Name servers of an interface, as systemd-resolved has them while it runs. Of the standard library alone: the watchdog uses it too."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Tuple

TOOL = "resolvectl"
#: What systemd-resolved keeps while it runs.
RUNNING = "/run/systemd/resolve/stub-resolv.conf"
#: What is said of an interface, by the tool's word for it.
WORDS = ("dns", "domain")


def of_link(text: str) -> Tuple[str, ...]:
    """What "resolvectl dns LINK" says: Link 3 (br0): 203.0.113.53."""
    return tuple(text.partition("): ")[2].split())


def set_argv(word: str, link: str, values: Sequence[str]) -> List[str]:
    """An empty word takes all away."""
    return [TOOL, word, link, *(values or ("",))]


def restore(link: str, before: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]]) -> List[List[str]]:
    """The commands that lead from one to the other."""
    known: Dict[str, Sequence[str]] = dict(now)
    return [set_argv(word, link, values) for word, values in before.items() if list(values) != list(known.get(word, values))]
