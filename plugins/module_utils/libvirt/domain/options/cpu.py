# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows: the CPU that the guest sees, and what the machine can do. Source: libvirt's formatdomain."""

from __future__ import annotations

from . import kinds as k
from .rows import Group, Row, Table

#: Beneath the options mode and model of cpu.
CPU: Table = (
    Row("check", "@check", k.choice("none", "partial", "full"), "How strictly it is checked before the guest starts."),
    Row("match", "@match", k.choice("minimum", "exact", "strict"), "How the host's CPU must fit O(cpu.mode=custom)."),
    Row("fallback", "model@fallback", k.choice("allow", "forbid"), "Whether a model that the hypervisor lacks may be another one."),
    Row("migratable", "@migratable", k.ON_OFF, "Whether features that hinder migration are left out."),
    Group(
        "topology",
        "topology",
        "How the vCPUs are arranged; multiplied they are the most vCPUs that there can be. An empty dictionary takes it away.",
        (
            Row("sockets", "@sockets", k.integer(1), "Sockets."),
            Row("dies", "@dies", k.integer(1), "Dies in a socket."),
            Row("cores", "@cores", k.integer(1), "Cores in a die."),
            Row("threads", "@threads", k.integer(1), "Threads in a core."),
        ),
    ),
    Group(
        "cache",
        "cache",
        "The cache that the guest sees. An empty dictionary takes it away.",
        (
            Row("mode", "@mode", k.choice("emulate", "passthrough", "disable"), "Where it comes from."),
            Row("level", "@level", k.integer(1, 3), "Its level, for V(emulate)."),
        ),
    ),
    Group(
        "features",
        "feature",
        "Features, all of those that are not as the mode and the model have them.",
        (
            Row("name", "@name", k.WORD, "Libvirt's name of it, for example V(vmx).", required=True),
            Row(
                "policy",
                "@policy",
                k.choice("force", "require", "optional", "disable", "forbid"),
                "Whether the guest must or may see it.",
                required=True,
            ),
        ),
        many=True,
    ),
)

_HYPERV = (
    *("relaxed", "vapic", "spinlocks", "vpindex", "runtime", "synic", "stimer", "reset", "frequencies"),
    *("reenlightenment", "tlbflush", "ipi", "evmcs"),
)

FEATURES: Table = (
    Group(
        "features",
        "features",
        "What the machine can do. New x86 guests have ACPI and an APIC.",
        (
            *(Row(name, name, k.PRESENT, f"Whether it has {name.upper()}.") for name in ("acpi", "apic", "pae")),
            Row("hap", "hap@state", k.ON_OFF, "Whether it uses the CPU's paging for guests."),
            Row("pmu", "pmu@state", k.ON_OFF, "Whether it has performance counters."),
            Row("smm", "smm@state", k.ON_OFF, "Whether it has System Management Mode, which Secure Boot needs."),
            Row("vmport", "vmport@state", k.ON_OFF, "Whether it has VMware's port."),
            Row("ioapic", "ioapic@driver", k.choice("kvm", "qemu"), "Who emulates the I/O APIC."),
            Row("kvm_hidden", "kvm/hidden@state", k.ON_OFF, "Whether KVM does not tell that it is there."),
            Group(
                "hyperv",
                "hyperv",
                "What Windows as a guest knows of. An empty dictionary takes it away.",
                (
                    Row("mode", "@mode", k.choice("custom", "passthrough"), "V(passthrough) is all that the host can do."),
                    *(Row(name, f"{name}@state", k.ON_OFF, f"The enlightenment {name}.") for name in _HYPERV),
                    Row("retries", "spinlocks@retries", k.integer(4095), "How often a spinlock is tried before the host is told."),
                ),
            ),
        ),
        stays=True,
    ),
)
