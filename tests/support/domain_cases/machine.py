# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two values for each option of the machine, its memory and its tuning."""

from __future__ import annotations

from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.table import DOMAIN
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.tell import leaves

from support.domain_cases.case import Case, Options

_RAW = {"acpi": True, "apic": True}
_LIMITS = [f"{which}_{what}_sec" for what in ("bytes", "iops") for which in ("read", "write")]
_HYPERV = [name.rpartition(".")[2] for name, path in leaves(DOMAIN) if path.startswith("features/hyperv/") and path.endswith("@state")]


def _enlightened(on: bool, retries: int) -> Options:
    return {**dict.fromkeys(_HYPERV, on), "spinlocks": True, "retries": retries}


def _pinned(cpus: str, number: int) -> Options:
    limits = {f"{part}{what}": number for part in ("", "global_", "emulator_", "iothread_") for what in ("period", "quota")}
    limits["global_quota"] = 8 * number  # as no part may use more than the whole
    threads = {"scheduler": "fifo" if number == 1000 else "rr", "priority": number // 1000}
    return {
        **limits,
        "shares": number,
        "vcpupin": [{"vcpu": vcpu, "cpuset": cpus} for vcpu in range(number // 1000)],
        "emulatorpin": cpus,
        "iothreadpin": [{"iothread": thread + 1, "cpuset": cpus} for thread in range(number // 1000)],
        "vcpusched": [{"vcpus": str(number // 1000 - 1), **threads}],
        "iothreadsched": [{"iothreads": str(number // 1000), **threads}],
    }


MACHINE: dict[str, Case] = {
    "machine": Case(
        {
            "emulator": "/usr/bin/qemu-system-x86_64",
            "loader": {"path": "/srv/vt-a.fd", "type": "pflash", "readonly": True, "secure": True},
            "nvram": {"path": "/srv/vt-n.fd", "template": "/srv/vt-t.fd"},
            "boot_menu": {"enable": True, "timeout": 3000},
            "smbios": "sysinfo",
            "sysinfo": {
                "bios": {"vendor": "A & B"},
                "system": {"manufacturer": "VT", "serial": "1"},
                "base_board": {"product": "a"},
                "chassis": {"asset": "b"},
                "oem_strings": ["one", "two"],
            },
            "features": {**_RAW, "pae": True, "hap": True, "pmu": False, "smm": True, "vmport": True, "ioapic": "kvm", "kvm_hidden": True},
        },
        {
            "emulator": "/usr/bin/kvm",
            "loader": {"path": "/srv/vt-b.fd", "type": "pflash", "readonly": True, "secure": False},
            "nvram": {"path": "/srv/vt-m.fd", "template": "/srv/vt-u.fd"},
            "boot_menu": {"enable": True, "timeout": 1},
            "smbios": "host",
            "sysinfo": {
                "bios": {"vendor": "C"},
                "system": {"manufacturer": "VT"},
                "base_board": {"product": "c"},
                "chassis": {"asset": "d"},
                "oem_strings": ["two", "one"],
            },
            "features": {
                "apic": True,
                "acpi": True,
                "pae": False,
                "hap": False,
                "pmu": True,
                "smm": True,
                "vmport": False,
                "ioapic": "qemu",
                "kvm_hidden": False,
            },
        },
    ),
    "without": Case(
        {
            "features": {"acpi": True, "apic": True, "smm": False},
            "loader": {"type": "rom", "path": "/srv/vt.bin", "readonly": False},
            "boot_menu": {"enable": True},
        },
        {"features": {"acpi": False, "apic": False, "smm": True}, "loader": {}, "boot_menu": {"enable": False}},
    ),
    "kernel": Case({"dtb": "/srv/vt-a.dtb"}, {"dtb": "/srv/vt-b.dtb"}, {"kernel": "/srv/vt-k"}),
    "clock": Case(
        {
            "clock": {"offset": "timezone", "timezone": "Europe/Berlin", "timers": [{"name": "rtc", "tickpolicy": "catchup", "track": "guest"}]},
            "on_poweroff": "restart",
            "on_reboot": "restart",
            "on_crash": "preserve",
            "on_lockfailure": "poweroff",
            "pm": {"suspend_to_mem": True, "suspend_to_disk": False},
        },
        {
            "clock": {"offset": "variable", "adjustment": 60, "basis": "utc", "timers": [{"name": "hpet", "present": False}]},
            "on_poweroff": "destroy",
            "on_reboot": "destroy",
            "on_crash": "restart",
            "on_lockfailure": "pause",
            "pm": {"suspend_to_mem": False, "suspend_to_disk": True},
        },
    ),
    "other clock": Case(
        {
            "clock": {
                "offset": "variable",
                "basis": "localtime",
                "adjustment": -5,
                "timers": [{"name": "tsc", "mode": "native"}, {"name": "hpet", "present": True}],
            }
        },
        {
            "clock": {
                "offset": "absolute",
                "start": 1234567890,
                "timers": [{"name": "tsc", "mode": "auto"}, {"name": "rtc", "tickpolicy": "delay", "track": "wall"}],
            }
        },
    ),
    "another time zone": Case({"clock": {"timezone": "Asia/Tokyo"}}, {"clock": {"timezone": "Etc/UTC"}}, {"clock": {"offset": "timezone"}}),
    "another start": Case({"clock": {"start": 1}}, {"clock": {"start": 2}}, {"clock": {"offset": "absolute"}}),
    "cpu": Case(
        {
            "cpu": {
                "check": "partial",
                "match": "exact",
                "fallback": "allow",
                "topology": {"sockets": 1, "dies": 1, "cores": 2, "threads": 2},
                "cache": {"mode": "emulate", "level": 3},
                "features": [{"name": "vmx", "policy": "disable"}, {"name": "aes", "policy": "optional"}],
            }
        },
        {
            "cpu": {
                "check": "none",
                "match": "strict",
                "fallback": "forbid",
                "topology": {"sockets": 2, "dies": 2, "cores": 1, "threads": 1},
                "cache": {"mode": "disable"},
                "features": [{"name": "vmx", "policy": "optional"}],
            }
        },
        {"vcpus": 4, "cpu": {"mode": "custom", "model": "Nehalem"}},
    ),
    "host cpu": Case(
        {"cpu": {"migratable": True, "cache": {}, "topology": {}, "features": [{"name": "svm", "policy": "disable"}]}},
        {"cpu": {"migratable": False, "cache": {"mode": "passthrough"}, "topology": {"sockets": 4, "cores": 1, "threads": 1}, "features": []}},
        {"vcpus": 4, "cpu": {"mode": "host-passthrough"}, "type": "kvm"},
    ),
    "hyperv": Case(
        {"features": {"hyperv": {"mode": "custom", **_enlightened(True, 4096)}}},
        {"features": {"hyperv": {"mode": "custom", **_enlightened(False, 8191)}}},
    ),
    "all hyperv": Case({"features": {"hyperv": {"mode": "passthrough"}}}, {"features": {"hyperv": {}}}),
    "spinlocks": Case(
        {"features": {"hyperv": {"mode": "custom", "spinlocks": True, "retries": 5000}}},
        {"features": {"hyperv": {"mode": "custom", "spinlocks": False}}},
    ),
    "memory": Case(
        {
            "max_memory": "1G",
            "memory_slots": 4,
            "memory_devices": [{"model": "dimm", "size": "128M", "node": 0, "access": "shared"}],
            "numa": {
                "cells": [
                    {"id": 0, "cpus": "0-1", "memory": "128M", "mem_access": "shared", "discard": True},
                    {"id": 1, "cpus": "2-3", "memory": "128M", "mem_access": "shared", "discard": True},
                ]
            },
            "memory_backing": {
                "hugepages": True,
                "pages": [{"size": "2M", "nodeset": "0"}],
                "nosharepages": True,
                "locked": True,
                "source": "memfd",
                "access": "shared",
                "discard": True,
            },
            "numatune": {"memory": {"mode": "strict", "nodeset": "0"}, "memnodes": [{"cellid": 0, "mode": "strict", "nodeset": "0"}]},
        },
        {
            "max_memory": "2G",
            "memory_slots": 8,
            "memory_devices": [{"model": "dimm", "size": "256M", "node": 1, "access": "private"}],
            "numa": {
                "cells": [
                    {"id": 0, "cpus": "0-2", "memory": "160M", "mem_access": "private", "discard": False},
                    {"id": 1, "cpus": "3", "memory": "96M", "mem_access": "private", "discard": False},
                ]
            },
            "memory_backing": {
                "hugepages": True,
                "pages": [{"size": "1G", "nodeset": "1"}],
                "nosharepages": False,
                "locked": False,
                "source": "memfd",
                "access": "private",
                "discard": False,
            },
            "numatune": {"memory": {"mode": "preferred", "nodeset": "0-1"}, "memnodes": [{"cellid": 1, "mode": "preferred", "nodeset": "0-1"}]},
        },
        {"vcpus": 4},
    ),
    "memory by itself": Case(
        {
            "memory_backing": {"source": "file", "allocation": "immediate", "allocation_threads": 2},
            "numatune": {"memory": {"mode": "interleave", "placement": "auto"}, "memnodes": []},
            "memory_devices": [
                {"model": "virtio-mem", "size": "256M", "node": 0, "block": "2M", "requested": "128M"},
                {"model": "nvdimm", "size": "64M", "node": 0, "path": "/srv/vt-nv"},
            ],
        },
        {
            "memory_backing": {"source": "anonymous", "allocation": "ondemand", "allocation_threads": 1},
            "numatune": {},
            "memory_devices": [
                {"model": "virtio-mem", "size": "512M", "node": 0, "block": "4M", "requested": "64M"},
                {"model": "nvdimm", "size": "64M", "node": 0, "path": "/srv/vt-nw"},
            ],
        },
        {"vcpus": 1, "max_memory": "2G", "memory_slots": 4, "numa": {"cells": [{"id": 0, "cpus": "0", "memory": "64M"}]}},
    ),
    "huge pages": Case({"memory_backing": {"hugepages": True}}, {"memory_backing": {"hugepages": False}}),
    "tuning": Case(
        {
            "iothreads": 2,
            "cputune": _pinned("0", 1000),
            "memtune": {"hard_limit": "2G", "soft_limit": "1G", "swap_hard_limit": "3G"},
            "blkiotune": {
                "weight": 100,
                "devices": [{"path": "/dev/vt-a", "weight": 200, **dict.fromkeys(_LIMITS[:2], 0), **dict.fromkeys(_LIMITS[2:], 500)}],
            },
        },
        {
            "iothreads": 3,
            "cputune": _pinned("0-1", 2000),
            "memtune": {"hard_limit": "3G", "soft_limit": "2G", "swap_hard_limit": "4G"},
            "blkiotune": {
                "weight": 500,
                "devices": [{"path": "/dev/vt-b", "weight": 300, **dict.fromkeys(_LIMITS[:2], 1000), **dict.fromkeys(_LIMITS[2:], 0)}],
            },
        },
        {"vcpus": 2},
    ),
    "no tuning": Case(
        {"iothreads": 1, "cputune": {"shares": 5}, "memtune": {"hard_limit": "9G"}, "blkiotune": {"weight": 11}, "pm": {"suspend_to_mem": False}},
        {"iothreads": 0, "cputune": {}, "memtune": {}, "blkiotune": {}, "pm": {}},
    ),
    "firmware": Case(
        {"firmware": "efi", "secure_boot": True, "enrolled_keys": True},
        {"firmware": "efi", "secure_boot": False, "enrolled_keys": False},
        missing="firmware",
    ),
    "bios": Case({"firmware": "bios", "boot_menu": {"enable": True}}, {"firmware": "bios", "boot_menu": {}}),
    "emulated tpm": Case(
        {
            "tpm": {
                "model": "tpm-crb",
                "type": "emulator",
                "version": "2.0",
                "persistent_state": True,
                "secret": "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f",
            }
        },
        {
            "tpm": {
                "model": "tpm-tis",
                "type": "emulator",
                "version": "1.2",
                "persistent_state": False,
                "secret": "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4e",
            }
        },
        missing="TPM",  # without swtpm libvirt knows of no version
    ),
    "launch security": Case(
        {
            "launch_security": {
                "type": "sev",
                "cbitpos": 47,
                "reduced_phys_bits": 1,
                "policy": 1,
                "dh_cert": "AAAA",
                "session": "BBBB",
                "kernel_hashes": True,
            }
        },
        {
            "launch_security": {
                "type": "sev",
                "cbitpos": 51,
                "reduced_phys_bits": 5,
                "policy": 3,
                "dh_cert": "CCCC",
                "session": "DDDD",
                "kernel_hashes": False,
            }
        },
        missing="SEV",  # a CPU and an emulator that can do it
    ),
    "another launch security": Case({"launch_security": {"type": "s390-pv"}}, {"launch_security": {}}, missing="S390"),
}
