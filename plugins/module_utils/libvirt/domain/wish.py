# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest's options as the XML they wish for. New devices are virtio; existing ones keep what they are."""

from __future__ import annotations

import ipaddress
import string
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from ...engine.errors import Failure
from ...engine.units import format_size, parse_size
from ..spelling import mac_address
from ..xmltree import Node, element, plain_text

GUEST_AGENT = "org.qemu.guest_agent.0"

#: The least that libvirt's units can carry usefully; a bare number such as 2048 is meant as something else than bytes.
_LEAST_MEMORY = 1024**2
#: Source: the VNC protocol's DES key.
_LONGEST_VNC_PASSWORD = 8
#: Bus → how its disks are called. Source: formatdomain, target.
_DISK_NAMES = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd", "fdc": "fd"}


def wish_from_options(params: Mapping[str, Any]) -> Node:
    owned: Set[str] = set()
    children: List[Optional[Node]] = []
    for tag in ("title", "description"):
        text = params[tag]
        if text:
            children.append(element(tag, text=plain_text(text, tag, lines=tag == "description")))
        elif text == "":
            owned.add(tag)
    children += [_memory(params["memory"], "memory"), _memory(params["current_memory"], "currentMemory", "current_memory")]
    children += [_vcpus(params["vcpus"], params["max_vcpus"]), _cpu(params["cpu"]), _os(params), _devices(params)]
    return replace(element("domain", *children), owned=frozenset(owned))


def _memory(size: Optional[str], tag: str, option: Optional[str] = None) -> Optional[Node]:
    if size is None:
        return None
    size_bytes = parse_size(size, option or tag)
    if size_bytes < _LEAST_MEMORY:
        raise Failure(f"{option or tag}: {format_size(size_bytes)} is no memory for a guest; write a size with its unit, such as 2G", "invalid_size")
    return element(tag, text=str(size_bytes), unit="b")


def _vcpus(count: Optional[int], most: Optional[int]) -> Optional[Node]:
    for name, number in (("vcpus", count), ("max_vcpus", most)):
        if number is not None and number < 1:
            raise Failure(f"{name}: {number}; a guest needs 1 or more", "invalid_value")
    if most is not None and (count is None or count > most):
        raise Failure(f"max_vcpus: {most} needs vcpus as well, of at most as many; correct vcpus or max_vcpus", "invalid_value")
    if count is None:
        return None
    return element("vcpu", text=str(most or count), current=str(count) if most and count < most else None)


def _cpu(options: Optional[Mapping[str, Any]]) -> Optional[Node]:
    if not options or not (options["mode"] or options["model"]):
        return None
    mode, model = options["mode"] or "custom", options["model"]
    if (mode == "custom") != bool(model):
        raise Failure(f"cpu: mode {mode} {'needs a' if mode == 'custom' else 'has no'} model; correct mode or model", "invalid_value")
    return element("cpu", element("model", text=plain_text(model, "cpu.model")) if model else None, mode=mode)


def _os(params: Mapping[str, Any]) -> Optional[Node]:
    owned: Set[str] = set()
    children: List[Node] = []
    if params["arch"] or params["machine"]:
        kind = element("type", arch=params["arch"] or None, machine=params["machine"] or None)
        children.append(replace(kind, initial=element("type", text="hvm")))
    for tag in ("kernel", "initrd", "cmdline"):
        if params[tag]:
            children.append(element(tag, text=plain_text(params[tag], tag)))
        elif params[tag] == "":
            owned.add(tag)
    if params["boot"] is not None:
        ordered = [entry["boot_order"] for entry in (params["disks"] or []) + (params["interfaces"] or []) if entry["boot_order"] is not None]
        if ordered:
            raise Failure("boot: cannot be used together with the boot_order of a disk or interface; use one of them", "invalid_value")
        children += [element("boot", dev=device) for device in params["boot"]]
        owned.add("boot")
    if not children and not owned:
        return None
    return replace(element("os", *children), owned=frozenset(owned))


def _devices(params: Mapping[str, Any]) -> Optional[Node]:
    owned: Set[str] = set()
    absent: Set[Tuple[str, str]] = set()
    children: List[Optional[Node]] = []
    if params["disks"] is not None:
        owned.add("disk")
        children += _disks(params["disks"])
    if params["interfaces"] is not None:
        owned.add("interface")
        children += [_interface(entry) for entry in params["interfaces"]]
    children += _console(params, owned)
    if params["graphics"] is not None:
        owned.add("graphics")
        children.append(_graphics(params["graphics"]))
    if params["guest_agent"]:
        target = element("target", type="virtio", name=GUEST_AGENT)
        children.append(replace(element("channel", target), initial=element("channel", type="unix")))
    elif params["guest_agent"] is False:
        absent.add(("channel", GUEST_AGENT))
    if params["rng"]:
        backend = element("backend", model="random", text="/dev/urandom")
        children.append(replace(element("rng"), initial=element("rng", backend, model="virtio")))
    elif params["rng"] is False:
        owned.add("rng")
    if params["memballoon"] is not None:
        children.append(element("memballoon", model="virtio" if params["memballoon"] else "none"))
    if not any(children) and not owned and not absent:
        return None
    return replace(element("devices", *children), owned=frozenset(owned), absent=frozenset(absent))


def _disks(entries: List[Mapping[str, Any]]) -> List[Optional[Node]]:
    taken = [entry["target"] for entry in entries if entry["target"]]
    for target in taken:
        if taken.count(target) > 1:
            raise Failure(f"disks: two have the target {target}; give each its own", "invalid_value")
    nodes: List[Optional[Node]] = []
    for entry in entries:
        target = entry["target"]
        if not target:
            prefix = _DISK_NAMES[_bus(entry)]
            target = next(name for name in _names(prefix) if name not in taken)
            taken.append(target)
        nodes.append(_disk(entry, target))
    return nodes


def _names(prefix: str) -> List[str]:
    letters = string.ascii_lowercase
    return [prefix + one for one in letters] + [prefix + one + two for one in letters for two in letters]


def _bus(entry: Mapping[str, Any]) -> str:
    """The bus of a new disk; a CD-ROM cannot be virtio."""
    return str(entry["bus"] or ("sata" if entry["device"] == "cdrom" else "virtio"))


def _disk(entry: Mapping[str, Any], target: str) -> Node:
    path, pool, volume, cdrom = entry["path"], entry["pool"], entry["volume"], entry["device"] == "cdrom"
    if bool(pool) != bool(volume) or (path and pool):
        raise Failure(f"disks: {target} needs either path, or pool and volume", "invalid_value")
    if path and not path.startswith("/"):
        raise Failure(f"disks: {path!r} is not an absolute path; start it with a slash", "invalid_value")
    if not path and not pool and not cdrom:
        raise Failure(f"disks: {target} has no path; add path, or pool and volume", "invalid_value")
    if cdrom and entry["readonly"] is False:
        raise Failure(f"disks: {target} is a CD-ROM, which is always read-only; leave readonly out", "invalid_value")
    if cdrom and _bus(entry) == "virtio":
        raise Failure(f"disks: {target} is a CD-ROM, which cannot be on the bus virtio; use sata, scsi, ide or usb", "invalid_value")
    kind, source = "file", None
    if pool:
        kind, source = "volume", element("source", pool=plain_text(pool, "disks.pool"), volume=plain_text(volume, "disks.volume"))
    elif path:
        kind = "block" if path.startswith("/dev/") else "file"
        source = element("source", **{"dev" if kind == "block" else "file": plain_text(path, "disks.path")})
    described = plain_text(entry["format"], "disks.format") if entry["format"] else None
    wish = element(
        "disk",
        element("driver", type=described) if described else None,
        source,
        element("target", dev=plain_text(target, "disks.target"), bus=entry["bus"]),
        element("readonly") if entry["readonly"] else None,
        element("serial", text=plain_text(entry["serial"], "disks.serial")) if entry["serial"] else None,
        _boot(entry, "disks"),
        type=kind,
        device=entry["device"],
    )
    owned = {"readonly"} if entry["readonly"] is False else set()
    owned |= {"serial"} if entry["serial"] == "" else set()
    owned |= {"boot"} if entry["boot_order"] is not None else set()
    owned |= {"source"} if not source else set()
    guess = "qcow2" if (path or volume or "").endswith(".qcow2") else "raw"
    initial = element(
        "disk",
        element("driver", name="qemu", type=described or guess),
        element("target", dev=target, bus=_bus(entry) if not entry["target"] or target.startswith(_DISK_NAMES[_bus(entry)]) else None),
        device="disk",
    )
    return replace(_filled(wish, initial), owned=frozenset(owned), initial=initial)


def _filled(wish: Node, initial: Node) -> Node:
    """The wish, whose children that initial has as well are themselves filled in when new."""
    children = tuple(replace(child, initial=initial.find(child.tag)) for child in wish.children)
    return replace(wish, children=children)


def _boot(entry: Mapping[str, Any], what: str) -> Optional[Node]:
    order = entry["boot_order"]
    if order is None or order == 0:
        return None
    if order < 0:
        raise Failure(f"{what}.boot_order: {order}; use 1 or more, or 0 for none", "invalid_value")
    return element("boot", order=str(order))


def _interface(entry: Mapping[str, Any]) -> Node:
    kind, source = entry["type"], entry["source"]
    if kind == "user" and source:
        raise Failure(f"interfaces: type user has no source; leave {source!r} out, or use type network or bridge", "invalid_value")
    if kind != "user" and not source:
        raise Failure(f"interfaces: type {kind} needs a source, the name of the {kind}", "invalid_value")
    wish = element(
        "interface",
        element("mac", address=mac_address(entry["mac"], "interfaces.mac")) if entry["mac"] else None,
        element("source", **{kind: plain_text(source, "interfaces.source")}) if source else None,
        element("model", type=plain_text(entry["model"], "interfaces.model")) if entry["model"] else None,
        _boot(entry, "interfaces"),
        type=kind,
    )
    owned = frozenset({"boot"}) if entry["boot_order"] is not None else frozenset()
    return replace(wish, owned=owned, initial=element("interface", element("model", type="virtio")))


def _console(params: Mapping[str, Any], owned: Set[str]) -> List[Optional[Node]]:
    """The first serial port, which libvirt makes the guest's console as well."""
    wanted, log = params["console"], params["console_log"]
    if wanted is False:
        if log:
            raise Failure("console_log: there is nothing to log with console: false; leave one of them out", "invalid_value")
        owned.update(("serial", "console"))
        return []
    if wanted is None and log is None:
        return []
    port = element("target", port="0")
    # libvirt keeps two records of the first port, a serial and a console, and the console's log would win.
    nodes = [element("serial", _log(log), port), element("console", _log(log), element("target", type="serial", port="0"))]
    gone = frozenset({"log"}) if log == "" else frozenset()
    return [replace(node, owned=gone, initial=element(node.tag, type="pty")) for node in nodes]


def _log(path: Optional[str]) -> Optional[Node]:
    if not path:
        return None
    if not path.startswith("/"):
        raise Failure(f"console_log: {path!r} is not an absolute path; start it with a slash", "invalid_value")
    return element("log", file=plain_text(path, "console_log"))


def _graphics(options: Mapping[str, Any]) -> Optional[Node]:
    kind, listen, port, password = options["type"], options["listen"], options["port"], options["password"]
    if kind == "none":
        if listen is not None or port is not None or password is not None:
            raise Failure("graphics: type none listens nowhere; leave listen, port and password out", "invalid_value")
        return None
    children: List[Node] = []
    attributes: Dict[str, str] = {"type": kind}
    if password:
        if kind == "vnc" and len(password.encode()) > _LONGEST_VNC_PASSWORD:
            raise Failure(f"graphics.password: VNC has passwords of at most {_LONGEST_VNC_PASSWORD} bytes; choose a shorter one", "invalid_value")
        attributes["passwd"] = _secret_text(password)
    if listen is not None:
        try:
            address = str(ipaddress.ip_address(listen))
        except ValueError as error:
            raise Failure(f"graphics.listen: {error}", "invalid_address") from error
        attributes["listen"] = address
        children.append(element("listen", type="address", address=address))
    if port is not None:
        if port != -1 and not 0 < port < 65536:
            raise Failure(f"graphics.port: {port} is no TCP port; use 5900 to 65535, or -1 for a free one", "invalid_value")
        attributes.update(port=str(port), autoport="yes" if port == -1 else "no")
    owned = frozenset({"@passwd"}) if password == "" else frozenset()
    return replace(element("graphics", *children, **attributes), owned=owned, initial=element("graphics", port="-1", autoport="yes"))


def _secret_text(password: str) -> str:
    """The password, refused without being shown where no XML can carry it."""
    try:
        return plain_text(password, "graphics.password")
    except Failure:
        raise Failure("graphics.password: it has control characters; leave them out", "invalid_text") from None
