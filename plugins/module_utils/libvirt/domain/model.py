# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Guests: what is wanted of one, and what libvirt has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, Mapping, Optional, Tuple

from ...engine.errors import Failure
from ..record import without_record
from ..uri import URI_SPEC
from ..xmlmerge import canonical, claim, overlay
from ..xmltree import Node, object_name, parse
from .options.cpu import CPU
from .options.disk import DISK
from .options.interface import INTERFACE
from .options.rows import spec_of
from .options.table import ALONE
from .rules import RULES, shared
from .wish import wish_from_options

AUTO = "auto"

_DISK: Dict[str, Any] = {
    "path": {"type": "str"},
    "pool": {"type": "str"},
    "volume": {"type": "str"},
    "format": {"type": "str"},
    "target": {"type": "str"},
    "bus": {"type": "str", "choices": ["virtio", "scsi", "sata", "usb", "ide", "fdc"]},
    "device": {"type": "str", "choices": ["disk", "cdrom", "floppy", "lun"]},
    "readonly": {"type": "bool"},
    "boot_order": {"type": "int"},
    "serial": {"type": "str"},
    **spec_of(DISK),
}
_INTERFACE: Dict[str, Any] = {
    "type": {"type": "str", "choices": ["network", "bridge", "user", "direct"], "default": "network"},
    "source": {"type": "str"},
    "mac": {"type": "str"},
    "model": {"type": "str"},
    "boot_order": {"type": "int"},
    **spec_of(INTERFACE),
}
_CPU: Dict[str, Any] = {
    "mode": {"type": "str", "choices": ["host-passthrough", "host-model", "maximum", "custom"]},
    "model": {"type": "str"},
    **spec_of(CPU),
}

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "uri": URI_SPEC,
        "name": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "running", "shutoff", "paused", "saved", "absent"], "default": "present"},
        "autostart": {"type": "bool"},
        "profile": {"type": "list", "elements": "str"},
        "profiles": {"type": "dict", "no_log": True},
        "xml": {"type": "str"},
        "title": {"type": "str"},
        "description": {"type": "str"},
        "metadata": {"type": "str"},
        "type": {"type": "str"},
        "memory": {"type": "str"},
        "current_memory": {"type": "str"},
        "vcpus": {"type": "int"},
        "max_vcpus": {"type": "int"},
        "arch": {"type": "str"},
        "machine": {"type": "str"},
        "cpu": {"type": "dict", "options": _CPU},
        "disks": {"type": "list", "elements": "dict", "options": _DISK},
        "interfaces": {"type": "list", "elements": "dict", "options": _INTERFACE},
        "kernel": {"type": "path"},
        "initrd": {"type": "path"},
        "cmdline": {"type": "str"},
        "boot": {"type": "list", "elements": "str", "choices": ["hd", "cdrom", "network", "fd"]},
        "console": {"type": "bool"},
        "console_log": {"type": "path"},
        "graphics": {
            "type": "dict",
            "options": {
                "type": {"type": "str", "choices": ["none", "vnc", "spice"], "required": True},
                "listen": {"type": "str"},
                "port": {"type": "int"},
                "password": {"type": "str", "no_log": True},
            },
        },
        "guest_agent": {"type": "bool"},
        "memballoon": {"type": "bool"},
        **spec_of(ALONE),
        "restart": {"type": "str", "choices": ["never", "if_required"], "default": "never"},
        "force": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 60},
        "wait_for": {"type": "list", "elements": "str", "choices": ["address", "agent", "cloud_init"]},
        "wait_timeout": {"type": "int", "default": 300},
        "remove_nvram": {"type": "bool", "default": True},
        "remove_tpm": {"type": "bool", "default": True},
        "remove_managed_save": {"type": "bool", "default": True},
        "remove_snapshots": {"type": "bool", "default": True},
        "remove_checkpoints": {"type": "bool", "default": True},
        "remove_disks": {"type": "bool", "default": False},
    },
    "required_one_of": [["name", "xml"]],
}


#: Options that the desired state has as they are.
_PLAIN = (
    "restart",
    "force",
    "timeout",
    "wait_timeout",
    "remove_nvram",
    "remove_tpm",
    "remove_managed_save",
    "remove_snapshots",
    "remove_checkpoints",
    "remove_disks",
)


@dataclass(frozen=True)
class Desired:
    """wish: what the definition must contain; says nothing where only the state is asked for.

    type: auto, or a hypervisor type for a new guest as well as for an existing one; None leaves it alone.
    from_xml: the user wrote the XML, so a new guest gets nothing that it does not name.
    restart: never or if_required. timeout: seconds that a guest has to shut down, or to do what only it can. force: destroy it after that.
    wait_for: what is waited for once it runs, for at most wait_timeout seconds.
    remove_*: what goes with a guest that goes.
    """

    name: str
    state: str
    wish: Node
    uri: str = "qemu:///system"
    type: Optional[str] = None
    from_xml: bool = False
    autostart: Optional[bool] = None
    restart: str = "never"
    force: bool = False
    timeout: int = 60
    wait_for: Tuple[str, ...] = ()
    wait_timeout: int = 300
    remove_nvram: bool = True
    remove_tpm: bool = True
    remove_managed_save: bool = True
    remove_snapshots: bool = True
    remove_checkpoints: bool = True
    remove_disks: bool = False


@dataclass(frozen=True)
class Disk:
    """An image of a guest that goes. label: for people. path, or pool and volume. kept: why it must stay, None where it may go."""

    label: str
    path: Optional[str] = None
    pool: Optional[str] = None
    volume: Optional[str] = None
    kept: Optional[str] = None


@dataclass(frozen=True)
class Observed:
    """inactive: the definition, None where there is no such guest. active: the running one, None where it does not run.

    state: absent, shutoff, saved, running, paused, pmsuspended or crashed.
    saved: what will run when its saved memory is loaded.
    balloon: whether its memory balloon answers, and is not just on its way to somewhere.
    snapshots, checkpoints: whether it has any. disks: its images, looked at only where they are to go.
    persistent: whether it is still there after it shuts down.
    record: what the last define of a request that libvirt did not keep whole left behind: digests of the request and of its outcome.
    uuid_holder: who else has the UUID that the wish names. mac_holders: MAC addresses that are new to it, and who has them already.
    virt_type, arch: of a new guest on this host. machine_id: what its MAC addresses are made from.
    cpus: those of a thread that may run anywhere, empty where that is not known, or not asked as nothing is pinned.
    """

    inactive: Optional[Node] = None
    active: Optional[Node] = None
    state: str = "absent"
    saved: Optional[Node] = None
    balloon: bool = False
    snapshots: bool = False
    checkpoints: bool = False
    disks: Tuple[Disk, ...] = ()
    autostart: bool = False
    persistent: bool = True
    record: Tuple[str, ...] = ()
    uuid_holder: Optional[str] = None
    mac_holders: Tuple[Tuple[str, str], ...] = ()
    virt_type: str = "kvm"
    arch: str = ""
    machine_id: str = ""
    cpus: str = ""


def from_params(params: Mapping[str, Any]) -> Desired:
    base = canonical(parse(params["xml"], "xml", "domain"), RULES) if params["xml"] is not None else Node("domain")
    in_xml = base.get("name") or ""
    name = object_name(params["name"] if params["name"] is not None else in_xml, "guest")
    if in_xml and in_xml != name:
        raise Failure(f"name: the task says {name!r} and its xml says {in_xml!r}; leave one of them out", "invalid_xml")
    for option in ("timeout", "wait_timeout"):
        if params[option] < 0:
            raise Failure(f"{option}: a negative number of seconds; use 0 or more", "invalid_value")
    if params["wait_for"] and params["state"] != "running":
        raise Failure(f"wait_for: only a guest that runs gets there, and state is {params['state']}; use state: running", "invalid_value")
    options = canonical(wish_from_options(params), RULES)
    wish = overlay(claim(without_record(base.without("name", "@id")), RULES, shared), options, RULES)
    kind = params["type"]
    if kind and kind != AUTO:
        wish = wish.with_attributes(type=kind)
    return Desired(
        name,
        params["state"],
        _complete(wish, params["current_memory"] is not None),
        params["uri"],
        kind or (None if wish.attributes.get("type") else AUTO),
        params["xml"] is not None,
        params["autostart"],
        wait_for=tuple(params["wait_for"] or ()),
        **{name: params[name] for name in _PLAIN},
    )


def _complete(wish: Node, params_say_so: bool) -> Node:
    """What the wish says between the lines. Source: formatdomain.

    memory alone means that the guest gets all of it, as libvirt's own default for currentMemory is;
    a number of vcpus without current means that all are online.
    """
    wish = _summed(wish)
    memory, current = wish.find("memory"), wish.find("currentMemory")
    if memory and not current:
        place = wish.children.index(memory) + 1
        all_of_it = Node("currentMemory", dict(memory.attributes), memory.text)
        wish = replace(wish, children=(*wish.children[:place], all_of_it, *wish.children[place:]))
    if memory and current and current.text.isdigit() and memory.text.isdigit() and int(current.text) > int(memory.text):
        if params_say_so:
            raise Failure("current_memory: more than memory; lower it, or leave it out", "invalid_value")
        wish = _with_text(wish, "currentMemory", memory.text)
    vcpu = wish.find("vcpu")
    if vcpu and "current" not in vcpu.attributes:
        children = tuple(replace(child, owned=child.owned | {"@current"}) if child.tag == "vcpu" else child for child in wish.children)
        wish = replace(wish, children=children)
    return wish


def _summed(wish: Node) -> Node:
    """With NUMA cells, memory is what they and the memory devices add up to, whatever it says. Source: virDomainDefPostParseMemory."""
    numa, devices = wish.find("cpu/numa"), wish.find("devices")
    cells = [cell.attributes.get("memory", "") for cell in numa.all("cell")] if numa else []
    sizes = cells + [module.get("target/size") or "" for module in (devices.all("memory") if devices else [])]
    if not cells or wish.find("memory") is None or not all(size.isdigit() for size in sizes):
        return wish
    return _with_text(wish, "memory", str(sum(map(int, sizes))))


def _with_text(wish: Node, tag: str, text: str) -> Node:
    return replace(wish, children=tuple(replace(child, text=text) if child.tag == tag else child for child in wish.children))
