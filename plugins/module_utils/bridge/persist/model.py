# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bridge is to be after a reboot, and what the host's network configuration says of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..fields import Value
from ..vlans import Vlan, Vlans, over_default

NETWORKD, IFUPDOWN, NETPLAN, NETWORKMANAGER, NONE = "networkd", "ifupdown", "netplan", "networkmanager", "none"
AUTO = "auto"

#: What net.ipv6.conf.*.accept_ra is for it. 2 and not 1, with which a host that forwards takes no router advertisements.
ACCEPT_RA = {True: "2", False: "0"}

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

    routes: in ip's words. leased: a client asked for its IPv4 address when the bridge was first kept. dhcp4, dhcp6, accept_ra, nameservers,
    search, vlans: None where nobody said anything. vlans: of the bridge itself. port_vlans: of the ports of which somebody spoke.
    """

    mac: Optional[str] = None
    mtu: Optional[int] = None
    options: Mapping[str, Value] = field(default_factory=dict)
    ports: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    addresses: Tuple[str, ...] = ()
    routes: Tuple[Words, ...] = ()
    leased: bool = False
    dhcp4: Optional[bool] = None
    dhcp6: Optional[bool] = None
    accept_ra: Optional[bool] = None
    nameservers: Optional[Tuple[str, ...]] = None
    search: Optional[Tuple[str, ...]] = None
    vlans: Optional[Vlans] = None
    port_vlans: Mapping[str, Vlans] = field(default_factory=dict)

    @property
    def asks4(self) -> bool:
        """Whether a client asks for an IPv4 address."""
        return self.leased if self.dhcp4 is None else self.dhcp4

    @property
    def routed(self) -> bool:
        """Whether the host has addresses on it, so that what a port's own configuration says of the network is the bridge's."""
        return bool(self.addresses or self.asks4 or self.dhcp6 or self.accept_ra)

    @property
    def gateway_of_client(self) -> bool:
        """Whether the default route is the one that the client is given, because no other was declared."""
        return not any(words[0] == "default" and "table" not in words for words in self.routes)


@dataclass(frozen=True)
class Stored:
    """The network configuration. backend: whose files keep the bridge. found: whose the host has. running: the daemons that read their files now.

    files: every file of the back ends that this version writes for, path → text, whoever wrote it. kept: what those of ours say.
    macs: interface → its MAC address, by which some files name it. mtus: interface → its MTU. has_client: whether there is a DHCP client of
    the kind that ifupdown runs. activated: whether NetworkManager has made the bridge from our profile, and not taken it as it found it.
    """

    backend: str = NONE
    found: str = NONE
    running: Tuple[str, ...] = ()
    files: Texts = field(default_factory=dict)
    kept: Optional[Kept] = None
    macs: Mapping[str, str] = field(default_factory=dict)
    mtus: Mapping[str, int] = field(default_factory=dict)
    has_client: bool = True
    activated: bool = False


def header(bridge: str, kept: Optional[Kept] = None) -> str:
    """The first lines of every file of ours. kept: for the one that holds the record, from which later runs go on."""
    owner = _OWNER.format(bridge) + "\n"
    if kept is None:
        return owner
    nothing = asdict(Kept())
    said = {name: value for name, value in asdict(kept).items() if value != nothing[name]}
    return f"{owner}{_RECORD}{json.dumps(said, sort_keys=True)}\n"


def is_ours(text: str, bridge: str) -> bool:
    return text.startswith(_OWNER.format(bridge))


def record(text: str) -> Optional[Kept]:
    """What a file of ours was written from. None where its record is gone or was edited: then it is made anew."""
    line = next((line for line in text.split("\n") if line.startswith(_RECORD)), "")
    try:
        given: Dict[str, Any] = json.loads(line[len(_RECORD) :])
        made: Dict[str, Any] = {name: _PLAIN.get(name, lambda value: value)(value) for name, value in given.items()}
        return Kept(**made)
    except (ValueError, TypeError, AttributeError):
        return None


def _vlans(given: List[Dict[str, Any]]) -> Vlans:
    return tuple(Vlan(**item) for item in given)


#: What JSON has no type for.
_PLAIN: Dict[str, Any] = {
    "routes": lambda given: tuple(tuple(words) for words in given),
    "vlans": _vlans,
    "port_vlans": lambda given: {port: _vlans(items) for port, items in given.items()},
    **dict.fromkeys(("addresses", "nameservers", "search"), tuple),
}


def vlan_gaps(kept: Kept) -> List[str]:
    """VLAN lists that a back end cannot keep which adds them to what the kernel gives a new port, and takes nothing of that away."""
    default = int(kept.options.get("vlan_default_pvid", 1))
    named = [("the bridge itself", kept.vlans), *((f"the port {port}", vlans) for port, vlans in sorted(kept.port_vlans.items()))]
    return [
        f"the VLANs of {name} without VLAN {default}, which every port has from the kernel (vlan_default_pvid: 0 gives none)"
        for name, vlans in named
        if vlans is not None and over_default(default, vlans) != vlans
    ]
