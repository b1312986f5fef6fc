# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The limits of CPU time and of the CPUs to run on.

Source: opencontainers/runtime-spec config-linux, the kernel's cgroup-v1 and cgroup-v2 documents, systemd.resource-control(5).
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

from .convert import UNLIMITED, percent, weight
from .knob import DEFAULT_PERIOD, Around, Field, Knob, as_flag, as_text, flag, limit, number, number_set, within


def _as_weight(text: str, around: Around) -> Optional[Any]:
    """None while the cgroup is idle, where the kernel shows 0 and systemd says so, and where systemd has none set."""
    return None if text in ("0", "idle", "") else int(text)


def _idle_systemd(value: Any, around: Around) -> str:
    current = around.knobs.get("CPUWeight", "")
    return "idle" if value else current.replace("idle", "")


def _shares(value: Any, around: Around) -> str:
    return str(weight(value, around.linear))


def halves(around: Around) -> Tuple[str, str]:
    """Quota and period of cpu.max."""
    quota, _space, period = around.knobs.get("cpu.max", f"max {DEFAULT_PERIOD}").partition(" ")
    return quota, period or str(DEFAULT_PERIOD)


def _quota_v2(value: Any, around: Around) -> str:
    return f"{'max' if value == UNLIMITED else value} {halves(around)[1]}"


def _period_v2(value: Any, around: Around) -> str:
    return f"{halves(around)[0]} {value}"


def _as_quota(text: str, around: Around) -> Optional[Any]:
    return number(text.split()[0])


def _as_period(text: str, around: Around) -> Optional[Any]:
    return int(text.split()[1])


def unit_period(around: Around) -> int:
    """Microseconds."""
    return int((around.knobs.get("CPUQuotaPeriodSec") or f"{DEFAULT_PERIOD}us")[: -len("us")])


def _quota_systemd(value: Any, around: Around) -> str:
    return "" if value == UNLIMITED else f"{percent(value, unit_period(around))}%"


def as_quota_systemd(text: str, around: Around) -> Optional[Any]:
    return int(text.rstrip("%")) * unit_period(around) // 100 if text else UNLIMITED


# A value comes after those that its text depends on: quota after period.
CPU: Tuple[Field, ...] = (
    Field(
        "cpu",
        "idle",
        flag,
        "bool",
        v1=(Knob("cpu", "cpu.idle", decode=as_flag),),
        v2=(Knob("cpu", "cpu.idle", decode=as_flag),),
        systemd=Knob("cpu", "CPUWeight", _idle_systemd, lambda text, around: text == "idle"),
    ),
    Field(
        "cpu",
        "shares",
        within(2, 262144),
        "int",
        v1=(Knob("cpu", "cpu.shares"),),
        v2=(Knob("cpu", "cpu.weight", _shares, _as_weight, shown="weight"),),
        systemd=Knob("cpu", "CPUWeight", _shares, _as_weight, shown="weight"),
    ),
    Field(
        "cpu",
        "weight",
        within(1, 10000),
        "int",
        v2=(Knob("cpu", "cpu.weight", decode=_as_weight),),
        systemd=Knob("cpu", "CPUWeight", decode=_as_weight),
        twin="cpu.shares",
    ),
    Field(
        "cpu",
        "period",
        within(1000, 1000000),
        "int",
        v1=(Knob("cpu", "cpu.cfs_period_us"),),
        v2=(Knob("cpu", "cpu.max", _period_v2, _as_period),),
        systemd=Knob("cpu", "CPUQuotaPeriodSec", lambda value, around: f"{value}us", lambda text, around: unit_period(around)),
    ),
    Field(
        "cpu",
        "quota",
        limit(1000, 2**44 - 1),
        v1=(Knob("cpu", "cpu.cfs_quota_us"),),
        v2=(Knob("cpu", "cpu.max", _quota_v2, _as_quota),),
        systemd=Knob("cpu", "CPUQuota", _quota_systemd, as_quota_systemd),
    ),
    Field(
        "cpu",
        "burst",
        within(0, 2**44 - 1),
        "int",
        v1=(Knob("cpu", "cpu.cfs_burst_us"),),
        v2=(Knob("cpu", "cpu.max.burst"),),
    ),
    Field("cpu", "realtime_period", within(1, 2**31 - 1), "int", v1=(Knob("cpu", "cpu.rt_period_us"),)),
    Field("cpu", "realtime_runtime", within(0, 2**31 - 1), "int", v1=(Knob("cpu", "cpu.rt_runtime_us"),)),
    Field(
        "cpu",
        "cpus",
        number_set,
        v1=(Knob("cpuset", "cpuset.cpus", decode=as_text),),
        v2=(Knob("cpuset", "cpuset.cpus", decode=as_text),),
        systemd=Knob("cpuset", "AllowedCPUs", decode=as_text),
    ),
    Field(
        "cpu",
        "mems",
        number_set,
        v1=(Knob("cpuset", "cpuset.mems", decode=as_text),),
        v2=(Knob("cpuset", "cpuset.mems", decode=as_text),),
        systemd=Knob("cpuset", "AllowedMemoryNodes", decode=as_text),
    ),
)
