# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether guests are kept from the host and from each other."""

from __future__ import annotations

import re

from .. import remedies
from ..model import PASS, UNKNOWN, WARN, Facts
from ..spec import Request
from .rule import Rule, Verdict, need


def _modules(facts: Facts, request: Request) -> Verdict:
    security = need(facts, "security", facts.security)
    listed = f"active: {', '.join(security.modules) or 'none are listed'} (/sys/kernel/security/lsm)"
    if security.selinux == "enforcing":
        return PASS, f"SELinux is enforcing (/sys/fs/selinux/enforce); {listed}", ""
    if security.apparmor:
        return PASS, f"AppArmor is enabled (/sys/module/apparmor/parameters/enabled); {listed}", ""
    if security.selinux == "permissive":
        return WARN, f"SELinux is permissive: it reports and confines nothing; {listed}", "setenforce 1, and SELINUX=enforcing in /etc/selinux/config"
    remedy = "add security=apparmor (or security=selinux selinux=1) to the kernel command line, with its policy installed, and reboot"
    return WARN, f"neither SELinux nor AppArmor: libvirt cannot confine a guest that breaks out; {listed}", remedy


def _lockdown(facts: Facts, request: Request) -> Verdict:
    lockdown = need(facts, "security", facts.security).lockdown
    if lockdown is None:
        return PASS, "no /sys/kernel/security/lockdown: this kernel locks nothing down, or securityfs is not mounted", ""
    evidence = f"/sys/kernel/security/lockdown is {lockdown}"
    if lockdown == "none":
        return PASS, evidence, ""
    meaning = "unsigned modules do not load, and registers of the CPU cannot be read"
    return WARN, f"{evidence}: {meaning}", "sign modules of your own (mokutil --import), or boot without lockdown"


def _secure_boot(facts: Facts, request: Request) -> Verdict:
    security = need(facts, "security", facts.security)
    if security.secure_boot is None:
        return UNKNOWN, security.secure_boot_evidence, "mount -t efivarfs efivarfs /sys/firmware/efi/efivars"
    return PASS, f"Secure Boot is {'on' if security.secure_boot else 'off'}: {security.secure_boot_evidence}", ""


def _vulnerabilities(facts: Facts, request: Request) -> Verdict:
    found = need(facts, "security", facts.security).vulnerabilities
    if not found:
        return UNKNOWN, "no /sys/devices/system/cpu/vulnerabilities", ""
    open_ones = [name for name, text in found.items() if re.match(r"(?:KVM: |Processor )?vulnerable", text, re.IGNORECASE)]
    if not open_ones:
        return PASS, f"none of {len(found)} is open (/sys/devices/system/cpu/vulnerabilities)", ""
    said = "; ".join(f"{name}: {found[name]}" for name in open_ones)
    return WARN, f"open: {said} (/sys/devices/system/cpu/vulnerabilities)", remedies.vulnerabilities(facts)


RULES = (
    Rule("security.modules", ("security",), _modules),
    Rule("security.lockdown", ("security",), _lockdown),
    Rule("security.secure_boot", ("security",), _secure_boot),
    Rule("security.vulnerabilities", ("security",), _vulnerabilities),
)
