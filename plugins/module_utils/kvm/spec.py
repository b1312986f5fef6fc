# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked of a host: options → Request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.units import optional_size, parse_size

SUBSETS = ("cpu", "kvm", "confidential", "iommu", "memory", "devices", "cgroup", "namespace", "security", "capacity", "network")
DEFAULT_DISK_PATH = "/var/lib/libvirt/images"
_SMALLEST_HUGE = 16 * 1024  # some architectures begin at 64 KiB; the smallest ordinary page is 4 KiB

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "gather_subset": {"type": "list", "elements": "str", "choices": ["all", *SUBSETS], "default": ["all"]},
        "kvm_probe": {"type": "bool", "default": True},
        "user": {"type": "str"},
        "disk_paths": {"type": "list", "elements": "path", "default": [DEFAULT_DISK_PATH]},
        "requirements": {
            "type": "dict",
            "options": {
                "kvm": {"type": "bool"},
                "nested": {"type": "bool"},
                "iommu": {"type": "bool"},
                "sev_snp": {"type": "bool"},
                "tdx": {"type": "bool"},
                "min_memory": {"type": "str"},
                "min_vcpus": {"type": "int"},
                "min_disk": {"type": "dict"},
                "hugepages": {"type": "dict"},
                "modules": {"type": "list", "elements": "str"},
                "controllers": {"type": "list", "elements": "str"},
            },
        },
        "host_reserve": {
            "type": "dict",
            "options": {"memory": {"type": "str"}, "vcpus": {"type": "int"}, "disk": {"type": "str"}},
        },
        "fail_on": {"type": "str", "choices": ["never", "fail", "warn"], "default": "never"},
    },
}


@dataclass(frozen=True)
class Requirements:
    """None or empty: nothing is required. Sizes in bytes. hugepages: size of a page → how many."""

    kvm: bool = False
    nested: bool = False
    iommu: bool = False
    sev_snp: bool = False
    tdx: bool = False
    min_memory: Optional[int] = None
    min_vcpus: Optional[int] = None
    min_disk: Mapping[str, int] = field(default_factory=dict)
    hugepages: Mapping[int, int] = field(default_factory=dict)
    modules: Tuple[str, ...] = ()
    controllers: Tuple[str, ...] = ()

    def subsets(self) -> FrozenSet[str]:
        """The subsets without which these requirements cannot be judged."""
        needed = {
            "kvm": self.kvm or self.nested,
            "iommu": self.iommu,
            "confidential": self.sev_snp or self.tdx,
            "memory": self.min_memory is not None or bool(self.hugepages),
            "modules": bool(self.modules),
            "capacity": self.min_vcpus is not None or bool(self.min_disk),
            "cgroup": bool(self.controllers),
        }
        return frozenset(name for name, is_needed in needed.items() if is_needed)


@dataclass(frozen=True)
class Reserve:
    """What the host keeps for itself. memory: bytes. disk: bytes on each file system."""

    memory: int = 0
    vcpus: int = 0
    disk: int = 0


@dataclass(frozen=True)
class Request:
    """subsets: those whose checks are wanted. probe: whether a guest may be run. user: whose access to /dev/kvm is asked for."""

    subsets: FrozenSet[str] = frozenset(SUBSETS)
    probe: bool = True
    user: Optional[str] = None
    disk_paths: Tuple[str, ...] = (DEFAULT_DISK_PATH,)
    requirements: Requirements = Requirements()
    reserve: Reserve = Reserve()
    fail_on: str = "never"

    def reads(self) -> FrozenSet[str]:
        """What has to be read: what is wanted, what the requirements need, and what judging those leans on."""
        needed = self.subsets | self.requirements.subsets()
        if needed & {"kvm", "iommu", "confidential"}:
            needed |= {"cpu"}
        return needed | {"memory"} if "capacity" in needed else needed


def from_params(params: Mapping[str, Any]) -> Request:
    chosen = frozenset(params["gather_subset"])
    requirements = _requirements(params["requirements"] or {})
    if requirements.kvm and not params["kvm_probe"]:
        raise Failure("requirements.kvm: only the proof can tell, and kvm_probe is false; set kvm_probe: true", "conflicting_options")
    paths = [_absolute(path, "disk_paths") for path in params["disk_paths"]]
    return Request(
        subsets=frozenset(SUBSETS) if "all" in chosen else chosen,
        probe=params["kvm_probe"],
        user=_user(params["user"]),
        disk_paths=tuple(dict.fromkeys([*paths, *requirements.min_disk])),
        requirements=requirements,
        reserve=_reserve(params["host_reserve"] or {}),
        fail_on=params["fail_on"],
    )


def _requirements(options: Mapping[str, Any]) -> Requirements:
    disks = options.get("min_disk") or {}
    return Requirements(
        kvm=bool(options.get("kvm")),
        nested=bool(options.get("nested")),
        iommu=bool(options.get("iommu")),
        sev_snp=bool(options.get("sev_snp")),
        tdx=bool(options.get("tdx")),
        min_memory=optional_size(options.get("min_memory"), "requirements.min_memory"),
        min_vcpus=_count(options.get("min_vcpus"), "requirements.min_vcpus"),
        min_disk={_absolute(path, "requirements.min_disk"): parse_size(size, f"requirements.min_disk.{path}") for path, size in disks.items()},
        hugepages=_hugepages(options.get("hugepages") or {}),
        modules=tuple(dict.fromkeys(_module(name) for name in options.get("modules") or ())),
        controllers=tuple(dict.fromkeys(options.get("controllers") or ())),
    )


def _reserve(options: Mapping[str, Any]) -> Reserve:
    return Reserve(
        memory=optional_size(options.get("memory"), "host_reserve.memory") or 0,
        vcpus=_count(options.get("vcpus"), "host_reserve.vcpus") or 0,
        disk=optional_size(options.get("disk"), "host_reserve.disk") or 0,
    )


def _hugepages(sizes: Mapping[str, Any]) -> Dict[int, int]:
    found: Dict[int, int] = {}
    for size, count in sizes.items():
        what = f"requirements.hugepages.{size}"
        page = parse_size(size, what)
        if page < _SMALLEST_HUGE or page & (page - 1):
            raise Failure(f"{what}: no huge page is of that size; use 2MiB, 1GiB or another size that this architecture has", "invalid_size")
        if not str(count).isdigit():
            raise Failure(f"{what}: {str(count)!r} is no number of pages; give a number from 0 up", "invalid_count")
        found[page] = found.get(page, 0) + int(count)
    return found


def _module(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise Failure(f"requirements.modules: {name!r} is not a module's name; give names such as vhost_net", "invalid_name")
    return name


def _user(name: Optional[str]) -> Optional[str]:
    if name is not None and not re.fullmatch(r"[^\s:/-][^\s:/]*", name):
        raise Failure(f"user: {name!r} is not a user's name; give a name or a number", "invalid_name")
    return name


def _count(value: Optional[int], what: str) -> Optional[int]:
    if value is not None and value < 0:
        raise Failure(f"{what}: {value} is less than nothing; give a number from 0 up", "invalid_count")
    return value


def _absolute(path: str, what: str) -> str:
    if not path.startswith("/"):
        raise Failure(f"{what}: {path!r} is not an absolute path; begin it with /", "invalid_path")
    return path.rstrip("/") or "/"
