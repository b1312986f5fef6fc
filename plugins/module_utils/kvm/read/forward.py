# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's filters of forwarded packets, read without loading anything that is not there."""

from __future__ import annotations

import re
from typing import List, Tuple

from ...engine.errors import Failure
from ...engine.host import Host
from ..sections.system import Forward

_SECONDS = 1.0
_FAMILIES = {"ip": ("ip",), "ip6": ("ip6",), "inet": ("ip", "ip6")}
_LEGACY = {"ip": ("iptables", "/proc/net/ip_tables_names"), "ip6": ("ip6tables", "/proc/net/ip6_tables_names")}
_BRIDGED = re.compile(r"physdev-is-bridged.*-j ACCEPT")


def read_forward(host: Host) -> Tuple[List[Forward], str]:
    """The filters, and why none could be read; empty and empty where nothing filters."""
    found: List[Forward] = []
    reasons: List[str] = []
    readers = [_nftables] if host.which("nft") else []
    for reader in [*readers, _legacy]:
        try:
            found += reader(host)
        except Failure as failure:
            reasons.append(failure.message)
    if not readers and not found and _has_nftables(host):
        reasons.append("nft is not installed")
    return found, "; ".join(reasons)


def _has_nftables(host: Host) -> bool:
    return host.exists("/sys/module/nf_tables")


def _nftables(host: Host) -> List[Forward]:
    return parse_nft(host.run(["nft", "list", "ruleset"], timeout=_SECONDS).stdout)


def parse_nft(text: str) -> List[Forward]:
    """The output of "nft list ruleset": tables, chains and their rules, each block indented below its head."""
    found: List[Forward] = []
    table: Tuple[str, str] = ("", "")
    policy, bridged, inside = "", False, False
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["table"] and len(words) > 2:
            table = (words[1], words[2])
        elif words[:1] == ["chain"]:
            policy, bridged, inside = "", False, False
        elif "hook forward" in line and "type filter" in line:
            match = re.search(r"policy (\w+)", line)
            inside, policy = True, match[1] if match else "accept"
        elif inside and _bridged_rule(line):
            bridged = True
        elif inside and words == ["}"]:
            evidence = f"nft: table {' '.join(table)} has a chain on the forward hook with policy {policy}"
            found += [Forward(family, policy, evidence, bridged) for family in _FAMILIES.get(table[0], ())]
            inside = False
    return found


def _bridged_rule(line: str) -> bool:
    """iptables' own match as nft shows it, or in nft's words."""
    return bool(re.search(r"physdev.*accept|meta (?:i|o)brname.*accept", line))


def _legacy(host: Host) -> List[Forward]:
    """iptables' tables of old, which nft does not show. Asking for one that is not there would make it."""
    found = []
    for family, (command, names) in _LEGACY.items():
        if "filter" in (host.try_read(names) or "").split():
            tool = host.which(f"{command}-legacy") or host.require(command, "iptables")
            found += parse_legacy(host.run([tool, "-S", "FORWARD"], timeout=_SECONDS).stdout, family, command)
    return found


def parse_legacy(text: str, family: str, command: str) -> List[Forward]:
    """The output of "iptables -S FORWARD"."""
    match = re.search(r"^-P FORWARD (\w+)$", text, re.MULTILINE)
    if not match:
        return []
    policy = match[1].lower()
    return [Forward(family, policy, f"{command} -S FORWARD: policy {match[1]}", any(map(_BRIDGED.search, text.splitlines())))]
