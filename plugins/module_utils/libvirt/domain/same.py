# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What means the same in a guest's XML, and what means nothing. Source: libvirt's src/conf/domain_conf.c."""

from __future__ import annotations

import re
from typing import Dict, Optional, Tuple

from ..xmltree import Node

#: A machine type that an alias stands for. The version behind it is the host's; a guest keeps the one it was born with.
_MACHINES = {"pc": re.compile(r"pc(-i440fx-.+)?"), "q35": re.compile(r"(pc-)?q35(-.+)?")}

#: Values that libvirt takes and does not print, because they are the default.
_DEFAULT = {"cache", "io", "error_policy", "rerror_policy", "discard", "detect_zeroes", "mode", "sharePolicy", "fullscreen", "txmode"}
_UNSAID: Dict[str, Tuple[str, ...]] = {
    "devices/disk@snapshot": ("default",),
    "devices/disk@rawio": ("default",),
    "devices/graphics@autoport": ("no",),
    "devices/graphics@port": ("-1",),  # SPICE's; VNC's is printed
    "devices/interface/driver@queues": ("1",),
    "cpu/model@fallback": ("allow",),
    "devices/video/model@primary": ("no",),
    "devices/disk/target@tray": ("closed",),
    "devices/disk/source/host@transport": ("tcp",),
    "numatune/memory@placement": ("static",),
}


def same(field: str, observed: Optional[str], desired: str) -> bool:
    if observed == desired:
        return True
    if field == "os/type@machine":
        family = _MACHINES.get(desired)
        return bool(observed and family and family.fullmatch(observed))
    if observed is None:
        name = field.rpartition("@")[2]
        return (name in _DEFAULT and desired == "default") or desired in _UNSAID.get(field, ())
    return False


#: KiB from which on a limit is none. Source: VIR_DOMAIN_MEMORY_PARAM_UNLIMITED.
UNLIMITED = 9007199254740991

_CONTAINERS = {
    "features",
    "devices",
    "metadata",
    "cputune",
    "memtune",
    "blkiotune",
    "numatune",
    "os/firmware",
    "devices/disk/iotune",
    "devices/interface/bandwidth",
    "devices/interface/guest",
    "devices/interface/backend",
    "devices/interface/coalesce",
    "devices/interface/coalesce/rx",
    "cpu",
    "iothreadids",
    "pm",
    "memoryBacking",
}


def implied(path: str, node: Node) -> bool:
    if node.only_takes_away:
        return True
    if path.startswith("memtune/") and node.text.isdigit():
        return int(node.text) >= UNLIMITED
    if path.startswith(("devices/disk/iotune/", "blkiotune/device/")) and node.text == "0":  # no limit
        return True
    if path == "blkiotune/device":  # nothing but its name
        return all(child.tag == "path" or implied(f"{path}/{child.tag}", child) for child in node.children)
    if path == "devices/interface/coalesce/rx/frames":
        return node.attributes.get("max", "0") == "0"
    if path.startswith("devices/") and node.tag == "seclabel":  # that a device may have a label, and not which
        return node.find("label") is None and node.attributes.get("relabel") != "no"
    if path in _CONTAINERS and not node.attributes and not node.text:
        return all(implied(f"{path}/{child.tag}", child) for child in node.children)
    return False
