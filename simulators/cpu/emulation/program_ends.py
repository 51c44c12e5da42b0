# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""Why a real machine's program ends, decided once for both hooks of the emulator.

`native_hook` compiles these functions in, `python_hook` calls them uncompiled (`.py_func`), so
they are written in what both understand. They read bytes and numbers and know no library but for
its error and interrupt numbers.
"""

from enum import IntEnum
from typing import Final

import numba
import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

# EndReason's values as plain numbers: numba's disk cache watches this file only, and a test
# watches that they are the same.
HALTED: Final = 0
INVALID_INSTRUCTION: Final = 1
STEP_LIMIT: Final = 2
DIVIDE_ERROR: Final = 3
MEMORY_FAULT: Final = 4
SYSTEM_CALL: Final = 5
LEFT_PROGRAM: Final = 6
NO_END: Final = -1
"""The program goes on."""


class Kind(IntEnum):
    """Families of machines, as far as their ends differ."""

    X86_16 = 0
    X86_64 = 1
    AARCH64 = 2
    THUMB = 3
    RISCV = 4


CODE_SLACK: Final = 16
"""Bytes behind the program that `end_before` may look at."""


_MEMORY_ERRORS: Final = (6, 7, 12, 13, 18, 19)
"""The library's uc_err of reads and writes: unmapped, protected, unaligned."""
_FETCH_ERRORS: Final = (0, 8, 14)
"""No error (it came to the address where emulation ends), unmapped, protected."""

_X86_LONGEST: Final = 15


@numba.njit(cache=True, inline="never")
def end_before(code: NDArray[np.uint8], offset: int, kind: int) -> int:
    """Return what ends a program before the instruction at `offset` runs, or `NO_END`.

    System calls, which the library would step over or serve in silence; and what it runs but a
    user's program on an operating system must not, or not with the same result everywhere. Those
    are no instructions of the machine:

    - x86: ports (`in`, `out`, `ins`, `outs`), `cli`, `sti`, `hlt` behind a prefix; descriptor
      tables, task register, machine status and all else of 0F 00 and 0F 01 (`lgdt`, `lmsw`,
      `swapgs`, `xgetbv`, `rdtscp`, ...), `lar`, `lsl`, `clts`, `sysret`, `sysexit`, `invd`,
      `wbinvd`, `rsm`; control, debug, test and model-specific registers; clocks and random numbers
      (`rdtsc`, `rdpmc`, `rdrand`, `rdseed`, `rdpid`) and `cpuid`.
    - AArch64: system registers but NZCV, FPCR, FPSR and TPIDR_EL0; system operations but hints,
      barriers and `dc zva`; `eret`, `drps`.
    - Thumb: special registers but APSR; `cps`.
    - RISC-V: all but I and M, so that the interpreter and the emulator are the same machine.
    """
    at = offset
    if kind in (Kind.X86_16, Kind.X86_64):
        for _ in range(_X86_LONGEST - 1):
            byte = int(code[at])
            legacy = byte in (0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3)
            if not legacy and not (kind == Kind.X86_64 and 0x40 <= byte <= 0x4F):
                break
            at += 1
        return _end_of_x86(int(code[at]), int(code[at + 1]), int(code[at + 2]))
    low = int(code[at]) | int(code[at + 1]) << 8
    high = int(code[at + 2]) | int(code[at + 3]) << 8
    if kind == Kind.THUMB:
        return _end_of_thumb(low, high)
    word = low | high << 16
    if kind == Kind.AARCH64:
        return _end_of_aarch64(word)
    if word == 0x73:  # ecall
        return SYSTEM_CALL
    opcode = word & 0x7F
    known = opcode in (0x03, 0x13, 0x17, 0x1B, 0x23, 0x33, 0x37, 0x3B, 0x63, 0x67, 0x6F)
    known = known or (opcode == 0x0F and word & 0x7000 == 0)  # fence
    return NO_END if known else INVALID_INSTRUCTION


@register_jitable
def _end_of_x86(first: int, second: int, third: int) -> int:
    """Return what an instruction of these bytes, its prefixes left out, ends a program with."""
    if first != 0x0F:
        if 0xCC <= first <= 0xCD or first == 0xF1:  # int3, int n, int1
            return SYSTEM_CALL
        # in and out, ins and outs, hlt, cli and sti
        refused = 0xE4 <= first <= 0xE7 or 0xEC <= first <= 0xEF or 0x6C <= first <= 0x6F
        refused = refused or first in (0xF4, 0xFA, 0xFB)
        return INVALID_INSTRUCTION if refused else NO_END
    if second == 0x05 or second == 0x34:  # syscall, sysenter
        return SYSTEM_CALL
    # 0F 00 to 0F 09: descriptors and tables, clts, sysret, invd, wbinvd
    refused = second <= 0x09
    # 0F 20 to 0F 26: control, debug and test registers
    refused = refused or 0x20 <= second <= 0x24 or second == 0x26
    # 0F 30 to 0F 35: wrmsr, rdtsc, rdmsr, rdpmc, sysexit; cpuid; rsm
    refused = refused or 0x30 <= second <= 0x35 or second == 0xA2 or second == 0xAA
    # Of this group cmpxchg8b and cmpxchg16b, digit 1, are a user's; others are rdrand, rdseed, ...
    refused = refused or (second == 0xC7 and third >> 3 & 7 != 1)
    return INVALID_INSTRUCTION if refused else NO_END


@register_jitable
def _end_of_aarch64(word: int) -> int:
    """Return what the instruction ends a program with."""
    if word & 0xFFE0001C == 0xD4000000 and word & 3 != 0:  # svc, hvc, smc
        return SYSTEM_CALL
    if word & 0xFFFFF000 == 0xD69F0000 or word == 0xD6BF03E0:  # eret, eretaa, eretab, drps
        return INVALID_INSTRUCTION
    if word & 0xFFC00000 != 0xD5000000:  # not of the system instructions
        return NO_END
    # Reads (bit 21) and writes of NZCV, FPCR, FPSR, TPIDR_EL0.
    known = word & 0xFFDFFFE0 in (0xD51B4200, 0xD51B4400, 0xD51B4420, 0xD51BD040)
    known = known or word & 0xFFFFE01F == 0xD503201F  # hints and barriers
    known = known or word & 0xFFFFFFE0 == 0xD50B7420  # dc zva
    return NO_END if known else INVALID_INSTRUCTION


@register_jitable
def _end_of_thumb(first: int, second: int) -> int:
    """Return what an instruction that begins with these halfwords ends a program with."""
    if first & 0xFF00 == 0xDF00:  # svc
        return SYSTEM_CALL
    if first & 0xFFE0 == 0xB660:  # cps
        return INVALID_INSTRUCTION
    # mrs, msr: the low byte of the second halfword is the register, 0 is APSR
    special = first & 0xFFE0 == 0xF3E0 or first & 0xFFE0 == 0xF380
    special = special and second & 0xD000 == 0x8000
    return INVALID_INSTRUCTION if special and second & 0xFF != 0 else NO_END


@numba.njit(cache=True, inline="never")
def end_after(kind: int, error: int, interrupt: int) -> int:
    """Return why emulation stopped by itself, from the library's error and the interrupt's number.

    `NO_END`: it stopped for neither, which is a machine that waits, or one at an address where
    nothing can be fetched.
    """
    if interrupt >= 0:
        if kind in (Kind.X86_16, Kind.X86_64):
            if interrupt == 0:
                return DIVIDE_ERROR
            if interrupt == 6 or interrupt == 7:
                return INVALID_INSTRUCTION
            # Double fault, stack and segment faults, general protection, page fault, alignment.
            return MEMORY_FAULT if 8 <= interrupt <= 17 else SYSTEM_CALL
        if kind == Kind.RISCV:
            if interrupt == 2 or interrupt == 0:
                return INVALID_INSTRUCTION
            if interrupt == 3 or 8 <= interrupt <= 11:
                return SYSTEM_CALL
            return MEMORY_FAULT
        if interrupt == 2 or interrupt == 7:  # svc, brk
            return SYSTEM_CALL
        return MEMORY_FAULT if interrupt == 3 or interrupt == 4 else INVALID_INSTRUCTION
    if error in _MEMORY_ERRORS:
        return MEMORY_FAULT
    if error in _FETCH_ERRORS:
        return NO_END
    return INVALID_INSTRUCTION
