# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cgroups in this machine's own hierarchies. A field is tried on cgroup v1 or v2, wherever its controller is."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.fields import FIELDS
from support.cgroups import (
    ELSEWHERE,
    NAME,
    TRIES,
    converge_here,
    cycle_here,
    directories,
    knob,
    loop_device,
    mounts,
    on_device,
    remove_all,
    says,
    settled_here,
    started,
    v2_root,
)
from support.modules import apply, check, cycle, refused, settled, with_option

BASE: Dict[str, Any] = {"name": NAME}
V1 = {controller: mount.path for mount in mounts() if mount.version == 1 for controller in mount.controllers}
V2 = v2_root()

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def clean() -> Iterator[None]:
    """No cgroup of the tests before, and none after."""
    remove_all()
    yield
    remove_all()


@pytest.fixture
def process() -> Iterator[int]:
    """A process of the test's own, to be put into a cgroup."""
    running = subprocess.Popen(["sleep", "300"])
    yield running.pid
    running.kill()
    running.wait()
    time.sleep(0.1)  # for the kernel to take it out of its cgroups


@pytest.fixture(scope="module")
def device(tmp_path_factory) -> Iterator[str]:
    with loop_device(tmp_path_factory.mktemp("vt-disk")) as path:
        yield path


@pytest.fixture(scope="module")
def network_hierarchies(tmp_path_factory) -> Iterator[None]:
    """This machine mounts neither of them by itself."""
    folders = [tmp_path_factory.mktemp(f"vt-{name}") for name in ("net_cls", "net_prio")]
    for folder in folders:
        name = folder.name[len("vt-") : -1]
        subprocess.run(["mount", "-t", "cgroup", "-o", name, f"vt-{name}", str(folder)], check=True)
    yield
    remove_all()
    for folder in folders:
        subprocess.run(["umount", str(folder)], check=True)


def test_every_field_of_the_table_is_tried():
    assert {path for path in TRIES if TRIES[path].v1} | ELSEWHERE == {item.path for item in FIELDS if item.v1} | {"hugepage_limits"}
    assert set(TRIES) | ELSEWHERE == {item.path for item in FIELDS} | {"hugepage_limits"}


# The huge pages of this machine are limited in its cgroup v2 hierarchy: test_huge_pages.
@pytest.mark.parametrize("field", [path for path in TRIES if TRIES[path].v1 and path != "hugepage_limits"])
def test_field(field, device, network_hierarchies):
    tried = TRIES[field]
    assert tried.v1
    file, shown, other_shown = tried.v1
    value, other = on_device(tried.value, device), on_device(tried.other, device)
    base, path = {**BASE, "resources": tried.base or {}}, f"resources.{field}"
    if other is None:  # a machine with a single memory node has no other list of them
        cycle_here(with_option(base, path, value))
        assert knob(file) == shown
        return
    converge_here(with_option(base, path, other))
    for setting in (value, other, value):
        cycle_here(with_option(base, path, setting))
    assert says(file, shown.split("\n")[0], device) and says(file, shown.split("\n")[-1], device), knob(file)
    settled_here({**BASE, "resources": converge_here(BASE)["resource"]["resources"]})
    converge_here(with_option(base, path, other))
    assert says(file, other_shown, device), knob(file)
    settled("container_cgroup", base)


EVERYTHING = {
    "cpu": {"shares": 512, "period": 50000, "quota": 25000, "burst": 1000, "cpus": "0", "mems": "0"},
    "memory": {"limit": "64M", "reservation": "32M", "swap": "96M", "swappiness": 10},
    "pids": {"limit": 100},
}


def test_everything_at_once_and_fed_back():
    result = cycle("container_cgroup", {"name": "vt-web/inner", "resources": EVERYTHING})
    resource = result["resource"]
    assert resource["persistent"] is False and resource["manager"] == "cgroupfs" and resource["state"] == "present"
    assert resource["paths"] == [f"{V1[controller]}/vt-web/inner" for controller in ("cpu", "cpuset", "memory", "pids")]
    assert resource["resources"]["memory"]["swap"] == 96 * 2**20
    settled("container_cgroup", {"name": "vt-web/inner", "resources": resource["resources"]})
    assert knob("cpuset.cpus") == knob("cpuset.cpus", ".")  # the cgroup above was given its parent's
    assert {action["action"] for action in result["actions"]} == {"create_cgroup", "write_knob"}
    cycle("container_cgroup", {"name": "vt-web", "state": "absent"})
    assert not directories()
    settled("container_cgroup", {"name": "vt-web", "state": "absent"})


def test_a_cgroup_without_limits():
    result = cycle("container_cgroup", BASE)
    assert result["resource"]["paths"] == [f"{V1[controller]}/{NAME}" for controller in ("cpu", "memory", "pids")]
    cycle("container_cgroup", with_option(BASE, "resources.cpu.cpus", "0"))
    assert result["resource"]["resources"]["memory"]["limit"] == -1


def test_a_cgroup_that_others_made():
    (Path(V1["cpu"]) / NAME).mkdir()
    settled("container_cgroup", with_option(BASE, "resources.cpu.shares", 1024))
    (Path(V1["cpuset"]) / NAME).mkdir()
    cycle("container_cgroup", {**BASE, "resources": {"cpu": {"cpus": "1"}}})
    assert (knob("cpuset.cpus"), knob("cpuset.mems")) == ("1", knob("cpuset.mems", "."))
    settled("container_cgroup", {**BASE, "resources": {"cpu": {"cpus": "1"}}})


def test_memory_and_swap_grow_and_shrink_together():
    for limit, swap in (("64M", "64M"), ("256M", "512M"), ("32M", "48M"), ("40M", "-1"), ("64M", "65M")):
        cycle("container_cgroup", {**BASE, "resources": {"memory": {"limit": limit, "swap": swap}}})
    cycle("container_cgroup", {**BASE, "resources": {"memory": {"limit": -1}}})
    assert knob("memory.memsw.limit_in_bytes") == "9223372036854771712"


def test_quota_period_and_burst_change_together_below_a_parent():
    apply("container_cgroup", {**BASE, "resources": {"cpu": {"quota": 100000}}})
    for quota, period, burst in ((100000, 100000, 0), (20000, 20000, 20000), (500000, 500000, 400000), (5000, 5000, 0), (100000, 100000, 100000)):
        resources = {"cpu": {"quota": quota, "period": period, "burst": burst}}
        cycle("container_cgroup", {"name": f"{NAME}/inner", "resources": resources})


def test_a_quota_above_the_parents_is_explained():
    apply("container_cgroup", {**BASE, "resources": {"cpu": {"quota": 50000}}})
    sentence = refused("container_cgroup", {"name": f"{NAME}/inner", "resources": {"cpu": {"quota": 60000}}}, "refused_by_kernel")
    assert "limit of the cgroup above" in sentence


def test_idle_goes_off_before_shares_are_set():
    apply("container_cgroup", with_option(BASE, "resources.cpu.idle", True))
    refused("container_cgroup", with_option(BASE, "resources.cpu.shares", 512), "conflicting_resources", check_mode=True)
    settled("container_cgroup", {**BASE, "resources": apply("container_cgroup", BASE)["resource"]["resources"]})
    cycle("container_cgroup", {**BASE, "resources": {"cpu": {"shares": 512, "idle": False}}})


def test_sizes_are_rounded_to_pages():
    cycle("container_cgroup", {**BASE, "resources": {"memory": {"limit": "50000001", "reservation": "5000001"}}})
    assert int(knob("memory.limit_in_bytes")) == 50000001 // os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PAGE_SIZE")


def test_a_populated_cgroup_is_not_removed(process):
    resources = {"cpu": {"cpus": "0"}, "pids": {"limit": 10}}
    apply("container_cgroup", {"name": f"{NAME}/inner", "resources": resources})
    for controller in ("cpuset", "pids"):
        (Path(V1[controller]) / NAME / "inner" / "cgroup.procs").write_text(str(process))
    gone = {**BASE, "state": "absent"}
    for check_mode in (True, False):
        refused("container_cgroup", gone, "cgroup_populated", check_mode)
    result = cycle("container_cgroup", {**gone, "force": True})
    assert "move_processes" in [action["action"] for action in result["actions"]]
    assert not directories() and f":cpuset:{os.sep}\n" in Path(f"/proc/{process}/cgroup").read_text()


def test_a_limit_below_the_usage_is_refused_by_the_kernel():
    apply("container_cgroup", {**BASE, "resources": {"memory": {"limit": "64M"}}})
    eater = f"import time; data = bytearray({32 * 2**20}); print(1, flush=True); time.sleep(300)"
    with started(eater, "memory") as running:
        assert running.stdout and running.stdout.readline()
        refused("container_cgroup", {**BASE, "resources": {"memory": {"limit": "4M"}}}, "limit_below_usage")
        settled("container_cgroup", {**BASE, "resources": {"memory": {"limit": "64M"}}})


def test_processes_are_put_into_it(process):
    params = {**BASE, "processes": [process], "resources": {"cpu": {"cpus": "0"}, "pids": {"limit": 10}}}
    result = cycle("container_cgroup", params)
    assert [action["action"] for action in result["actions"]].count("attach_process") == 2 and result["resource"]["processes"] == [process]
    assert {f":{name}:/{NAME}" for name in ("cpuset", "pids")} <= {
        ":" + line.partition(":")[2] for line in Path(f"/proc/{process}/cgroup").read_text().splitlines()
    }
    refused("container_cgroup", {**BASE, "resources": {"pids": {"limit": 1}}, "processes": [2**22 - 1]}, "no_such_process")
    refused("container_cgroup", {**BASE, "processes": [0]}, "out_of_range")


def test_no_fewer_processes_than_there_are(process):
    apply("container_cgroup", {**BASE, "processes": [process], "resources": {"pids": {"limit": 10}}})
    with started("import time; print(1, flush=True); time.sleep(300)", "pids") as running:
        assert running.stdout and running.stdout.readline()
        lower = {**BASE, "resources": {"pids": {"limit": 1}}}
        refused("container_cgroup", lower, "limit_below_usage", check_mode=True)
        cycle("container_cgroup", {**lower, "force": True})


def test_delegation():
    """hugetlb is the one controller that this machine has in its cgroup v2 hierarchy."""
    params = {"name": "vt-v2", "delegate": {"user": "nobody", "controllers": ["hugetlb"]}, "resources": {"hugepage_limits": HUGE}}
    with hugetlb_given_back():
        result = cycle("container_cgroup", params)
        assert result["resource"]["delegate"] == {"user": "nobody", "controllers": ["hugetlb"]}
        made = Path(V2) / "vt-v2"
        assert (made / "cgroup.procs").owner() == "nobody" and (made / "hugetlb.2MB.max").owner() == "root"
        assert (made / "cgroup.subtree_control").read_text() == "hugetlb\n"
        refused("container_cgroup", {**params, "delegate": {"controllers": ["cpu"]}}, "unavailable_controllers")
        refused("container_cgroup", {**params, "delegate": {"controllers": ["/"]}}, "invalid_controller")
        refused("container_cgroup", {**params, "delegate": {"user": "vt-nobody"}}, "unknown_user")
        refused("container_cgroup", {**params, "processes": [os.getpid()]}, "cgroup_has_children")


def test_a_limit_that_the_host_cannot_have():
    params = {**BASE, "resources": {"cpu": {"weight": 100}, "pids": {"limit": 50}, "unified": {"memory.high": "32M"}}}
    assert "cgroup v1 has no such limit" in refused("container_cgroup", params, "unsupported_resource", check_mode=True)
    refused("container_cgroup", {**BASE, "resources": {"unified": {"rdma.max": "mlx5_0 hca_handle=1"}}}, "unsupported_resource")
    assert not directories()
    result = cycle("container_cgroup", {**params, "on_unsupported": "warn"})
    assert result["resource"]["not_applied"] == ["cpu.weight", "unified.memory.high"] and len(result["warnings"]) == 2
    assert knob("pids.max") == "50"


HUGE = [{"page_size": "2M", "limit": "4M"}]


@contextmanager
def hugetlb_given_back() -> Iterator[None]:
    """The one controller that this machine has in its cgroup v2 hierarchy, enabled as before afterwards."""
    assert "hugetlb" in (Path(V2) / "cgroup.controllers").read_text()
    before = (Path(V2) / "cgroup.subtree_control").read_text()
    try:
        yield
    finally:
        remove_all()
        if "hugetlb" not in before:
            (Path(V2) / "cgroup.subtree_control").write_text("-hugetlb")


def test_huge_pages():
    name = "vt-v2/inner"
    value, other = TRIES["hugepage_limits"].value, TRIES["hugepage_limits"].other
    with hugetlb_given_back():
        first = cycle("container_cgroup", {"name": name, "resources": {"hugepage_limits": value}})
        assert "enable_controllers" in [action["action"] for action in first["actions"]]
        assert {(Path(V2) / name / f"hugetlb.2MB{kind}max").read_text() for kind in (".", ".rsvd.")} == {f"{4 * 2**20}\n"}
        assert value[0]["limit"] == "4M" and {"page_size": "2MB", "limit": 4 * 2**20} in first["resource"]["resources"]["hugepage_limits"]
        cycle("container_cgroup", {"name": name, "resources": {"hugepage_limits": other}})
        cycle("container_cgroup", {"name": name, "resources": {"unified": {"hugetlb.2MB.max": 0}}})
        refused("container_cgroup", {"name": name, "resources": {"hugepage_limits": [{"page_size": "3M", "limit": 1}]}}, "unsupported_resource")
        refused("container_cgroup", {"name": name, "resources": {"hugepage_limits": [*value, *other]}}, "conflicting_resources")
        cycle("container_cgroup", {"name": "vt-v2", "state": "absent"})


def test_options_that_only_other_hosts_feel():
    """On cgroup v1 shares are shares, whatever the conversion, and the kernel itself checks the usage."""
    for extra in ({"shares_conversion": "linear"}, {"manager": "cgroupfs"}, {"force": True}):
        apply("container_cgroup", {**BASE, "resources": {"cpu": {"shares": 512}}})
        settled("container_cgroup", {**BASE, **extra, "resources": {"cpu": {"shares": 512}, "memory": None}})
    cycle("container_cgroup", {**BASE, "resources": {"memory": {"limit": "64M", "check_before_update": False}}})


def test_check_mode_makes_no_directory():
    check("container_cgroup", {**BASE, "resources": EVERYTHING})
    assert not directories()


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": "/vt-web"}, "invalid_name"),
        ({"name": "vt-web/../x"}, "invalid_name"),
        ({"name": "vt-web//x"}, "invalid_name"),
        ({"name": ""}, "invalid_name"),
        ({"name": "vt-web/cgroup.procs"}, "invalid_name"),
        ({"name": "vt web"}, "invalid_name"),
        ({"manager": "systemd"}, "systemd_not_running"),
        ({"resources": {"cpu": {"shares": 1}}}, "out_of_range"),
        ({"resources": {"cpu": {"weight": 0}}}, "out_of_range"),
        ({"resources": {"cpu": {"quota": 999}}}, "out_of_range"),
        ({"resources": {"cpu": {"quota": "fast"}}}, "out_of_range"),
        ({"resources": {"cpu": {"period": 1000001}}}, "out_of_range"),
        ({"resources": {"cpu": {"quota": 10000, "burst": 10001}}}, "conflicting_resources"),
        ({"resources": {"cpu": {"idle": True, "shares": 5}}}, "conflicting_resources"),
        ({"resources": {"cpu": {"weight": 5, "shares": 5}}}, "conflicting_resources"),
        ({"resources": {"cpu": {"cpus": "0-"}}}, "invalid_list"),
        ({"resources": {"cpu": {"cpus": "4000"}}}, "unavailable_cpus"),
        ({"resources": {"cpu": {"mems": "63"}}}, "unavailable_cpus"),
        ({"resources": {"memory": {"limit": "lots"}}}, "invalid_size"),
        ({"resources": {"memory": {"limit": 0}}}, "out_of_range"),
        ({"resources": {"memory": {"reservation": -1}}}, "out_of_range"),
        ({"resources": {"memory": {"swap": "64M"}}}, "swap_without_limit"),
        ({"resources": {"memory": {"limit": "64M", "swap": "63M"}}}, "swap_below_limit"),
        ({"resources": {"memory": {"swappiness": 101}}}, "out_of_range"),
        ({"resources": {"pids": {"limit": 0}}}, "out_of_range"),
        ({"resources": {"cpu": {"realtime_period": 5, "realtime_runtime": 6}}}, "conflicting_resources"),
        ({"resources": {"memory": {"reservation": 0, "low": 0}}}, "conflicting_resources"),
        ({"resources": {"memory": {"kernel": "64M"}}}, "unsupported_resource"),
        ({"resources": {"block_io": {"weight": 5}}}, "out_of_range"),
        ({"resources": {"block_io": {"weight": 50, "io_weight": 50}}}, "conflicting_resources"),
        ({"resources": {"block_io": {"io_weight": 50}}}, "unsupported_resource"),
        ({"resources": {"block_io": {"throttle_read_bps_device": [{"path": "/dev/vt-none", "rate": 1}]}}}, "unknown_device"),
        ({"resources": {"block_io": {"throttle_read_bps_device": [{"path": "/dev/null", "rate": 1}]}}}, "unknown_device"),
        ({"resources": {"block_io": {"throttle_read_bps_device": [{"major": 7, "rate": 1}]}}}, "invalid_device"),
        ({"resources": {"block_io": {"throttle_read_bps_device": [{"major": 7, "minor": 0, "rate": 0}]}}}, "out_of_range"),
        ({"resources": {"block_io": {"throttle_read_iops_device": [{"major": 7, "minor": 0, "rate": "1M"}]}}}, "out_of_range"),
        ({"resources": {"block_io": {"throttle_read_iops_device": [{"major": 7, "minor": 0, "rate": "1"}] * 2}}}, "duplicate_device"),
        ({"resources": {"rdma": {"mlx5_0": 5}}}, "invalid_rdma"),
        ({"resources": {"rdma": {"mlx5_0": {"hca_handles": 5}}}}, "unsupported_resource"),
        ({"resources": {"network": {"priorities": [{"name": "a b", "priority": 5}]}}}, "invalid_interface"),
        ({"resources": {"devices": [{"allow": False, "type": "c", "major": 1}]}}, "unsupported_rules"),
        ({"resources": {"devices": [{"allow": True, "type": "c", "access": "x"}]}}, "out_of_range"),
        ({"resources": {"devices": [{"allow": True, "type": "d"}]}}, "invalid_options"),
        ({"resources": {"unified": {"../evil": "1"}}}, "invalid_unified"),
        ({"resources": {"unified": {"io.max": "8:0"}}}, "invalid_unified"),
    ],
)
def test_bad_input(given, code):
    for check_mode in (True, False):
        refused("container_cgroup", {**BASE, **given}, code, check_mode)
    assert not directories()
