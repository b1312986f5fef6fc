# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module's whole way, from options to writes, on a cgroup v2 host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.fields import FIELDS
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.resource import RESOURCE
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import converge
from cgroup_kernel import PAGE, ROOT, CgroupV2, params

MIB = 2**20


@pytest.fixture
def host(tmp_path):
    return CgroupV2(tmp_path, PAGE)


def cycle(host, options):
    """check → apply → check → apply: as the integration tests' cycle. Returns the writes of the apply and its result."""
    before = len(host.writes)
    predicted = converge(RESOURCE, host, options, check=True)
    assert len(host.writes) == before
    applied = converge(RESOURCE, host, options, check=False)
    for key in ("changed", "actions", "diff"):
        assert predicted[key] == applied[key]
    assert applied["changed"]
    settled(host, options)
    return host.writes[before:], applied["resource"]


def settled(host, options):
    for check in (True, False):
        again = converge(RESOURCE, host, options, check)
        assert not again["changed"], again["actions"]


# OCI → the file and what it says
V2 = {
    "cpu.shares": (512, "cpu.weight", "59"),
    "cpu.weight": (300, "cpu.weight", "300"),
    "cpu.quota": (50000, "cpu.max", "50000 100000"),
    "cpu.period": (50000, "cpu.max", "max 50000"),
    "cpu.burst": (1000, "cpu.max.burst", "1000"),
    "cpu.idle": (True, "cpu.idle", "1"),
    "cpu.cpus": ("0,1", "cpuset.cpus", "0-1"),
    "cpu.mems": ("0", "cpuset.mems", "0"),
    "memory.limit": ("64M", "memory.max", str(64 * MIB)),
    "memory.reservation": ("32M", "memory.low", str(32 * MIB)),
    "memory.swap": ("192M", "memory.swap.max", str(64 * MIB)),
    "memory.min": ("16M", "memory.min", str(16 * MIB)),
    "memory.low": ("16M", "memory.low", str(16 * MIB)),
    "memory.high": ("16M", "memory.high", str(16 * MIB)),
    "memory.swap_max": ("16M", "memory.swap.max", str(16 * MIB)),
    "pids.limit": (100, "pids.max", "100"),
    "block_io.weight": (200, "io.weight", "default 1920"),
    "block_io.io_weight": (200, "io.weight", "default 200"),
    "block_io.weight_device": ([{"major": 8, "minor": 0, "weight": 300}], "io.weight", "default 100\n8:0 2930"),
    "block_io.io_weight_device": ([{"major": 8, "minor": 0, "weight": 300}], "io.weight", "default 100\n8:0 300"),
    "block_io.throttle_read_bps_device": ([{"major": 8, "minor": 0, "rate": "1M"}], "io.max", f"8:0 rbps={MIB}"),
    "block_io.throttle_write_bps_device": ([{"major": 8, "minor": 0, "rate": "1M"}], "io.max", f"8:0 wbps={MIB}"),
    "block_io.throttle_read_iops_device": ([{"major": 8, "minor": 0, "rate": "9"}], "io.max", "8:0 riops=9"),
    "block_io.throttle_write_iops_device": ([{"major": 8, "minor": 0, "rate": "9"}], "io.max", "8:0 wiops=9"),
    "rdma": ({"mlx5_0": {"hca_handles": 5}}, "rdma.max", "mlx5_0 hca_handle=5 hca_object=max"),
}


def test_every_field_of_the_table_is_tried():
    assert set(V2) == {field.path for field in FIELDS if field.v2}


@pytest.mark.parametrize("path", V2)
def test_field(host, path):
    value, file, text = V2[path]
    group, _dot, name = path.partition(".")
    cycle(host, params({"memory": {"limit": "128M"}}))
    cycle(host, params({group: {name: value} if name else value}))
    assert host.knob(f"vt/web/{file}") == text


def test_quota_and_period_keep_each_other(host):
    cycle(host, params({"cpu": {"quota": 50000}}))
    cycle(host, params({"cpu": {"period": 20000}}))
    cycle(host, params({"cpu": {"quota": -1}}))
    assert host.knob("vt/web/cpu.max") == "max 20000"


def test_the_order_of_writing(host):
    writes, resource = cycle(host, params({"cpu": {"shares": 1024, "quota": 50000}, "memory": {"limit": "64M", "swap": "96M"}, "pids": {"limit": 9}}))
    assert writes == [
        ("cgroup.subtree_control", "+cpu +memory +pids"),
        ("vt/cgroup.subtree_control", "+cpu +memory +pids"),
        ("vt/web/cpu.weight", "100"),
        ("vt/web/cpu.max", "50000 100000"),
        ("vt/web/memory.max", str(64 * MIB)),
        ("vt/web/memory.swap.max", str(32 * MIB)),
        ("vt/web/pids.max", "9"),
    ]
    assert resource["hierarchy"] == "v2" and resource["paths"] == [f"{ROOT}/vt/web"] and resource["persistent"] is False
    assert resource["resources"]["memory"] == {"limit": 64 * MIB, "reservation": 0, "swap": 96 * MIB, "min": 0, "high": -1}
    assert resource["resources"]["cpu"]["weight"] == 100 and resource["resources"]["cpu"]["quota"] == 50000
    settled(host, params(resource["resources"]))


def test_only_what_differs_is_written(host):
    cycle(host, params({"cpu": {"shares": 1024, "quota": 50000}}))
    assert cycle(host, params({"cpu": {"shares": 1024, "quota": 60000}}))[0] == [("vt/web/cpu.max", "60000 100000")]
    writes, _resource = cycle(host, params({"memory": {"limit": 50000001}}))
    assert writes[-1] == ("vt/web/memory.max", str(50000001 // PAGE * PAGE))


def test_conversions_of_shares_differ(host):
    cycle(host, params({"cpu": {"shares": 1024}}))
    assert cycle(host, params({"cpu": {"shares": 1024}}, shares_conversion="linear"))[0] == [("vt/web/cpu.weight", "39")]


def test_memory_without_limit_is_swap_without_limit(host):
    cycle(host, params({"memory": {"limit": "64M", "swap": "64M"}}))
    writes, _resource = cycle(host, params({"memory": {"limit": -1}}))
    assert writes == [("vt/web/memory.max", "max"), ("vt/web/memory.swap.max", "max")]


def test_burst_is_lowered_before_the_quota_and_raised_after_it(host):
    cycle(host, params({"cpu": {"quota": 50000, "burst": 50000}}))
    names = [
        [write[0].rpartition("/")[2] for write in cycle(host, params({"cpu": cpu}))[0]]
        for cpu in ({"quota": 10000, "burst": 0}, {"quota": 20000, "burst": 5})
    ]
    assert names == [["cpu.max.burst", "cpu.max"], ["cpu.max", "cpu.max.burst"]]
    for cpu in ({"burst": 20001}, {"quota": 1000, "burst": 1001}):
        with pytest.raises(Failure, match="than the quota of"):
            converge(RESOURCE, host, params({"cpu": cpu}), True)


def test_idle_and_weight(host):
    cycle(host, params({"cpu": {"idle": True}}))
    with pytest.raises(Failure, match="idle cgroup has no shares"):
        converge(RESOURCE, host, params({"cpu": {"weight": 50}}), True)
    assert [write[0] for write in cycle(host, params({"cpu": {"idle": False, "weight": 50}}))[0]] == ["vt/web/cpu.idle", "vt/web/cpu.weight"]


def test_a_limit_below_the_usage(host):
    cycle(host, params({"memory": {"limit": "64M"}}))
    Path(host.path(f"{ROOT}/vt/web/memory.current")).write_text(f"{32 * MIB}\n")
    lower = {"memory": {"limit": "16M"}}
    with pytest.raises(Failure, match="the kernel would kill processes") as caught:
        converge(RESOURCE, host, params(lower), True)
    assert caught.value.code == "limit_below_usage"
    settled(host, params({"memory": {"limit": "64M"}}))
    lower["memory"]["check_before_update"] = False
    assert cycle(host, params(lower))[0] == [("vt/web/memory.max", str(16 * MIB))]


def test_a_parent_that_holds_processes(host):
    host.make_dir(f"{ROOT}/vt")
    host.write_knob(f"{ROOT}/vt/cgroup.procs", "77")
    with pytest.raises(Failure, match="holds processes itself") as caught:
        converge(RESOURCE, host, params({"memory": {"limit": "64M"}}), True)
    assert caught.value.code == "cgroup_populated"
    cycle(host, params(name="vt/plain"))


def test_cpus_that_are_not_there(host):
    with pytest.raises(Failure, match="its parent has 0-3 to give"):
        converge(RESOURCE, host, params({"cpu": {"cpus": "2-4"}}), True)


def test_a_cgroup_without_limits_needs_no_controllers(host):
    writes, resource = cycle(host, params(name="vt"))
    assert writes == [] and resource["paths"] == [f"{ROOT}/vt"]
    settled(host, params(name="vt", resources={"unified": {}}))


@pytest.mark.parametrize(("file", "value", "said"), [("memory.oom.group", "1", "1"), ("memory.swap.max", 4 * PAGE + 1, str(4 * PAGE))])
def test_bytes_alone_are_rounded(host, file, value, said):
    writes, _resource = cycle(host, params({"unified": {file: value}}))
    assert writes[-1] == (f"vt/web/{file}", said)


def test_unified(host):
    writes, _resource = cycle(host, params({"unified": {"memory.high": "32M", "pids.max": "max", "cpu.max": "20000"}}))
    assert writes[2:] == [("vt/web/memory.high", str(32 * MIB)), ("vt/web/pids.max", "max"), ("vt/web/cpu.max", "20000 100000")]
    with pytest.raises(Failure, match="what another option sets too"):
        converge(RESOURCE, host, params({"unified": {"pids.max": "5"}, "pids": {"limit": 6}}), True)


def test_what_v2_does_not_have(host):
    options = params({"memory": {"limit": "64M", "swappiness": 10}})
    with pytest.raises(Failure, match="swappiness: cgroup v2 has no such limit") as caught:
        converge(RESOURCE, host, options, True)
    assert caught.value.code == "unsupported_resource" and caught.value.details["not_applied"] == ["memory.swappiness"]
    _writes, resource = cycle(host, {**options, "on_unsupported": "warn"})
    assert resource["not_applied"] == ["memory.swappiness"]


def test_a_file_that_this_kernel_does_not_have(host):
    cycle(host, params({"memory": {"limit": "64M"}}, name="other"))
    os.unlink(host.path(f"{ROOT}/other/memory.swap.max"))  # as with swapaccount=0
    with pytest.raises(Failure, match=r"this kernel has no memory\.swap\.max"):
        converge(RESOURCE, host, params({"memory": {"limit": "64M", "swap": "64M"}}), True)


def test_absent(host):
    cycle(host, params({"pids": {"limit": 5}}, name="vt/web/inner"))
    host.write_knob(f"{ROOT}/vt/web/inner/cgroup.procs", "77")
    gone = params(name="vt/web", state="absent")
    with pytest.raises(Failure, match="holds processes") as caught:
        converge(RESOURCE, host, gone, True)
    assert caught.value.code == "cgroup_populated"
    writes, _resource = cycle(host, {**gone, "force": True})
    assert writes == [("cgroup.procs", "77")]  # vt gives controllers to those below it, so that only the root may hold processes
    assert not host.is_dir(f"{ROOT}/vt/web") and host.is_dir(f"{ROOT}/vt")


def test_devices_share_a_file(host):
    first, second = ({"major": 8, "minor": number, "rate": "5000"} for number in (0, 16))
    cycle(host, params({"block_io": {"throttle_read_bps_device": [first, second], "throttle_write_iops_device": [first]}}))
    writes, _resource = cycle(host, params({"block_io": {"throttle_read_bps_device": [second]}}))
    assert writes == [("vt/web/io.max", "8:0 rbps=max")]
    assert "8:0 rbps=max wiops=5000" in host.knob("vt/web/io.max")
    writes, _resource = cycle(host, params({"unified": {"io.max": "8:16 wbps=7"}}))
    assert writes == [("vt/web/io.max", "8:16 wbps=7")]
    cycle(host, params({"block_io": {"weight_device": [{"major": 8, "minor": 0, "weight": 10}]}}))
    writes, _resource = cycle(host, params({"block_io": {"weight_device": []}}))
    assert writes == [("vt/web/io.weight", "8:0 default")]


def test_huge_pages(host):
    writes, resource = cycle(host, params({"hugepage_limits": [{"page_size": "2MiB", "limit": 5 * MIB}]}))
    assert writes[-2:] == [("vt/web/hugetlb.2MB.max", str(4 * MIB)), ("vt/web/hugetlb.2MB.rsvd.max", str(4 * MIB))]
    assert resource["resources"]["hugepage_limits"] == [{"page_size": "2MB", "limit": 4 * MIB}]
    with pytest.raises(Failure, match="this kernel has no"):
        converge(RESOURCE, host, params({"hugepage_limits": [{"page_size": "1G", "limit": 0}]}), True)


def test_devices_are_no_files_of_v2(host):
    with pytest.raises(Failure, match="only programs in the kernel"):
        converge(RESOURCE, host, params({"devices": [{"allow": False}]}), True)
