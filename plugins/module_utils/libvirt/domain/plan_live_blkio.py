# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits of single block devices of the host, which a running guest gets and loses at once. Their weights wait, because only a scheduler that
kernels no longer have takes one."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional, Tuple

from ...engine.plan import Action
from ..xmltree import Node
from . import actions as a

_LIMITS = ("read_bytes_sec", "write_bytes_sec", "read_iops_sec", "write_iops_sec")


def of_devices(part: Node, active: Optional[Node]) -> Node:
    """What of a wish for blkiotune can be done. A device that goes keeps its weight, so with one none goes."""
    there, wished = _devices(active), _devices(part)
    children = tuple(one for one in part.children if one.tag != "device" or (_has_a_name(one) and (one.get("path") in there or _is_limited(one))))
    stays = any(one.find("weight") or not _has_a_name(one) for path, one in there.items() if path not in wished)
    return replace(part, children=children, owned=part.owned - {"device"} if stays else part.owned)


def device_limits(name: str, old: Optional[Node], after: Optional[Node]) -> List[Action]:
    before, then = _devices(old), _devices(after)
    changes: List[str] = []
    values: List[Tuple[str, a.Value]] = []
    for limit in _LIMITS:
        rates = {path: _rate(then.get(path), limit) for path in {**before, **then}}
        changed = {path: rate for path, rate in rates.items() if rate != _rate(before.get(path), limit)}
        changes += [f"blkiotune/device[{path}]/{limit}" for path in changed]
        if changed:
            values.append((f"device_{limit}", ",".join(f"{path},{rate}" for path, rate in changed.items())))
    return [a.SetBlkioParameters(name, tuple(changes), tuple(values))] if values else []


def _devices(tuning: Optional[Node]) -> Dict[str, Node]:
    return {one.get("path") or "": one for one in tuning.all("device")} if tuning is not None else {}


def _rate(device: Optional[Node], limit: str) -> str:
    """0 is none."""
    return (device.get(limit) if device is not None else None) or "0"


def _is_limited(device: Node) -> bool:
    return any(_rate(device, limit) != "0" for limit in _LIMITS)


def _has_a_name(device: Node) -> bool:
    """That the call can carry, in which commas part the devices."""
    return "," not in (device.get("path") or ",")
