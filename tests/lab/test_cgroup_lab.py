# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cgroups where systemd runs the host and cgroup v2 is alone: as slices, within a delegated unit, and in the hierarchy itself.

Runs in the lab host: extensions/molecule/alone/cgroups.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Tuple

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.fields import FIELDS
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.read import Mount, hierarchy
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.unified import UNIFIED_PROPERTIES
from support.cgroups import (
    ALONE,
    ELSEWHERE,
    MIB,
    NAME,
    TRIES,
    converge_here,
    cycle_here,
    device_number,
    knob,
    loop_device,
    mounts,
    on_device,
    pairs,
    remove_all,
    says,
    settled_here,
    systemd_runs,
    v2_root,
    without_systemd,
)
from support.modules import apply, cycle, refused, settled, with_option

BASE: Dict[str, Any] = {"name": NAME}
UNIT, FILE = f"{NAME}.slice", Path(f"/etc/systemd/system/{NAME}.slice")
V2 = [path for path in TRIES if TRIES[path].v2]
SLICE = [path for path in [*V2, "devices"] if path in {item.path for item in FIELDS if item.systemd}]


@pytest.fixture(scope="module")
def device(tmp_path_factory) -> Iterator[str]:
    with loop_device(tmp_path_factory.mktemp("vt-disk")) as path:
        yield path


@pytest.fixture
def bare() -> Iterator[None]:
    with without_systemd():
        remove_all(NAME, ALONE)
        yield
        remove_all(NAME, ALONE)


@pytest.fixture
def clean() -> Iterator[None]:
    for name in (NAME, ALONE):
        converge_here({"name": name, "state": "absent"})
    yield
    for name in (NAME, ALONE):
        converge_here({"name": name, "state": "absent"})


def test_this_is_the_host_that_is_meant():
    assert systemd_runs() and hierarchy(mounts()) == "v2" and mounts() == [Mount(v2_root(), 2)]


def test_every_field_of_the_table_is_tried():
    elsewhere = {path for path in ELSEWHERE if path != "memory.kernel"}
    assert set(V2) | elsewhere == {item.path for item in FIELDS if item.v2} | {"hugepage_limits"}
    assert set(SLICE) == {item.path for item in FIELDS if item.systemd}


@pytest.mark.parametrize("field", V2)
def test_field_of_cgroup_v2(field, device, bare):
    tried = TRIES[field]
    assert tried.v2
    file, shown, other_shown = tried.v2
    value, other = on_device(tried.value, device), on_device(tried.other, device)
    base, path = {**BASE, "resources": tried.base or {}}, f"resources.{field}"
    if other is None:
        cycle_here(with_option(base, path, value))
        assert knob(file) == shown
        return
    converge_here(with_option(base, path, other))
    for setting in (value, other, value):
        cycle_here(with_option(base, path, setting))
    assert says(file, shown, device), knob(file)
    settled_here({**BASE, "resources": converge_here(BASE)["resource"]["resources"]})
    converge_here(with_option(base, path, other))
    assert says(file, other_shown, device), knob(file)


#: Files by their own names, with two values of each as the kernel says them. A slice has properties for those that are in UNIFIED_PROPERTIES.
BY_NAME: Dict[str, Tuple[str, str]] = {
    "cpu.weight": ("300", "50"),
    "cpu.max": ("50000 50000", "max 100000"),
    "cpuset.cpus": ("0", "0-1"),
    "cpuset.mems": ("0", "0"),
    "memory.min": (str(4 * MIB), "0"),
    "memory.low": (str(8 * MIB), "0"),
    "memory.high": (str(48 * MIB), "max"),
    "memory.max": (str(64 * MIB), "max"),
    "memory.swap.max": (str(32 * MIB), "max"),
    "memory.oom.group": ("1", "0"),
    "pids.max": ("100", "max"),
    "hugetlb.2MB.max": (str(4 * MIB), "max"),
}


def by_name(files: Iterable[str], other: bool) -> Dict[str, Any]:
    return {**BASE, "resources": {"unified": {file: BY_NAME[file][other] for file in files}}}


def test_files_by_their_own_names(device, bare):
    line = {"io.max": f"{device_number(device)} wbps=1048576"}
    for other in (False, True, False):
        cycle_here(by_name(BY_NAME, other))
        assert {file: knob(file) for file in BY_NAME} == by_name(BY_NAME, other)["resources"]["unified"]
    cycle_here({**BASE, "resources": {"unified": line}})
    assert says("io.max", "wbps=1048576", device) and knob("memory.oom.group") == "1"


def test_files_of_slices_by_their_own_names(device, clean):
    for other in (False, True, False):
        cycle_here(by_name(UNIFIED_PROPERTIES, other))
        for file in UNIFIED_PROPERTIES:
            soon(file, BY_NAME[file][other], device)
    refused("container_cgroup", by_name(["memory.oom.group"], False), "unsupported_resource", check_mode=True)


#: The fields by sets that do not contradict each other, because each change of a unit costs a reload.
SETS: List[List[str]] = [
    [
        path
        for path in SLICE
        if path not in ("cpu.idle", "cpu.weight", "block_io.io_weight", "block_io.io_weight_device", "memory.low", "memory.swap_max")
    ],
    ["cpu.idle", "memory.low", "memory.swap_max", "block_io.io_weight", "block_io.io_weight_device"],
    ["cpu.weight"],
]


def all_of(paths: List[str], device: str, other: bool) -> Dict[str, Any]:
    params: Dict[str, Any] = {**BASE, "resources": {}}
    for path in paths:
        tried = TRIES[path]
        value = tried.other if other and tried.other is not None else tried.value
        params = with_option(params, f"resources.{path}", on_device(value, device))
    return params


def test_every_field_is_in_a_set():
    assert sorted(path for paths in SETS for path in paths) == sorted(SLICE)


@pytest.mark.parametrize("number", range(len(SETS)))
def test_fields_of_slices(number, device, clean):
    """For each field: check, check, apply, check, apply, then another value, then back, against what the kernel shows."""
    for other in (False, True, False):
        cycle_here(all_of(SETS[number], device, other))
        for path in SETS[number]:
            tried = TRIES[path]
            if not tried.v2 or (path == "memory.swap" and other):
                continue
            file, text, other_text = tried.v2
            if path == "cpu.quota" or path == "cpu.period":  # one file has both
                text, other_text = "50000 50000", "max"
            wanted = other_text if other and tried.other is not None else text  # as all_of has it
            soon(file, wanted, device)
    converge_here(all_of(SETS[number], device, False))
    settled("container_cgroup", all_of(SETS[number], device, False))


def soon(file: str, text: str, device: str) -> None:
    """systemd answers the reload before it has written everything."""
    deadline = time.monotonic() + 10
    while not _kernel_says(file, text, device) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _kernel_says(file, text, device), (file, text, knob(file))


def _kernel_says(file: str, text: str, device: str) -> bool:
    """systemd takes a controller away from a slice that needs it no more, and then nothing is limited."""
    try:
        return says(file, text, device)
    except FileNotFoundError:
        return text in ("", "0", "max", "default", "0-1")


def test_devices_bite(clean):
    converge_here(with_option(BASE, "resources.devices", TRIES["devices"].value))
    assert _reads("/dev/null") and not _reads("/dev/zero")
    converge_here(with_option(BASE, "resources.devices", TRIES["devices"].other))
    assert _reads("/dev/zero")


def _reads(path: str) -> bool:
    run = ["systemd-run", "--quiet", "--scope", f"--slice={UNIT}", "head", "-c1", path]
    return subprocess.run(run, capture_output=True, check=False).returncode == 0


def test_the_unit_is_removed_and_strangers_are_left(clean):
    cycle("container_cgroup", with_option(BASE, "resources.pids.limit", 50))
    assert FILE.exists() and knob("pids.max") == "50"
    with subprocess.Popen(["systemd-run", "--quiet", "--scope", f"--slice={UNIT}", "sleep", "300"]) as sleeper:
        deadline = time.monotonic() + 60
        while not (Path(v2_root()) / "vt.slice" / UNIT / "cgroup.events").read_text().startswith("populated 1") and time.monotonic() < deadline:
            time.sleep(0.2)
        refused("container_cgroup", {**BASE, "state": "absent"}, "cgroup_populated")
        refused("container_cgroup", {**BASE, "processes": [sleeper.pid]}, "slices_hold_units")
        refused("container_cgroup", with_option(BASE, "resources.cpu.burst", 5), "unsupported_resource")
        sleeper.kill()
    cycle("container_cgroup", {**BASE, "state": "absent"})
    assert not FILE.exists() and not (Path(v2_root()) / "vt.slice" / UNIT).exists()


def test_a_slice_of_others_gets_a_drop_in(clean):
    FILE.write_text("[Slice]\nTasksMax=500\nCPUWeight=50\n")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    drop_in = Path(f"{FILE}.d/50-virtops.conf")
    try:
        settled("container_cgroup", {**BASE, "state": "absent"})
        result = cycle("container_cgroup", with_option(BASE, "resources.pids.limit", 60))
        assert [action["action"] for action in result["actions"]] == ["write_unit", "reload_manager", "start_slice"]
        assert drop_in.exists() and (knob("pids.max"), knob("cpu.weight")) == ("60", "50")
        converge_here(with_option(BASE, "resources.devices", TRIES["devices"].value))
        assert not _reads("/dev/zero")
        cycle("container_cgroup", {**BASE, "state": "absent"})
        assert not drop_in.exists() and FILE.exists() and knob("pids.max") == "500" and _reads("/dev/zero")
    finally:
        FILE.unlink()
        drop_in.unlink(missing_ok=True)
        drop_in.parent.rmdir() if drop_in.parent.is_dir() else None
        subprocess.run(["systemctl", "stop", UNIT], check=True)
        subprocess.run(["systemctl", "daemon-reload"], check=True)


def test_what_overrides_the_unit_is_refused(clean):
    apply("container_cgroup", with_option(BASE, "resources.pids.limit", 60))
    subprocess.run(["systemctl", "set-property", "--runtime", UNIT, "TasksMax=7"], check=True)
    try:
        assert "TasksMax" in refused("container_cgroup", BASE, "unit_overridden")
    finally:
        subprocess.run(["systemctl", "revert", UNIT], check=False)
        for path in Path("/run/systemd/system.control").glob(f"{UNIT}.d/*"):
            path.unlink()
        apply("container_cgroup", {**BASE, "state": "absent"}) if not FILE.exists() else None
        subprocess.run(["systemctl", "daemon-reload"], check=True)


def test_within_a_delegated_unit():
    service = "vt-host.service"
    inside = f"{v2_root()}/system.slice/{service}/main"
    shell = f"mkdir {inside} && echo 0 > {inside}/cgroup.procs && exec sleep 300"  # 0 is who writes; $$ would be a $ to systemd
    subprocess.run(["systemd-run", "--quiet", f"--unit={service}", "-p", "Delegate=yes", "sh", "-c", shell], check=True)
    try:
        deadline = time.monotonic() + 60
        while not (Path(inside) / "cgroup.procs").exists() or not (Path(inside) / "cgroup.procs").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process = int((Path(inside) / "cgroup.procs").read_text())
        params = {"name": f"system.slice/{service}/pod", "resources": {"cpu": {"burst": 1000, "quota": 5000}, "pids": {"limit": 9}}}
        result = cycle("container_cgroup", {**params, "processes": [process], "delegate": {"user": "nobody"}})
        pod = Path(inside).with_name("pod")
        assert result["resource"]["manager"] == "cgroupfs" and not result["resource"]["persistent"]
        assert (pod / "cpu.max.burst").read_text() == "1000\n" and (pod / "cgroup.procs").read_text() == f"{process}\n"
        apply("container_cgroup", {**params, "resources": None, "processes": None})
        refused("container_cgroup", {**params, "resources": {"rdma": {"mlx5_0": {"hca_handles": 1}}}}, "unsupported_resource")
        refused("container_cgroup", {**params, "manager": "systemd"}, "invalid_name")
        cycle("container_cgroup", {**params, "state": "absent", "force": True})
    finally:
        subprocess.run(["systemctl", "stop", service], check=True)
    refused("container_cgroup", {"name": "system.slice/vt-host.service/pod", "manager": "cgroupfs"}, "systemd_owns_cgroups")


def test_pairs(device, bare):
    pairs("v2", device, int(os.environ.get("VIRTOPS_CGROUP_PAIRS", "60")), 3)


def test_pairs_of_slices(device, clean):
    """Each takes systemd several reloads."""
    pairs("slice", device, int(os.environ.get("VIRTOPS_CGROUP_SLICE_PAIRS", "3")), 3)
