# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import errno
import os
import socket
import time
from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.kvm import checks
from ansible_collections.virtops.linux.plugins.module_utils.kvm.info import gather
from ansible_collections.virtops.linux.plugins.module_utils.kvm.model import FAIL, PASS, UNKNOWN, WARN, Device, Facts
from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import Report, judge, probe
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read import read
from ansible_collections.virtops.linux.plugins.module_utils.kvm.spec import Request

PARAMS = {
    "gather_subset": ["all"],
    "kvm_probe": True,
    "disk_paths": ["/var/lib/libvirt/images"],
    "requirements": None,
    "host_reserve": None,
    "fail_on": "never",
}


def by_id(report):
    return {check["id"]: check for check in report["checks"]}


def statuses(report):
    return {check["id"]: check["status"] for check in report["checks"]}


HEALTHY = {rule.id: PASS for rule in checks.RULES}


@pytest.mark.parametrize(
    ("name", "unlike", "usable"),
    [
        ("intel", {}, {"kvm": True, "containers": True}),
        ("amd", {}, {"kvm": True, "containers": True}),
        (
            "paravirtual",
            {
                "cpu.virtualization": FAIL,
                "cpu.nested_paging": UNKNOWN,
                "kvm.proof": FAIL,
                "kernel.modules": WARN,
                "iommu.groups": WARN,
                "device.vhost_net": WARN,
                "cgroup.mode": WARN,
                "cgroup.controllers": WARN,
            },
            {"kvm": False, "containers": False},
        ),
        (
            "kvm guest",
            {"cpu.virtualization": FAIL, "cpu.nested_paging": UNKNOWN, "kvm.device": FAIL, "kvm.proof": FAIL, "iommu.groups": WARN},
            {"kvm": None, "containers": True},
        ),
        (
            "aarch64",
            {"cpu.virtualization": UNKNOWN, "cpu.nested_paging": UNKNOWN, "kvm.proof": WARN},
            {"kvm": None, "containers": True},
        ),
        (
            "container",
            {
                "platform.container": WARN,
                "kvm.device": FAIL,
                "kvm.proof": FAIL,
                "iommu.groups": WARN,
                "device.vhost_net": WARN,
                "device.tun": FAIL,
                "cgroup.controllers": WARN,
            },
            {"kvm": None, "containers": False},
        ),
    ],
)
def test_whole_machines(machine, name, unlike, usable):
    host, prober = machine(name)
    report = gather(host, PARAMS, prober)
    assert statuses(report) == {**HEALTHY, **unlike}
    assert report["usable"] == usable
    for check in report["checks"]:
        assert check["evidence"] and "\n" not in check["evidence"]
        assert check["remedy"] or check["status"] in (PASS, UNKNOWN) or name == "aarch64", check


def test_the_facts_of_an_intel_machine(machine):
    host, prober = machine("intel")
    facts = gather(host, PARAMS, prober)["facts"]
    assert facts["cpu"] == {
        "vendor": "GenuineIntel",
        "model": "Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz",
        "virtualization": "vmx",
        "nested_paging": "ept",
    }
    assert facts["platform"]["hypervisor"] == "none" and facts["platform"]["container"] == "none"
    assert (facts["kvm"]["module"], facts["kvm"]["nested"]) == ("kvm_intel", True)
    assert (facts["kvm"]["device"]["mode"], facts["kvm"]["device"]["opens"]) == ("0666", True)
    assert facts["iommu"] == {"groups": 41}
    assert facts["memory"] == {"total": 32768000 * 1024, "available": 30 * 1024**3, "swap": 1024**3}
    assert facts["cgroup"] == {"mode": "unified", "controllers": ("cpu", "cpuset", "hugetlb", "io", "memory", "misc", "pids", "rdma")}
    assert (facts["capacity"]["threads"], facts["capacity"]["cores"]) == (4, 2)
    assert [node["cpus"] for node in facts["capacity"]["numa_nodes"]] == ["0,2", "1,3"]
    assert facts["capacity"]["disks"][0]["free"] > 0


def test_evidence_and_remedies_know_the_machine(machine, tmp_path):
    host, prober = machine("paravirtual")
    found = by_id(gather(host, PARAMS, prober))
    assert found["cpu.virtualization"]["evidence"] == "no vmx or svm in /proc/cpuinfo"
    assert "host-passthrough" in found["cpu.virtualization"]["remedy"]
    assert "930 ns" in found["kvm.proof"]["evidence"] and "type qemu" in found["kvm.proof"]["remedy"]
    assert "loads no modules at all" in found["device.vhost_net"]["remedy"]
    assert found["platform.container"]["evidence"].startswith("not a container")
    assert "missing: cpuset, io, pids" in found["cgroup.controllers"]["evidence"]


def test_a_container_is_sent_to_its_machine(machine):
    host, prober = machine("container")
    found = by_id(gather(host, PARAMS, prober))
    assert "--device /dev/kvm" in found["kvm.device"]["remedy"]
    assert found["platform.container"]["evidence"] == "a container (docker): /run/systemd/container is docker"


def test_bare_metal_without_flags_is_sent_to_the_firmware(machine):
    host, prober = machine("intel", {"/proc/cpuinfo": "vendor_id\t: GenuineIntel\nflags\t\t: fpu lm\n"})
    assert "VT-x" in by_id(gather(host, PARAMS, prober))["cpu.virtualization"]["remedy"]


@pytest.mark.parametrize(
    ("report", "status", "words"),
    [
        (Report("hung", "run"), UNKNOWN, "no answer in stage run"),
        (Report("died", "run"), UNKNOWN, "died in stage run"),
        (Report("refused", "open", error=errno.ENOENT), FAIL, "there is no /dev/kvm"),
        (Report("refused", "open", error=errno.EACCES), UNKNOWN, "may not open"),
        (Report("refused", "open", error=errno.EPERM), FAIL, "security policy"),
        (Report("refused", "create_vm", error=errno.EBUSY), FAIL, "another hypervisor"),
        (Report("faulty", "run", complaint="the guest stopped with exit reason 8"), FAIL, "exit reason 8"),
    ],
)
def test_what_the_guest_met_is_judged(machine, report, status, words):
    host, _prober = machine("amd")
    result = gather(host, PARAMS, lambda device: judge("/dev/kvm", report))
    proof = by_id(result)["kvm.proof"]
    assert proof["status"] == status and words in proof["evidence"] and proof["remedy"]
    assert result["usable"]["kvm"] is None and result["kvm"]["stage"] == report.stage


def test_a_device_that_hung_when_opened_is_not_opened_again(machine):
    host, _prober = machine("amd")
    found = by_id(gather(host, PARAMS, lambda device: judge("/dev/kvm", Report("hung", "open"))))
    assert found["kvm.device"]["status"] == UNKNOWN and "did not come to an end" in found["kvm.device"]["evidence"]


@pytest.mark.parametrize(
    ("group", "mode", "status"),
    [("root", "0600", WARN), ("root", "0660", WARN), ("kvm", "0600", WARN), ("kvm", "0660", PASS), ("root", "0666", PASS), ("kvm", "0640", WARN)],
)
def test_a_device_for_root_alone_is_a_warning(machine, group, mode, status):
    host, prober = machine("amd")
    full = read(host, Request(), prober)
    facts = replace(full, kvm=replace(full.kvm, device=Device("/dev/kvm", True, "root", group, mode, True)))
    found = {check.id: check for check in checks.run_checks(facts, Request())}["kvm.device"]
    assert found.status == status
    assert (f"root:{group} {mode}" in found.evidence) and ("chgrp kvm" in found.remedy) is (status == WARN)


@pytest.mark.parametrize(
    ("unprivileged", "group", "words"),
    [(True, "kvm", "become: true, or usermod -aG kvm USER"), (True, "root", "become: true"), (False, "root", "security policy")],
)
def test_who_may_not_open_the_device_is_told_how(machine, unprivileged, group, words):
    host, _prober = machine("amd")
    full = read(host, Request(), lambda device: judge("/dev/kvm", Report("refused", "open", error=errno.EACCES)))
    facts = replace(
        full,
        platform=replace(full.platform, unprivileged=unprivileged),
        kvm=replace(full.kvm, device=Device("/dev/kvm", True, "root", group, "0660", False, "EACCES")),
    )
    found = {check.id: check for check in checks.run_checks(facts, Request())}["kvm.device"]
    assert found.status == UNKNOWN and words in found.remedy
    assert ("usermod" in found.remedy) is (unprivileged and group != "root")


def test_a_node_without_a_driver_is_there_and_does_not_open(machine):
    host, prober = machine("amd", {"/dev/vhost-net": None})
    with socket.socket(socket.AF_UNIX) as driverless:
        here = os.getcwd()
        os.chdir(host.path("/dev"))  # the path of a socket may have 108 bytes
        try:
            driverless.bind("vhost-net")
        finally:
            os.chdir(here)
        found = by_id(gather(host, PARAMS, prober))["device.vhost_net"]
    assert found["status"] == WARN and "cannot be opened (ENXIO)" in found["evidence"]
    assert "modprobe vhost_net" in found["remedy"]


def test_without_the_probe_nothing_is_proven_and_the_device_is_opened(machine):
    def prober(device):
        raise AssertionError("a guest was run")

    host, _prober = machine("amd")
    report = gather(host, {**PARAMS, "kvm_probe": False}, prober)
    assert report["kvm"]["stage"] == "skipped" and report["usable"]["kvm"] is None
    assert statuses(report)["kvm.proof"] == UNKNOWN and statuses(report)["kvm.device"] == PASS


@pytest.mark.parametrize(
    ("subset", "ids", "sections"),
    [
        (["cpu"], {"platform.hypervisor", "platform.container", "cpu.virtualization", "cpu.nested_paging"}, {"cpu"}),
        (["kvm"], {"kvm.device", "kvm.proof", "kernel.modules"}, {"kvm", "cpu"}),
        (["iommu"], {"iommu.groups"}, {"iommu", "cpu"}),
        (["memory"], {"capacity.memory"}, {"memory"}),
        (["devices"], {"kernel.modules", "device.vhost_net", "device.tun"}, {"devices"}),
        (["cgroup"], {"cgroup.mode", "cgroup.controllers"}, {"cgroup"}),
        (["capacity"], {"capacity.memory", "capacity.cpus", "capacity.disk"}, {"capacity", "memory"}),
        ([], set(), set()),
    ],
)
def test_a_subset_is_all_that_is_looked_at(machine, subset, ids, sections):
    host, prober = machine("amd")
    report = gather(host, {**PARAMS, "gather_subset": subset}, prober)
    assert set(by_id(report)) == ids
    assert set(report["facts"]) == sections | {"platform"}


def test_a_check_that_raises_is_unknown_and_takes_no_other_along(machine, monkeypatch):
    def broken(facts, reserve):
        raise ZeroDivisionError("of its own")

    rules = tuple(checks.Rule(rule.id, rule.subsets, broken) if rule.id == "cgroup.mode" else rule for rule in checks.RULES)
    monkeypatch.setattr(checks, "RULES", rules)
    host, prober = machine("intel")
    report = gather(host, PARAMS, prober)
    assert statuses(report) == {**HEALTHY, "cgroup.mode": UNKNOWN}
    assert by_id(report)["cgroup.mode"]["evidence"] == "cannot be told: ZeroDivisionError in this check: of its own"


def test_a_section_that_cannot_be_read_says_why_and_takes_no_other_along(machine):
    host, prober = machine("intel", {"/proc/meminfo": "nonsense\n"})
    report = gather(host, PARAMS, prober)
    assert statuses(report) == {**HEALTHY, "capacity.memory": UNKNOWN}
    assert by_id(report)["capacity.memory"]["evidence"] == "cannot be told: no MemTotal in /proc/meminfo"
    assert "memory" not in report["facts"] and report["for_guests"]["memory"] is None


def test_no_check_fails_on_facts_that_are_all_missing(machine):
    host, prober = machine("intel")
    full = read(host, Request(), prober)
    found = checks.run_checks(Facts(full.platform, full.proof), Request())
    assert [check.id for check in found] == [rule.id for rule in checks.RULES]
    assert all("in this check" not in check.evidence for check in found)


def test_a_hung_guest_costs_two_seconds_and_no_more(machine):
    host, _prober = machine("amd")

    def hanging(device, announce):
        announce("run")
        time.sleep(60)

    start = time.monotonic()
    report = gather(host, PARAMS, lambda device: probe(device, hanging))
    assert time.monotonic() - start < 4
    assert statuses(report) == {**HEALTHY, "kvm.proof": UNKNOWN}


def test_failing_names_every_failure_at_once_and_keeps_the_report(machine):
    host, prober = machine("container")
    for fail_on, ids in (
        ("fail", {"kvm.device", "kvm.proof", "device.tun"}),
        ("warn", {"kvm.device", "kvm.proof", "device.tun", "platform.container", "iommu.groups", "device.vhost_net", "cgroup.controllers"}),
    ):
        with pytest.raises(Failure) as caught:
            gather(host, {**PARAMS, "fail_on": fail_on}, prober)
        failure = caught.value
        assert failure.code == "requirements_not_met" and "\n" not in failure.message
        assert all(f"{identity} (" in failure.message for identity in ids)
        assert f"{len(ids)} checks do not pass" in failure.message
        assert set(failure.details) == {"changed", "checks", "facts", "for_guests", "kvm", "usable"}


def test_a_healthy_machine_fails_on_nothing(machine):
    host, prober = machine("intel")
    assert statuses(gather(host, {**PARAMS, "fail_on": "warn"}, prober)) == HEALTHY
