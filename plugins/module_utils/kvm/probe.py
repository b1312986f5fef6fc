# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof of KVM: a guest is run and timed, in a child process that cannot take this one along.

A flag in /proc/cpuinfo and a node in /dev say that KVM may work. Hosts exist where both are there and no guest ever
finishes booting (firmware, another hypervisor, a back end that emulates each instruction), and a module that believes
them gets those hosts wrong. So the guest of this collection runs, every time that somebody needs to know.
"""

from __future__ import annotations

import errno
import math
import os
from dataclasses import dataclass, replace
from typing import Callable, Mapping, Optional

from ..engine.host import Host
from .budget import LONGEST
from .child import Heard, Say, in_child
from .guest import SLOWEST_ACCELERATED, Announce, prove
from .model import Proof

#: A guest: device, announce → nanoseconds of an iteration, or None.
Guest = Callable[[str, Announce], Optional[float]]


def accelerated(host: Host) -> bool:
    """Whether guests of this host run on its CPU. True only where that was proven."""
    return probe(host.path("/dev/kvm")).accelerated is True


def probe(device: str = "/dev/kvm", guest: Guest = prove, seconds: float = LONGEST, silence: Optional[float] = None) -> Proof:
    """Run a guest through the device. Never raises, and never takes longer than the seconds and a moment.

    Whatever the child does, it is killed then: a guest that hangs is an answer too.
    silence: the seconds after which one that says nothing is taken to hang already.
    """
    return judge(device, _in_child(device, guest, seconds, silence))


@dataclass(frozen=True)
class Report:
    """What came of the child.

    outcome: ran, refused (with the error), faulty (with the complaint), hung (it had to be killed, after so many seconds) or died.
    capabilities: name → what KVM answered, where it came that far.
    """

    outcome: str
    stage: str = "fork"
    nanoseconds: Optional[float] = None
    error: int = 0
    complaint: str = ""
    capabilities: Optional[Mapping[str, int]] = None
    seconds: float = LONGEST


def judge(device: str, report: Report) -> Proof:
    """What the child's report means."""
    return replace(_meaning(device, report), capabilities=report.capabilities)


def _meaning(device: str, report: Report) -> Proof:
    stage = report.stage
    if report.outcome == "hung":
        return Proof(None, None, None, stage, None, f"{device}: no answer in stage {stage} within {report.seconds:g} seconds; the guest was killed")
    if report.outcome == "died":
        return Proof(None, None, None, stage, None, f"{device}: the process of the guest died in stage {stage}")
    if report.outcome == "refused":
        return Proof(False, None, None, stage, errno.errorcode.get(report.error, str(report.error)), _refusal(device, stage, report.error))
    if report.outcome == "faulty":
        return Proof(False, None, None, stage, None, f"{device}: {report.complaint}, in stage {stage}")
    if report.nanoseconds is None:
        reason = f"{device}: a virtual machine and a vCPU were created; how fast guests run is measured on x86-64 only"
        return Proof(True, None, None, "done", None, reason)
    nanoseconds = math.ceil(report.nanoseconds)
    took = f"{device}: a guest ran, at {nanoseconds} ns an iteration of a two-instruction loop"
    if nanoseconds > SLOWEST_ACCELERATED:
        reason = f"{took}; above {SLOWEST_ACCELERATED} ns, this is KVM without hardware acceleration, which emulates every instruction"
        return Proof(True, False, nanoseconds, "done", None, reason)
    return Proof(True, True, nanoseconds, "done", None, took)


def _refusal(device: str, stage: str, error: int) -> str:
    said = f"{os.strerror(error)} ({errno.errorcode.get(error, error)})"
    if stage == "open":
        meanings = {
            errno.ENOENT: f"there is no {device}",
            errno.EACCES: f"user id {os.geteuid()} may not open {device}",
            errno.EPERM: f"a security policy (a container's device rules, for example) forbids to open {device}",
            errno.ENODEV: f"{device} is there, but no KVM behind it",
            errno.ENXIO: f"{device} is there, but no KVM behind it",
        }
        return f"{meanings.get(error, f'{device} cannot be opened')}: {said}"
    if error == errno.EBUSY:
        return f"{device}: another hypervisor (VirtualBox, VMware) holds this CPU's virtualization, in stage {stage}: {said}"
    if error == errno.ENOTTY:
        return f"{device}: this is not a KVM device, in stage {stage}: {said}"
    return f"{device}: refused in stage {stage}: {said}"


def _in_child(device: str, guest: Guest, seconds: float, silence: Optional[float]) -> Report:
    def work(say: Say) -> None:
        """Run the guest, and say how it went."""
        try:
            say(outcome="ran", nanoseconds=guest(device, lambda stage, **more: say(stage=stage, **more)))
        except OSError as error:
            say(outcome="refused", error=error.errno or 0)
        except BaseException as error:
            say(outcome="faulty", complaint=f"{error}" or type(error).__name__)

    return report(in_child(work, seconds, silence))


def report(heard: Heard) -> Report:
    """What the words of the child add up to. One that had said its outcome before the time was up has ended, however long its exit takes."""
    if heard.error:
        return Report("refused", error=heard.error)
    ended = {"outcome": "hung", "seconds": heard.hung} if heard.hung else {"outcome": "died"}
    return Report(**{**ended, **heard.said})
