# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names and addresses as users write them, checked, in the one spelling in which they are compared."""

from __future__ import annotations

import ipaddress
import re

from ..engine.errors import Failure

INHERIT = "inherit"

# Source: dev_valid_name() in net/core/dev.c; IFNAMSIZ is 16 with the closing zero.
_NAME = re.compile(r"[^\s/:\x00]{1,15}")
MAC = re.compile(r"[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}")
_DOMAIN = re.compile(r"(?=.{1,253}\.?$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")


def gateway(text: str, family: str) -> str:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        found = None
    if found is None or str(found.version) != family or found.is_multicast or found.is_unspecified or found.is_loopback:
        example = "203.0.113.1" if family == "4" else "2001:db8::1"
        raise Failure(f"gateway{family}: {text!r} is not the address of a router; write it as {example}", "invalid_address")
    return str(found)


def server(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise Failure(f"dns: nameservers: {text!r} is not an address; write it as 203.0.113.53 or 2001:db8::53", "invalid_address") from None


def domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text):
        raise Failure(f"dns: search: {text!r} is not a domain; write it as example.org", "invalid_name")
    return text.rstrip(".").lower()


def mac(text: str) -> str:
    folded = text.strip().lower()
    if folded == INHERIT:
        return INHERIT
    if not MAC.fullmatch(folded):
        raise Failure(f"mac_address: {text!r} is not a MAC address; write it as 52:54:00:12:34:56, or inherit", "invalid_mac_address")
    folded = folded.replace("-", ":")
    if int(folded[:2], 16) & 1 or folded == "00:00:00:00:00:00":
        raise Failure(f"mac_address: {text} is a multicast or zero address, which no interface can have; use a unicast one", "invalid_mac_address")
    return folded


def name(text: str, what: str) -> str:
    if not _NAME.fullmatch(text) or text in (".", ".."):
        raise Failure(f"{what}: {text!r} is not the name of an interface; use at most 15 characters without spaces, / and :", "invalid_name")
    return text


def address(text: str) -> str:
    try:
        if "/" not in text or "%" in text:
            raise ValueError
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise Failure(
            f"addresses: {text!r} is not an address with its prefix; write it as 203.0.113.1/24 or 2001:db8::1/64", "invalid_address"
        ) from None
    if found.ip.is_multicast or found.ip.is_unspecified or found.ip.is_loopback:
        raise Failure(f"addresses: {text} cannot be the address of a bridge; use a unicast address", "invalid_address")
    return found.with_prefixlen
