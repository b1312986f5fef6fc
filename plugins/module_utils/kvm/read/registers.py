# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The CPU asked past the kernel: CPUID leaves and model-specific registers.

What the kernel shows in /proc/cpuinfo is what it means to use. Recent ones hide vmx and svm where the firmware has
switched them off, so that only the CPU's own answer tells a switch from a missing feature.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from typing import Dict, Optional, Tuple

from ...engine.host import Host
from ..child import Say, in_child

#: eax, ebx, ecx, edx
Leaf = Tuple[int, int, int, int]

_SECONDS = 0.5
_EXTENDED, _HYPERVISOR = 0x80000000, 0x40000000
_LEAVES = (0x0, 0x1, 0x21, _HYPERVISOR, 0x40000003, _EXTENDED, 0x80000001, 0x8000000A, 0x8000001F)
_HYPERVISOR_BIT = 1 << 31  # of ecx of leaf 1
# System V's calling convention, leaf in edi, where to put the answer in rsi:
# push rbx; mov r8, rsi; mov eax, edi; xor ecx, ecx; cpuid; mov [r8], eax; ... ebx, ecx, edx; pop rbx; ret
_CODE = bytes.fromhex("53 4989f0 89f8 31c9 0fa2 418900 41895804 41894808 4189500c 5b c3")


class Registers:
    """Those of the first CPU that answers. Nothing of it raises: what cannot be had is None."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._leaves: Optional[Dict[int, Leaf]] = None

    def cpuid(self, leaf: int) -> Optional[Leaf]:
        """A leaf; None where this CPU has no such leaf, or it cannot be asked."""
        if self._leaves is None:
            self._leaves = self._from_device() or _from_instruction()
        return valid(self._leaves).get(leaf)

    def msr(self, number: int) -> Optional[int]:
        """A model-specific register, where the module msr is loaded and this is root."""
        data = self._pread("/dev/cpu/0/msr", number, 8)
        return struct.unpack("<Q", data)[0] if data else None

    def _from_device(self) -> Dict[int, Leaf]:
        found = {}
        for leaf in _LEAVES:
            data = self._pread("/dev/cpu/0/cpuid", leaf, 16)
            if data:
                found[leaf] = struct.unpack("<4I", data)
        return found

    def _pread(self, path: str, offset: int, count: int) -> Optional[bytes]:
        try:
            handle = os.open(self._host.path(path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            data = os.pread(handle, count, offset)
            return data if len(data) == count else None
        except OSError:
            return None
        finally:
            os.close(handle)


def valid(leaves: Dict[int, Leaf]) -> Dict[int, Leaf]:
    """Those that exist: beyond its last leaf, a CPU answers with another one's values."""
    extended = leaves.get(_EXTENDED, (0, 0, 0, 0))[0]
    is_guest = bool(leaves.get(0x1, (0, 0, 0, 0))[2] & _HYPERVISOR_BIT)
    basic = leaves.get(0x0, (0, 0, 0, 0))[0]

    def exists(leaf: int) -> bool:
        if leaf >= _EXTENDED:
            return leaf <= extended
        return is_guest if leaf >= _HYPERVISOR else leaf <= basic

    return {leaf: registers for leaf, registers in leaves.items() if exists(leaf)}


def _from_instruction() -> Dict[int, Leaf]:
    """By the CPU's own instruction, which any user may run; in a child, as a policy may kill who makes memory executable."""
    if os.uname().machine != "x86_64":
        return {}
    said = in_child(_ask, _SECONDS).said
    with suppress(TypeError, ValueError):
        return {int(leaf): (a, b, c, d) for leaf, (a, b, c, d) in said.items()}
    return {}


def _ask(say: Say) -> None:
    import ctypes  # some minimal Pythons lack it

    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(_CODE)
    cpuid = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_void_p)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    answer = (ctypes.c_uint32 * 4)()
    for leaf in _LEAVES:
        cpuid(leaf, ctypes.addressof(answer))
        say(**{str(leaf): list(answer)})
