# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How NetworkManager is to come by the addresses of a bridge: the methods of its profile. Source: nm-settings-keyfile(5), ipv4 and ipv6."""

from __future__ import annotations

from typing import List, Optional

from .ini import Section, values
from .model import Kept

#: Methods of IPv6 that go on on the bridge. manual is for addresses, which are declared.
_METHODS6 = ("auto", "dhcp", "link-local", "disabled")
ADDRESSED = ("auto", "dhcp", "manual")


def is_of(family: str, address: str) -> bool:
    return (":" in address) == (family == "6")


def method4(kept: Kept) -> str:
    return "auto" if kept.asks4 else "manual" if any(is_of("4", cidr) for cidr in kept.addresses) else "disabled"


def method6(kept: Kept, own: Optional[str]) -> str:
    """own: that of the port's own profile. auto is router advertisements, and DHCPv6 where they say so. dhcp is DHCPv6 alone."""
    addresses = any(is_of("6", cidr) for cidr in kept.addresses)
    if kept.accept_ra or (kept.dhcp6 and kept.accept_ra is None):
        return "auto"
    if kept.dhcp6:
        return "dhcp"
    if kept.accept_ra is False or (kept.dhcp6 is False and own == "dhcp"):
        return "manual" if addresses else "link-local"
    method = own if own in _METHODS6 else "manual" if addresses else "ignore"
    return "manual" if addresses and method in ("disabled", "link-local") else method


def searching(kept: Kept, profiles: List[Section]) -> str:
    """The family that the search domains are of: NetworkManager takes them only of one that has addresses."""
    if method4(kept) != "disabled":
        return "4"
    return "6" if method6(kept, values(profiles, "ipv6").get("method")) in ADDRESSED else ""
