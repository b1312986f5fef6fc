# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Virtual networks: what is wanted of one, and what libvirt has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

from ...engine.errors import Failure
from ..uri import URI_SPEC
from ..xmlmerge import canonical, claim, overlay
from ..xmltree import Node, object_name, parse
from .rules import RULES, shared
from .wish import wish_from_options

FORWARD_MODES = ["none", "nat", "route", "open", "bridge", "private", "vepa", "passthrough", "hostdev"]

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "uri": URI_SPEC,
        "name": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "active", "inactive", "absent"], "default": "active"},
        "autostart": {"type": "bool"},
        "xml": {"type": "str"},
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
        "restart": {"type": "str", "choices": ["never", "if_required"], "default": "never"},
    },
    "required_one_of": [["name", "xml"]],
}


@dataclass(frozen=True)
class Desired:
    """wish: what the definition must contain; says nothing where only the state is asked for."""

    name: str
    state: str
    wish: Node
    autostart: Optional[bool] = None
    restart: bool = False


@dataclass(frozen=True)
class Observed:
    """inactive: the definition, None where there is no such network. active: the running one, None where it is not running.

    persistent: whether it is still there after it stops. uuid_holder: who else has the UUID that the wish names.
    """

    inactive: Optional[Node] = None
    active: Optional[Node] = None
    autostart: bool = False
    persistent: bool = True
    uuid_holder: Optional[str] = None


def from_params(params: Mapping[str, Any]) -> Desired:
    base = canonical(parse(params["xml"], "xml", "network"), RULES) if params["xml"] else Node("network")
    in_xml = (base.get("name") or "").strip() if params["xml"] else ""
    name = object_name(params["name"] if params["name"] is not None else in_xml, "network")
    if in_xml and in_xml != name:
        raise Failure(f"name: the task says {name!r} and its xml says {in_xml!r}; leave one of them out", "invalid_xml")
    options = canonical(wish_from_options(params), RULES)
    wish = overlay(claim(base.without("name"), RULES, shared), options, RULES)
    return Desired(name, params["state"], wish, params["autostart"], params["restart"] == "if_required")
