# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cgroups as mountinfo and the cgroup file systems show them, and which manager owns them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Dict, FrozenSet, List, Tuple

from ..engine.errors import Failure
from ..engine.host import Host
from .fields import FIELDS
from .model import AUTO, CGROUPFS, SYSTEMD, Desired, Level, Observed, Place
from .read_slice import read_slice

# v1 shows "no limit" as the largest number of whole pages; 64 KiB is the largest page.
_V1_UNLIMITED = 2**63 - 2**16
_V1_LIMITS = re.compile(r"memory\..*limit_in_bytes")
_LISTS = ("cpuset.cpus", "cpuset.mems")


@dataclass(frozen=True)
class Mount:
    """A mounted hierarchy. controllers: of a v1 hierarchy, its name= among them."""

    path: str
    version: int
    controllers: FrozenSet[str] = frozenset()


def parse_mountinfo(text: str) -> List[Mount]:
    """The cgroup hierarchies in the text of /proc/self/mountinfo, each once, where it is mounted first."""
    found: Dict[Tuple[int, FrozenSet[str]], Mount] = {}
    for line in text.splitlines():
        head, _dash, tail = line.partition(" - ")
        kind, _space, rest = tail.partition(" ")
        if kind not in ("cgroup", "cgroup2"):
            continue
        path = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), head.split()[4])
        options = frozenset(rest.split()[-1].split(",")) - {"rw", "ro"} if kind == "cgroup" else frozenset()
        mount = Mount(path, 1 if kind == "cgroup" else 2, options)
        found.setdefault((mount.version, mount.controllers), mount)
    return list(found.values())


def hierarchy(mounts: List[Mount]) -> str:
    """v2 where cgroup2 stands alone, v1 without it, hybrid with both."""
    versions = {mount.version for mount in mounts}
    if not versions:
        raise Failure("cgroups: no hierarchy is mounted on this host; mount cgroup2 at /sys/fs/cgroup", "no_cgroups")
    return "hybrid" if versions == {1, 2} else f"v{versions.pop()}"


def read(host: Host, desired: Desired) -> Observed:
    mounts = parse_mountinfo(host.read("/proc/self/mountinfo") or "")
    kind = hierarchy(mounts)
    page = os.sysconf("SC_PAGE_SIZE")
    if _manager(host, desired.manager) == SYSTEMD:
        return Observed(SYSTEMD, kind, page=page, slice=read_slice(host, desired.name, [mount.path for mount in mounts]))
    places = tuple(_place(host, mount, desired) for mount in mounts)
    knobs: Dict[str, str] = {}
    usage = None
    for place in places:
        if place.exists:
            knobs.update(_knobs(host, place, desired))
        if place.version == 2 and "memory" in place.controllers:
            current = host.try_read(f"{place.path}/memory.current")
            usage = int(current) if current else None
    return Observed(CGROUPFS, kind, places, knobs, usage, page)


def _manager(host: Host, asked: str) -> str:
    running = host.is_dir("/run/systemd/system")
    if asked == CGROUPFS and running:
        raise Failure(
            "manager: systemd runs this host and owns every cgroup, so it would undo what is written beside it; use manager: systemd or auto",
            "systemd_owns_cgroups",
        )
    if asked == SYSTEMD and not running:
        raise Failure("manager: systemd does not run this host, so it keeps no slices; use manager: cgroupfs or auto", "systemd_not_running")
    return (SYSTEMD if running else CGROUPFS) if asked == AUTO else asked


def _place(host: Host, mount: Mount, desired: Desired) -> Place:
    path = f"{mount.path}/{desired.name}"
    parts = desired.name.split("/")
    above = ["/".join([mount.path, *parts[:depth]]) for depth in range(len(parts))]
    levels = tuple(_level(host, mount, directory) for directory in above)
    controllers = mount.controllers if mount.version == 1 else levels[0].available
    exists = host.is_dir(path)
    below = () if desired.present or not exists else tuple(_below(host, path))
    return Place(
        path,
        mount.version,
        controllers,
        exists,
        levels,
        below,
        populated=not desired.present and any(_processes(host, directory) for directory in (*below, path)),
        absent=_absent(host, mount, path),
    )


def _level(host: Host, mount: Mount, path: str) -> Level:
    if not host.is_dir(path):
        return Level(path, exists=False)
    suffix = ".effective" if mount.version == 2 else ""
    lists = {file: (host.try_read(f"{path}/{file}{suffix}") or "").strip() for file in _LISTS}
    if mount.version == 1:
        return Level(path, lists=lists)
    enabled, available = (frozenset((host.try_read(f"{path}/{file}") or "").split()) for file in ("cgroup.subtree_control", "cgroup.controllers"))
    # The root may hold processes and still have children with limits.
    return Level(path, True, enabled, available, busy=path != mount.path and _processes(host, path), lists=lists)


def _below(host: Host, path: str) -> List[str]:
    found: List[str] = []
    for name in host.list(path):
        directory = f"{path}/{name}"
        if host.is_dir(directory):
            found += [*_below(host, directory), directory]
    return found


def _processes(host: Host, path: str) -> bool:
    return bool((host.try_read(f"{path}/cgroup.procs") or "").strip())


def _absent(host: Host, mount: Mount, path: str) -> FrozenSet[str]:
    """The files of the table that this kernel does not have.

    v1 shows them at the root already, but for pids.max, which is always there below it. v2 shows them only in cgroups
    that have their controller: this one, or another one below the root. Where there is none, all are taken to be there.
    """
    files = [(knob.controller, knob.key) for item in FIELDS for knob in ((item.v1 if mount.version == 1 else item.v2),) if knob]
    if mount.version == 1:
        return frozenset(
            key for controller, key in files if controller in mount.controllers and key != "pids.max" and not host.exists(f"{mount.path}/{key}")
        )
    missing = set()
    samples = [path, *(f"{mount.path}/{name}" for name in host.list(mount.path))]
    having = [(sample, (host.try_read(f"{sample}/cgroup.controllers") or "").split()) for sample in samples]
    for controller, key in files:
        sample = next((sample for sample, present in having if controller in present), None)
        if sample and not host.exists(f"{sample}/{key}"):
            missing.add(key)
    return frozenset(missing)


def _knobs(host: Host, place: Place, desired: Desired) -> Dict[str, str]:
    keys = {knob.key for item in FIELDS for knob in ((item.v1 if place.version == 1 else item.v2),) if knob and knob.controller in place.controllers}
    if place.version == 2:
        keys |= set(desired.unified)
    texts = {key: host.try_read(f"{place.path}/{key}") for key in keys}
    return {key: _canonical(key, text.strip()) for key, text in texts.items() if text is not None}


def _canonical(file: str, text: str) -> str:
    return "-1" if _V1_LIMITS.fullmatch(file) and text.isdigit() and int(text) >= _V1_UNLIMITED else text
