# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finding hierarchies, and the order in which cgroup v1 takes its limits."""

from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.model import Desired
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.plan import plan
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.plan_cgroupfs import CreateCgroup, WriteKnob, in_order
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.read import Mount, hierarchy, parse_mountinfo, read
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from support.hosts import FakeHost, converged

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 master:1 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 23 0:31 / /mnt/again\\040here rw,relatime - cgroup cgroup rw,cpuset
"""
UNIFIED = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"


def test_mountinfo():
    mounts = parse_mountinfo(HYBRID)
    assert mounts[0] == Mount("/sys/fs/cgroup/cpu,cpuacct", 1, frozenset({"cpu", "cpuacct"}))
    assert [mount.path for mount in mounts][1:] == [f"/sys/fs/cgroup/{name}" for name in ("cpuset", "memory", "systemd", "unified")]
    assert parse_mountinfo("42 23 0:31 / /mnt/a\\040b rw - cgroup cgroup rw,cpu\n")[0].path == "/mnt/a b"


def test_hierarchies():
    assert hierarchy(parse_mountinfo(HYBRID)) == "hybrid"
    assert hierarchy(parse_mountinfo(UNIFIED)) == "v2"
    assert hierarchy(parse_mountinfo(HYBRID)[:3]) == "v1"
    with pytest.raises(Failure) as caught:
        hierarchy([])
    assert caught.value.code == "no_cgroups"


def test_without_swap_accounting_the_implied_swap_is_dropped(tmp_path):
    files = {"/proc/self/mountinfo": HYBRID, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}
    desired = Desired("web", values={"memory.limit": -1, "memory.swap": -1}, implied=frozenset({"memory.swap"}))
    observed = read(FakeHost(tmp_path, files), desired)
    memory = "/sys/fs/cgroup/memory/web"
    assert converged(plan, observed, desired).actions == (CreateCgroup(memory), WriteKnob(memory, "memory.limit_in_bytes", "-1"))
    with pytest.raises(Failure, match=r"this kernel has no memory\.memsw\.limit_in_bytes"):
        plan(observed, Desired("web", values={"memory.limit": -1, "memory.swap": -1}))


def test_cpusets_take_their_parents_from_the_root_down(tmp_path):
    base = "/sys/fs/cgroup/cpuset"
    files = {f"{base}/cpuset.cpus": "0-3\n", f"{base}/cpuset.mems": "0\n", f"{base}/a/cpuset.cpus": "1-2\n", f"{base}/a/cpuset.mems": "\n"}
    desired = Desired("a/b/c", values={"cpu.cpus": "2"})
    observed = read(FakeHost(tmp_path, {"/proc/self/mountinfo": HYBRID, **files}), desired)
    assert converged(plan, observed, desired).actions == (
        CreateCgroup(f"{base}/a/b/c"),
        WriteKnob(f"{base}/a/b", "cpuset.cpus", "1-2"),
        WriteKnob(f"{base}/a", "cpuset.mems", "0"),
        WriteKnob(f"{base}/a/b", "cpuset.mems", "0"),
        WriteKnob(f"{base}/a/b/c", "cpuset.mems", "0"),
        WriteKnob(f"{base}/a/b/c", "cpuset.cpus", "2"),
    )
    with pytest.raises(Failure, match="its parent has 1-2 to give"):
        plan(observed, Desired("a/b/c", values={"cpu.cpus": "3"}))


LIMIT, SWAP = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
QUOTA, PERIOD, BURST = "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us"


@pytest.mark.parametrize(
    ("old", "new", "order"),
    [
        ({LIMIT: "100", SWAP: "200"}, {LIMIT: "50", SWAP: "60"}, [LIMIT, SWAP]),
        ({LIMIT: "50", SWAP: "60"}, {LIMIT: "100", SWAP: "200"}, [SWAP, LIMIT]),
        ({LIMIT: "100", SWAP: "200"}, {LIMIT: "-1", SWAP: "-1"}, [SWAP, LIMIT]),
        ({LIMIT: "-1", SWAP: "-1"}, {LIMIT: "100", SWAP: "200"}, [LIMIT, SWAP]),
        ({}, {LIMIT: "100", SWAP: "200"}, [LIMIT, SWAP]),
        ({QUOTA: "10", PERIOD: "1000"}, {PERIOD: "2000", QUOTA: "20"}, [PERIOD, QUOTA]),
        ({QUOTA: "20", PERIOD: "2000"}, {PERIOD: "1000", QUOTA: "10"}, [QUOTA, PERIOD]),
        ({QUOTA: "20", BURST: "20"}, {QUOTA: "10", BURST: "5"}, [BURST, QUOTA]),
        ({QUOTA: "20", BURST: "5"}, {QUOTA: "30", BURST: "25"}, [QUOTA, BURST]),
        ({}, {"cpu.idle": "0", "cpu.shares": "5"}, ["cpu.idle", "cpu.shares"]),
        ({}, {"pids.max": "5"}, ["pids.max"]),
    ],
)
def test_the_order_of_writing(old, new, order):
    assert in_order(old, new) == order
    assert in_order(old, dict(reversed(list(new.items())))) == order
