# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The guest that proves KVM: a loop of two instructions, timed.

Runs in a process of its own that may be killed at any moment (see probe), so nothing here is ever closed or undone.
Numbers: Linux's include/uapi/linux/kvm.h and Documentation/virt/kvm/api.rst, as x86-64 lays the structures out.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from contextlib import suppress
from typing import Callable, Optional

#: Says which stage begins, and what else is worth telling. What was said last is where a guest that never ends hangs.
Announce = Callable[..., None]

_GET_API_VERSION = 0xAE00
_CREATE_VM = 0xAE01
_CHECK_EXTENSION = 0xAE03
_GET_VCPU_MMAP_SIZE = 0xAE04
_GET_SUPPORTED_CPUID = 0xC008AE05
_CREATE_VCPU = 0xAE41
_SET_USER_MEMORY_REGION = 0x4020AE46
_SET_TSS_ADDR = 0xAE47
_RUN = 0xAE80
_SET_REGS = 0x4090AE82
_GET_SREGS = 0x8138AE83
_SET_SREGS = 0x4138AE84
_SET_CPUID2 = 0x4008AE90

_API_VERSION = 12
_CAP_ARM_VM_IPA_SIZE = 165
#: Name → number of what KVM is asked for. vm_types is a set of bits.
CAPABILITIES = {
    "irqchip": 0,
    "user_memory": 3,
    "recommended_vcpus": 9,
    "memory_slots": 10,
    "max_vcpus": 66,
    "max_vcpu_id": 128,
    "nested_state": 157,
    "dirty_log_ring": 192,
    "vm_types": 235,
}
_EXIT_HLT = 5
_CPUID_ENTRIES = 256  # KVM_MAX_CPUID_ENTRIES
_CPUID_ENTRY_BYTES = 40

# The guest's memory, from guest address 0: code, then one page of each level of the page tables.
_MEMORY_BYTES = 0x10000
_CODE, _PML4, _PDPT, _PD = 0x1000, 0x2000, 0x3000, 0x4000
_PRESENT_WRITABLE = 0x3
_PAGE_OF_2_MIB = 0x80
_TSS = 0x100000  # where Intel without "unrestricted guest" may keep three pages; no memory of the guest is there

_CR0_PE_PG = 0x80000001
_CR4_PAE = 0x20
_EFER_LME_LMA = 0x500
# Bit 1 is always set. Bit 9 lets interrupts in: a vCPU that runs with interrupts off has frozen whole hosts.
_RFLAGS = 0x202

#: Nanoseconds of an iteration above which nothing but emulation explains it. Measured: 1 on hardware,
#: 15 to 30 on a host that is itself emulated in software, over 900 where KVM emulates every instruction.
SLOWEST_ACCELERATED = 200

_WARM_UP = 1_000
_MOST = 20_000_000
_GROWTH = 4  # at most
_MARGIN = 1.25  # of the round that is to be long enough, over what the one before it promises
_ROUNDS = 3
# Of a round that tells: other work on the host can make a fast guest look slow, and nothing makes a slow one look fast.
_FAST_NANOSECONDS = 5_000_000
_SLOW_NANOSECONDS = 25_000_000


class GuestFault(Exception):
    """The guest ran, or was about to, and something else happened than it must."""


def prove(device: str, announce: Announce) -> Optional[float]:
    """Create a virtual machine and run it to its end.

    Returns the nanoseconds of an iteration, None where this architecture has no loop yet and only a VM and
    a vCPU were created. Raises the OSError of the stage announced last, or GuestFault.
    """
    announce("open")
    kvm = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    announce("api_version")
    version = fcntl.ioctl(kvm, _GET_API_VERSION, 0)
    if version != _API_VERSION:
        raise GuestFault(f"speaks version {version} of the KVM interface, not {_API_VERSION}")
    machine = os.uname().machine
    announce("create_vm", capabilities={name: fcntl.ioctl(kvm, _CHECK_EXTENSION, number) for name, number in CAPABILITIES.items()})
    vm = fcntl.ioctl(kvm, _CREATE_VM, _vm_type(kvm, machine))
    if machine != "x86_64":
        announce("create_vcpu")
        fcntl.ioctl(vm, _CREATE_VCPU, 0)
        return None
    announce("memory")
    memory = _memory(vm)
    announce("create_vcpu")
    vcpu = fcntl.ioctl(vm, _CREATE_VCPU, 0)
    exits = mmap.mmap(vcpu, fcntl.ioctl(kvm, _GET_VCPU_MMAP_SIZE, 0))
    announce("registers")
    _cpuid(kvm, vcpu)
    _long_mode(vcpu)

    def run(iterations: int) -> int:
        announce("run")  # again and again: a guest that is slow is told from one that hangs
        return _run(vcpu, exits, memory, iterations)

    return _timed(run)


def _vm_type(kvm: int, machine: str) -> int:
    """0, the default, but for the width of a guest address on arm64, where some CPUs have less than the default of 40 bits."""
    return fcntl.ioctl(kvm, _CHECK_EXTENSION, _CAP_ARM_VM_IPA_SIZE) if machine == "aarch64" else 0


def _memory(vm: int) -> mmap.mmap:
    """Memory for the guest, with page tables that map its first 2 MiB onto themselves."""
    import ctypes  # some minimal Pythons lack it: inside the child, that is a reason and not a crash

    memory = mmap.mmap(-1, _MEMORY_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    struct.pack_into("<Q", memory, _PML4, _PDPT | _PRESENT_WRITABLE)
    struct.pack_into("<Q", memory, _PDPT, _PD | _PRESENT_WRITABLE)
    struct.pack_into("<Q", memory, _PD, _PAGE_OF_2_MIB | _PRESENT_WRITABLE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    with suppress(OSError):
        fcntl.ioctl(vm, _SET_TSS_ADDR, _TSS)
    fcntl.ioctl(vm, _SET_USER_MEMORY_REGION, struct.pack("=IIQQQ", 0, 0, 0, _MEMORY_BYTES, address))
    return memory


def _cpuid(kvm: int, vcpu: int) -> None:
    """All that KVM can offer. Newer kernels (6.12) refuse registers for 64 bits to a vCPU whose CPUID does not speak of them."""
    entries = bytearray(8 + _CPUID_ENTRIES * _CPUID_ENTRY_BYTES)
    struct.pack_into("<I", entries, 0, _CPUID_ENTRIES)
    fcntl.ioctl(kvm, _GET_SUPPORTED_CPUID, entries)
    fcntl.ioctl(vcpu, _SET_CPUID2, entries)


def _long_mode(vcpu: int) -> None:
    """Switch the vCPU to 64-bit mode with paging, as a kernel finds it."""
    registers = bytearray(312)
    fcntl.ioctl(vcpu, _GET_SREGS, registers)
    # struct kvm_segment: base, limit, selector, then type, present, dpl, db, s, l, g, avl, unusable, padding
    code = struct.pack("<QIH10B", 0, 0xFFFFFFFF, 0x08, 0xB, 1, 0, 0, 1, 1, 1, 0, 0, 0)
    data = struct.pack("<QIH10B", 0, 0xFFFFFFFF, 0x10, 0x3, 1, 0, 1, 1, 0, 1, 0, 0, 0)
    registers[: 6 * len(code)] = code + 5 * data  # cs, then ds, es, fs, gs, ss
    struct.pack_into("<Q", registers, 224, _CR0_PE_PG)
    struct.pack_into("<Q", registers, 240, _PML4)
    struct.pack_into("<Q", registers, 248, _CR4_PAE)
    struct.pack_into("<Q", registers, 264, _EFER_LME_LMA)
    fcntl.ioctl(vcpu, _SET_SREGS, registers)


def loop(iterations: int) -> bytes:
    """mov ecx, iterations; again: dec ecx; jnz again; hlt"""
    return b"\xb9" + struct.pack("<I", iterations) + b"\xff\xc9\x75\xfc\xf4"


def _run(vcpu: int, exits: mmap.mmap, memory: mmap.mmap, iterations: int) -> int:
    """Run the loop once. Returns nanoseconds."""
    code = loop(iterations)
    memory[_CODE : _CODE + len(code)] = code
    fcntl.ioctl(vcpu, _SET_REGS, bytearray(128) + struct.pack("<QQ", _CODE, _RFLAGS))
    start = time.perf_counter_ns()
    while True:
        with suppress(InterruptedError):
            fcntl.ioctl(vcpu, _RUN, 0)
            break
    took = time.perf_counter_ns() - start
    (reason,) = struct.unpack_from("<I", exits, 8)
    if reason != _EXIT_HLT:
        raise GuestFault(f"the guest stopped with exit reason {reason} where it must halt ({_EXIT_HLT})")
    return took


def _timed(run: Callable[[int], int]) -> float:
    """Nanoseconds of an iteration: the best of some rounds, which grow until the way into the guest and out of it does not count.

    That way takes 20 µs on hardware and 300 µs under emulation, and any round may be held up by other work, on a host that is itself a guest
    for many milliseconds: so the best of each length decides whether to grow, and slowness has to show for longer than speed.
    1 ns or 1000 ns an iteration: the whole takes less than a fifth of a second either way.
    """
    iterations = _WARM_UP
    while True:
        best = min(run(iterations) for _round in range(_ROUNDS))
        slow = best > iterations * SLOWEST_ACCELERATED
        enough = _SLOW_NANOSECONDS if slow else _FAST_NANOSECONDS
        if best >= enough or iterations >= _MOST:
            return best / iterations
        iterations = min(int(iterations * min(_GROWTH, enough * _MARGIN / max(best, 1))), _MOST)
