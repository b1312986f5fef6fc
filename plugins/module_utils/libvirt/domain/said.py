# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A definition in the words of the module's own options, and what they cannot say as XML: wish.py backwards. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional

from ...engine.errors import Failure
from ..xmlmerge import below_of, differences, matched
from ..xmltree import SECRET_ATTRIBUTES, Node, pretty
from .model import SPEC, from_params
from .options.cpu import CPU
from .options.disk import DISK
from .options.interface import INTERFACE
from .options.kinds import size_of
from .options.read import read
from .options.table import ALONE
from .rules import RULES, key_fields
from .wish import GUEST_AGENT
from .wish_disks import attribute_of_source

_OPTIONS: Mapping[str, Any] = SPEC["argument_spec"]
#: Said in other options where there are any: console says what most guests have.
_AMBIGUOUS = ("serial", "emulator")


def said(name: str, definition: Node) -> Dict[str, Any]:
    """The options that wish for exactly this definition. What they leave out is in xml.

    That it is exact is looked up, not hoped for: a definition that its options do not give again is said as XML alone.
    Secrets are left out, and so stay as they are where this is given back.
    """
    whole = _without_secrets(definition.without("name"))
    own, rows = _options(whole), {option: value for option, value in read(ALONE, whole).items() if option not in _AMBIGUOUS}
    for options in ({**own, **rows}, own):
        try:
            rest = _rest(whole, wished(name, options), "")
            found = {**options, "xml": pretty(rest)} if rest else options
            if not differences(whole, wished(name, found), RULES):
                return found
        except Failure:  # an option that says less than libvirt lets XML say
            pass
    return {"xml": pretty(whole)}


def wished(name: str, options: Mapping[str, Any]) -> Node:
    return from_params(_filled(_OPTIONS, {"name": name, **options})).wish


def _filled(spec: Mapping[str, Any], given: Mapping[str, Any]) -> Dict[str, Any]:
    """The options with all that nobody gave, as Ansible fills them."""
    return {name: _value(option, given.get(name, option.get("default"))) for name, option in spec.items()}


def _value(option: Mapping[str, Any], value: Any) -> Any:
    inner = option.get("options")
    if inner is None or value is None:
        return value
    return _filled(inner, value) if isinstance(value, dict) else [_filled(inner, entry) for entry in value]


def _without_secrets(node: Node) -> Node:
    bare = node.without(*("@" + name for name in SECRET_ATTRIBUTES))
    return replace(bare, children=tuple(_without_secrets(child) for child in bare.children))


def _rest(node: Node, wish: Node, path: str) -> Optional[Node]:
    """What the wish does not say of a part that it agrees with, and whatever tells the part from its likes."""
    partners = {id(old): new for old, new in matched(node, wish, RULES, path)[0] if old is not None}
    children: List[Node] = []
    for child in node.children:
        new = partners.get(id(child))
        left = child if new is None else _rest(child, new, below_of(path, child.tag))
        if left is not None:
            children.append(left)
    attributes = {name: value for name, value in node.attributes.items() if name not in wish.attributes}
    text = "" if wish.text else node.text
    if not (attributes or children or text):
        return None
    return _recognisable(replace(node, attributes=attributes, text=text, children=tuple(children)), node, path)


def _recognisable(rest: Node, node: Node, path: str) -> Node:
    for name in key_fields(path):
        where, _at, attribute = name.partition("@")
        value = node.get(name)
        if value is None or rest.get(name) == value:
            continue
        if not where:
            rest = replace(rest, attributes={**rest.attributes, attribute: value}) if attribute else replace(rest, text=value)
            continue
        child = rest.find(where) or Node(where)
        keyed = replace(child, attributes={**child.attributes, attribute: value}) if attribute else replace(child, text=value)
        others = tuple(keyed if other is child else other for other in rest.children)
        rest = replace(rest, children=others if rest.find(where) else (*rest.children, keyed))
    return rest


def _options(tree: Node) -> Dict[str, Any]:
    devices = tree.find("devices") or Node("devices")
    found = {
        **{option: tree.get(option) for option in ("title", "description")},
        "type": tree.attributes.get("type"),
        "memory": size_of(tree.get("memory")),
        "current_memory": size_of(tree.get("currentMemory")) if tree.get("currentMemory") != tree.get("memory") else None,
        **_vcpus(tree),
        "arch": tree.get("os/type@arch"),
        "machine": tree.get("os/type@machine"),
        "cpu": _cpu(tree.find("cpu")),
        **{option: _path(tree.get(f"os/{option}")) for option in ("kernel", "initrd")},
        "cmdline": tree.get("os/cmdline"),
        "boot": _boot(tree.find("os")),
        "disks": _each(devices.all("disk"), _disk),
        "interfaces": _each(devices.all("interface"), _interface),
        **_console(devices),
        "graphics": _graphics(devices.all("graphics")),
        "guest_agent": True if any(channel.get("target@name") == GUEST_AGENT for channel in devices.all("channel")) else None,
        "memballoon": {"virtio": True, "none": False}.get(devices.get("memballoon@model") or ""),
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text and text.isdigit() else None


def _path(text: Optional[str]) -> Optional[str]:
    """Ansible reads ~ and $ in a path as the shell does, so only XML can say such a one."""
    return text if text and not text.startswith("~") and "$" not in text else None


def _vcpus(tree: Node) -> Dict[str, Optional[int]]:
    most, current = _number(tree.get("vcpu")), _number(tree.get("vcpu@current"))
    return {"vcpus": current or most, "max_vcpus": most if current else None}


def _cpu(cpu: Optional[Node]) -> Optional[Dict[str, Any]]:
    mode = cpu.attributes.get("mode") if cpu else None
    if cpu is None or mode not in _OPTIONS["cpu"]["options"]["mode"]["choices"]:
        return None
    model = cpu.get("model")
    if mode == "custom":
        return {**read(CPU, cpu), "mode": mode, "model": model} if model else None
    return {**read(CPU, cpu), "mode": str(mode)}


def _boot(system: Optional[Node]) -> Optional[List[str]]:
    devices = [boot.attributes.get("dev", "") for boot in system.all("boot")] if system else []
    return devices if devices and set(devices) <= set(_OPTIONS["boot"]["choices"]) else None


def _each(nodes: List[Node], say: Any) -> Optional[List[Dict[str, Any]]]:
    """All of a list or none of it, because the options speak for the whole list."""
    entries = [say(node) for node in nodes]
    return entries if entries and all(entries) else None


def _disk(disk: Node) -> Optional[Dict[str, Any]]:
    kind, device = disk.attributes.get("type"), disk.attributes.get("device", "disk")
    path = disk.get("source@file") if kind == "file" else disk.get("source@dev")
    spec = _OPTIONS["disks"]["options"]
    kinds = ("file", "block", "volume", "network")
    if device not in spec["device"]["choices"] or kind not in kinds or disk.get("target@bus") not in spec["bus"]["choices"]:
        return None
    if path and (path.startswith("/dev/") != (kind == "block") or not path.startswith("/")):
        return None
    rows = read(DISK, disk)
    if ("network" in rows) != (kind == "network"):
        return None
    entry = {
        **rows,
        "path": path,
        "pool": disk.get("source@pool"),
        "volume": disk.get("source@volume"),
        "format": disk.get("driver@type"),
        "target": disk.get("target@dev"),
        "bus": disk.get("target@bus"),
        "device": disk.attributes.get("device"),
        "readonly": True if disk.find("readonly") else None,
        "boot_order": _number(disk.get("boot@order")),
        "serial": disk.get("serial"),
    }
    return {name: value for name, value in entry.items() if value not in (None, "")}


def _interface(nic: Node) -> Optional[Dict[str, Any]]:
    kind = nic.attributes.get("type", "")
    if kind not in _OPTIONS["interfaces"]["options"]["type"]["choices"] or nic.get("mac@address") is None:
        return None
    entry = {
        **read(INTERFACE, nic),
        "type": kind,
        "source": nic.get(f"source@{attribute_of_source(kind)}"),
        "mac": nic.get("mac@address"),
        "model": nic.get("model@type"),
        "boot_order": _number(nic.get("boot@order")),
    }
    return {name: value for name, value in entry.items() if value not in (None, "")}


def _console(devices: Node) -> Dict[str, Any]:
    ports = [[node for node in devices.all(tag) if node.get("target@port") == "0"] for tag in ("serial", "console")]
    if not all(ports) or ports[1][0].get("target@type") != "serial":
        return {}
    logs = {port[0].get("log@file") for port in ports}
    return {"console": True, "console_log": _path(logs.pop()) if len(logs) == 1 else None}


def _graphics(screens: List[Node]) -> Optional[Dict[str, Any]]:
    if len(screens) != 1 or screens[0].attributes.get("type") not in ("vnc", "spice"):
        return None
    said_of = screens[0].attributes
    port = "-1" if said_of.get("autoport") == "yes" else said_of.get("port", "")
    entry = {"type": said_of["type"], "listen": _address(said_of.get("listen")), "port": int(port) if port.lstrip("-").isdigit() else None}
    return {name: value for name, value in entry.items() if value is not None}


def _address(text: Optional[str]) -> Optional[str]:
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return None
