# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows: the machine under the guest: firmware, clock, events, what it calls itself. Source: libvirt's formatdomain."""

from __future__ import annotations

from typing import Any, Mapping

from . import kinds as k
from .rows import Group, Pairs, Row, Table, Texts

_EVENT = ("destroy", "restart", "preserve", "rename-restart")
_ENTRIES = "The entries of the {} table, by libvirt's names."


def _loader(options: Mapping[str, Any], name: str) -> None:
    if options["secure"] and options["type"] == "rom":
        raise k.bad(f"{name}.secure", True, "cannot be had with the type rom; use pflash")


SYSTEM: Table = (
    Row("emulator", "devices/emulator", k.FILE, "The emulator's path. Libvirt chooses one by itself."),
    Row("firmware", "os@firmware", k.choice("efi", "bios"), "The firmware, of which libvirt then chooses the files."),
    Row(
        "secure_boot",
        "os/firmware/feature[name=secure-boot]@enabled",
        k.YES_NO,
        "Whether the files that libvirt chooses by O(firmware=efi) can do Secure Boot.",
    ),
    Row(
        "enrolled_keys",
        "os/firmware/feature[name=enrolled-keys]@enabled",
        k.YES_NO,
        "Whether its variables come with the vendors' keys, so that Secure Boot is on from the first start.",
        more=(("no_log", False),),
    ),
    Group(
        "loader",
        "os/loader",
        "The file of the firmware, where libvirt is not to choose one. An empty dictionary takes it away.",
        (
            Row("path", "", k.FILE, "Its path.", away="loader"),
            Row("type", "@type", k.choice("rom", "pflash"), "V(pflash) for UEFI, V(rom) for a BIOS."),
            Row("readonly", "@readonly", k.YES_NO, "Whether the guest only reads it."),
            Row("secure", "@secure", k.YES_NO, "Whether it needs System Management Mode, as Secure Boot does."),
        ),
        check=_loader,
    ),
    Group(
        "nvram",
        "os/nvram",
        "The file with the guest's UEFI variables. Libvirt chooses a path by itself. An empty dictionary takes it away.",
        (
            Row("path", "", k.FILE, "Its path.", away="nvram"),
            Row("template", "@template", k.FILE, "The file that it is made from where there is none."),
        ),
    ),
    Row("dtb", "os/dtb", k.FILE, "A device tree for O(kernel)."),
    Group(
        "boot_menu",
        "os/bootmenu",
        "The menu of the firmware. An empty dictionary takes it away.",
        (
            Row("enable", "@enable", k.YES_NO, "Whether it shows."),
            Row("timeout", "@timeout", k.integer(0, 65535), "Milliseconds that it waits."),
        ),
    ),
    Row("smbios", "os/smbios@mode", k.choice("emulate", "host", "sysinfo"), "Where the SMBIOS tables come from; V(sysinfo) is what O(sysinfo) says."),
    Group(
        "sysinfo",
        "sysinfo[type=smbios]",
        "What the SMBIOS tables say. Needs O(smbios=sysinfo). An empty dictionary takes it away.",
        (
            Pairs("bios", "bios/entry", "name", "", _ENTRIES.format("BIOS")),
            Pairs("system", "system/entry", "name", "", _ENTRIES.format("system")),
            Pairs("base_board", "baseBoard/entry", "name", "", _ENTRIES.format("base board")),
            Pairs("chassis", "chassis/entry", "name", "", _ENTRIES.format("chassis")),
            Texts("oem_strings", "oemStrings/entry", "Free texts, in order."),
        ),
    ),
    Group(
        "clock",
        "clock",
        "The guest's clock.",
        (
            Row("offset", "@offset", k.choice("utc", "localtime", "timezone", "variable", "absolute"), "What it starts from."),
            Row("timezone", "@timezone", k.TEXT, "The time zone of O(clock.offset=timezone)."),
            Row("adjustment", "@adjustment", k.integer(-(2**62), 2**62), "Seconds that O(clock.offset=variable) is off."),
            Row("basis", "@basis", k.choice("utc", "localtime"), "What O(clock.adjustment) counts from."),
            Row("start", "@start", k.NUMBER, "Seconds since 1970 of O(clock.offset=absolute)."),
            Group(
                "timers",
                "timer",
                "Its timers, all of those that are not as the hypervisor has them.",
                (
                    Row("name", "@name", k.WORD, "The timer, for example V(rtc), V(pit), V(hpet) or V(kvmclock).", required=True),
                    Row("present", "@present", k.YES_NO, "Whether there is one."),
                    Row("tickpolicy", "@tickpolicy", k.choice("delay", "catchup", "merge", "discard"), "What becomes of ticks that were missed."),
                    Row("track", "@track", k.choice("boot", "guest", "wall", "realtime"), "What it follows."),
                    Row("mode", "@mode", k.choice("auto", "native", "emulate", "paravirt", "smpsafe"), "How the V(tsc) works."),
                ),
                many=True,
            ),
        ),
        stays=True,
    ),
    Row("on_poweroff", "on_poweroff", k.choice(*_EVENT), "What happens when the guest powers off."),
    Row("on_reboot", "on_reboot", k.choice(*_EVENT), "What happens when it reboots."),
    Row("on_crash", "on_crash", k.choice(*_EVENT, "coredump-destroy", "coredump-restart"), "What happens when it crashes."),
    Row("on_lockfailure", "on_lockfailure", k.choice("poweroff", "restart", "pause", "ignore"), "What happens when it loses the lock of a disk."),
    Group(
        "pm",
        "pm",
        "Which kinds of sleep the firmware offers. An empty dictionary takes it away.",
        (
            Row("suspend_to_mem", "suspend-to-mem@enabled", k.YES_NO, "Sleep with the memory powered."),
            Row("suspend_to_disk", "suspend-to-disk@enabled", k.YES_NO, "Sleep with the memory on disk."),
        ),
    ),
    Group(
        "launch_security",
        "launchSecurity",
        "Memory that the host cannot read. Needs a CPU and an emulator that can do it. An empty dictionary takes it away.",
        (
            Row("type", "@type", k.choice("sev", "s390-pv"), "The technique. Must be given."),
            Row("cbitpos", "cbitpos", k.integer(0, 63), "The place of the C-bit in an address; libvirt asks the host."),
            Row("reduced_phys_bits", "reducedPhysBits", k.integer(0, 63), "Bits that a physical address loses; libvirt asks the host."),
            Row("policy", "policy", k.integer(0, 0xFFFF, base=16), "The policy, as the SEV firmware's interface has it."),
            Row("dh_cert", "dhCert", k.TEXT, "The owner's Diffie-Hellman certificate, in Base64."),
            Row("session", "session", k.TEXT, "The owner's session, in Base64."),
            Row("kernel_hashes", "@kernelHashes", k.YES_NO, "Whether O(kernel), O(initrd) and O(cmdline) are measured."),
        ),
        check=lambda options, name: _needs(options, name, "type"),
    ),
)


def _needs(options: Mapping[str, Any], name: str, option: str) -> None:
    if options[option] is None:
        raise k.bad(f"{name}.{option}", None, f"is none; say which, or give {name} an empty dictionary to take it away")
