# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.kvm.headroom import headroom
from ansible_collections.virtops.linux.plugins.module_utils.kvm.model import Facts, skipped
from ansible_collections.virtops.linux.plugins.module_utils.kvm.requirements import run_requirements
from ansible_collections.virtops.linux.plugins.module_utils.kvm.sections.machine import Platform
from ansible_collections.virtops.linux.plugins.module_utils.kvm.sections.system import Capacity, Disk, Memory
from ansible_collections.virtops.linux.plugins.module_utils.kvm.spec import Request, Requirements, Reserve, from_params
from kvm_bench import PARAMS

GIB = 1024**3
PLATFORM = Platform("x86_64", "6.1.0", "none", "", "none", "", True, "")
HOST = Facts(
    PLATFORM,
    skipped("none was asked for"),
    memory=Memory(16 * GIB, 12 * GIB, 0),
    capacity=Capacity(
        threads=8,
        cores=4,
        numa_nodes=(),
        disks=(
            Disk("/images", "/images", 500 * GIB, 100 * GIB),
            Disk("/var/lib/a", "/var", 50 * GIB, 30 * GIB),
            Disk("/var/lib/b", "/var", 50 * GIB, 30 * GIB),
            Disk("/sealed", None, None, None, "/sealed: Permission denied"),
        ),
    ),
)


def judged(reserve=Reserve(), **requirements):  # noqa: B008
    (check,) = run_requirements(HOST, Request(requirements=Requirements(**requirements), reserve=reserve))
    return check.status


def test_headroom_is_what_the_reserve_leaves():
    left = headroom(HOST, Reserve(memory=4 * GIB, vcpus=2, disk=10 * GIB))
    assert (left.memory, left.vcpus) == (12 * GIB, 6)
    assert left.disk == {"/images": 90 * GIB, "/var": 20 * GIB}
    assert left.as_dict()["disk"] == {"/images": 90 * GIB, "/var/lib/a": 20 * GIB, "/var/lib/b": 20 * GIB}


def test_less_than_nothing_is_shown_as_nothing():
    shown = headroom(HOST, Reserve(memory=20 * GIB, vcpus=9, disk=200 * GIB)).as_dict()
    assert (shown["memory"], shown["vcpus"], set(shown["disk"].values())) == (0, 0, {0})


@pytest.mark.parametrize(
    ("requirements", "reserve", "status"),
    [
        ({"min_memory": 16 * GIB}, Reserve(), "pass"),
        ({"min_memory": 16 * GIB}, Reserve(memory=1), "fail"),
        ({"min_memory": 0}, Reserve(memory=17 * GIB), "fail"),
        ({"min_vcpus": 6}, Reserve(vcpus=2), "pass"),
        ({"min_vcpus": 7}, Reserve(vcpus=2), "fail"),
        ({"min_disk": {"/images": 90 * GIB}}, Reserve(disk=10 * GIB), "pass"),
        ({"min_disk": {"/images": 90 * GIB + 1}}, Reserve(disk=10 * GIB), "fail"),
        ({"min_disk": {"/var/lib/a": 20 * GIB}}, Reserve(), "pass"),
        # Two paths on one file system: each fits alone, both together do not.
        ({"min_disk": {"/var/lib/a": 20 * GIB, "/var/lib/b": 20 * GIB}}, Reserve(), "fail"),
        ({"min_disk": {"/var/lib/a": 20 * GIB, "/images": 20 * GIB}}, Reserve(), "pass"),
        ({"min_disk": {"/sealed": 1}}, Reserve(), "fail"),
        # What was not read is not met.
        ({"kvm": True}, Reserve(), "fail"),
        ({"nested": True}, Reserve(), "fail"),
        ({"controllers": ("cpu",)}, Reserve(), "fail"),
    ],
)
def test_requirements(requirements, reserve, status):
    assert judged(reserve, **requirements) == status


@pytest.mark.parametrize(
    ("name", "requirements", "failing"),
    [
        ("intel", {"kvm": True, "nested": True, "controllers": ["cpu", "io", "blkio", "cpuacct", "memory"]}, set()),
        ("amd", {"kvm": True, "nested": True}, {"nested"}),
        ("amd", {"controllers": ["memory", "dmem"]}, {"controllers"}),
        ("paravirtual", {"kvm": True, "nested": True, "controllers": ["cpu"]}, {"kvm", "nested"}),
        ("kvm guest", {"kvm": True}, {"kvm"}),
        ("aarch64", {"kvm": True, "nested": True}, {"kvm", "nested"}),
        ("container", {"controllers": ["cpu", "memory"]}, {"controllers"}),
        ("intel", {"iommu": True, "modules": ["vfio-pci", "kvm_intel"], "hugepages": {"2MiB": 1024, "1GiB": 0}}, set()),
        ("intel", {"modules": ["vfio_pci", "vhost_net"]}, {"modules"}),
        ("intel", {"hugepages": {"2MiB": 1025}}, {"hugepages"}),
        ("intel", {"hugepages": {"1G": 4}}, {"hugepages"}),
        ("intel", {"hugepages": {"16MiB": 1}}, {"hugepages"}),
        ("kvm guest", {"iommu": True}, {"iommu"}),
        ("sev-snp", {"sev_snp": True, "tdx": True}, {"tdx"}),
        ("sev, not on", {"sev_snp": True}, {"sev_snp"}),
        ("tdx", {"sev_snp": True, "tdx": True}, {"sev_snp"}),
    ],
)
def test_requirements_of_whole_machines(machine, name, requirements, failing):
    """Whatever gather_subset says, what a requirement needs is read."""
    bench = machine(name)
    report = bench.report(gather_subset=[], requirements=requirements)
    found = {check["id"]: check for check in report["checks"]}
    assert set(found) == {f"requirement.{key}" for key in requirements}
    assert {key for key in requirements if found[f"requirement.{key}"]["status"] == "fail"} == failing
    assert all(found[f"requirement.{key}"]["remedy"] for key in failing)


def test_what_is_not_required_is_not_judged(machine):
    bench = machine("container")
    stated = {"kvm": False, "nested": False, "min_memory": None, "min_vcpus": None, "min_disk": {}, "controllers": []}
    assert bench.report(gather_subset=[], requirements=stated)["checks"] == []


def test_the_remedy_of_nested_guests_names_the_module(machine):
    bench = machine("amd")
    (check,) = bench.report(gather_subset=[], requirements={"nested": True})["checks"]
    assert check["evidence"] == "/sys/module/kvm_amd/parameters/nested is off"
    assert "kvm_module with name kvm_amd and parameters {nested: true}" in check["remedy"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"requirements": {"min_memory": "plenty"}}, "invalid_size"),
        ({"requirements": {"min_vcpus": -1}}, "invalid_count"),
        ({"requirements": {"min_disk": {"/images": "20 parsecs"}}}, "invalid_size"),
        ({"requirements": {"min_disk": {"images": "20G"}}}, "invalid_path"),
        ({"requirements": {"kvm": True}, "kvm_probe": False}, "conflicting_options"),
        ({"host_reserve": {"memory": "-1G"}}, "invalid_size"),
        ({"host_reserve": {"vcpus": -1}}, "invalid_count"),
        ({"host_reserve": {"disk": ""}}, "invalid_size"),
        ({"disk_paths": ["images"]}, "invalid_path"),
        ({"requirements": {"hugepages": {"2 sacks": 1}}}, "invalid_size"),
        ({"requirements": {"hugepages": {"3MiB": 1}}}, "invalid_size"),
        ({"requirements": {"hugepages": {"4KiB": 1}}}, "invalid_size"),
        ({"requirements": {"hugepages": {"2MiB": -1}}}, "invalid_count"),
        ({"requirements": {"hugepages": {"2MiB": "many"}}}, "invalid_count"),
        ({"requirements": {"modules": ["../kvm"]}}, "invalid_name"),
        ({"user": ""}, "invalid_name"),
        ({"user": "a b"}, "invalid_name"),
    ],
)
def test_bad_input(given, code):
    with pytest.raises(Failure) as caught:
        from_params({**PARAMS, **given})
    assert caught.value.code == code


def test_sizes_and_paths_are_normalised():
    request = from_params(
        {
            **PARAMS,
            "disk_paths": ["/images/", "/"],
            "requirements": {
                "min_disk": {"/images": "1G", "/srv": 5},
                "min_memory": "2GiB",
                "hugepages": {"1G": "2", "1024MiB": 1},
                "modules": ["tun", "tun"],
            },
            "host_reserve": {"memory": "1G"},
        }
    )
    assert request.disk_paths == ("/images", "/", "/srv")
    assert request.requirements == Requirements(min_memory=2 * GIB, min_disk={"/images": GIB, "/srv": 5}, hugepages={GIB: 3}, modules=("tun",))
    assert request.reserve == Reserve(memory=GIB)
