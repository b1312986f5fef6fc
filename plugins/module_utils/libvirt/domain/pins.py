# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pins that a running guest has and that are none. Nothing takes one away from it: libvirt goes on printing a pin that was widened to what the
thread would have without it."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Tuple

from ..xmltree import Node

#: Pin → the attribute that says whose it is.
PINS = {"vcpupin": "vcpu", "emulatorpin": "", "iothreadpin": "iothread"}


def unpinned(active: Node, host: str) -> str:
    """The CPUs of a thread of the guest that has no pin; empty where nobody can tell. Source: qemuProcessSetupPid.

    host: the CPUs of a thread that may run anywhere, empty where that is not known.
    """
    if active.get("vcpu@placement") == "auto":  # numad chose them, and libvirt does not say which
        return ""
    return active.get("vcpu@cpuset") or host


def pins_of(tree: Optional[Node]) -> Tuple[Node, ...]:
    tuning = tree.find("cputune") if tree is not None else None
    return tuple(child for child in tuning.children if child.tag in PINS) if tuning is not None else ()


def same_thread(one: Node, other: Node) -> bool:
    return one.tag == other.tag and one.get(f"@{PINS[one.tag]}") == other.get(f"@{PINS[one.tag]}")


def without_idle_pins(active: Node, definition: Node, host: str) -> Node:
    """The running guest without pins that mean nothing, where the definition says none either."""
    said, widest = pins_of(definition), unpinned(active, host)
    idle = [pin for pin in pins_of(active) if pin.get("@cpuset") == widest and not any(same_thread(pin, one) for one in said)]
    return without_hollow(_without(active, idle)) if idle else active


def without_hollow(active: Node) -> Node:
    """Without tuning that tunes nothing any more, as libvirt prints it."""
    tags = ("cputune", "memtune", "blkiotune")
    return replace(active, children=tuple(child for child in active.children if child.tag not in tags or child.says_something))


def _without(active: Node, pins: List[Node]) -> Node:
    def keep(tuning: Node) -> Node:
        return replace(tuning, children=tuple(child for child in tuning.children if not any(child is pin for pin in pins)))

    return replace(active, children=tuple(keep(child) if child.tag == "cputune" else child for child in active.children))
