# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cgroups in this machine's own hierarchies. A field is tried on cgroup v1 or v2, wherever its controller is."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.fields import BY_PATH
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.read import parse_mountinfo
from support.modules import apply, check, cycle, option_cycle, refused, settled, with_option

NAME = "vt-web"
BASE: Dict[str, Any] = {"name": NAME}
MOUNTS = parse_mountinfo(Path("/proc/self/mountinfo").read_text())
V1 = {controller: mount.path for mount in MOUNTS if mount.version == 1 for controller in mount.controllers}
V2 = next((mount.path for mount in MOUNTS if mount.version == 2), "")

pytestmark = pytest.mark.usefixtures("clean")


def directories() -> List[Path]:
    """The cgroups of the tests, the deepest first."""
    tops = [Path(mount.path) / name for mount in MOUNTS for name in (NAME, "vt-v2")]
    found = [path for top in tops for path in (top, *top.rglob("*")) if path.is_dir()]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


@pytest.fixture
def clean() -> Iterator[None]:
    """No cgroup of the tests before, and none after."""
    for path in directories():
        path.rmdir()
    yield
    for path in directories():
        path.rmdir()


@pytest.fixture
def process() -> Iterator[int]:
    """A process of the test's own, to be put into a cgroup."""
    running = subprocess.Popen(["sleep", "300"])
    yield running.pid
    running.kill()
    running.wait()
    time.sleep(0.1)  # for the kernel to take it out of its cgroups


def knob(file: str, name: str = NAME) -> str:
    return (Path(V1.get(file.partition(".")[0], V2)) / name / file).read_text().strip()


# field → value, other value, and with cgroup v1 the file with what it says for both
FIELDS = {
    "cpu.shares": (512, 2000, "cpu.shares", "512", "2000"),
    "cpu.quota": (50000, -1, "cpu.cfs_quota_us", "50000", "-1"),
    "cpu.period": (50000, 200000, "cpu.cfs_period_us", "50000", "200000"),
    "cpu.burst": (1000, 0, "cpu.cfs_burst_us", "1000", "0"),
    "cpu.idle": (True, False, "cpu.idle", "1", "0"),
    "cpu.cpus": ("0", "0,1", "cpuset.cpus", "0", "0-1"),
    "cpu.mems": ("0", None, "cpuset.mems", "0", None),
    "memory.limit": ("64M", "max", "memory.limit_in_bytes", str(64 * 2**20), "9223372036854771712"),
    "memory.reservation": ("32M", 0, "memory.soft_limit_in_bytes", str(32 * 2**20), "9223372036854771712"),
    "memory.swap": ("128M", -1, "memory.memsw.limit_in_bytes", str(128 * 2**20), "9223372036854771712"),
    "memory.swappiness": (10, 60, "memory.swappiness", "10", "60"),
    "pids.limit": (100, "max", "pids.max", "100", "max"),
}
# weight has no file in cgroup v1, where it is refused: test_a_limit_that_the_host_cannot_have
ELSEWHERE = {"cpu.weight"}


def test_every_field_of_the_table_is_tried():
    assert set(FIELDS) | ELSEWHERE == set(BY_PATH)


@pytest.mark.parametrize("field", FIELDS)
def test_field(field):
    value, other, file, shown, other_shown = FIELDS[field]
    base = with_option(BASE, "resources.memory.limit", "64M") if field == "memory.swap" else BASE
    path = f"resources.{field}"
    if other is None:  # a machine with a single memory node has no other list of them
        cycle("container_cgroup", with_option(base, path, value))
        assert knob(file) == shown
        return
    apply("container_cgroup", with_option(base, path, other))
    option_cycle("container_cgroup", base, path, value, other)
    assert knob(file) == shown
    apply("container_cgroup", with_option(base, path, other))
    assert knob(file) == other_shown
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


def test_a_limit_below_the_usage_is_refused_by_the_kernel(process):
    apply("container_cgroup", {**BASE, "resources": {"memory": {"limit": "64M"}}})
    eater = f"import time; data = bytearray({32 * 2**20}); print(1, flush=True); time.sleep(300)"
    enter = f"open('{V1['memory']}/{NAME}/cgroup.procs', 'w').write('0')"
    running = subprocess.Popen(["python3", "-c", f"{enter}; {eater}"], stdout=subprocess.PIPE)
    try:
        assert running.stdout and running.stdout.readline()
        refused("container_cgroup", {**BASE, "resources": {"memory": {"limit": "4M"}}}, "limit_below_usage")
        settled("container_cgroup", {**BASE, "resources": {"memory": {"limit": "64M"}}})
    finally:
        running.kill()
        running.wait()
        time.sleep(0.1)


def test_a_limit_that_the_host_cannot_have():
    params = {**BASE, "resources": {"cpu": {"weight": 100}, "pids": {"limit": 50}, "unified": {"memory.high": "32M"}}}
    assert "cgroup v1 has no such limit" in refused("container_cgroup", params, "unsupported_resource", check_mode=True)
    refused("container_cgroup", {**BASE, "resources": {"unified": {"rdma.max": "1"}}}, "unsupported_resource")
    assert not directories()
    result = cycle("container_cgroup", {**params, "on_unsupported": "warn"})
    assert result["resource"]["not_applied"] == ["cpu.weight", "unified.memory.high"] and len(result["warnings"]) == 2
    assert knob("pids.max") == "50"


def test_a_file_of_cgroup_v2():
    """hugetlb is the one controller that this machine has in its cgroup v2 hierarchy."""
    assert "hugetlb" in (Path(V2) / "cgroup.controllers").read_text()
    name = "vt-v2/inner"
    file = sorted(path.name for path in Path("/sys/kernel/mm/hugepages").iterdir())[-1]
    size = int(file[len("hugepages-") : -len("kB")])
    limit = f"hugetlb.{size // 1024}MB.max" if size < 2**20 else f"hugetlb.{size // 2**20}GB.max"
    before = (Path(V2) / "cgroup.subtree_control").read_text()
    try:
        first = cycle("container_cgroup", {"name": name, "resources": {"unified": {limit: 0}}})
        assert "enable_controllers" in [action["action"] for action in first["actions"]]
        assert (Path(V2) / name / limit).read_text() == "0\n"
        cycle("container_cgroup", {"name": name, "resources": {"unified": {limit: "max"}}})
        cycle("container_cgroup", {"name": "vt-v2", "state": "absent"})
    finally:
        for path in directories():
            path.rmdir()
        if "hugetlb" not in before:
            (Path(V2) / "cgroup.subtree_control").write_text("-hugetlb")


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
        ({"resources": {"unified": {"../evil": "1"}}}, "invalid_unified"),
        ({"resources": {"unified": {"io.max": "8:0 rbps=1"}}}, "invalid_unified"),
    ],
)
def test_bad_input(given, code):
    for check_mode in (True, False):
        refused("container_cgroup", {**BASE, **given}, code, check_mode)
    assert not directories()
