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
from ansible_collections.virtops.linux.plugins.module_utils.kvm.checks import table
from ansible_collections.virtops.linux.plugins.module_utils.kvm.checks.rule import Rule
from ansible_collections.virtops.linux.plugins.module_utils.kvm.checks.table import RULES, run_checks
from ansible_collections.virtops.linux.plugins.module_utils.kvm.model import FAIL, PASS, UNKNOWN, WARN, Facts
from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import Report, judge, probe
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.kvm import DEVICE
from ansible_collections.virtops.linux.plugins.module_utils.kvm.sections.machine import Device
from ansible_collections.virtops.linux.plugins.module_utils.kvm.spec import Request
from kvm_bench import by_id, statuses
from kvm_machines import MACHINES

#: What a healthy machine has: everything but confidential guests, and no user to ask about.
HEALTHY = {rule.id: PASS for rule in RULES if rule.id != "kvm.user"}
HEALTHY["confidential.guests"] = WARN
ASKED_FOR_USER = Request(user="root")


@pytest.mark.parametrize("name", MACHINES)
def test_whole_machines(machine, name):
    bench = machine(name)
    expected = bench.machine
    report = bench.report()
    assert statuses(report) == {**HEALTHY, **expected.unlike}
    assert tuple(report["usable"].values()) == expected.usable
    platform = report["facts"]["platform"]
    assert platform["hypervisor"] == expected.under and tuple(running["name"] for running in platform["runs"]) == expected.runs
    assert expected.source
    for check in report["checks"]:
        assert check["evidence"] and "\n" not in check["evidence"]
        assert "report this" not in check["remedy"], check
        assert check["remedy"] or check["status"] in (PASS, UNKNOWN), check


def test_there_are_machines_enough_to_believe_it():
    assert len(MACHINES) >= 12 and all(machine.source.startswith(("captured: ", "composed: ")) for machine in MACHINES.values())


def test_the_facts_of_an_intel_machine(machine):
    bench = machine("intel")
    report = bench.report()
    facts = report["facts"]
    assert facts["cpu"] == {
        "vendor": "GenuineIntel",
        "model": "Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz",
        "virtualization": "vmx",
        "nested_paging": "ept",
        "features": ("vpid", "unrestricted_guest"),
        "offered": True,
        "firmware_off": False,
        "firmware_evidence": "CPUID leaf 1 ECX bit 5 (VMX) is 1; MSR 0x3A is 0x5",
    }
    assert facts["platform"]["hypervisor"] == "none" and facts["platform"]["container"] == "none"
    assert (facts["kvm"]["module"], facts["kvm"]["nested"]) == ("kvm_intel", True)
    assert (facts["kvm"]["device"]["mode"], facts["kvm"]["device"]["opens"]) == ("0666", True)
    assert facts["kvm"]["capabilities"]["max_vcpus"] == 1024 and "capabilities" not in report["kvm"]
    assert len(facts["iommu"]["groups"]) == 41
    assert facts["iommu"]["groups"][2] == {"id": 2, "devices": ({"address": "0000:02:00.0", "kind": None, "driver": None},)}
    assert (facts["memory"]["total"], facts["memory"]["available"], facts["memory"]["swap"]) == (32768000 * 1024, 30 * 1024**3, 1024**3)
    small, large = facts["memory"]["hugepages"]
    assert (small["size"], small["total"], large["size"], large["total"]) == (2 * 1024**2, 1024, 1024**3, 0)
    assert small["nodes"] == ({"id": 0, "total": 1000, "free": 1000}, {"id": 1, "total": 24, "free": 24})
    assert (facts["memory"]["transparent"], facts["memory"]["same_pages"]["run"]) == ("madvise", 0)
    assert facts["security"]["secure_boot"] is True and facts["security"]["lockdown"] == "none"
    assert facts["namespace"]["kinds"]["net"] == 127236
    assert facts["cgroup"]["delegated"] == ("cpu", "cpuset", "io", "memory", "pids")
    assert facts["cgroup"]["controllers"] == ("cpu", "cpuset", "hugetlb", "io", "memory", "misc", "pids", "rdma")
    assert (facts["capacity"]["threads"], facts["capacity"]["cores"]) == (4, 2)
    assert [node["cpus"] for node in facts["capacity"]["numa_nodes"]] == ["0,2", "1,3"]
    assert facts["capacity"]["disks"][0]["free"] > 0


def test_evidence_and_remedies_know_the_machine(machine, tmp_path):
    bench = machine("paravirtual")
    found = by_id(bench.report())
    assert found["cpu.virtualization"]["evidence"] == "no vmx or svm in /proc/cpuinfo; CPUID leaf 0x80000001 ECX bit 2 (SVM) is 0"
    assert "host-passthrough" in found["cpu.virtualization"]["remedy"]
    assert "930 ns" in found["kvm.proof"]["evidence"] and "type qemu" in found["kvm.proof"]["remedy"]
    assert "loads no modules at all" in found["device.vhost_net"]["remedy"]
    assert found["platform.container"]["evidence"].startswith("not a container")
    assert "missing: cpuset, io, pids" in found["cgroup.controllers"]["evidence"]


def test_a_container_is_sent_to_its_machine(machine):
    bench = machine("container")
    found = by_id(bench.report())
    assert "--device /dev/kvm" in found["kvm.device"]["remedy"]
    assert found["platform.container"]["evidence"] == "a container (docker): /.dockerenv is there"


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
    bench = machine("amd")
    result = bench.report(lambda device, seconds: judge("/dev/kvm", report))
    proof = by_id(result)["kvm.proof"]
    assert proof["status"] == status and words in proof["evidence"] and proof["remedy"]
    assert result["usable"]["kvm"] is None and result["kvm"]["stage"] == report.stage


def test_a_device_that_hung_when_opened_is_not_opened_again(machine):
    bench = machine("amd")
    found = by_id(bench.report(lambda device, seconds: judge("/dev/kvm", Report("hung", "open"))))
    assert found["kvm.device"]["status"] == UNKNOWN and "did not come to an end" in found["kvm.device"]["evidence"]


@pytest.mark.parametrize(
    ("group", "mode", "status"),
    [("root", "0600", WARN), ("root", "0660", WARN), ("kvm", "0600", WARN), ("kvm", "0660", PASS), ("root", "0666", PASS), ("kvm", "0640", WARN)],
)
def test_a_device_for_root_alone_is_a_warning(machine, group, mode, status):
    bench = machine("amd")
    full = bench.facts()
    facts = replace(full, kvm=replace(full.kvm, device=Device("/dev/kvm", True, "root", group, mode, True)))
    found = {check.id: check for check in run_checks(facts, Request())}["kvm.device"]
    assert found.status == status
    assert (f"root:{group} {mode}" in found.evidence) and ("chgrp kvm" in found.remedy) is (status == WARN)


@pytest.mark.parametrize(
    ("unprivileged", "group", "words"),
    [(True, "kvm", "become: true, or usermod -aG kvm USER"), (True, "root", "become: true"), (False, "root", "security policy")],
)
def test_who_may_not_open_the_device_is_told_how(machine, unprivileged, group, words):
    bench = machine("amd")
    full = bench.facts(prober=lambda device, seconds: judge("/dev/kvm", Report("refused", "open", error=errno.EACCES)))
    facts = replace(
        full,
        platform=replace(full.platform, unprivileged=unprivileged),
        kvm=replace(full.kvm, device=Device("/dev/kvm", True, "root", group, "0660", False, "EACCES")),
    )
    found = {check.id: check for check in run_checks(facts, Request())}["kvm.device"]
    assert found.status == UNKNOWN and words in found.remedy
    assert ("usermod" in found.remedy) is (unprivileged and group != "root")


def test_a_node_without_a_driver_is_there_and_does_not_open(machine):
    bench = machine("amd", {"/dev/vhost-net": None})
    with socket.socket(socket.AF_UNIX) as driverless:
        here = os.getcwd()
        os.chdir(bench.host.path("/dev"))  # the path of a socket may have 108 bytes
        try:
            driverless.bind("vhost-net")
        finally:
            os.chdir(here)
        found = by_id(bench.report())["device.vhost_net"]
    assert found["status"] == WARN and "cannot be opened (ENXIO)" in found["evidence"]
    assert "modprobe vhost_net" in found["remedy"]


def test_without_the_probe_nothing_is_proven_and_the_device_is_opened(machine):
    def prober(device, seconds):
        raise AssertionError("a guest was run")

    bench = machine("amd")
    report = bench.report(kvm_probe=False)
    assert report["kvm"]["stage"] == "skipped" and report["usable"]["kvm"] is None
    assert statuses(report)["kvm.proof"] == UNKNOWN and statuses(report)["kvm.device"] == PASS


@pytest.mark.parametrize(
    ("subset", "ids", "sections"),
    [
        (["cpu"], {"platform.hypervisor", "platform.container", "platform.runs", "cpu.virtualization", "cpu.nested_paging"}, {"cpu"}),
        (["kvm"], {"platform.runs", "kvm.device", "kvm.proof", "kvm.capabilities", "kernel.modules"}, {"kvm", "cpu"}),
        (["confidential"], {"confidential.guests"}, {"confidential", "cpu"}),
        (["iommu"], {"iommu.groups", "iommu.vfio"}, {"iommu", "cpu"}),
        (
            ["memory"],
            {
                "capacity.memory",
                "memory.hugepages",
                "memory.transparent_hugepages",
                "memory.same_page_merging",
                "memory.overcommit",
                "memory.swap",
            },
            {"memory"},
        ),
        (["devices"], {"kernel.modules", "device.vhost_net", "device.vhost_vsock", "device.tun", "device.fuse"}, {"devices"}),
        (["cgroup"], {"cgroup.mode", "cgroup.controllers"}, {"cgroup"}),
        (["namespace"], {"namespace.kinds", "namespace.limits", "namespace.unprivileged", "namespace.resources"}, {"namespace"}),
        (["security"], {"security.modules", "security.lockdown", "security.secure_boot", "security.vulnerabilities"}, {"security"}),
        (
            ["capacity"],
            {"capacity.memory", "capacity.cpus", "capacity.disk", "capacity.inodes", "capacity.promised"},
            {"capacity", "memory"},
        ),
        (["network"], {"network.bridge_filter", "network.subnets"}, {"network"}),
        ([], set(), set()),
    ],
)
def test_a_subset_is_all_that_is_looked_at(machine, subset, ids, sections):
    bench = machine("amd")
    report = bench.report(gather_subset=subset)
    assert set(by_id(report)) == ids
    assert set(report["facts"]) == sections | {"platform"}


def test_a_check_that_raises_is_unknown_and_takes_no_other_along(machine, monkeypatch):
    def broken(facts, request):
        raise ZeroDivisionError("of its own")

    rules = tuple(Rule(rule.id, rule.subsets, broken) if rule.id == "cgroup.mode" else rule for rule in RULES)
    monkeypatch.setattr(table, "RULES", rules)
    bench = machine("intel")
    report = bench.report()
    assert statuses(report) == {**HEALTHY, "cgroup.mode": UNKNOWN}
    assert by_id(report)["cgroup.mode"]["evidence"] == "cannot be told: ZeroDivisionError in this check: of its own"


def test_a_section_that_cannot_be_read_says_why_and_takes_no_other_along(machine):
    bench = machine("intel", {"/proc/meminfo": "nonsense\n"})
    report = bench.report()
    blind = {identity: UNKNOWN for identity in HEALTHY if identity.startswith("memory.")}
    assert statuses(report) == {**HEALTHY, **blind, "capacity.memory": UNKNOWN}
    assert by_id(report)["capacity.memory"]["evidence"] == "cannot be told: no MemTotal in /proc/meminfo"
    assert "memory" not in report["facts"] and report["for_guests"]["memory"] is None


def test_no_check_fails_on_facts_that_are_all_missing(machine):
    bench = machine("intel")
    full = bench.facts()
    found = run_checks(Facts(full.platform, full.proof), ASKED_FOR_USER)
    assert [check.id for check in found] == [rule.id for rule in RULES]
    assert all("in this check" not in check.evidence for check in found)


@pytest.mark.parametrize(("spent", "seconds"), [(0.0, 2.0), (3.0, 1.2), (60.0, 0.7)])
def test_a_hung_guest_costs_what_is_left_of_the_time(machine, spent, seconds):
    bench = machine("amd")

    def hanging(device, announce):
        announce("run")
        time.sleep(60)

    report = bench.report(lambda device, silence: probe(device, hanging, silence=silence), spent=spent)
    assert report["kvm"]["reason"] == f"{bench.host.path(DEVICE)}: no answer in stage run within {seconds:g} seconds; the guest was killed"
    assert statuses(report) == {**HEALTHY, "kvm.proof": UNKNOWN, "kvm.capabilities": UNKNOWN}


def test_failing_names_every_failure_at_once_and_keeps_the_report(machine):
    bench = machine("container")
    for fail_on, ids in (
        ("fail", {"kvm.device", "kvm.proof", "device.tun"}),
        ("warn", {identity for identity, status in {**HEALTHY, **MACHINES["container"].unlike}.items() if status in (FAIL, WARN)}),
    ):
        with pytest.raises(Failure) as caught:
            bench.report(fail_on=fail_on)
        failure = caught.value
        assert failure.code == "requirements_not_met" and "\n" not in failure.message
        assert all(f"{identity} (" in failure.message for identity in ids)
        assert f"{len(ids)} checks do not pass" in failure.message
        assert set(failure.details) == {"changed", "checks", "facts", "for_guests", "kvm", "usable"}


def test_a_healthy_machine_fails_on_nothing(machine):
    bench = machine("intel")
    subsets = ["cpu", "kvm", "iommu", "memory", "devices", "cgroup", "namespace", "security", "capacity", "network"]
    assert all(status == PASS for status in statuses(bench.report(fail_on="warn", gather_subset=subsets)).values())
