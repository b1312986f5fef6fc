# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Named namespaces: what is wanted of a set, and what is there."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from .model_process import PROCESS, Wanted
from .model_process import from_option as process_from_option
from .model_routes import ROUTES, Route, from_option, shared_default

#: The runtime specification's word → the file in /proc/PID/ns. Source: config-linux.md, namespaces; namespaces(7).
FILES: Mapping[str, str] = {
    "user": "user",
    "network": "net",
    "uts": "uts",
    "ipc": "ipc",
    "cgroup": "cgroup",
    "time": "time",
    "mount": "mnt",
    "pid": "pid",
}

#: The word that unshare and nsenter have for each.
WORDS: Mapping[str, str] = {**{name: name for name in FILES}, "network": "net"}

_MAPPING = {
    "type": "list",
    "elements": "dict",
    "options": {
        "container_id": {"type": "int", "required": True},
        "host_id": {"type": "int", "required": True},
        "size": {"type": "int", "required": True},
    },
}

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "types": {"type": "list", "elements": "str", "choices": sorted(FILES)},
        "hostname": {"type": "str"},
        "uid_mappings": _MAPPING,
        "gid_mappings": _MAPPING,
        "loopback": {"type": "bool"},
        "interfaces": {
            "type": "list",
            "elements": "dict",
            "options": {
                "name": {"type": "str", "required": True},
                "peer": {"type": "str"},
                "link": {"type": "str"},
                "bridge": {"type": "str"},
                "addresses": {"type": "list", "elements": "str"},
                "mtu": {"type": "int"},
                "routes": ROUTES,
            },
            "required_one_of": [("peer", "link")],
            "mutually_exclusive": [("peer", "link"), ("link", "bridge")],
        },
        "process": PROCESS,
        "persistent": {"type": "bool"},
        "force": {"type": "bool", "default": False},
    },
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# Source: dev_valid_name() in net/core/dev.c; IFNAMSIZ is 16 with the closing zero.
_LINK = re.compile(r"[^\s/:\x00]{1,15}")
# Source: hostname(7); __NEW_UTS_LEN is 64.
_HOSTNAME = re.compile(r"(?=.{1,64}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_LARGEST_ID = 2**32 - 2

Mapped = Tuple[int, int, int]


@dataclass(frozen=True)
class WantedInterface:
    """peer: the host's end of a veth pair. link: or a link of the host's that moves in. addresses, routes: None leaves alone, () empties."""

    name: str
    peer: Optional[str] = None
    link: Optional[str] = None
    bridge: Optional[str] = None
    addresses: Optional[Tuple[str, ...]] = None
    mtu: Optional[int] = None
    routes: Optional[Tuple[Route, ...]] = None


@dataclass(frozen=True)
class Desired:
    """types, mappings, interfaces: None leaves alone, () is none. Mappings are (container_id, host_id, size)."""

    name: str
    present: bool = True
    types: Optional[Tuple[str, ...]] = None
    hostname: Optional[str] = None
    uid_mappings: Optional[Tuple[Mapped, ...]] = None
    gid_mappings: Optional[Tuple[Mapped, ...]] = None
    loopback: Optional[bool] = None
    interfaces: Optional[Tuple[WantedInterface, ...]] = None
    process: Optional[Wanted] = None
    persistent: Optional[bool] = None
    force: bool = False

    @property
    def directory(self) -> str:
        return f"/run/virtops/namespaces/{self.name}"


@dataclass(frozen=True)
class Interface:
    """A link in the network namespace. peer, master: the host's end of a veth pair, and the bridge that it is in."""

    name: str
    kind: str = ""
    up: bool = False
    mtu: int = 1500
    addresses: Tuple[str, ...] = ()
    peer: Optional[str] = None
    master: Optional[str] = None
    peer_up: bool = False
    routes: Tuple[Route, ...] = ()


@dataclass(frozen=True)
class Link:
    """A link of the host's own."""

    kind: str = ""
    mtu: int = 1500


@dataclass(frozen=True)
class Process:
    """A process in one of the namespaces. keeper: it is there only to keep the pid namespace alive."""

    pid: int
    command: str
    keeper: bool = False


@dataclass(frozen=True)
class Observed:
    """types: those that are there. directory: whether the directory of the set is (a mount). init: whether the pid namespace has a living init.

    links: the host's own links by name. netns: the name in /run/netns leads "here", "elsewhere", or "" for nowhere.
    limits: /proc/sys/user/max_*_namespaces by type, and None for a type that this kernel does not have.
    kept: what the unit has for the next boot, as the declaration of a set; None without a unit.
    process: what was declared of it. process_pids: it and its children; empty where it does not run. process_unit: the text of its unit.
    process_boot: whether that is kept for the next boot. lacks: what the wanted process needs and is not there, with a code.
    """

    name: str
    types: Tuple[str, ...] = ()
    directory: bool = False
    init: bool = False
    hostname: Optional[str] = None
    uid_mappings: Tuple[Mapped, ...] = ()
    gid_mappings: Tuple[Mapped, ...] = ()
    loopback: bool = False
    interfaces: Tuple[Interface, ...] = ()
    links: Mapping[str, Link] = field(default_factory=dict)
    netns: str = ""
    processes: Tuple[Process, ...] = ()
    limits: Mapping[str, Optional[int]] = field(default_factory=dict)
    systemd: bool = False
    kept: Optional[Mapping[str, Any]] = None
    enabled: bool = False
    process: Optional[Wanted] = None
    process_pids: Tuple[int, ...] = ()
    process_unit: Optional[str] = None
    process_boot: bool = False
    lacks: Optional[Tuple[str, str]] = None

    def interface(self, name: str) -> Optional[Interface]:
        return next((item for item in self.interfaces if item.name == name), None)


def from_params(params: Mapping[str, Any]) -> Desired:
    name = params["name"]
    if not _NAME.fullmatch(name):
        raise Failure(
            f"name: {name!r} names no set of namespaces; use at most 64 letters, digits, ., - and _, and begin with a letter", "invalid_name"
        )
    types = None if params["types"] is None else tuple(sorted(set(params["types"]), key=list(FILES).index))
    desired = Desired(
        name,
        present=params["state"] == "present",
        types=types,
        hostname=_hostname(params["hostname"]),
        uid_mappings=_mappings(params["uid_mappings"], "uid_mappings"),
        gid_mappings=_mappings(params["gid_mappings"], "gid_mappings"),
        loopback=params["loopback"],
        interfaces=_interfaces(params["interfaces"]),
        process=process_from_option(params["process"]),
        persistent=params["persistent"],
        force=params["force"],
    )
    if desired.present:
        if types == ():
            raise Failure("types: a set without namespaces is none; name some, or use state: absent", "missing_types")
        _check_types(desired)
    return desired


def needed_types(desired: Desired) -> Dict[str, str]:
    """Option → the type of namespace that it speaks of, for the options that were given."""
    pairs = (
        ("hostname", "uts", desired.hostname),
        ("uid_mappings", "user", desired.uid_mappings),
        ("gid_mappings", "user", desired.gid_mappings),
        ("loopback", "network", desired.loopback),
        ("interfaces", "network", desired.interfaces),
    )
    return {option: kind for option, kind, value in pairs if value is not None}


def _check_types(desired: Desired) -> None:
    for option, kind in needed_types(desired).items():
        if desired.types is not None and kind not in desired.types:
            raise Failure(f"{option}: says something of a {kind} namespace, which types leaves out; add {kind} to types", "missing_type")
    if desired.types is not None and "user" in desired.types and desired.persistent:
        raise Failure(
            "persistent: a set with a user namespace lasts until the next boot; leave persistent out and run the play again then", "not_persistent"
        )


def _hostname(text: Optional[str]) -> Optional[str]:
    if text is not None and not _HOSTNAME.fullmatch(text):
        raise Failure(f"hostname: {text!r} is not a host name; use at most 64 letters, digits, - and dots between them", "invalid_hostname")
    return text


def _mappings(given: Optional[List[Mapping[str, int]]], what: str) -> Optional[Tuple[Mapped, ...]]:
    if given is None:
        return None
    found = tuple((item["container_id"], item["host_id"], item["size"]) for item in given)
    for inside, outside, size in found:
        if size < 1 or min(inside, outside) < 0 or max(inside, outside) + size - 1 > _LARGEST_ID:
            raise Failure(
                f"{what}: {inside}, {outside}, {size} is out of range; use ids from 0 to {_LARGEST_ID} and a size of at least 1", "out_of_range"
            )
    for position, (inside, outside, size) in enumerate(found):
        for other_inside, other_outside, other_size in found[:position]:
            if _overlap(inside, size, other_inside, other_size) or _overlap(outside, size, other_outside, other_size):
                raise Failure(f"{what}: {inside}, {outside}, {size} overlaps another one; give each id once", "overlapping_mappings")
    if not found:
        raise Failure(f"{what}: a user namespace without a mapping is of no use; name one, or leave the option out", "missing_mapping")
    if len(found) > 340:  # Source: UID_GID_MAP_MAX_EXTENTS in linux/user_namespace.h
        raise Failure(f"{what}: {len(found)} entries, and the kernel takes 340; join some", "out_of_range")
    return found


def _overlap(start: int, size: int, other: int, other_size: int) -> bool:
    return start < other + other_size and other < start + size


def _interfaces(given: Optional[List[Mapping[str, Any]]]) -> Optional[Tuple[WantedInterface, ...]]:
    if given is None:
        return None
    found: Dict[str, WantedInterface] = {}
    for item in given:
        for key in ("name", "peer", "link", "bridge"):
            if item[key] and (not _LINK.fullmatch(item[key]) or item[key] in (".", "..", "lo")):
                raise Failure(
                    f"interfaces: {key}: {item[key]!r} names no interface; use at most 15 characters without spaces, / and :", "invalid_name"
                )
        name = item["name"]
        if not name or item["peer"] == "" or item["link"] == "":
            raise Failure("interfaces: an empty name names no interface; write one, or leave the entry out", "invalid_name")
        taken = [other.peer or other.link for other in found.values()]
        if name in found or (item["peer"] or item["link"]) in taken:
            raise Failure(f"interfaces: {name} or its peer or link is listed twice; list it once", "duplicate_interface")
        if item["mtu"] is not None and not 68 <= item["mtu"] <= 65535:
            raise Failure(f"interfaces: {name}: an mtu of {item['mtu']} is out of range; the kernel takes 68 to 65535", "out_of_range")
        addresses = item["addresses"]
        if addresses is not None:
            addresses = tuple(dict.fromkeys(_address(text, name) for text in addresses))
        found[name] = WantedInterface(name, item["peer"], item["link"], item["bridge"], addresses, item["mtu"], from_option(item["routes"], name))
    twice = shared_default([item.routes for item in found.values()])
    if twice:
        raise Failure(f"interfaces: two of them have the default route of IPv{twice}; give it to one", "duplicate_route")
    return tuple(found.values())


def _address(text: str, name: str) -> str:
    try:
        if "/" not in text or "%" in text:
            raise ValueError
        return ipaddress.ip_interface(text).with_prefixlen
    except ValueError:
        raise Failure(
            f"interfaces: {name}: {text!r} is not an address with its prefix; write it as 192.0.2.1/24 or 2001:db8::1/64", "invalid_address"
        ) from None
