# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Spellings that all of libvirt's XML has in common."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import List, Mapping, Optional, Set

from ..engine.errors import Failure
from ..engine.units import parse_size
from .xmltree import Node

_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){5}")

_RANGE = re.compile(r"(?P<not>\^?)(?P<first>[0-9]{1,5})(-(?P<last>[0-9]{1,5}))?")
_LARGEST_SET = 16384


def mac_address(text: str, what: str) -> str:
    """A MAC address as libvirt prints it: lower case, two digits each."""
    if not _MAC.fullmatch(text.strip()):
        raise Failure(f"{what}: {text!r} is not a MAC address; write six pairs of hexadecimal digits, for example 52:54:00:12:34:56", "invalid_mac")
    return ":".join(f"{int(part, 16):02x}" for part in text.strip().split(":"))


def uuid_text(text: str, what: str) -> str:
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError as error:
        raise Failure(f"{what}: {text!r} is not a UUID", "invalid_uuid") from error


def kib(text: str, unit: str, what: str) -> str:
    """A size as libvirt prints memory: whole KiB, rounded up."""
    return str(-(-parse_size(text, what, unit) // 1024))


def sized(node: Node, default: Optional[str], what: str) -> Node:
    """An element whose text is a size with a unit attribute, in KiB. default: the unit where none is said."""
    unit = node.attributes.get("unit", default)
    if unit is None or not node.text:
        return node
    return replace(node, text=kib(node.text, unit, what), attributes={**node.attributes, "unit": "KiB"})


def sized_anyhow(node: Node) -> Node:
    """Any other element with a unit, in bytes; one whose unit counts something else stays as it is."""
    try:
        size = parse_size(node.text, node.tag, node.attributes["unit"])
    except Failure:
        return node
    return replace(node, text=str(size), attributes={**node.attributes, "unit": "bytes"})


def members_of_set(text: str) -> Optional[Set[int]]:
    """The numbers in 0-4,^3; None where it is no such set. Source: virBitmapParse."""
    members: Set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        if not match or int(match["last"] or match["first"]) - int(match["first"]) > _LARGEST_SET:
            return None
        numbers = range(int(match["first"]), int(match["last"] or match["first"]) + 1)
        members = members.difference(numbers) if match["not"] else members.union(numbers)
    return members


def set_of_numbers(text: str) -> str:
    """CPUs or NUMA nodes as libvirt prints them: 0-3,5 for 5,0-4,^4. What is no such set stays as it is."""
    members = members_of_set(text)
    if members is None:
        return text
    parts: List[List[int]] = []
    for member in sorted(members):
        if parts and parts[-1][1] == member - 1:
            parts[-1][1] = member
        else:
            parts.append([member, member])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def number(text: str, digits: Optional[int] = None) -> str:
    """A number as libvirt prints it: decimal, or 0x and so many hexadecimal digits. What is no number stays as it is."""
    try:
        value = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        return text
    return str(value) if digits is None else f"0x{value:0{digits}x}"


#: Source: virPCIDeviceAddressFormat.
_PCI = {"domain": 4, "bus": 2, "slot": 2, "function": 1}


def pci_address(node: Node) -> Node:
    said: Mapping[str, str] = {name: number(node.attributes[name], digits) for name, digits in _PCI.items() if name in node.attributes}
    return node.with_attributes(**said)
