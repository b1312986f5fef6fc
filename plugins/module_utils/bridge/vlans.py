# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""VLANs of a port, or of the bridge itself, in the words of bridge(8): vid, pvid, untagged. Pure.

A list is the whole truth: sorted, without overlaps, and neighbours that say the same are one range, so that equal ones compare equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ..engine.errors import Failure

_LOWEST, _HIGHEST = 1, 4094
_VID = re.compile(r"(?P<first>[0-9]{1,4})(\s*-\s*(?P<last>[0-9]{1,4}))?")

SPEC: Dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {"vid": {"type": "str", "required": True}, "pvid": {"type": "bool"}, "untagged": {"type": "bool"}},
}


@dataclass(frozen=True)
class Vlan:
    """VLANs first to last. pvid: frames that come without a tag belong to it. untagged: frames leave without a tag."""

    first: int
    last: int
    pvid: bool = False
    untagged: bool = False

    @property
    def vid(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


Vlans = Tuple[Vlan, ...]
_Flags = Tuple[bool, bool]


def parsed(given: Optional[List[Mapping[str, Any]]], what: str) -> Optional[Vlans]:
    """What the user wrote, checked. what: the option's place, for errors. None leaves alone."""
    if given is None:
        return None
    flags: Dict[int, _Flags] = {}
    for item in given:
        first, last = _range(item["vid"], what)
        pvid, untagged = bool(item.get("pvid")), bool(item.get("untagged"))
        if pvid and first != last:
            raise Failure(f"{what}: {item['vid']} cannot be the pvid, which is a single VLAN; list that one by itself", "invalid_vlan")
        if pvid and any(other for other, _untagged in flags.values()):
            raise Failure(f"{what}: has two pvids, and frames without a tag belong to a single VLAN; leave pvid out of one", "invalid_vlan")
        for vid in range(first, last + 1):
            if vid in flags:
                raise Failure(f"{what}: VLAN {vid} is listed twice; list it once with all its options", "duplicate_vlan")
            flags[vid] = pvid, untagged
    return _ranges(flags)


def _range(text: str, what: str) -> Tuple[int, int]:
    match = _VID.fullmatch(str(text).strip())
    if not match:
        raise Failure(f"{what}: {text!r} is not a VLAN; write a number such as 10, or a range such as 20-29", "invalid_vlan")
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if not _LOWEST <= first <= last <= _HIGHEST:
        raise Failure(f"{what}: {text} is out of range; VLANs are {_LOWEST} to {_HIGHEST}, the lower end of a range first", "out_of_range")
    return first, last


def _ranges(flags: Mapping[int, _Flags]) -> Vlans:
    found: List[Vlan] = []
    for vid in sorted(flags):
        pvid, untagged = flags[vid]
        if found and found[-1].last == vid - 1 and (found[-1].pvid, pvid) == (False, False) and found[-1].untagged == untagged:
            found[-1] = Vlan(found[-1].first, vid, False, untagged)
        else:
            found.append(Vlan(vid, vid, pvid, untagged))
    return tuple(found)


def _flags_of(vlans: Vlans) -> Dict[int, _Flags]:
    return {vid: (item.pvid, item.untagged) for item in vlans for vid in range(item.first, item.last + 1)}


def from_kernel(items: Iterable[Mapping[str, Any]]) -> Dict[str, Vlans]:
    """What "bridge -j vlan show" says: interface → its VLANs."""
    found: Dict[str, Dict[int, _Flags]] = {}
    for item in items:
        flags = found.setdefault(item["ifname"], {})
        for entry in item.get("vlans", []):
            words = entry.get("flags", [])
            for vid in range(entry["vlan"], entry.get("vlanEnd", entry["vlan"]) + 1):
                flags[vid] = "PVID" in words, "Egress Untagged" in words
    return {name: _ranges(flags) for name, flags in found.items()}


def shown(vlans: Vlans) -> List[Dict[str, Any]]:
    """In the words of the options."""
    return [{"vid": item.vid, "pvid": item.pvid, "untagged": item.untagged} for item in vlans]


def lines(device: str, vlans: Vlans, of_bridge: bool) -> Tuple[str, ...]:
    """Lines for bridge -batch that lead there from whatever there is: the kernel takes it well to delete what is not there.

    First what is wanted, so that nothing which stays is gone for an instant.
    """
    where = f"dev {device}{' self' if of_bridge else ''}"
    wanted = [f"vlan add vid {item.vid} {where}{' pvid' * item.pvid}{' untagged' * item.untagged}" for item in vlans]
    gaps: List[Vlan] = []
    start = _LOWEST
    for item in (*vlans, Vlan(_HIGHEST + 1, _HIGHEST + 1)):
        if start < item.first:
            gaps.append(Vlan(start, item.first - 1))
        start = item.last + 1
    return (*wanted, *(f"vlan delete vid {item.vid} {where}" for item in gaps))


def without(vlans: Vlans, kept: Vlans) -> Vlans:
    """Those that are not among the kept ones."""
    there = _flags_of(kept)
    return _ranges({vid: (False, False) for vid in _flags_of(vlans) if vid not in there})


def over_default(default: int, vlans: Vlans) -> Vlans:
    """What there is once they were added to a new port, which has the default pvid already. default: 0 for none."""
    flags: Dict[int, _Flags] = {default: (True, True)} if default else {}
    for vid, (pvid, untagged) in _flags_of(vlans).items():
        if pvid:
            flags = {other: (False, egress) for other, (_pvid, egress) in flags.items()}
        flags[vid] = pvid, untagged
    return _ranges(flags)
