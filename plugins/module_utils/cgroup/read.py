# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cgroups as mountinfo and the cgroup file systems show them, and which manager owns them."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, List, Tuple

from ..engine.accounts import user_name
from ..engine.errors import Failure
from ..engine.host import Host
from .fields import FIELDS
from .fields_other import hugepage_fields, hugepage_sizes
from .lines import canonical_lines, has_lines
from .model import AUTO, CGROUPFS, SYSTEMD, Desired, Level, Observed, Place
from .read_slice import PACKAGE, parse_show, read_slice

# v1 shows "no limit" as the largest number of whole pages, which may be huge ones.
_V1_UNLIMITED = 2**62
_V1_LIMITS = re.compile(r"(memory|hugetlb)\..*limit_in_bytes")
_LISTS = ("cpuset.cpus", "cpuset.mems")
_EFFECTIVE = {1: ("cpuset.effective_cpus", "cpuset.effective_mems"), 2: ("cpuset.cpus.effective", "cpuset.mems.effective")}
_USAGE = (("memory", "memory.current", 2), ("pids", "pids.current", 1), ("pids", "pids.current", 2))

# v1's root lacks some files that the cgroups below it have. File → one that the root has with it.
_NOT_AT_ROOT = {
    "pids.max": "cgroup.procs",
    "blkio.bfq.weight": "blkio.bfq.io_serviced",
    "blkio.bfq.weight_device": "blkio.bfq.io_serviced",
    "blkio.weight": "blkio.io_serviced",
}
# Linux 5.16 still has the file, and ignores or refuses what is written to it.
_KERNEL_MEMORY, _IGNORED_SINCE = "memory.kmem.limit_in_bytes", (5, 16)


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
    devices = {path: _device(host, path) for path in desired.paths}
    sizes = hugepage_sizes(host.list("/sys/kernel/mm/hugepages"))
    running = host.is_dir("/run/systemd/system")
    unit = _delegated_unit(host, desired) if running else ""
    if _manager(desired.manager, running, unit) == SYSTEMD:
        unified = mounts[0].path if kind == "v2" else ""
        found = read_slice(host, desired.name, [mount.path for mount in mounts], unified)
        usage = _usage(host, found.directory, 2) if found.directory else {}
        files = _files(host, found.directory, _keys(2, sizes)) if found.directory else {}
        return Observed(SYSTEMD, kind, page=page, slice=replace(found, files=files), usage=usage, devices=devices, page_sizes=sizes)
    places = tuple(_place(host, mount, desired, sizes, unit) for mount in mounts)
    knobs: Dict[str, str] = {}
    counted: Dict[str, int] = {}
    for place in places:
        if place.exists:
            extra = desired.unified if place.version == 2 else ()
            keys = [key for controller, key in _keys(place.version, sizes) if controller in place.controllers]
            knobs.update(_files(host, place.path, [("", key) for key in (*keys, *extra)]))
            counted.update({what: number for what, number in _usage(host, place.path, place.version).items() if what in place.controllers})
    living = frozenset(process for process in desired.processes if host.is_dir(f"/proc/{process}"))
    return Observed(CGROUPFS, kind, places, knobs, counted, page, devices=devices, page_sizes=sizes, delegated=unit, living=living)


def _device(host: Host, path: str) -> str:
    """MAJOR:MINOR of a block device."""
    try:
        found = os.stat(host.path(path))
    except OSError:
        found = None
    if found is None or not stat.S_ISBLK(found.st_mode):
        raise Failure(f"{path}: is not a block device of this host; name one that is there, such as /dev/sda", "unknown_device")
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"


def _usage(host: Host, path: str, version: int) -> Dict[str, int]:
    found = {what: (host.try_read(f"{path}/{file}") or "").strip() for what, file, of_version in _USAGE if of_version == version}
    return {what: int(text) for what, text in found.items() if text.isdigit()}


def _delegated_unit(host: Host, desired: Desired) -> str:
    """The path of the unit with Delegate=yes that the cgroup is in. systemd keeps its hands off what is below."""
    parts = desired.name.split("/")
    for depth, part in enumerate(parts[:-1], start=1):
        if part.endswith((".service", ".scope")):
            shown = host.run([host.require("systemctl", PACKAGE), "show", "--no-pager", "--property=Delegate", "--", part])
            if parse_show(shown.stdout).get("Delegate") == "yes":
                return "/".join(parts[:depth])
    return ""


def _manager(asked: str, running: bool, delegated: str) -> str:
    if asked == CGROUPFS and running and not delegated:
        raise Failure(
            "manager: systemd runs this host and owns every cgroup that is not within a unit with Delegate=yes, so it would undo what is written "
            "beside it; use manager: systemd or auto",
            "systemd_owns_cgroups",
        )
    if asked == SYSTEMD and not running:
        raise Failure("manager: systemd does not run this host, so it keeps no slices; use manager: cgroupfs or auto", "systemd_not_running")
    return (SYSTEMD if running and not delegated else CGROUPFS) if asked == AUTO else asked


def _place(host: Host, mount: Mount, desired: Desired, sizes: Tuple[str, ...], unit: str) -> Place:
    path = f"{mount.path}/{desired.name}"
    parts = desired.name.split("/")
    above = ["/".join([mount.path, *parts[:depth]]) for depth in range(len(parts))]
    own = f"{mount.path}/{unit}" if unit else ""
    levels = tuple(_level(host, mount, directory, len(directory) < len(own)) for directory in above)
    given = next((level for level in levels if level.path == own), levels[0])
    controllers = mount.controllers if mount.version == 1 else given.available
    exists = host.is_dir(path)
    below = () if desired.present or not exists else tuple(_below(host, path))
    members = frozenset(int(word) for word in (host.try_read(f"{path}/cgroup.procs") or "").split()) & set(desired.processes)
    return Place(
        path,
        mount.version,
        controllers,
        exists,
        levels,
        below,
        populated=not desired.present and any(_processes(host, directory) for directory in (*below, path)),
        absent=_absent(host, mount, path, _keys(mount.version, sizes)),
        members=members,
        owner=_owner(host, path) if exists and desired.user is not None else "",
        given=frozenset((host.try_read(f"{path}/cgroup.subtree_control") or "").split()),
    )


def _owner(host: Host, path: str) -> str:
    return user_name(os.stat(host.path(f"{path}/cgroup.procs")).st_uid)


def _level(host: Host, mount: Mount, path: str, foreign: bool = False) -> Level:
    if not host.is_dir(path):
        return Level(path, exists=False, foreign=foreign)
    suffix = ".effective" if mount.version == 2 else ""
    lists = {file: (host.try_read(f"{path}/{file}{suffix}") or "").strip() for file in _LISTS}
    if mount.version == 1:
        return Level(path, lists=lists)
    enabled, available = (frozenset((host.try_read(f"{path}/{file}") or "").split()) for file in ("cgroup.subtree_control", "cgroup.controllers"))
    # The root may hold processes and still have children with limits.
    return Level(path, True, enabled, available, busy=path != mount.path and _processes(host, path), lists=lists, foreign=foreign)


def _below(host: Host, path: str) -> List[str]:
    found: List[str] = []
    for name in host.list(path):
        directory = f"{path}/{name}"
        if host.is_dir(directory):
            found += [*_below(host, directory), directory]
    return found


def _processes(host: Host, path: str) -> bool:
    return bool((host.try_read(f"{path}/cgroup.procs") or "").strip())


def _keys(version: int, sizes: Tuple[str, ...]) -> List[Tuple[str, str]]:
    """The files of the table: (controller, name)."""
    fields = (*FIELDS, *(item for size in sizes for item in hugepage_fields(size)))
    found = [(knob.controller, knob.key) for item in fields for knob in item.knobs(version)]
    return [*dict.fromkeys(found), *(("cpuset", file) for file in _EFFECTIVE[version])]


def _absent(host: Host, mount: Mount, path: str, files: List[Tuple[str, str]]) -> FrozenSet[str]:
    """The files of the table that this kernel does not have.

    v1 shows them at the root already, but for a few. v2 shows them only in cgroups that have their controller: this one,
    or another one below the root. Where there is none, all are taken to be there, but for the weights of a scheduler that few kernels have.
    """
    if mount.version == 1:
        missing = {
            key for controller, key in files if controller in mount.controllers and not host.exists(f"{mount.path}/{_NOT_AT_ROOT.get(key, key)}")
        }
        return frozenset(missing | ({_KERNEL_MEMORY} if _release() >= _IGNORED_SINCE else set()))
    missing = set()
    samples = [path, *(f"{mount.path}/{name}" for name in host.list(mount.path))]
    having = [(sample, (host.try_read(f"{sample}/cgroup.controllers") or "").split()) for sample in samples]
    for controller, key in files:
        sample = next((sample for sample, present in having if controller in present), None)
        if not host.exists(f"{sample}/{key}") if sample else key == "io.bfq.weight":
            missing.add(key)
    return frozenset(missing)


def _release() -> Tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])


def _files(host: Host, path: str, files: List[Tuple[str, str]]) -> Dict[str, str]:
    texts = {key: host.try_read(f"{path}/{key}") for _controller, key in files}
    return {key: _canonical(key, text.strip()) for key, text in texts.items() if text is not None}


def _canonical(file: str, text: str) -> str:
    if has_lines(file):
        return canonical_lines(file, text)
    if file == "memory.oom_control":
        return text.split()[1] if len(text.split()) > 1 else text
    return "-1" if _V1_LIMITS.fullmatch(file) and text.isdigit() and int(text) >= _V1_UNLIMITED else text
