# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Our verdicts beside those of virt-host-validate, kvm-ok and systemd-detect-virt, on this machine. The table in words is docs/checks.md.

The lab's scenario kernel has it compare what was said on a machine of its own: VIRTOPS_OTHER_TOOLS, JSON of report and said.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from support.modules import apply

PAGE = Path(__file__).resolve().parents[2] / "docs" / "checks.md"
PACKAGES = {"virt-host-validate": "libvirt-clients", "kvm-ok": "cpu-checker", "systemd-detect-virt": "systemd"}
Report = Dict[str, Any]
#: report: ours. said: command → returncode, stdout, stderr. Empty: this machine is asked.
ELSEWHERE: Dict[str, Any] = json.loads(os.environ.get("VIRTOPS_OTHER_TOOLS", "{}"))
#: Ours: None where we do not know.
Answer = Callable[[Report], Optional[bool]]


@dataclass(frozen=True)
class Excuse:
    """A verdict that may differ from ours. holds: whether the reason is true of this machine."""

    check: str
    theirs: bool
    ours: Optional[bool]
    reason: str
    holds: Callable[[Report], bool]


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if ELSEWHERE:
        command = " ".join((tool, *arguments))
        return subprocess.CompletedProcess(command, **ELSEWHERE["said"][command])
    path = shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    assert path, f"{tool} is not installed; install the package {PACKAGES[tool]}"
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "LC_ALL": "C"})


def validated(driver: str) -> Dict[str, bool]:
    """What virt-host-validate checked, and whether it said PASS."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", run("virt-host-validate", driver).stdout)
    lines = re.findall(r"Checking (?:for )?(.+?)\s*: (PASS|WARN|FAIL|NOTE)", text)
    assert lines, text
    return {name.replace("'", ""): verdict == "PASS" for name, verdict in lines}  # libvirt 11 puts what it looks at in quotes


def passes(identity: str) -> Answer:
    def answer(report: Report) -> Optional[bool]:
        (status,) = (check["status"] for check in report["checks"] if check["id"] == identity)
        return None if status == "unknown" else status == "pass"

    return answer


def controller(name: str) -> Answer:
    names = {name, {"cpuacct": "cpu", "blkio": "io"}.get(name, name)}
    return lambda report: bool(names & set(report["facts"]["cgroup"]["controllers"]))


def namespace(kind: str) -> Answer:
    return lambda report: kind in report["facts"]["namespace"]["kinds"]


#: A check of virt-host-validate's → our answer to it.
OURS: Dict[str, Answer] = {
    "hardware virtualization": passes("cpu.virtualization"),
    "if device /dev/kvm exists": lambda report: report["facts"]["kvm"]["device"]["exists"],
    "if device /dev/kvm is accessible": passes("kvm.device"),
    "if device /dev/vhost-net exists": passes("device.vhost_net"),
    "if device /dev/net/tun exists": passes("device.tun"),
    "device assignment IOMMU support": passes("iommu.groups"),
    "if IOMMU is enabled by kernel": passes("iommu.groups"),
    "secure guest support": passes("confidential.guests"),
    "if device /sys/fs/fuse/connections exists": passes("device.fuse"),
    "Linux >= 2.6.26": passes("namespace.kinds"),
    **{f"cgroup {name} controller support": controller(name) for name in ("cpu", "cpuacct", "cpuset", "memory", "devices", "blkio", "freezer")},
    **{f"namespace {kind}": namespace(kind) for kind in ("ipc", "mnt", "pid", "uts", "net", "user")},
}


def unified(report: Report) -> bool:
    return report["facts"]["cgroup"]["mode"] == "unified"


EXCEPTIONS = (
    Excuse(
        "if device /dev/kvm is accessible",
        True,
        False,
        "root alone may open it, and QEMU runs as a user of its own",
        lambda report: report["facts"]["kvm"]["device"]["mode"] in ("0600", "0660"),
    ),
    Excuse(
        "if device /dev/vhost-net exists",
        True,
        False,
        "the node is static, and there without a driver: opening it fails",
        lambda report: report["facts"]["devices"]["vhost_net"]["opens"] is False,
    ),
    Excuse(
        "device assignment IOMMU support",
        True,
        False,
        "the firmware describes an IOMMU; without groups nothing can be passed on",
        lambda report: bool(report["facts"]["iommu"]["table"]) and not report["facts"]["iommu"]["groups"],
    ),
    Excuse("cgroup devices controller support", True, False, "version 2 has no such controller; libvirt uses BPF there", unified),
    Excuse("cgroup freezer controller support", True, False, "version 2 has no such controller; every cgroup can be frozen there", unified),
)


@pytest.fixture(scope="module")
def report() -> Report:
    return ELSEWHERE["report"] if ELSEWHERE else apply("virt_host_info", {})


@pytest.mark.parametrize("driver", ["qemu", "lxc"])
def test_virt_host_validate(report: Report, driver: str) -> None:
    theirs = validated(driver)
    assert set(theirs) <= set(OURS), f"checks that docs/checks.md does not know: {set(theirs) - set(OURS)}"
    apart: List[Tuple[str, bool, Optional[bool]]] = []
    for name, verdict in theirs.items():
        ours = OURS[name](report)
        excused = [item for item in EXCEPTIONS if (item.check, item.theirs, item.ours) == (name, verdict, ours) and item.holds(report)]
        if ours is not verdict and not excused:
            apart.append((name, verdict, ours))
    assert not apart, f"theirs and ours: {apart}"


def test_kvm_ok(report: Report) -> None:
    """It believes the flag and the node. Where it says yes and we say no, a guest was run and timed."""
    theirs = run("kvm-ok").returncode == 0
    flag, proof = passes("cpu.virtualization")(report), report["kvm"]
    if theirs:
        assert flag and report["facts"]["kvm"]["device"]["exists"]
        assert report["usable"]["kvm"] or proof["usable"] is not True or proof["nanoseconds"] > 200, proof
    else:
        assert not flag or not report["facts"]["kvm"]["device"]["exists"]
        assert not report["usable"]["kvm"], "kvm-ok says no, and a guest ran on the CPU itself"


#: Names of systemd's → ours, where they differ.
RENAMED = {"oracle": "virtualbox", "vm-other": "unknown", "container-other": "unknown"}


def test_systemd_detect_virt_vm(report: Report) -> None:
    name = run("systemd-detect-virt", "--vm").stdout.strip()
    assert RENAMED.get(name, name) == report["facts"]["platform"]["hypervisor"]


def test_systemd_detect_virt_container(report: Report) -> None:
    """Marker files make a container for systemd; for us, a process in the first namespaces is in none."""
    name, platform = run("systemd-detect-virt", "--container").stdout.strip(), report["facts"]["platform"]
    if RENAMED.get(name, name) != platform["container"]:
        assert os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"), (name, platform)
        assert platform["container"] == "none" and "first pid, uts, ipc and cgroup namespace" in platform["container_evidence"]
        assert os.readlink("/proc/self/ns/pid") == f"pid:[{0xEFFFFFFC}]"


@pytest.mark.parametrize(("option", "fact"), [("--chroot", "chroot"), ("--private-users", "private_users")])
def test_systemd_detect_virt_of_this_process(report: Report, option: str, fact: str) -> None:
    done = run("systemd-detect-virt", option)
    theirs = None if done.stderr.strip() else done.returncode == 0
    assert theirs is report["facts"]["platform"][fact], done.stderr


def test_the_page_has_every_check_of_theirs() -> None:
    text = PAGE.read_text()
    words = ["hardware virtualization", "/dev/kvm exists", "/dev/kvm is accessible", "/dev/vhost-net exists", "/dev/net/tun exists", "secure guest"]
    words += ["IOMMU support", "IOMMU is enabled by kernel", "/sys/fs/fuse/connections", "2.6.26", "cpuacct", "freezer", "devices", "blkio"]
    words += ["--vm", "--container", "--chroot", "--private-users", "--cvm", "0xC0010114", "0x3A"]
    assert not [word for word in words if word not in text]
