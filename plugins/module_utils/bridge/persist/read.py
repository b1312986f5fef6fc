# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which back end has the host's network, and its files."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, List, Tuple

from ...engine.host import Host
from . import ifupdown, netplan, networkd, networkmanager
from .model import IFUPDOWN, NETPLAN, NETWORKD, NETWORKMANAGER, NONE, Stored, Texts, record

#: What the daemons keep while they run.
_STATES = ((NETWORKD, "/run/systemd/netif/state"), (NETWORKMANAGER, "/run/NetworkManager/devices"))


def stored(host: Host, bridge: str, links: List[Dict[str, Any]]) -> Stored:
    """links: what "ip -j addr show" says."""
    files: Dict[str, str] = {}
    for folder in networkd.FOLDERS:
        if host.realpath(folder) == folder:  # /lib is often /usr/lib
            files.update(_texts(host, [f"{folder}/{name}" for name in host.list(folder) if name.endswith((".network", ".netdev"))]))
    files.update(_texts(host, [ifupdown.MAIN, *(f"{ifupdown.FOLDER}/{name}" for name in host.list(ifupdown.FOLDER) if not name.startswith("."))]))
    for folder in netplan.FOLDERS:
        files.update(_texts(host, [f"{folder}/{name}" for name in host.list(folder) if name.endswith(".yaml") and not name.startswith(".")]))
    profiles = networkmanager.FOLDER
    files.update(_texts(host, [f"{profiles}/{name}" for name in host.list(profiles) if not name.startswith(".") and not name.endswith("~")]))
    running = tuple(name for name, state in _STATES if host.exists(state))
    macs = {item["ifname"]: item.get("permaddr") or item.get("address", "") for item in links}
    device = next((host.try_read(f"{_STATES[1][1]}/{item.get('ifindex')}") for item in links if item["ifname"] == bridge), None)
    found = Stored(
        found=_found(host, files, running),
        running=running,
        files=files,
        macs=macs,
        mtus={item["ifname"]: item["mtu"] for item in links},
        has_client=any(host.which(name) for name in ("dhclient", "dhcpcd", "udhcpc")),
        activated=networkmanager.is_active(bridge, device or ""),
    )
    for name, backend in ((NETWORKD, networkd), (IFUPDOWN, ifupdown), (NETPLAN, netplan), (NETWORKMANAGER, networkmanager)):
        ours = backend.own(bridge, files)
        if ours:
            return replace(found, backend=name, kept=record(files[ours[0]]))
    return found


def _texts(host: Host, paths: List[str]) -> Texts:
    given = {path: None if host.is_dir(path) else host.read(path) for path in paths}
    return {path: text for path, text in given.items() if text is not None}


def _found(host: Host, files: Texts, running: Tuple[str, ...]) -> str:
    """netplan writes for the others, so it comes first; stanzas beyond the loopback's show that ifupdown is in use."""
    if any(name.endswith(".yaml") for folder in netplan.FOLDERS for name in host.list(folder)):
        return NETPLAN
    stanzas = [
        name for path, text in files.items() if path.startswith("/etc/network/") for name in re.findall(r"^\s*iface\s+(\S+)", text, re.MULTILINE)
    ]
    if set(stanzas) - {"lo"}:
        return IFUPDOWN
    for name in (NETWORKMANAGER, NETWORKD):
        if name in running:
            return name
    return IFUPDOWN if ifupdown.MAIN in files else NONE
