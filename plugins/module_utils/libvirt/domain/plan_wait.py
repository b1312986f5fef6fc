# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is waited for in a running guest: when it is there, and, where it never came, what is known of why. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ...engine.errors import Failure
from ..xmltree import Node
from .model import Desired, Observed
from .wish import GUEST_AGENT

#: What can be waited for, the easiest first, as people call it in a sentence.
GOALS = {"address": "an address", "agent": "an answer of its guest agent", "cloud_init": "the end of cloud-init"}

_CONSOLE_CHARACTERS = 200
_ESCAPES = re.compile("\x1b(\\[[0-9;?]*[A-Za-z]|[()][A-Za-z0-9]|[=>])")


def possible(observed: Observed, after: Observed, desired: Desired) -> None:
    """Refuses to wait for what no time brings. after: what runs then."""
    definition = after.active
    if not desired.wait_for or definition is None or (observed.inactive is not None and observed.inactive.find("devices") is None):
        return  # an earlier task of the same play is about to say what it is
    agent = _has_agent(definition)
    if not agent and set(desired.wait_for) & {"agent", "cloud_init"}:
        raise Failure(
            f"guest {desired.name}: what runs has no channel of the guest agent, so its agent is not waited for; set guest_agent: true, "
            "and restart the guest where that is pending",
            "no_guest_agent",
        )
    devices = definition.find("devices")
    if not agent and not (devices and (devices.all("interface") or devices.all("hostdev"))):
        raise Failure(f"guest {desired.name}: it has no interface, so no address is waited for; give it interfaces", "no_interface")


def _has_agent(definition: Node) -> bool:
    devices = definition.find("devices")
    return any(channel.get("target@name") == GUEST_AGENT for channel in (devices.all("channel") if devices else []))


@dataclass(frozen=True)
class Seen:
    """One look at a guest. active: what runs. agent: whether its agent answered; None where it did not even connect.

    cloud_init: how far it is, in people's words; outcome: what it left behind when it ended. console: its last line; None where nobody keeps it.
    no_dhcp: the networks of its interfaces that give no addresses.
    """

    active: Node
    state: str = "running"
    addresses: Tuple[Mapping[str, Any], ...] = ()
    agent: Optional[bool] = None
    cloud_init: str = ""
    outcome: Optional[Mapping[str, Any]] = None
    console: Optional[str] = None
    no_dhcp: Tuple[str, ...] = ()


def missing(goals: Tuple[str, ...], seen: Seen) -> List[str]:
    """Of what is waited for, what is not there yet."""
    there = {
        "address": any(_reaches(entry["address"]) for entry in seen.addresses),
        "agent": bool(seen.agent),
        "cloud_init": seen.outcome is not None,
    }
    return [goal for goal in goals if not there[goal]]


def _reaches(address: str) -> bool:
    """An interface gives itself a link-local address as soon as it is up."""
    return not ipaddress.ip_address(address).is_link_local


def result(goals: Tuple[str, ...], seen: Seen) -> Dict[str, Any]:
    """The keys of the result's resource."""
    found: Dict[str, Any] = {"addresses": [dict(entry) for entry in seen.addresses]}
    if "cloud_init" in goals:
        found["cloud_init"] = dict(seen.outcome or {})
    return found


def ended(text: str) -> Dict[str, Any]:
    """What cloud-init's /run/cloud-init/result.json says: its source of data, and what failed."""
    try:
        said = json.loads(text)["v1"]
        return {"datasource": said.get("datasource"), "errors": [str(error) for error in said.get("errors") or []]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"datasource": None, "errors": [f"its result is no JSON: {text[:80]!r}"]}


def stage(text: str) -> str:
    """How far cloud-init is. Source: /run/cloud-init/status.json."""
    try:
        return f"in its stage {json.loads(text)['v1']['stage']}"
    except (ValueError, KeyError, TypeError):
        return "started"


def late(name: str, seconds: int, goals: Tuple[str, ...], seen: Seen) -> Failure:
    """The one sentence when the time is over."""
    told = [f"it is {seen.state}", *_interfaces(seen)]
    if set(goals) & {"agent", "cloud_init"}:
        told.append("its agent " + ("answers" if seen.agent else "is not connected" if seen.agent is None else "is connected and does not answer"))
    if "cloud_init" in goals and seen.cloud_init:
        told.append(f"cloud-init {seen.cloud_init}")
    told.append(_console(seen))
    waited = " and ".join(GOALS[goal] for goal in missing(goals, seen))
    return Failure(
        f"guest {name}: {waited} did not come within {seconds} seconds: {'; '.join(told)}; look into that, or give it a longer wait_timeout",
        "wait_timeout",
        missing=missing(goals, seen),
        **result((), seen),
    )


def _interfaces(seen: Seen) -> List[str]:
    devices = seen.active.find("devices")
    told = []
    for nic in devices.all("interface") if devices else []:
        mac = nic.get("mac@address") or ""
        where = nic.get("source@network") or nic.get("source@bridge") or nic.get("source@dev") or nic.attributes.get("type", "")
        addresses = ", ".join(entry["address"] for entry in seen.addresses if entry["mac"] == mac) or "no address"
        why = "its link is down" if nic.get("link@state") == "down" else "that network gives no addresses" if where in seen.no_dhcp else ""
        told.append(f"{mac} on {where} has {addresses}" + (f", because {why}" if why and addresses == "no address" else ""))
    return told or ["it has no interface"]


def _console(seen: Seen) -> str:
    if seen.console is None:
        return "its console is kept nowhere (console_log)"
    return f"the last line of its console is {seen.console!r}" if seen.console else "its console said nothing"


def last_line(text: str) -> str:
    """Of what a console said, the last line with something in it, as a terminal would show it."""
    lines = [line.strip() for line in re.split("[\r\n]", _ESCAPES.sub("", text))]
    printable = ["".join(character for character in line if character.isprintable()) for line in lines]
    return next((line for line in reversed(printable) if line), "")[-_CONSOLE_CHARACTERS:]
