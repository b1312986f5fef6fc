# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks at a running guest until what is waited for is there."""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import replace
from functools import partial
from typing import Any, Dict, Iterator, Optional

from ...engine.errors import Failure
from ..connection import Connection
from ..uri import is_local
from ..xmltree import Node, parse
from .addresses import SOURCES, addresses_of, agent_listens
from .model import Desired
from .plan_wait import GOALS, Seen, ended, last_line, late, missing, result, stage
from .read import state_word, tree_of

_POLL_SECONDS = 0.5
_AGENT_SECONDS = 10
_RUN = "/run/cloud-init"
#: More than cloud-init's files ever have.
_MOST_BYTES = 1 << 20


def wait(connection: Connection, desired: Desired) -> Dict[str, Any]:
    """What the result says of the guest then."""
    goals, name = desired.wait_for, desired.name
    if not goals:
        return {}
    with connection.explained(f"guest {name}: its {' and '.join(goals).replace('_', '-')} cannot be waited for"):
        guest = connection.virt.lookupByName(name)
        deadline = time.monotonic() + desired.wait_timeout
        while True:
            seen = _look(connection, guest, desired)
            errors = (seen.outcome or {}).get("errors")
            if errors:
                raise Failure(f"guest {name}: cloud-init ended with errors: {'; '.join(errors)}; look into its log there", "cloud_init_failed")
            if not missing(goals, seen):
                return result(goals, seen)
            if time.monotonic() >= deadline:
                raise late(name, desired.wait_timeout, goals, _explained(connection, seen))
            time.sleep(_POLL_SECONDS)


def _look(connection: Connection, guest: Any, desired: Desired) -> Seen:
    state = state_word(connection.api, guest.state()[0])
    if state != "running":
        waited = " and ".join(GOALS[goal] for goal in desired.wait_for)
        raise Failure(f"guest {desired.name}: {state} while {waited} was waited for; see its console and its log", "guest_stopped")
    seen = Seen(tree_of(guest, connection.api, inactive=False), state, tuple(addresses_of(connection, guest, SOURCES)))
    if set(desired.wait_for) & {"agent", "cloud_init"} and agent_listens(guest):
        seen = replace(seen, agent=_agent_answers(connection, guest))
        if seen.agent and "cloud_init" in desired.wait_for:
            seen = _cloud_init(connection, guest, desired.name, seen)
    return seen


def _agent_answers(connection: Connection, guest: Any) -> bool:
    try:
        guest.getTime()
    except connection.api.libvirtError:  # it went, or is busy
        return False
    return True


def _cloud_init(connection: Connection, guest: Any, name: str, seen: Seen) -> Seen:
    """It leaves its result when it ends, in a folder that every boot of the guest has anew."""
    text = _file(connection, guest, name, f"{_RUN}/result.json")
    if text is not None:
        return replace(seen, outcome=ended(text))
    if _file(connection, guest, name, f"{_RUN}/disabled") is not None:
        raise Failure(
            f"guest {name}: cloud-init is disabled in it, so its end is not waited for; give it a seed, or wait for agent", "cloud_init_off"
        )
    status = _file(connection, guest, name, f"{_RUN}/status.json")
    return replace(seen, cloud_init="has not started" if status is None else f"is {stage(status)}")


def _file(connection: Connection, guest: Any, name: str, path: str) -> Optional[str]:
    """A file of the guest's, read by its agent; None where there is none, or the agent was gone for a moment."""
    api = connection.api
    try:
        handle = _ask(guest, "guest-file-open", path=path, mode="r")
        try:
            content = _ask(guest, "guest-file-read", handle=handle, count=_MOST_BYTES)
        finally:
            _ask(guest, "guest-file-close", handle=handle)
        return base64.b64decode(content["buf-b64"]).decode(errors="replace")
    except api.libvirtError as error:
        said = str(error)
        if error.get_error_code() in (api.VIR_ERR_AGENT_UNRESPONSIVE, api.VIR_ERR_AGENT_UNSYNCED) or "No such file" in said:
            return None
        raise connection.failure(
            error,
            f"guest {name}: its agent reads no files, which is how cloud-init is waited for; allow it guest-file-*, or wait for agent",
            "agent_refuses",
        ) from error
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None


def _ask(guest: Any, command: str, **arguments: Any) -> Any:
    import libvirt_qemu  # of the same package as libvirt, and needed for this alone

    request = json.dumps({"execute": command, "arguments": arguments})
    return json.loads(libvirt_qemu.qemuAgentCommand(guest, request, _AGENT_SECONDS, 0))["return"]


def _explained(connection: Connection, seen: Seen) -> Seen:
    """With what may tell why it takes so long."""
    return replace(seen, console=_console(connection, seen.active), no_dhcp=tuple(_without_dhcp(connection, seen.active)))


def _console(connection: Connection, active: Node) -> Optional[str]:
    devices = active.find("devices")
    for one in [*devices.all("serial"), *devices.all("console")] if devices and is_local(connection.uri) else []:
        path = one.get("log@file") or (one.get("source@path") if one.attributes.get("type") == "file" else None)
        text = connection.host.try_read(path) if path else None
        if text is not None:
            return last_line(text)
    return None


def _without_dhcp(connection: Connection, active: Node) -> Iterator[str]:
    devices = active.find("devices")
    for nic in devices.all("interface") if devices else []:
        name = nic.get("source@network")
        network = connection.lookup(partial(connection.virt.networkLookupByName, name), f"network {name}") if name else None
        if network is None:
            continue
        tree = parse(network.XMLDesc(0), "libvirt's XML", "network")
        if tree.get("forward@mode") in (None, "nat", "route", "open") and not any(ip.find("dhcp") for ip in tree.all("ip")):
            yield str(name)
