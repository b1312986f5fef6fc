# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets of namespaces as procfs, ip and systemd's units show them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.host import Host
from .commands import BASE, NETNS, entering, file_of
from .model import FILES, Desired, Interface, Link, Mapped, Observed, Process
from .model_routes import parse
from .read_process import lacks, read_process
from .unit import DIRECTORY, TARGET, declared, unit_name, unit_path

Identity = Tuple[int, int]


def read(host: Host, desired: Desired) -> Observed:
    host.require("unshare", "util-linux")
    ip = host.require("ip", "iproute2")
    name = desired.name
    mounts = mount_points(host.read("/proc/self/mountinfo") or "")
    namespaces = {path for path, fs_type in mounts.items() if fs_type == "nsfs"}
    types = tuple(kind for kind in FILES if file_of(name, kind) in namespaces)
    identities = {kind: found for kind in types for found in [identity(host.path(file_of(name, kind)))] if found}
    processes, init = _processes(host, identities)
    host_links = _json(host.run([ip, "-j", "-d", "link", "show"]).stdout)
    interfaces, loopback = _inside(host, name, host_links) if "network" in types else ((), False)
    network = identity(host.path(f"{NETNS}/{name}")) if f"{NETNS}/{name}" in namespaces else None
    uid, gid = (_mapping(host, name, which) if "user" in types else () for which in ("uid", "gid"))
    kept = declared(host.read(unit_path(name)))
    observed = Observed(
        name,
        types,
        directory=f"{BASE}/{name}" in mounts,
        init=init,
        hostname=host.run([*entering(name, ("uts",)), "hostname"]).stdout.strip() if "uts" in types else None,
        uid_mappings=uid,
        gid_mappings=gid,
        loopback=loopback,
        interfaces=interfaces,
        links={item["ifname"]: Link(item.get("linkinfo", {}).get("info_kind", ""), item["mtu"]) for item in host_links},
        netns="" if network is None else "here" if network == identities.get("network") else "elsewhere",
        processes=processes,
        limits=_limits(host),
        systemd=host.is_dir("/run/systemd/system"),
        kept=kept,
        enabled=unit_name(name) in host.list(f"{DIRECTORY}/{TARGET}.wants"),
        lacks=lacks(host, desired.process) if desired.process and desired.process.args else None,
    )
    return read_process(host, observed)


def identity(path: str) -> Optional[Identity]:
    """Two namespaces are the same if these of their files are. Source: ioctl_nsfs(2), namespaces(7)."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def mount_points(mountinfo: str) -> Dict[str, str]:
    """Mount point → type of file system, by the text of /proc/self/mountinfo. Files that an earlier boot left are none."""
    lines = [line.partition(" - ") for line in mountinfo.splitlines()]
    return {left.split()[4]: right.split()[0] for left, _dash, right in lines if right}


def _limits(host: Host) -> Dict[str, Optional[int]]:
    found: Dict[str, Optional[int]] = {}
    for kind, name in FILES.items():
        text = (host.try_read(f"/proc/sys/user/max_{name}_namespaces") or "1").strip()
        found[kind] = int(text) if os.path.lexists(host.path(f"/proc/self/ns/{name}")) else None
    return found


def _processes(host: Host, identities: Mapping[str, Identity]) -> Tuple[Tuple[Process, ...], bool]:
    """Who lives in the namespaces, and whether the pid namespace has a living init.

    The init and unshare, which waits for it, are keepers: they are known by the namespace that they hold, not by a number in a file.
    """
    if not identities:
        return (), False
    found: List[Process] = []
    init = False
    for name in (item for item in host.list("/proc") if item.isdigit()):
        held = {kind for kind, wanted in identities.items() if identity(host.path(f"/proc/{name}/ns/{FILES[kind]}")) == wanted}
        children = "pid" in identities and identity(host.path(f"/proc/{name}/ns/pid_for_children")) == identities["pid"]
        if not held and not children:
            continue
        if ended(host.try_read(f"/proc/{name}/stat") or ""):
            continue
        is_init = "pid" in held and _innermost(host.try_read(f"/proc/{name}/status") or "") == 1
        init = init or is_init
        waits = children and "pid" not in held
        found.append(Process(int(name), (host.try_read(f"/proc/{name}/comm") or "ended").strip(), keeper=is_init or waits))
    return tuple(found), init


def ended(stat: str) -> bool:
    """Whether a process is dead or dying, by the text of /proc/PID/stat. Source: proc_pid_stat(5); PF_EXITING in linux/sched.h.

    The init of a pid namespace stays so until the parents of all others there, who may be outside, have buried them.
    """
    fields = stat.rpartition(")")[2].split()
    return not fields or fields[0] in ("Z", "X") or bool(int(fields[6]) & 0x4)


def _innermost(status: str) -> Optional[int]:
    """A process's number in its own pid namespace, by the text of /proc/PID/status."""
    fields = dict(line.partition(":")[::2] for line in status.splitlines())
    numbers = fields.get("NSpid", "").split()
    return int(numbers[-1]) if numbers else None


def _mapping(host: Host, name: str, which: str) -> Tuple[Mapped, ...]:
    words = [*entering(name, ("user",)), "--preserve-credentials", "cat", f"/proc/self/{which}_map"]
    return parse_mapping(host.run(words).stdout)


def parse_mapping(text: str) -> Tuple[Mapped, ...]:
    rows = [line.split() for line in text.splitlines() if line.strip()]
    return tuple((int(row[0]), int(row[1]), int(row[2])) for row in rows)


def _json(text: str) -> List[Dict[str, Any]]:
    try:
        return [item for item in json.loads(text or "[]") if item]
    except ValueError as error:
        raise Failure(f"ip: its answer is not JSON ({error}); install an iproute2 of version 4.18 or newer", "tool_unsuitable") from error


def _inside(host: Host, name: str, host_links: List[Dict[str, Any]]) -> Tuple[Tuple[Interface, ...], bool]:
    ip = [*entering(name, ("network",)), "ip", "-j"]
    found, loopback = parse_inside(_json(host.run([*ip, "-d", "addr", "show"]).stdout), host_links)
    entries = [entry for family in ("-4", "-6") for entry in _json(host.run([*ip, family, "route", "show"], check=False).stdout)]
    routes = {item.name: parse([entry for entry in entries if entry.get("dev") == item.name]) for item in found}
    return tuple(replace(item, routes=routes[item.name]) for item in found), loopback


def _is_set(entry: Mapping[str, Any]) -> bool:
    """Whether an address was set by somebody: not the kernel's own (link-local), and without a lifetime (DHCP, router advertisements)."""
    return entry.get("scope") == "global" and "local" in entry and not entry.get("dynamic")


def parse_inside(links: List[Dict[str, Any]], host_links: List[Dict[str, Any]]) -> Tuple[Tuple[Interface, ...], bool]:
    """The links in the namespace and whether the loopback is up, from "ip -j -d addr show" there and "ip -j -d link show" outside.

    Links without an origin (tunl0, sit0) come with every namespace of some kernels and cannot leave it.
    """
    outside = {item["ifindex"]: item for item in host_links}
    found = []
    loopback = False
    for item in links:
        up = "UP" in item["flags"]
        if "LOOPBACK" in item["flags"]:
            loopback = up
            continue
        kind = item.get("linkinfo", {}).get("info_kind", "")
        if kind in ("ipip", "sit", "ip6tnl", "gre", "gretap", "erspan", "ip6gre", "vti", "vti6") and item["ifname"].endswith("0"):
            continue
        peer = outside.get(item.get("link_index", -1), {}) if kind == "veth" else {}
        addresses = sorted(f"{entry['local']}/{entry['prefixlen']}" for entry in item.get("addr_info", []) if _is_set(entry))
        found.append(
            Interface(
                item["ifname"],
                kind,
                up,
                item["mtu"],
                tuple(addresses),
                peer.get("ifname"),
                peer.get("master"),
                "UP" in peer.get("flags", ()),
            )
        )
    return tuple(sorted(found, key=lambda item: item.name)), loopback
