# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the machine runs in, what it runs, and whether its kernel takes modules."""

from __future__ import annotations

from .. import remedies
from ..model import FAIL, PASS, UNKNOWN, WARN, Facts
from ..spec import Request
from .rule import Rule, Verdict

_STOP = {
    "virtualbox": "stop its guests and unload it (modprobe -r vboxnetadp vboxnetflt vboxdrv), or keep this machine for VirtualBox",
    "vmware": "stop its guests and unload it (modprobe -r vmmon), or keep this machine for VMware",
    "xen": "boot without Xen to use KVM, or manage its guests by Xen's own tools",
    "microsoft": "guests here are Hyper-V's: use another machine for KVM",
}


def _hypervisor(facts: Facts, request: Request) -> Verdict:
    name, evidence = facts.platform.hypervisor, facts.platform.hypervisor_evidence
    if name == "unknown":
        return UNKNOWN, evidence, ""
    if name == "none":
        return PASS, "not a guest itself: " + evidence, ""
    kind = f", as a confidential guest ({facts.platform.confidential_guest})" if facts.platform.confidential_guest else ""
    return PASS, f"runs under {name}{kind}: {evidence}", ""


def _container(facts: Facts, request: Request) -> Verdict:
    if not remedies.in_container(facts):
        return PASS, f"not a container: {facts.platform.container_evidence}", ""
    evidence = f"a container ({facts.platform.container}): {facts.platform.container_evidence}"
    return WARN, evidence, "check the machine that runs this container: devices, modules and control groups are its own"


def _runs(facts: Facts, request: Request) -> Verdict:
    """More than one hypervisor at a time want the same registers of the CPU."""
    if not facts.platform.runs:
        return PASS, "no hypervisor runs here: no KVM, Xen, Hyper-V, VirtualBox or VMware in /sys/module, /sys/hypervisor and /dev", ""
    evidence = "; ".join(f"runs {running.name} (type {running.type}): {running.evidence}" for running in facts.platform.runs)
    others = [running.name for running in facts.platform.runs if running.name != "kvm"]
    if not others:
        return PASS, evidence, ""
    status = FAIL if {"xen", "microsoft"} & set(others) else WARN
    return status, f"{evidence}; KVM and another hypervisor cannot use the CPU at once", "; ".join(_STOP[name] for name in others)


def _modules(facts: Facts, request: Request) -> Verdict:
    if facts.platform.loads_modules:
        return PASS, facts.platform.module_evidence, ""
    return WARN, facts.platform.module_evidence, "what is missing has to be built into the kernel, or loaded early at boot: boot another kernel"


RULES = (
    Rule("platform.hypervisor", ("cpu",), _hypervisor),
    Rule("platform.container", ("cpu",), _container),
    Rule("platform.runs", ("cpu", "kvm"), _runs),
    Rule("kernel.modules", ("kvm", "devices"), _modules),
)
