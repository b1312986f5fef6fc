# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows: how much of the host a guest may use, and what waits for whom. Source: libvirt's formatdomain."""

from __future__ import annotations

from . import kinds as k
from .rows import Group, Row, Table

_PERIOD, _QUOTA = k.integer(1000, 1_000_000), k.integer(-1, 17592186044415)
_SCHEDULED = (
    Row("scheduler", "@scheduler", k.choice("batch", "idle", "fifo", "rr"), "Linux's scheduling policy.", required=True),
    Row("priority", "@priority", k.integer(1, 99), "The priority, which V(fifo) and V(rr) need."),
)


def _shares(prefix: str, whose: str) -> Table:
    return (
        Row(f"{prefix}period", f"{prefix}period", _PERIOD, f"Microseconds in which the time of {whose} is counted."),
        Row(f"{prefix}quota", f"{prefix}quota", _QUOTA, f"Microseconds for {whose} in each; V(-1) is no limit."),
    )


_RATES = ("read_bytes_sec", "write_bytes_sec", "read_iops_sec", "write_iops_sec")

TUNING: Table = (
    Row("iothreads", "iothreads", k.integer(0, 1000, clears=0), "How many threads disks can be given."),
    Group(
        "cputune",
        "cputune",
        "How much CPU time the guest gets, and where. An empty dictionary takes all of it away.",
        (
            Row("shares", "shares", k.integer(1, 262144), "Its weight among others."),
            *_shares("", "a vCPU"),
            *_shares("global_", "the whole guest"),
            *_shares("emulator_", "the emulator's threads"),
            *_shares("iothread_", "an IO thread"),
            Group(
                "vcpupin",
                "vcpupin",
                "vCPUs that run on some of the host's CPUs, all of them.",
                (
                    Row("vcpu", "@vcpu", k.NUMBER, "The vCPU's number.", required=True),
                    Row("cpuset", "@cpuset", k.SET, "The host's CPUs, as V(0-3).", required=True),
                ),
                many=True,
            ),
            Row("emulatorpin", "emulatorpin@cpuset", k.SET, "The host's CPUs that the emulator's own threads run on, as V(0-3)."),
            Group(
                "iothreadpin",
                "iothreadpin",
                "IO threads that run on some of the host's CPUs, all of them.",
                (
                    Row("iothread", "@iothread", k.integer(1), "The IO thread's number, from 1.", required=True),
                    Row("cpuset", "@cpuset", k.SET, "The host's CPUs, as V(0-3).", required=True),
                ),
                many=True,
            ),
            Group(
                "vcpusched",
                "vcpusched",
                "How vCPUs are scheduled, all that are not as usual.",
                (Row("vcpus", "@vcpus", k.SET, "The vCPUs, as V(0-3).", required=True), *_SCHEDULED),
                many=True,
            ),
            Group(
                "iothreadsched",
                "iothreadsched",
                "How IO threads are scheduled, all that are not as usual.",
                (Row("iothreads", "@iothreads", k.SET, "The IO threads, as V(1-2).", required=True), *_SCHEDULED),
                many=True,
            ),
        ),
    ),
    Group(
        "memtune",
        "memtune",
        "How much of the host's memory the guest with its emulator may use. An empty dictionary takes it away.",
        (
            Row("hard_limit", "hard_limit", k.SIZE, "The most, with a unit."),
            Row("soft_limit", "soft_limit", k.SIZE, "The most where others need memory, with a unit."),
            Row("swap_hard_limit", "swap_hard_limit", k.SIZE, "The most together with swap, with a unit."),
        ),
    ),
    Group(
        "blkiotune",
        "blkiotune",
        "How much of the host's disks the guest may use. An empty dictionary takes it away.",
        (
            Row("weight", "weight", k.integer(10, 1000), "Its weight among others."),
            Group(
                "devices",
                "device",
                "Block devices of the host that have rules of their own, all of them.",
                (
                    Row("path", "path", k.FILE, "The device, for example C(/dev/sda).", required=True),
                    Row("weight", "weight", k.integer(10, 1000), "The weight on it."),
                    *(Row(rate, rate, k.integer(0), "A limit on it, as libvirt's word says; V(0) is none.") for rate in _RATES),
                ),
                many=True,
            ),
        ),
    ),
)
