# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a guest's definition cannot stay when something else in it changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, Optional, Set, Tuple

from ..xmltree import Node
from .same import same


def _changes(observed: Node, wish: Node, field: str) -> bool:
    """Whether the wish says something else of a field, which the observed state has, too."""
    old, new = observed.get(field), wish.get(field)
    return old is not None and new is not None and old != new


def prune(path: str, observed: Node, wish: Node) -> Node:
    rule = _RULES.get(path)
    return rule(observed, wish) if rule else observed


def _prune_domain(observed: Node, wish: Node) -> Node:
    machine = wish.get("os/type@machine")
    moved = machine is not None and not same("os/type@machine", observed.get("os/type@machine"), machine)
    if moved or _changes(observed, wish, "os/type@arch"):
        observed = _without_topology(observed, keep_emulator=not _changes(observed, wish, "os/type@arch"))
    devices = wish.find("devices")
    ordered = [child for child in (devices.children if devices else ()) if child.get("boot@order")]
    wished_os = wish.find("os")
    if ordered and not (wished_os and wished_os.all("boot")):
        observed = _edit(observed, "os", lambda node: node.without("boot"))
    if wished_os and wished_os.all("boot"):
        observed = _edit(observed, "devices", lambda node: replace(node, children=tuple(child.without("boot") for child in node.children)))
    if "numatune" in wish.owned and not wish.find("numatune"):  # libvirt makes it again where vCPUs are placed by it
        observed = _edit(observed, "vcpu", lambda node: node.without("@placement") if node.attributes.get("placement") == "auto" else node)
    if _changes(observed, wish, "iothreads"):  # which ones there are is said for each
        observed = observed.without("iothreadids")
    if _online(observed) != _online(wish) and wish.find("vcpu"):  # which ones are online is said for each
        observed = observed.without("vcpus")
    return observed


def _online(tree: Node) -> Tuple[Optional[str], Optional[str]]:
    most = tree.get("vcpu")
    return most, tree.get("vcpu@current") or most


def _without_topology(observed: Node, keep_emulator: bool) -> Node:
    """Buses and addresses belong to a machine type: libvirt makes new ones."""

    def strip(devices: Node) -> Node:
        kept = [child for child in devices.children if child.tag not in ("controller", "input") and (keep_emulator or child.tag != "emulator")]
        return replace(devices, children=tuple(_without_address(child) for child in kept))

    return _edit(observed, "devices", strip)


def _without_address(device: Node) -> Node:
    return replace(device, children=tuple(c for c in device.children if c.tag != "address" or c.attributes.get("type") not in ("pci", "ccw")))


def _edit(node: Node, tag: str, change: Callable[[Node], Node]) -> Node:
    return replace(node, children=tuple(change(child) if child.tag == tag else child for child in node.children))


def _prune_disk(observed: Node, wish: Node) -> Node:
    if _changes(observed, wish, "target@bus") or _changes(observed, wish, "@device"):
        observed = observed.without("address", "alias")
    if _changes(observed, wish, "@device") and observed.attributes["device"] == "cdrom":
        observed = observed.without("readonly")
    old, new = observed.find("source"), wish.find("source")
    moved = old and new and any(old.attributes.get(name) != value for name, value in new.attributes.items())
    if moved:
        observed = observed.without("backingStore")
        if wish.initial and not wish.get("driver@type"):
            kind = wish.initial.get("driver@type")
            observed = _edit(observed, "driver", lambda node: node.with_attributes(type=kind or "raw"))
    return observed.without("source") if _changes(observed, wish, "@type") else observed


def _prune_interface(observed: Node, wish: Node) -> Node:
    return observed.without("source", "virtualport", "target") if _changes(observed, wish, "@type") else observed


def _prune_character(observed: Node, wish: Node) -> Node:
    if _changes(observed, wish, "target@type"):
        observed = _edit(observed.without("address"), "target", lambda node: node.without("model"))
    return observed.without("source", "protocol") if _changes(observed, wish, "@type") else observed


def _prune_cpu(observed: Node, wish: Node) -> Node:
    if not _changes(observed, wish, "@mode"):
        return observed
    kept = tuple(child for child in observed.children if child.tag in ("topology", "numa"))
    return Node("cpu", {"mode": wish.attributes["mode"]}, "", kept)


def _prune_graphics(observed: Node, wish: Node) -> Node:
    """The address is said twice, as an attribute and as an element."""
    if _changes(observed, wish, "@listen") and not wish.find("listen"):
        return observed.without("listen")
    if wish.find("listen") and not wish.get("@listen"):
        return observed.without("@listen")
    return observed


def _prune_backend(observed: Node, wish: Node) -> Node:
    return replace(observed, attributes={}, text="", children=()) if _changes(observed, wish, "@model") else observed


def _prune_clock(observed: Node, wish: Node) -> Node:
    """What it starts from has words of its own."""
    return replace(observed, attributes={}) if _changes(observed, wish, "@offset") else observed


def _prune_numa_memory(observed: Node, wish: Node) -> Node:
    """Nodes are either named, or asked for."""
    if wish.get("@placement") == "auto":
        return observed.without("@nodeset")
    return observed.without("@placement") if wish.get("@nodeset") else observed


def _prune_video(observed: Node, wish: Node) -> Node:
    return observed.without("model", "driver", "address") if _changes(observed, wish, "model@type") else observed


def _prune_spinlocks(observed: Node, wish: Node) -> Node:
    return observed.without("@retries") if wish.get("@state") == "off" else observed


def _prune_cid(observed: Node, wish: Node) -> Node:
    return observed.without("@address") if wish.get("@auto") == "yes" else observed


def _prune_secret(observed: Node, wish: Node) -> Node:
    """It is named in one way."""
    return observed.without("@usage") if wish.get("@uuid") else observed.without("@uuid") if wish.get("@usage") else observed


def _prune_limits(observed: Node, wish: Node) -> Node:
    """A total stands instead of the limits of each direction. Source: virDomainDiskDefIotuneParse."""
    gone: Set[str] = set()
    for kind in ("bytes_sec", "iops_sec"):
        for what in (kind, f"{kind}_max"):
            said = {way for way in ("total", "read", "write") if (wish.get(f"{way}_{what}") or "0") != "0"}
            others = ("read", "write") if "total" in said else ("total",) if said else ()
            gone |= {f"{way}_{kind}{end}" for way in others for end in (("", "_max", "_max_length") if what == kind else ("_max", "_max_length"))}
    return observed.without(*gone)


def _prune_server(observed: Node, wish: Node) -> Node:
    """It is reached at an address or at a socket."""
    if wish.get("@socket"):
        return observed.without("@name", "@port")
    return observed.without("@socket", "@transport") if wish.get("@name") and observed.get("@socket") else observed


def _prune_whole(field: str) -> Callable[[Node, Node], Node]:
    """With another of this, nothing else of it is the same."""

    def prune_whole(observed: Node, wish: Node) -> Node:
        return Node(observed.tag) if _changes(observed, wish, field) else observed

    return prune_whole


_RULES: Dict[str, Callable[[Node, Node], Node]] = {
    "": _prune_domain,
    "cpu": _prune_cpu,
    "devices/disk": _prune_disk,
    "devices/interface": _prune_interface,
    "devices/serial": _prune_character,
    "devices/console": _prune_character,
    "devices/channel": _prune_character,
    "devices/parallel": _prune_character,
    "devices/graphics": _prune_graphics,
    "devices/rng/backend": _prune_backend,
    "devices/tpm/backend": _prune_whole("@type"),
    "devices/video": _prune_video,
    "devices/vsock/cid": _prune_cid,
    "devices/disk/source/auth/secret": _prune_secret,
    "devices/disk/source/host": _prune_server,
    "devices/disk/iotune": _prune_limits,
    "devices/interface/virtualport": _prune_whole("@type"),
    "launchSecurity": _prune_whole("@type"),
    "features/hyperv/spinlocks": _prune_spinlocks,
    "cpu/cache": _prune_whole("@mode"),
    "clock": _prune_clock,
    "numatune/memory": _prune_numa_memory,
}
