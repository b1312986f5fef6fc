# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Memory, disks, limits, security: what one file more or less does to the verdict."""

from __future__ import annotations

import time

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read import capacity, devices
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.promised import parse_guest
from kvm_bench import by_id, statuses
from kvm_parts import MEMINFO

GIB = 1024**3
GUEST = "<domain type='kvm'><name>{0}</name><uuid>{0}</uuid><memory unit='KiB'>{1}</memory><vcpu placement='static' current='1'>{2}</vcpu></domain>"
KSM = "/sys/kernel/mm/ksm"


def defined(**guests):
    return {f"/etc/libvirt/qemu/{name}.xml": GUEST.format(name, kib, vcpus) for name, (kib, vcpus) in guests.items()}


@pytest.mark.parametrize(
    ("identity", "files", "status", "words"),
    [
        ("memory.hugepages", {}, "pass", "2 MiB: 1024 pages, 1024 free (node 0: 1000, node 1: 24); 1 GiB: 0 pages, 0 free"),
        ("memory.transparent_hugepages", {"/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n"}, "warn", "never"),
        ("memory.transparent_hugepages", {"/sys/kernel/mm/transparent_hugepage/enabled": None}, "unknown", "has none"),
        ("memory.same_page_merging", {f"{KSM}/run": "1\n", f"{KSM}/merge_across_nodes": "1\n"}, "warn", "merged across the 2 NUMA nodes"),
        ("memory.same_page_merging", {f"{KSM}/run": "1\n", f"{KSM}/merge_across_nodes": "0\n"}, "pass", "merging"),
        ("memory.same_page_merging", {f"{KSM}/run": None}, "unknown", "no /sys/kernel/mm/ksm"),
        ("memory.overcommit", {"/proc/sys/vm/overcommit_memory": "2\n"}, "warn", "2.0 GiB of 16.6 GiB are committed"),
        ("memory.overcommit", {"/proc/sys/vm/overcommit_memory": "1\n"}, "pass", "is 1"),
        ("memory.swap", {"/proc/meminfo": MEMINFO.replace("SwapFree:        1048576", "SwapFree:        100000")}, "warn", "guests wait"),
        ("memory.swap", {"/proc/meminfo": "MemTotal: 1024 kB\nSwapTotal: 0 kB\n"}, "pass", "no swap"),
        ("security.modules", {"/sys/module/apparmor/parameters/enabled": "N\n"}, "warn", "neither SELinux nor AppArmor"),
        ("security.modules", {"/sys/fs/selinux/enforce": "1"}, "pass", "SELinux is enforcing"),
        (
            "security.modules",
            {"/sys/fs/selinux/enforce": "0", "/sys/module/apparmor/parameters/enabled": None},
            "warn",
            "SELinux is permissive",
        ),
        ("security.lockdown", {"/sys/kernel/security/lockdown": "none [integrity] confidentiality\n"}, "warn", "lockdown is integrity"),
        ("security.lockdown", {"/sys/kernel/security/lockdown": None}, "pass", "no /sys/kernel/security/lockdown"),
        ("security.secure_boot", {"/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": "\6\0\0\0\0"}, "pass", "off"),
        (
            "security.secure_boot",
            {"/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": None, "/sys/firmware/efi/runtime": ""},
            "unknown",
            "efivarfs is not mounted",
        ),
        ("security.secure_boot", {"/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": None}, "pass", "did not boot by EFI"),
        ("security.vulnerabilities", {"/sys/devices/system/cpu/vulnerabilities/itlb_multihit": "KVM: Vulnerable\n"}, "warn", "itlb_multihit: KVM"),
        ("security.vulnerabilities", {"/sys/devices/system/cpu/vulnerabilities/mds": "Mitigation: Clear; SMT vulnerable\n"}, "pass", "none of 3"),
        ("namespace.limits", {"/proc/sys/user/max_net_namespaces": "0\n"}, "fail", "0 for net"),
        ("namespace.limits", {"/proc/sys/user/max_time_namespaces": "0\n"}, "pass", "from 127236"),
        ("namespace.unprivileged", {"/proc/sys/user/max_user_namespaces": "0\n"}, "warn", "user.max_user_namespaces is 0"),
        ("namespace.unprivileged", {"/proc/sys/kernel/unprivileged_userns_clone": "0\n"}, "warn", "unprivileged_userns_clone is 0"),
        ("namespace.unprivileged", {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"}, "warn", "apparmor_restrict"),
        ("namespace.resources", {"/proc/sys/kernel/pid_max": "1000\n"}, "warn", "kernel.pid_max is 1000"),
        ("device.fuse", {"/sys/fs/fuse/connections/.there": None}, "warn", "rootless containers"),
        ("iommu.vfio", {"/dev/vfio/vfio": None}, "warn", "/dev/vfio/vfio: it is not there"),
        ("iommu.vfio", {"/sys/module/vfio_pci/refcnt": None}, "warn", "vfio-pci is not loaded"),
        ("capacity.promised", {}, "pass", "no guest is defined"),
        ("capacity.promised", defined(a=(1048576, 2), b=(2097152, 4)), "pass", "guests: 2, running: 0; promised: 6 vCPUs on 4 threads and 3.0 GiB"),
        ("capacity.promised", defined(a=(40 * 1048576, 2)), "warn", "they cannot all run without swapping"),
        ("capacity.promised", {"/etc/libvirt/qemu/a.xml": "<domain"}, "unknown", "/etc/libvirt/qemu/a.xml"),
    ],
)
def test_one_file_and_its_verdict(machine, identity, files, status, words):
    found = by_id(machine("intel", files).report())[identity]
    assert found["status"] == status and words in found["evidence"], found
    assert found["remedy"] or status in ("pass", "unknown")


@pytest.mark.parametrize(
    ("name", "files", "words"),
    [
        ("kvm guest", {}, "virtual IOMMU"),
        ("no feature", {}, "VT-d in the firmware"),
        ("no feature", {"/sys/firmware/acpi/tables/DMAR": "", "/proc/cmdline": "quiet\n"}, "add intel_iommu=on iommu=pt"),
        ("no feature", {"/sys/firmware/acpi/tables/DMAR": "", "/proc/cmdline": "intel_iommu=off\n"}, "add intel_iommu=on iommu=pt"),
    ],
)
def test_the_firmware_or_the_kernel_is_sent_for_the_iommu(machine, name, files, words):
    found = by_id(machine(name, files).report())["iommu.groups"]
    assert found["remedy"].startswith(words) or words in found["remedy"]
    assert ("DMAR is there" in found["evidence"]) is bool(files) and ("intel_iommu=off" in found["evidence"]) is ("off" in str(files))


def test_a_running_guest_is_counted_once_and_with_what_it_runs_with(machine):
    files = {**defined(web=(1048576, 2)), "/run/libvirt/qemu/web.xml": f"<domstatus state='running'>{GUEST.format('web', 2097152, 4)}</domstatus>"}
    files["/run/libvirt/qemu/transient.xml"] = f"<domstatus>{GUEST.format('transient', 1048576, 1)}</domstatus>"
    files["/run/libvirt/qemu/driver.pid"] = "1\n"
    promised = machine("intel", files).report()["facts"]["capacity"]["promised"]
    assert promised == {"guests": 2, "running": 2, "memory": 3 * GIB, "vcpus": 5}


def test_definitions_of_guests():
    assert parse_guest(GUEST.format("a", 1024, 3), "x") == {"a": (1024**2, 3)}
    assert parse_guest("<domain><uuid>u</uuid><memory>2048</memory></domain>", "x") == {"u": (2 * 1024**2, 1)}
    assert parse_guest("<domainsnapshot/>", "x") == {}
    with pytest.raises(Failure, match=r"^x: "):
        parse_guest("", "x")


@pytest.mark.parametrize(
    ("total", "free", "status", "words"),
    [
        (1000, 900, "pass", "900 of 1000"),
        (1000, 19, "warn", "19 of 1000"),
        (1000, 0, "fail", "0 of 1000"),
        (None, None, "pass", "as they are needed"),
    ],
)
def test_inodes(machine, monkeypatch, total, free, status, words):
    disk = {"mount": "/", "total": 100 * GIB, "free": 50 * GIB, "inodes": total, "inodes_free": free}
    monkeypatch.setattr(capacity, "_measure", lambda host, path: disk)
    found = by_id(machine("intel").report(gather_subset=["capacity"]))["capacity.inodes"]
    assert found["status"] == status and words in found["evidence"] and bool(found["remedy"]) is (status != "pass")


def test_a_file_system_that_does_not_answer_costs_a_second_and_nothing_else(machine, monkeypatch):
    def dead(host, path):
        if path == "/srv/dead":
            time.sleep(60)
        return measure(host, path)

    measure = capacity._measure
    monkeypatch.setattr(capacity, "_measure", dead)
    start = time.monotonic()
    report = machine("intel").report(disk_paths=["/var/lib/misc", "/srv/dead", "/never/asked"])
    assert time.monotonic() - start < 2.5
    living, *silent = report["facts"]["capacity"]["disks"]
    assert living["free"] and [disk["reason"] for disk in silent] == [f"{path}: no answer within 1 second" for path in ("/srv/dead", "/never/asked")]
    assert statuses(report)["capacity.disk"] == "unknown" and statuses(report)["capacity.cpus"] == "pass"


def test_a_device_that_hangs_when_opened_is_unknown(machine, monkeypatch):
    def stuck(real):
        if real.endswith("/dev/vhost-vsock"):
            time.sleep(60)
        return open_really(real)

    open_really = devices._open
    monkeypatch.setattr(devices, "_open", stuck)
    found = by_id(machine("intel").report(gather_subset=["devices"]))
    assert found["device.vhost_net"]["status"] == "pass"
    assert found["device.vhost_vsock"]["status"] == "unknown" and "did not come to an end" in found["device.vhost_vsock"]["evidence"]
