# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps guests apart and the kernel whole: security modules, lockdown, Secure Boot, the CPU's vulnerabilities."""

from __future__ import annotations

import os
from typing import Optional, Tuple

from ...engine.errors import Failure
from ...engine.host import Host
from ..sections.system import Security
from .memory import chosen, number

_VULNERABILITIES = "/sys/devices/system/cpu/vulnerabilities"
_EFI = "/sys/firmware/efi"
_SECURE_BOOT = f"{_EFI}/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def read_security(host: Host) -> Security:
    modules = (host.try_read("/sys/kernel/security/lsm") or "").strip()
    secure, evidence = _secure_boot(host)
    disabled = number(host, "/proc/sys/kernel/modules_disabled")
    files = host.list(_VULNERABILITIES)
    words = {name: (host.try_read(f"{_VULNERABILITIES}/{name}") or "").strip() for name in files}
    return Security(
        modules=tuple(name for name in modules.split(",") if name),
        selinux=_selinux(host, modules),
        apparmor=_apparmor(host),
        lockdown=chosen(host.try_read("/sys/kernel/security/lockdown") or ""),
        secure_boot=secure,
        secure_boot_evidence=evidence,
        modules_disabled=None if disabled is None else disabled == 1,
        vulnerabilities={name: text for name, text in words.items() if text},
    )


def _selinux(host: Host, modules: str) -> Optional[str]:
    """None where it cannot be told."""
    enforce = number(host, "/sys/fs/selinux/enforce")
    if enforce is not None:
        return "enforcing" if enforce else "permissive"
    return "none" if modules or not host.exists("/sys/fs/selinux") else None


def _apparmor(host: Host) -> Optional[bool]:
    text = (host.try_read("/sys/module/apparmor/parameters/enabled") or "").strip()
    return text == "Y" if text else False


def _secure_boot(host: Host) -> Tuple[Optional[bool], str]:
    if not host.is_dir(_EFI):
        return False, f"no {_EFI}: the machine did not boot by EFI"
    try:
        with open(host.path(_SECURE_BOOT), "rb") as handle:
            data = handle.read()
    except FileNotFoundError:
        if host.is_dir(os.path.dirname(_SECURE_BOOT)) and host.list(os.path.dirname(_SECURE_BOOT)):
            return False, "this EFI has no variable SecureBoot"
        return None, "efivarfs is not mounted"
    except OSError as error:
        raise Failure(f"{_SECURE_BOOT}: {error.strerror}", "io_error") from error
    return data[-1:] == b"\1", f"the EFI variable SecureBoot is {data[-1] if data else 'empty'}"
