# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which back end has the host's network, and its files."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, List

from ...engine.host import Host
from . import ifupdown, networkd
from .model import IFUPDOWN, NETPLAN, NETWORKD, NETWORKMANAGER, NONE, Stored, Texts, record

_NETPLAN_FOLDERS = ("/etc/netplan", "/run/netplan", "/lib/netplan")
_NETWORKD_STATE = "/run/systemd/netif/state"  # systemd-networkd keeps it while it runs
_NETWORKMANAGER_STATE = "/run/NetworkManager/devices"


def stored(host: Host, bridge: str, links: List[Dict[str, Any]]) -> Stored:
    """links: what "ip -j addr show" says."""
    files: Dict[str, str] = {}
    for folder in networkd.FOLDERS:
        if host.realpath(folder) == folder:  # /lib is often /usr/lib
            files.update(_texts(host, [f"{folder}/{name}" for name in host.list(folder) if name.endswith((".network", ".netdev"))]))
    files.update(_texts(host, [ifupdown.MAIN, *(f"{ifupdown.FOLDER}/{name}" for name in host.list(ifupdown.FOLDER) if not name.startswith("."))]))
    running = host.exists(_NETWORKD_STATE)
    macs = {item["ifname"]: item.get("permaddr") or item.get("address", "") for item in links}
    found = Stored(found=_found(host, files, running), running=running, files=files, macs=macs)
    for name, backend in ((NETWORKD, networkd), (IFUPDOWN, ifupdown)):
        ours = backend.own(bridge, files)
        if ours:
            return replace(found, backend=name, kept=record(files[ours[0]]))
    return found


def _texts(host: Host, paths: List[str]) -> Texts:
    given = {path: None if host.is_dir(path) else host.read(path) for path in paths}
    return {path: text for path, text in given.items() if text is not None}


def _found(host: Host, files: Texts, running: bool) -> str:
    """netplan writes for the others, so it comes first; stanzas beyond the loopback's show that ifupdown is in use."""
    if any(name.endswith(".yaml") for folder in _NETPLAN_FOLDERS for name in host.list(folder)):
        return NETPLAN
    stanzas = [
        name for path, text in files.items() if path.startswith("/etc/network/") for name in re.findall(r"^\s*iface\s+(\S+)", text, re.MULTILINE)
    ]
    if set(stanzas) - {"lo"}:
        return IFUPDOWN
    if host.is_dir(_NETWORKMANAGER_STATE):
        return NETWORKMANAGER
    if running:
        return NETWORKD
    return IFUPDOWN if ifupdown.MAIN in files else NONE
