# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Guests whose memory the host cannot read: AMD SEV, Intel TDX, IBM Secure Execution."""

from __future__ import annotations

import re
from typing import Optional

from ...engine.host import Host
from ..sections.machine import Confidential, Feature
from .cpu import cpuinfo_field
from .registers import Registers

# Source: AMD APM volume 3, leaf 0x8000001F, the bits of eax.
_SEV_BITS = {"sev": 1, "sev_es": 3, "sev_snp": 4}
_PARAMETERS = "/sys/module/kvm_amd/parameters"
_TDX = "/sys/module/kvm_intel/parameters/tdx"
_UV = "/sys/firmware/uv/prot_virt_host"
# Source: z/Architecture, the facility of Secure Execution; what virt-host-validate looks for.
_FACILITY = "158"


def read_confidential(host: Host, cpuinfo: str, registers: Registers) -> Confidential:
    return Confidential(
        sev=_sev(host, "sev", cpuinfo, registers),
        sev_es=_sev(host, "sev_es", cpuinfo, registers),
        sev_snp=_sev(host, "sev_snp", cpuinfo, registers),
        tdx=_tdx(host, cpuinfo),
        secure_execution=_secure_execution(host, cpuinfo),
    )


def _value(host: Host, path: str) -> Optional[str]:
    text = host.try_read(path)
    return None if text is None else text.strip()


def _sev(host: Host, name: str, cpuinfo: str, registers: Registers) -> Feature:
    """On where KVM's parameter says so and the driver of the secure processor is there."""
    leaf = registers.cpuid(0x8000001F)
    flagged = name in (cpuinfo_field(cpuinfo, "flags") or "").split()
    value = _value(host, f"{_PARAMETERS}/{name}")
    device = host.exists("/dev/sev")
    if leaf:
        there: Optional[bool] = bool(leaf[0] >> _SEV_BITS[name] & 1)
        said = f"CPUID leaf 0x8000001F EAX bit {_SEV_BITS[name]} is {int(bool(there))}"
    else:
        there = flagged or None
        said = f"flag in /proc/cpuinfo: {'yes' if flagged else 'no'}"
    parameter = f"{_PARAMETERS}/{name} is {value}" if value is not None else f"no {_PARAMETERS}/{name}"
    return Feature(there, value in ("Y", "1") and device, f"{said}, {parameter}, {'/dev/sev is there' if device else 'no /dev/sev'}")


def _tdx(host: Host, cpuinfo: str) -> Feature:
    flagged = "tdx_host_platform" in (cpuinfo_field(cpuinfo, "flags") or "").split()
    value = _value(host, _TDX)
    said = f"tdx_host_platform in /proc/cpuinfo: {'yes' if flagged else 'no'}, {f'{_TDX} is {value}' if value is not None else f'no {_TDX}'}"
    return Feature(flagged or None, value in ("Y", "1"), said)


def _secure_execution(host: Host, cpuinfo: str) -> Feature:
    facilities = (cpuinfo_field(cpuinfo, "facilities") or "").split()
    there = _FACILITY in facilities if facilities else None
    value = _value(host, _UV)
    argument = bool(re.search(r"(?:^|\s)prot_virt=(?:1|y|on)", host.try_read("/proc/cmdline") or "", re.IGNORECASE))
    on = value == "1" if value is not None else bool(there and argument)
    said = f"facility {_FACILITY}: {'yes' if there else 'no'}, {f'{_UV} is {value}' if value is not None else f'no {_UV}'}"
    return Feature(there, on, said)
