# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import errno
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import converge
from ansible_collections.virtops.linux.plugins.module_utils.hugepages import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.hugepages.model import Desired, Observed, from_params, knob
from ansible_collections.virtops.linux.plugins.module_utils.hugepages.read import parse_kept, parse_meminfo, read
from ansible_collections.virtops.linux.plugins.module_utils.hugepages.resource import RESOURCE
from support.hosts import FakeHost, converged

M, G = 1024**2, 1024**3
PARAMS = {"size": None, "count": 8, "minimum": None, "numa_node": None, "persistent": True}
SYSCTL = "/etc/sysctl.d/virtops-hugepages.conf"
COMPACT = "/proc/sys/vm/compact_memory"

# Cut from Linux 6.1 on a host with two NUMA nodes.
MEMINFO = """MemTotal:       24684084 kB
MemFree:        18874368 kB
MemAvailable:   20971520 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
DirectMap1G:    25165824 kB
"""
NODE_MEMINFO = """Node 0 MemTotal:        7956684 kB
Node 0 MemFree:         1048576 kB
Node 0 Active(file):      10240 kB
Node 0 Inactive(file):    10240 kB
Node 0 SReclaimable:       4096 kB
Node 0 HugePages_Total:     0
"""


class Kernel(FakeHost):
    """gives: size → the most pages that it finds; compacted: how many more after compaction."""

    def __init__(self, tmp_path, gives=None, compacted=0, files=None, surplus=0, gigantic=True):
        self.gives, self.compacted, self.gigantic = gives or {}, compacted, gigantic
        self.asked = []
        tree = {"/proc/meminfo": MEMINFO, COMPACT: "", "/sys/devices/system/node/node0/meminfo": NODE_MEMINFO}
        for size in (2 * M, G):
            tree[knob(size, None, "resv_hugepages")] = "0\n"
            for node in (None, 0, 1):
                tree.update({knob(size, node): f"{surplus}\n", knob(size, node, "surplus_hugepages"): f"{surplus}\n"})
                tree[knob(size, node, "free_hugepages")] = "0\n"
        super().__init__(tmp_path, {**tree, **(files or {})})

    def write_knob(self, path, text):
        self.asked.append((path.rsplit("/", 1)[-1], text))
        if path == COMPACT:
            self.gives = {size: most + self.compacted for size, most in self.gives.items()}
            return
        size = G if "1048576kB" in path else 2 * M
        if size == G and not self.gigantic:
            raise Failure(f"{path}: cannot write", "io_error", errno=errno.errorcode[errno.EINVAL])
        got = min(int(text), self.gives.get(size, 10**6))
        Path(self.path(path)).write_text(f"{got}\n")
        Path(self.path(path.replace("nr_", "free_"))).write_text(f"{got}\n")

    def count(self, size=2 * M, node=None):
        return int(self.text(knob(size, node)))


def run(host, check=False, **params):
    return converge(RESOURCE, host, {**PARAMS, **params}, check)


def cycle(host, **params):
    first, applied = run(host, check=True, **params), run(host, **params)
    for key in ("changed", "actions", "diff", "pending"):
        assert first[key] == applied[key], key
    for again in (run(host, check=True, **params), run(host, **params)):
        assert not again["changed"] and not again["actions"]
    return applied


def test_pages_of_the_default_size_are_kept_by_a_sysctl(tmp_path):
    host = Kernel(tmp_path)
    result = cycle(host, count=8)
    assert result["actions"] == [
        {"action": "set_pages", "target": "huge pages of 2 MiB", "count": 8},
        {"action": "keep_pages", "target": SYSCTL, "count": 8},
    ]
    assert host.count() == 8 and host.text(SYSCTL).endswith("\nvm.nr_hugepages = 8\n")
    cycle(host, count=4)
    cycle(host, count=0)
    assert host.count() == 0 and not host.exists(SYSCTL)


@pytest.mark.parametrize(
    ("options", "file", "line"),
    [
        ({"size": "1G"}, "virtops-hugepages-1048576kB.conf", "w /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages - - - - 1"),
        (
            {"numa_node": 1},
            "virtops-hugepages-2048kB-node1.conf",
            "w /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages - - - - 1",
        ),
    ],
)
def test_other_sizes_and_nodes_are_kept_by_tmpfiles(tmp_path, options, file, line):
    host = Kernel(tmp_path, files={"/sys/devices/system/node/node1/meminfo": NODE_MEMINFO.replace("Node 0", "Node 1")})
    cycle(host, count=1, **options)
    assert host.text(f"/etc/tmpfiles.d/{file}").splitlines()[-1] == line
    assert not host.exists(SYSCTL)
    cycle(host, count=0, **options)
    assert not host.exists(f"/etc/tmpfiles.d/{file}")


def test_not_persistent_leaves_the_file_alone(tmp_path):
    host = Kernel(tmp_path)
    cycle(host, count=8)
    cycle(host, count=2, persistent=False)
    assert parse_kept(host.text(SYSCTL)) == 8


def test_a_grant_that_is_too_small_is_told_and_put_back(tmp_path):
    host = Kernel(tmp_path, gives={G: 2})
    run(host, size="1G", count=1)
    with pytest.raises(
        Failure, match=r"asked for 8, got 2, because free memory is too fragmented; put back to 1\. Set count or minimum to 2, run"
    ) as caught:
        run(host, size="1G", count=8)
    failure = caught.value
    assert failure.code == "hugepages_not_granted" and (failure.details["asked"], failure.details["got"]) == (8, 2)
    assert "hugepagesz=1G hugepages=8" in failure.message
    assert host.count(G) == 1 and failure.details["changed"] is False
    assert parse_kept(host.text("/etc/tmpfiles.d/virtops-hugepages-1048576kB.conf")) == 1
    assert host.asked[1:] == [("nr_hugepages", "8"), ("compact_memory", "1"), ("nr_hugepages", "8"), ("nr_hugepages", "1")]


def test_compaction_helps(tmp_path):
    host = Kernel(tmp_path, gives={2 * M: 5}, compacted=3)
    cycle(host, count=8)
    assert host.count() == 8


def test_a_minimum_takes_less(tmp_path):
    host = Kernel(tmp_path, gives={2 * M: 5})
    assert run(host, count=8, minimum=4, check=True)["changed"]
    result = run(host, count=8, minimum=4)
    assert result["resource"]["count"] == 5 and result["resource"]["kept"] == 8
    again = run(host, count=8, minimum=4)
    assert not again["changed"] and "there are 5 of 8" in again["warnings"][0]
    with pytest.raises(Failure, match="asked for 8, got 5"):
        run(host, count=8, minimum=6)
    host.gives = {}
    assert run(host, count=10, minimum=4)["resource"]["count"] == 10, "another count is asked for, though 5 are enough"


def test_a_kernel_that_gives_gigantic_pages_at_boot_only(tmp_path):
    with pytest.raises(Failure, match="only at boot; use a smaller size, or have the kernel reserve them") as caught:
        run(Kernel(tmp_path, gigantic=False), size="1G", count=1)
    assert caught.value.code == "hugepages_not_granted"


def test_memory_that_is_not_available_is_not_taken(tmp_path):
    host = Kernel(tmp_path)
    with pytest.raises(Failure, match="set count to 20 or less") as caught:
        run(host, size="1G", count=21)
    assert caught.value.code == "not_enough_memory" and host.asked == []
    with pytest.raises(Failure, match=r"only 1\.0 GiB are available there; set count to 1 or less"):
        run(host, size="1G", count=2, numa_node=0)
    run(host, size="1G", count=20)


def test_pages_in_use_become_surplus():
    observed = Observed(2 * M, 2 * M, (2 * M,), (0,), count=8, free=2, kept=8, available=G)
    plan = converged(p.plan, observed, Desired(4, 4))
    assert plan.actions[0] == p.SetPages("huge pages of 2 MiB", 4, None, 8, 2 * M)
    assert plan.after.surplus == 2 and "6 are in use, so 2 beyond count" in plan.warnings[0]


def test_surplus_pages_do_not_count(tmp_path):
    host = Kernel(tmp_path, surplus=4)
    observed = read(host, Desired(0, 0))
    assert (observed.count, observed.surplus) == (0, 4)
    assert p.plan(observed, Desired(0, 0)).actions == ()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"size": "64K"}, "hugepage_size_unsupported", "they have 2 MiB, 1 GiB"),
        ({"size": "2MB"}, "hugepage_size_unsupported", "2 MiB, 1 GiB"),
        ({"numa_node": 7}, "numa_node_missing", "it has 0, 1"),
    ],
)
def test_what_the_host_does_not_have(tmp_path, options, code, message):
    with pytest.raises(Failure, match=message) as caught:
        run(Kernel(tmp_path), **options)
    assert caught.value.code == code


def test_a_kernel_without_huge_pages(tmp_path):
    with pytest.raises(Failure, match="CONFIG_HUGETLBFS") as caught:
        run(FakeHost(tmp_path, {"/proc/meminfo": "MemFree: 1 kB\n"}))
    assert caught.value.code == "hugepages_unsupported"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"count": -1}, "invalid_count"),
        ({"minimum": 9}, "invalid_minimum"),
        ({"minimum": -1}, "invalid_minimum"),
        ({"numa_node": -1}, "invalid_numa_node"),
        ({"size": "big"}, "invalid_size"),
    ],
)
def test_bad_input(options, code):
    with pytest.raises(Failure) as caught:
        from_params({**PARAMS, **options})
    assert caught.value.code == code


def test_other_files_that_set_pages_are_named(tmp_path):
    files = {
        "/usr/lib/sysctl.d/50-db.conf": "# db\nvm.nr_hugepages=100\n",
        "/etc/sysctl.d/80-x.conf": "vm/nr_hugepages = 1\n",
        "/run/sysctl.d/80-x.conf": "vm.nr_hugepages = 2\n",
        "/etc/tmpfiles.d/virtops-hugepages-2048kB-node1.conf": "w /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages - - - - 4\n",
        "/etc/tmpfiles.d/a.conf": "w /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages - - - - 4\n",
    }
    host = Kernel(tmp_path, files=files)
    result = run(host, count=8)
    assert [(line["file"], line["line"]) for line in result["resource"]["conflicts"]] == [
        ("/etc/tmpfiles.d/virtops-hugepages-2048kB-node1.conf", 1),
        ("/etc/sysctl.d/80-x.conf", 1),
        ("/usr/lib/sysctl.d/50-db.conf", 2),
    ]
    assert "50-db.conf:2 says 'vm.nr_hugepages=100'" in result["warnings"][2]
    assert [line["file"] for line in run(host, size="1G", count=1)["resource"]["conflicts"]] == ["/etc/tmpfiles.d/a.conf"]


def test_meminfo():
    assert parse_meminfo(MEMINFO)["MemAvailable"] == 20 * G and parse_meminfo(MEMINFO)["Hugepagesize"] == 2 * M
    assert parse_meminfo(NODE_MEMINFO)["Inactive(file)"] == 10 * M


def test_the_prediction_from_nothing():
    desired = from_params({**PARAMS, "size": "1G", "numa_node": 3})
    assert converged(p.plan, p.nothing(desired), desired).after.count == 8
