# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest as libvirt has it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Callable, Dict, Iterator, Optional, Set, Tuple

from ...engine.errors import Failure
from ...engine.host import Host
from ..connection import Connection
from ..record import split_record
from ..spelling import set_of_numbers
from ..uri import driver, is_local
from ..xmlmerge import canonical
from ..xmltree import Node, parse
from .model import AUTO, Desired, Observed
from .pins import pins_of, without_idle_pins
from .read_disks import disks_of
from .rules import RULES

Accelerated = Callable[[Host], bool]

# Source: virDomainState. A guest that shuts down or waits for a disk still runs.
_STATES = {
    "VIR_DOMAIN_RUNNING": "running",
    "VIR_DOMAIN_BLOCKED": "running",
    "VIR_DOMAIN_SHUTDOWN": "running",
    "VIR_DOMAIN_PAUSED": "paused",
    "VIR_DOMAIN_SHUTOFF": "shutoff",
    "VIR_DOMAIN_CRASHED": "crashed",
    "VIR_DOMAIN_PMSUSPENDED": "pmsuspended",
}


#: A balloon on its way moves within this time.
_BALLOON_SECONDS = 0.3


def state_word(api: Any, number: int) -> str:
    words: Dict[int, str] = {getattr(api, name): word for name, word in _STATES.items()}
    return words.get(number, "running")


def read(connection: Connection, desired: Desired, accelerated: Accelerated) -> Observed:
    virt = connection.virt
    sentence = f"guest {desired.name}: cannot be read"
    guest = connection.lookup(lambda: virt.lookupByName(desired.name), sentence)
    machine_id = (connection.host.try_read("/etc/machine-id") or "").strip() if is_local(connection.uri) else ""
    with connection.explained(sentence):
        if guest is None:
            return _missing(connection, desired, accelerated, machine_id or connection.uri)
        observed = observe(connection, guest)
        holders = () if observed.inactive is None else tuple(_mac_holders(connection, desired, observed.inactive))
        observed = replace(observed, machine_id=machine_id or connection.uri, mac_holders=holders)
        if observed.inactive is not None and desired.state == "absent":
            return replace(observed, **_going(connection, guest, observed.inactive, desired))
        balloon = observed.active is not None and observed.state == "running" and _balloon_answers(guest, observed.active, desired)
        return replace(observed, balloon=balloon)


def observe(connection: Connection, guest: Any) -> Observed:
    """What there is of a guest, whatever is wished."""
    api = connection.api
    inactive, record = split_record(tree_of(guest, api, inactive=True))
    active = _running(connection, guest) if guest.isActive() else None
    persistent = bool(guest.isPersistent())
    state = state_word(api, guest.state()[0])
    saved = _saved(guest, connection) if state == "shutoff" and persistent else None
    cpus = connection.once("CPUs of threads", lambda: _cpus(connection)) if pins_of(active or saved) else ""
    return Observed(
        inactive=inactive,
        active=active and without_idle_pins(active, inactive, cpus),
        state="saved" if saved else state,
        saved=saved and without_idle_pins(saved, inactive, cpus),
        cpus=cpus,
        autostart=bool(guest.autostart()) if persistent else False,
        persistent=persistent,
        record=record,
    )


def _running(connection: Connection, guest: Any) -> Node:
    """With the CPU that it was started with: a running guest's XML spells out what became of that, with features that libvirt added.
    The XML for migrations keeps the former. Source: qemuDomainDefFormatBufInternal, origCPU."""
    api = connection.api
    tree = split_record(tree_of(guest, api, inactive=False))[0]
    if tree.get("cpu@check") != "full":
        return tree
    flags = api.VIR_DOMAIN_XML_SECURE | api.VIR_DOMAIN_XML_MIGRATABLE
    started = canonical(parse(guest.XMLDesc(flags), "libvirt's XML", "domain"), RULES).find("cpu")
    return replace(tree, children=tuple(started if child.tag == "cpu" and started else child for child in tree.children))


def _cpus(connection: Connection) -> str:
    """Those that a thread gets which nothing pins. Not known of another machine, as libvirt does not say which CPUs the kernel keeps isolated."""
    isolated = connection.host.try_read("/sys/devices/system/cpu/isolated") if is_local(connection.uri) else None
    if isolated is None or isolated.strip():
        return ""
    cpus = _where_supported(connection, connection.virt.getCPUMap)
    return set_of_numbers(",".join(str(number) for number, online in enumerate(cpus[1]) if online)) if cpus else ""


def _where_supported(connection: Connection, ask: Callable[[], Any]) -> Any:
    """The answer, or None where the hypervisor's driver has no such thing."""
    try:
        return ask()
    except connection.api.libvirtError as error:
        if error.get_error_code() == connection.api.VIR_ERR_NO_SUPPORT:
            return None
        raise


def _saved(guest: Any, connection: Connection) -> Optional[Node]:
    if not _where_supported(connection, guest.hasManagedSaveImage):
        return None
    text = guest.managedSaveGetXMLDesc(connection.api.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
    return split_record(canonical(parse(text, "libvirt's saved XML", "domain"), RULES))[0]


def _may_move(active: Node, wish: Node) -> bool:
    """Whether the balloon is to get another size, or to keep its own while memory modules come or go, which count in it."""
    if wish.find("currentMemory") is None:
        return False
    modules = wish.find("memory") is None and wish.find("devices/memory") is not None
    return modules or any(wish.get(tag) not in (None, active.get(tag)) for tag in ("memory", "currentMemory"))


def _balloon_answers(guest: Any, active: Node, desired: Desired) -> bool:
    """Whether the guest's driver of the balloon ever said something, and the balloon stands still now: what it was last asked for, nobody tells."""
    if not _may_move(active, desired.wish) or active.get("devices/memballoon@model") in (None, "none"):
        return False
    before = guest.memoryStats()
    if not before.get("last_update"):
        return False
    time.sleep(_BALLOON_SECONDS)
    return bool(guest.memoryStats().get("actual") == before.get("actual"))


def _going(connection: Connection, guest: Any, inactive: Node, desired: Desired) -> Dict[str, Any]:
    """What has to be known of a guest that goes."""
    return {
        "snapshots": bool(_where_supported(connection, guest.snapshotNum)),
        "checkpoints": bool(_where_supported(connection, guest.listAllCheckpoints)),
        "disks": disks_of(connection, desired.name, inactive) if desired.remove_disks else (),
    }


def _missing(connection: Connection, desired: Desired, accelerated: Accelerated, machine_id: str) -> Observed:
    uuid = desired.wish.get("uuid")
    holder = connection.lookup(lambda: connection.virt.lookupByUUIDString(uuid), f"guest {desired.name}") if uuid else None
    kind = ""
    if desired.type == AUTO and desired.state != "absent":
        kind = _type_of(connection, desired.name, accelerated)
    return Observed(
        uuid_holder=holder.name() if holder else None,
        mac_holders=tuple(_mac_holders(connection, desired, Node("domain"))),
        virt_type=kind,
        arch=str(connection.virt.getInfo()[0]),
        machine_id=machine_id,
    )


def _mac_holders(connection: Connection, desired: Desired, inactive: Node) -> Iterator[Tuple[str, str]]:
    """The other guests are asked only where the wish names an address that the guest does not have yet."""
    new = _macs(desired.wish) - _macs(inactive) if desired.state != "absent" else set()
    for other in connection.virt.listAllDomains(0) if new else ():
        if other.name() != desired.name:
            text = _text_of(connection, other)
            yield from ((mac, other.name()) for mac in sorted(new) if f"'{mac}'" in text)


def _macs(tree: Node) -> Set[str]:
    devices = tree.find("devices")
    return {nic.get("mac@address") or "" for nic in devices.all("interface")} - {""} if devices else set()


def _text_of(connection: Connection, guest: Any) -> str:
    """Its XML, or nothing where it went away since it was listed."""
    try:
        return str(guest.XMLDesc(0))
    except connection.api.libvirtError as error:
        if error.get_error_code() == connection.api.VIR_ERR_NO_DOMAIN:
            return ""
        raise


def _type_of(connection: Connection, name: str, accelerated: Accelerated) -> str:
    """What auto means here: kvm only where KVM is proven to be accelerated on this very machine."""
    kind = driver(connection.uri)
    if kind in ("test", "lxc"):  # which have one type alone
        return kind
    if kind != "qemu" or not is_local(connection.uri):
        raise Failure(
            f"guest {name}: type auto needs the qemu driver of the machine that the task runs on, and uri is {connection.uri}; state the type",
            "type_required",
        )
    return "kvm" if accelerated(connection.host) else "qemu"


def tree_of(guest: Any, api: Any, inactive: bool) -> Node:
    """The definition or the running state. Secrets come along: a definition without them would lose them."""
    flags = api.VIR_DOMAIN_XML_SECURE | (api.VIR_DOMAIN_XML_INACTIVE if inactive else 0)
    return canonical(parse(guest.XMLDesc(flags), "libvirt's XML", "domain"), RULES)
