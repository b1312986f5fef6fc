# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Virtual networks: what is wanted of one, and what libvirt has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ..objects import model as objects
from ..objects.model import COMMON, Desired, name_and_wish
from .kind import NETWORK
from .wish import wish_from_options

FORWARD_MODES = ["none", "nat", "route", "open", "bridge", "private", "vepa", "passthrough", "hostdev"]

SPEC: Dict[str, Any] = {
    "argument_spec": {
        **COMMON,
        "forward": {"type": "dict", "options": {"mode": {"type": "str", "choices": FORWARD_MODES}, "dev": {"type": "str"}}},
        "bridge": {
            "type": "dict",
            "options": {"name": {"type": "str"}, "stp": {"type": "bool"}, "delay": {"type": "int"}},
        },
        "mac": {"type": "str"},
        "domain": {"type": "str"},
        "mtu": {"type": "int"},
        "ips": {
            "type": "list",
            "elements": "dict",
            "options": {
                "address": {"type": "str", "required": True},
                "prefix": {"type": "int"},
                "dhcp": {
                    "type": "dict",
                    "options": {
                        "ranges": {
                            "type": "list",
                            "elements": "dict",
                            "options": {"start": {"type": "str", "required": True}, "end": {"type": "str", "required": True}},
                        },
                        "hosts": {
                            "type": "list",
                            "elements": "dict",
                            "options": {"mac": {"type": "str"}, "name": {"type": "str"}, "ip": {"type": "str", "required": True}},
                        },
                    },
                },
            },
        },
    },
    "required_one_of": [["name", "xml"]],
}


@dataclass(frozen=True)
class Plug:
    """An interface of a running guest on the network. device: its name on the host. here: whether it is a tap of this machine.

    master: the bridge that it is plugged into. isolated: from the other guests. portgroup: that of the network which it has.
    """

    guest: str
    mac: str
    device: str
    here: bool = True
    master: Optional[str] = None
    isolated: bool = False
    portgroup: Optional[str] = None


@dataclass(frozen=True)
class Observed(objects.Observed):
    """plugs: of all running guests. A network that does not run has none that anyone could know of."""

    plugs: Tuple[Plug, ...] = ()


def from_params(params: Mapping[str, Any]) -> Desired:
    name, wish = name_and_wish(params, NETWORK, wish_from_options(params))
    return Desired(name, params["state"], wish, params["autostart"], params["restart"] == "if_required")
