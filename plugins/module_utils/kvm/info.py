# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole report: read, judge, and fail where that was asked for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Callable, Dict, List, Mapping, Optional

from ..engine.errors import Failure
from ..engine.host import Host
from .budget import since_start
from .checks.containers import NAMESPACES, controllers
from .checks.table import run_checks
from .headroom import headroom
from .model import FAIL, WARN, Check, Facts
from .read.host import Prober, guest, read
from .read.registers import Registers
from .requirements import run_requirements
from .spec import from_params

_FAILING = {"never": (), "fail": (FAIL,), "warn": (FAIL, WARN)}
# What a container of any engine is made of, and what LXC puts into it besides. Source: virt-host-validate's checks of LXC.
_CONTAINER_CONTROLLERS = {"cpu", "memory", "pids"}
_LXC_CONTROLLERS = {"cpu", "cpuset", "io", "memory"}


def gather(
    host: Host,
    params: Mapping[str, Any],
    prober: Prober = guest,
    registers: Optional[Registers] = None,
    spent: Callable[[], float] = since_start,
) -> Dict[str, Any]:
    """The result of the module. prober: runs the guest. registers: the CPU asked past the kernel. spent: seconds since the module started."""
    request = from_params(params)
    facts = read(host, request, prober, registers, spent)
    checks = [*run_checks(facts, request), *run_requirements(facts, request)]
    report = {
        "checks": [asdict(check) for check in checks],
        "facts": facts.as_dict(),
        "for_guests": headroom(facts, request.reserve).as_dict(),
        "kvm": facts.proof.as_dict(),
        "usable": usable(facts),
    }
    failed = [check for check in checks if check.status in _FAILING[request.fail_on]]
    if failed:
        raise Failure(_sentence(failed), "requirements_not_met", changed=False, **report)
    return report


def usable(facts: Facts) -> Dict[str, Optional[bool]]:
    """The short answers; None where what they stand on was not read."""
    there = None if facts.cgroup is None else set(controllers(facts.cgroup.controllers))
    kinds = set(facts.platform.namespaces)
    return {
        "kvm": facts.proof.accelerated,
        "lxc": None if there is None else there >= _LXC_CONTROLLERS and kinds >= {*NAMESPACES, "user"},
        "containers": None if there is None else there >= _CONTAINER_CONTROLLERS and kinds >= set(NAMESPACES),
        "passthrough": None if facts.iommu is None else bool(facts.iommu.groups),
        "confidential": None if facts.confidential is None else any(feature["on"] for feature in asdict(facts.confidential).values()),
    }


def _sentence(failed: List[Check]) -> str:
    each = "; ".join(f"{check.id} ({check.evidence})" for check in failed)
    count = "1 check does" if len(failed) == 1 else f"{len(failed)} checks do"
    return f"this host: {count} not pass: {each}; the remedy of each is in checks"
