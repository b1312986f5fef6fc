# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole report: read, judge, and fail where that was asked for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict, List, Mapping, Optional

from ..engine.errors import Failure
from ..engine.host import Host
from .checks import controllers, run_checks
from .headroom import headroom
from .model import FAIL, WARN, Check, Facts
from .probe import probe
from .read import Prober, read
from .requirements import run_requirements
from .spec import from_params

_FAILING = {"never": (), "fail": (FAIL,), "warn": (FAIL, WARN)}
# What a container of any engine is made of.
_CONTAINER_CONTROLLERS = {"cpu", "memory", "pids"}
_CONTAINER_NAMESPACES = {"ipc", "mnt", "net", "pid", "uts"}


def gather(host: Host, params: Mapping[str, Any], prober: Prober = probe) -> Dict[str, Any]:
    """The result of the module. prober: runs the guest."""
    request = from_params(params)
    facts = read(host, request, prober)
    checks = [*run_checks(facts, request), *run_requirements(facts, request)]
    report = {
        "checks": [asdict(check) for check in checks],
        "facts": facts.as_dict(),
        "for_guests": headroom(facts, request.reserve).as_dict(),
        "kvm": asdict(facts.proof),
        "usable": {"kvm": facts.proof.accelerated, "containers": runs_containers(facts)},
    }
    failed = [check for check in checks if check.status in _FAILING[request.fail_on]]
    if failed:
        raise Failure(_sentence(failed), "requirements_not_met", changed=False, **report)
    return report


def runs_containers(facts: Facts) -> Optional[bool]:
    """None where control groups were not read."""
    if facts.cgroup is None:
        return None
    return _CONTAINER_CONTROLLERS.issubset(controllers(facts.cgroup.controllers)) and _CONTAINER_NAMESPACES.issubset(facts.platform.namespaces)


def _sentence(failed: List[Check]) -> str:
    each = "; ".join(f"{check.id} ({check.evidence})" for check in failed)
    count = "1 check does" if len(failed) == 1 else f"{len(failed)} checks do"
    return f"this host: {count} not pass: {each}; the remedy of each is in checks"
