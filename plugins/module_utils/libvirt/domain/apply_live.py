# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change a guest while it runs. Its definition has each change already, so all of them are for the running guest alone."""

from __future__ import annotations

import time
from functools import singledispatch
from typing import Any, Callable, Dict, Optional, Tuple

from ...engine.errors import Failure
from ...engine.plan import Action
from ..connection import Connection
from ..spelling import members_of_set
from ..xmlmerge import canonical, matched
from ..xmltree import Node, element, parse, render
from . import actions as a
from .plan_live_devices import bus
from .plan_live_part import outside_the_balloon
from .rules import RULES

_POLL_SECONDS = 0.1
_ASK_AGAIN_SECONDS = 5.0
#: KiB that the balloon rounds to.
_BALLOON_STEP = 4


def change_live(action: Action, connection: Connection, guest: Any) -> None:
    _do(action, connection, guest)


@singledispatch
def _do(action: Any, connection: Connection, guest: Any) -> None:
    raise TypeError(action)


def _devices(connection: Connection, guest: Any, inactive: bool) -> Tuple[Node, Node]:
    """A guest's devices in our spelling and in libvirt's, member by member the same."""
    api = connection.api
    flags = api.VIR_DOMAIN_XML_SECURE | (api.VIR_DOMAIN_XML_INACTIVE if inactive else 0)
    tree = parse(guest.XMLDesc(flags), "libvirt's XML", "domain")
    spelled, plain = canonical(tree, RULES).find("devices"), tree.find("devices")
    if spelled is None or plain is None:  # libvirt prints them for every guest
        raise TypeError(guest.name())
    return spelled, plain


def _find_device(spelled: Node, plain: Node, device: Node) -> Optional[Node]:
    """The device as libvirt spells it, None where there is none such."""
    found = matched(spelled, element("devices", device), RULES, "devices")[0][0][0]
    return next((raw for one, raw in zip(spelled.children, plain.children) if one is found), None)


@_do.register
def _attach(action: a.AttachDevice, connection: Connection, guest: Any) -> None:
    defined = _find_device(*_devices(connection, guest, inactive=True), action.definition)
    device = _placed(defined or action.definition, _devices(connection, guest, inactive=False)[1])
    with connection.explained(f"guest {action.target}: {action.device} is defined, but the running guest does not take it"):
        guest.attachDeviceFlags(render(device), connection.api.VIR_DOMAIN_AFFECT_LIVE)


def _placed(device: Node, running: Node) -> Node:
    """The device with the address that it is defined with, so that it finds itself at the same place after a restart; without it where
    the running guest has no such place."""
    address = device.find("address")
    if address is None:
        return device
    number = bus(address)
    if number is None:
        taken = any(one.find("address") == address for one in running.children if one.tag == device.tag)
        return device.without("address") if taken else device
    buses = {one.attributes.get("index") for one in running.all("controller") if one.attributes.get("type") == "pci"}
    taken = any(one.find("address") == address for one in running.children)
    return device if number in buses and not taken else device.without("address")


@_do.register
def _detach(action: a.DetachDevice, connection: Connection, guest: Any) -> None:
    deadline, ask = time.monotonic() + action.timeout, 0.0
    sentence = f"guest {action.target}: {action.device} is no longer defined, but cannot be taken from the running guest"
    while True:
        with connection.explained(sentence):
            device = _find_same(connection, guest, action.definition)
            if device is None:
                return
            if time.monotonic() >= ask:
                ask = time.monotonic() + _ASK_AGAIN_SECONDS
                _ask_back(connection, guest, device)
        if time.monotonic() >= deadline:
            raise Failure(
                f"{sentence}: it did not give it back within {action.timeout} seconds; "
                "try again when its system is up, or it goes when the guest starts the next time",
                "detach_timeout",
            )
        time.sleep(_POLL_SECONDS)


def _find_same(connection: Connection, guest: Any, device: Node) -> Optional[Node]:
    """The very device, at its very address."""
    spelled, plain = _devices(connection, guest, inactive=False)
    return next((raw for one, raw in zip(spelled.children, plain.children) if one.tag == device.tag and one == device), None)


def _ask_back(connection: Connection, guest: Any, device: Node) -> None:
    api = connection.api
    try:
        guest.detachDeviceFlags(render(device), api.VIR_DOMAIN_AFFECT_LIVE)
    except api.libvirtError as error:
        gone = getattr(api, "VIR_ERR_DEVICE_MISSING", None)
        if error.get_error_code() != gone and "already in the process of unplug" not in str(error):
            raise


@_do.register
def _update(action: a.UpdateDevice, connection: Connection, guest: Any) -> None:
    api = connection.api
    flags = api.VIR_DOMAIN_AFFECT_LIVE | (api.VIR_DOMAIN_DEVICE_MODIFY_FORCE if action.force and action.definition.tag == "disk" else 0)
    with connection.explained(f"guest {action.target}: {action.device} is defined anew, but the running guest does not take it"):
        device = action.definition
        guest.updateDeviceFlags(render(_with_alias(connection, guest, device) if device.tag == "memory" else device), flags)


def _with_alias(connection: Connection, guest: Any, device: Node) -> Node:
    """By which alone libvirt 9.0 tells QEMU whose memory it is. Source: qemuDomainChangeMemoryLive."""
    spelled, plain = _devices(connection, guest, inactive=False)
    at_its_place = [
        raw for one, raw in zip(spelled.children, plain.children) if one.tag == device.tag and one.find("address") == device.find("address")
    ]
    return device.with_children(*(alias for raw in at_its_place for alias in raw.all("alias")))


@_do.register
def _vcpus(action: a.SetVcpus, connection: Connection, guest: Any) -> None:
    with connection.explained(f"guest {action.target}: its definition has {action.count} vCPUs, but the running guest does not get there"):
        guest.setVcpusFlags(action.count, connection.api.VIR_DOMAIN_AFFECT_LIVE)


@_do.register
def _memory(action: a.SetMemory, connection: Connection, guest: Any) -> None:
    with connection.explained(f"guest {action.target}: its memory balloon cannot be set"):
        guest.setMemoryFlags(action.kib, connection.api.VIR_DOMAIN_AFFECT_LIVE)
        if action.timeout is None:
            return
        deadline = time.monotonic() + action.timeout
        while abs(_current_memory(connection, guest) - action.kib) >= _BALLOON_STEP:
            if time.monotonic() >= deadline:
                raise Failure(
                    f"guest {action.target}: did not come to {action.kib} KiB within {action.timeout} seconds; "
                    "it needs what it has: give it a larger current_memory, or a longer timeout",
                    "balloon_timeout",
                )
            time.sleep(_POLL_SECONDS)


def _current_memory(connection: Connection, guest: Any) -> int:
    """What the balloon leaves to the guest."""
    tree = parse(guest.XMLDesc(0), "libvirt's XML", "domain")
    return int(tree.get("currentMemory") or 0) - outside_the_balloon(tree)[1]


@_do.register
def _metadata(action: a.SetMetadata, connection: Connection, guest: Any) -> None:
    api = connection.api
    kinds = {"title": api.VIR_DOMAIN_METADATA_TITLE, "description": api.VIR_DOMAIN_METADATA_DESCRIPTION}
    kind = api.VIR_DOMAIN_METADATA_ELEMENT if action.namespace else kinds[action.key]
    with connection.explained(f"guest {action.target}: its {action.key} cannot be set"):
        guest.setMetadata(kind, action.value, action.key if action.namespace else None, action.namespace, api.VIR_DOMAIN_AFFECT_LIVE)


def _set(action: Any, connection: Connection, call: Callable[[Dict[str, a.Value], int], Any]) -> None:
    with connection.explained(f"guest {action.target}: {', '.join(action.changes)} cannot be set in the running guest"):
        call(dict(action.values), connection.api.VIR_DOMAIN_AFFECT_LIVE)


@_do.register
def _scheduler(action: a.SetSchedulerParameters, connection: Connection, guest: Any) -> None:
    _set(action, connection, guest.setSchedulerParametersFlags)


@_do.register
def _memory_limits(action: a.SetMemoryParameters, connection: Connection, guest: Any) -> None:
    _set(action, connection, guest.setMemoryParameters)


@_do.register
def _blkio(action: a.SetBlkioParameters, connection: Connection, guest: Any) -> None:
    _set(action, connection, guest.setBlkioParameters)


@_do.register
def _iotune(action: a.SetBlockIotune, connection: Connection, guest: Any) -> None:
    _set(action, connection, lambda values, flags: guest.setBlockIoTune(action.disk, values, flags))


def _cpu_map(connection: Connection, cpuset: str, name: str) -> Tuple[bool, ...]:
    members = members_of_set(cpuset)
    if members is None:
        raise Failure(f"guest {name}: {cpuset!r} is no set of CPUs; write for example 0-3,5", "invalid_value")
    return tuple(number in members for number in range(len(connection.virt.getCPUMap()[1])))


@_do.register
def _pin_vcpu(action: a.PinVcpu, connection: Connection, guest: Any) -> None:
    cpus = _cpu_map(connection, action.cpuset, action.target)
    with connection.explained(f"guest {action.target}: its vCPU {action.vcpu} cannot be pinned"):
        guest.pinVcpuFlags(action.vcpu, cpus, connection.api.VIR_DOMAIN_AFFECT_LIVE)


@_do.register
def _pin_emulator(action: a.PinEmulator, connection: Connection, guest: Any) -> None:
    cpus = _cpu_map(connection, action.cpuset, action.target)
    with connection.explained(f"guest {action.target}: its emulator cannot be pinned"):
        guest.pinEmulator(cpus, connection.api.VIR_DOMAIN_AFFECT_LIVE)


@_do.register
def _pin_iothread(action: a.PinIothread, connection: Connection, guest: Any) -> None:
    cpus = _cpu_map(connection, action.cpuset, action.target)
    with connection.explained(f"guest {action.target}: its IO thread {action.iothread} cannot be pinned"):
        guest.pinIOThread(action.iothread, cpus, connection.api.VIR_DOMAIN_AFFECT_LIVE)


@_do.register
def _add_iothread(action: a.AddIothread, connection: Connection, guest: Any) -> None:
    with connection.explained(f"guest {action.target}: IO thread {action.iothread} is defined, but the running guest does not get it"):
        guest.addIOThread(action.iothread, connection.api.VIR_DOMAIN_AFFECT_LIVE)


@_do.register
def _delete_iothread(action: a.DeleteIothread, connection: Connection, guest: Any) -> None:
    with connection.explained(f"guest {action.target}: IO thread {action.iothread} is no longer defined, but the running guest does not lose it"):
        guest.delIOThread(action.iothread, connection.api.VIR_DOMAIN_AFFECT_LIVE)


@_do.register
def _lifecycle(action: a.SetLifecycleAction, connection: Connection, guest: Any) -> None:
    api = connection.api
    to = getattr(api, f"VIR_DOMAIN_LIFECYCLE_ACTION_{action.to.replace('-', '_').upper()}", None)
    if to is None:
        raise Failure(f"guest {action.target}: on_{action.event} cannot be {action.to!r}; use destroy, restart or preserve", "invalid_value")
    with connection.explained(f"guest {action.target}: on_{action.event} cannot be set"):
        guest.setLifecycleAction(getattr(api, f"VIR_DOMAIN_LIFECYCLE_{action.event.upper()}"), to, api.VIR_DOMAIN_AFFECT_LIVE)


@_do.register
def _stats(action: a.SetMemoryStatsPeriod, connection: Connection, guest: Any) -> None:
    with connection.explained(f"guest {action.target}: the period of its memory statistics cannot be set"):
        guest.setMemoryStatsPeriod(action.seconds, connection.api.VIR_DOMAIN_AFFECT_LIVE)
