# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What containers are made of: control groups and namespaces."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Tuple

from ..model import FAIL, PASS, UNKNOWN, WARN, Facts
from ..spec import Request
from .rule import Rule, Verdict, need

# What libvirt puts guests into, and container engines containers, by the names of version 2.
# Source: the cgroup checks of virt-host-validate; in version 2 devices and freezer are no controllers any more.
_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
# Version 1's name → version 2's.
_RENAMED = {"blkio": "io", "cpuacct": "cpu"}
# Without these there is no container of any engine.
NAMESPACES = ("ipc", "mnt", "net", "pid", "uts")
# The least that a machine with some dozens of containers gets by with. Source: the kernel's own defaults on a small machine.
_LEAST: Dict[str, Tuple[str, int, str]] = {
    "pid_max": ("kernel.pid_max", 32768, "sysctl kernel.pid_max=4194304"),
    "inotify_instances": ("fs.inotify.max_user_instances", 128, "sysctl fs.inotify.max_user_instances=1024"),
    "inotify_watches": ("fs.inotify.max_user_watches", 8192, "sysctl fs.inotify.max_user_watches=524288"),
    "open_files": ("the limit of open files", 4096, "raise DefaultLimitNOFILE in /etc/systemd/system.conf, or nofile in /etc/security/limits.conf"),
}


def controllers(names: Tuple[str, ...]) -> List[str]:
    """Controllers by the names of version 2."""
    return sorted({_RENAMED.get(name, name) for name in names})


def _cgroup_mode(facts: Facts, request: Request) -> Verdict:
    mode = need(facts, "cgroup", facts.cgroup).mode
    if mode == "unified":
        return PASS, "unified: version 2 alone in /proc/self/mounts", ""
    if mode == "none":
        return FAIL, "no control groups in /proc/self/mounts", "mount -t cgroup2 none /sys/fs/cgroup, or boot with an init system that does so"
    meaning = "versions 1 and 2 side by side" if mode == "hybrid" else "version 1 alone"
    return WARN, f"{mode}: {meaning} in /proc/self/mounts", "add systemd.unified_cgroup_hierarchy=1 to the kernel command line and reboot"


def missing_controllers(facts: Facts, wanted: Tuple[str, ...]) -> Tuple[List[str], str]:
    """Those that are missing, and the evidence."""
    there = controllers(need(facts, "cgroup", facts.cgroup).controllers)
    missing = [name for name in wanted if _RENAMED.get(name, name) not in there]
    said = f"this host has {', '.join(there) or 'none'} (cgroup.controllers and /proc/cgroups)"
    return missing, f"missing: {', '.join(missing)}; {said}" if missing else said


def controller_remedy(missing: List[str]) -> str:
    if "memory" in missing:
        return "add cgroup_enable=memory to the kernel command line and reboot; in a container, delegate the controllers to it"
    return f"boot a kernel that has {', '.join(missing)}; in a container, delegate the controllers to it"


def _cgroup_controllers(facts: Facts, request: Request) -> Verdict:
    missing, evidence = missing_controllers(facts, _CONTROLLERS)
    return (WARN, evidence, controller_remedy(missing)) if missing else (PASS, evidence, "")


def _kinds(facts: Facts, request: Request) -> Verdict:
    kinds = need(facts, "namespace", facts.namespace).kinds
    evidence = f"/proc/self/ns has {', '.join(kinds) or 'none'}"
    missing = [kind for kind in NAMESPACES if kind not in kinds]
    if missing:
        return FAIL, f"{evidence}, without {', '.join(missing)}: no containers", "boot a kernel that has CONFIG_NAMESPACES and those below it"
    missing = [kind for kind in ("user", "cgroup") if kind not in kinds]
    if missing:
        names = " and ".join(f"CONFIG_{'USER_NS' if kind == 'user' else 'CGROUPS'}" for kind in missing)
        return WARN, f"{evidence}, without {', '.join(missing)}: no containers of ordinary users", f"boot a kernel that has {names}"
    return PASS, evidence, ""


def _limits(facts: Facts, request: Request) -> Verdict:
    kinds = need(facts, "namespace", facts.namespace).kinds
    limits = {kind: most for kind, most in kinds.items() if most is not None}
    if not limits:
        return UNKNOWN, "no user.max_*_namespaces in /proc/sys/user", ""
    none = [kind for kind, most in limits.items() if most == 0]
    if none:
        remedy = "; ".join(f"sysctl user.max_{kind}_namespaces=65536" for kind in none)
        status = FAIL if set(none) & set(NAMESPACES) else WARN
        return status, f"user.max_*_namespaces is 0 for {', '.join(none)}: nobody may make one", f"{remedy} (and a file in /etc/sysctl.d)"
    return PASS, f"a user may make from {min(limits.values())} of each (user.max_*_namespaces)", ""


def _unprivileged(facts: Facts, request: Request) -> Verdict:
    found = need(facts, "namespace", facts.namespace)
    if found.unprivileged:
        return PASS, f"ordinary users may make user namespaces: {found.unprivileged_evidence}", ""
    name = found.unprivileged_evidence.partition(" ")[0]
    values = {"user.max_user_namespaces": 65536, "kernel.unprivileged_userns_clone": 1, "kernel.apparmor_restrict_unprivileged_userns": 0}
    remedy = (
        f"for rootless containers: sysctl {name}={values[name]} (and a file in /etc/sysctl.d)"
        if name in values
        else "boot a kernel that has CONFIG_USER_NS"
    )
    return WARN, f"no rootless containers: {found.unprivileged_evidence}", remedy


def _resources(facts: Facts, request: Request) -> Verdict:
    found = need(facts, "namespace", facts.namespace)
    values: Mapping[str, Optional[int]] = {key: getattr(found, key) for key in _LEAST}
    low = [key for key, value in values.items() if value is not None and value < _LEAST[key][1]]
    evidence = ", ".join(f"{_LEAST[key][0]}: {value}" for key, value in values.items() if value is not None)
    if low:
        said = ", ".join(f"{_LEAST[key][0]} is {values[key]}, and containers want {_LEAST[key][1]} at least" for key in low)
        return WARN, said, "; ".join(_LEAST[key][2] for key in low)
    return PASS, evidence or "no limits in /proc/sys", ""


RULES = (
    Rule("cgroup.mode", ("cgroup",), _cgroup_mode),
    Rule("cgroup.controllers", ("cgroup",), _cgroup_controllers),
    Rule("namespace.kinds", ("namespace",), _kinds),
    Rule("namespace.limits", ("namespace",), _limits),
    Rule("namespace.unprivileged", ("namespace",), _unprivileged),
    Rule("namespace.resources", ("namespace",), _resources),
)
