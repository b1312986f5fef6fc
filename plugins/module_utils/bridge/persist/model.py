# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bridge is to be after a reboot, and what the host's network configuration says of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from ..fields import Value

NETWORKD, IFUPDOWN, NETPLAN, NETWORKMANAGER, NONE = "networkd", "ifupdown", "netplan", "networkmanager", "none"
AUTO = "auto"

Words = Tuple[str, ...]
Argv = Tuple[str, ...]
Texts = Mapping[str, str]
#: path → its text, None for a file that is not to be there
Wanted = Dict[str, Optional[str]]

_OWNER = "# Written by virtops.linux.bridge for the bridge {}. Changes are overwritten; use persist: none to take it out."
_RECORD = "# Declared: "


@dataclass(frozen=True)
class Kept:
    """A bridge as tasks declared it. options, and those of ports: only what somebody said. ports: interface → options.

    dhcp4: a client asks for an IPv4 address. routes: in ip's words.
    """

    mac: Optional[str] = None
    mtu: Optional[int] = None
    options: Mapping[str, Value] = field(default_factory=dict)
    ports: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    addresses: Tuple[str, ...] = ()
    routes: Tuple[Words, ...] = ()
    dhcp4: bool = False


@dataclass(frozen=True)
class Stored:
    """The network configuration. backend: whose files keep the bridge. found: whose the host has. running: the daemons that read their files now.

    files: every file of the back ends that this version writes for, path → text, whoever wrote it. kept: what those of ours say.
    macs: interface → its MAC address, by which some files name it. mtus: interface → its MTU.
    """

    backend: str = NONE
    found: str = NONE
    running: Tuple[str, ...] = ()
    files: Texts = field(default_factory=dict)
    kept: Optional[Kept] = None
    macs: Mapping[str, str] = field(default_factory=dict)
    mtus: Mapping[str, int] = field(default_factory=dict)


def header(bridge: str, kept: Optional[Kept] = None) -> str:
    """The first lines of every file of ours. kept: for the one that holds the record, from which later runs go on."""
    owner = _OWNER.format(bridge) + "\n"
    return owner if kept is None else f"{owner}{_RECORD}{json.dumps(asdict(kept), sort_keys=True)}\n"


def is_ours(text: str, bridge: str) -> bool:
    return text.startswith(_OWNER.format(bridge))


def record(text: str) -> Optional[Kept]:
    """What a file of ours was written from. None where its record is gone or was edited: then it is made anew."""
    line = next((line for line in text.split("\n") if line.startswith(_RECORD)), "")
    try:
        given: Dict[str, Any] = json.loads(line[len(_RECORD) :])
        routes = tuple(tuple(words) for words in given["routes"])
        return Kept(given["mac"], given["mtu"], given["options"], given["ports"], tuple(given["addresses"]), routes, given["dhcp4"])
    except (ValueError, KeyError, TypeError):
        return None
