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
    program must not: instructions that read the host's clock or random numbers, and in RISC-V all
    but I and M, so that the interpreter and the emulator are the same machine.
    """
    at = offset
    if kind in (Kind.X86_16, Kind.X86_64):
        for _ in range(_X86_LONGEST - 1):
            byte = int(code[at])
            legacy = byte in (0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3)
            if not legacy and not (kind == Kind.X86_64 and 0x40 <= byte <= 0x4F):
                break
            at += 1
        first = int(code[at])
        if 0xCC <= first <= 0xCD or first == 0xF1:  # int3, int n, int1
            return SYSTEM_CALL
        if first != 0x0F:
            return NO_END
        second = int(code[at + 1])
        third = int(code[at + 2])
        if second == 0x05 or second == 0x34:  # syscall, sysenter
            return SYSTEM_CALL
        if second == 0x31 or second == 0x33:  # rdtsc, rdpmc
            return INVALID_INSTRUCTION
        if second == 0x01 and third == 0xF9:  # rdtscp
            return INVALID_INSTRUCTION
        if second == 0xC7 and third >= 0xF0:  # rdrand, rdseed
            return INVALID_INSTRUCTION
        return NO_END
    if kind == Kind.THUMB:
        return SYSTEM_CALL if int(code[at + 1]) == 0xDF else NO_END  # svc
    word = (
        int(code[at]) | int(code[at + 1]) << 8 | int(code[at + 2]) << 16 | int(code[at + 3]) << 24
    )
    if kind == Kind.AARCH64:
        if word & 0xFFE0001C == 0xD4000000 and word & 3 != 0:  # svc, hvc, smc
            return SYSTEM_CALL
        counter = word & 0xFFFFFFE0
        if counter == 0xD53BE020 or counter == 0xD53BE040:  # mrs of CNTPCT_EL0, CNTVCT_EL0
            return INVALID_INSTRUCTION
        return NO_END
    if word == 0x73:  # ecall
        return SYSTEM_CALL
    opcode = word & 0x7F
    known = opcode in (0x03, 0x13, 0x17, 0x1B, 0x23, 0x33, 0x37, 0x3B, 0x63, 0x67, 0x6F)
    known = known or (opcode == 0x0F and word & 0x7000 == 0)  # fence
    return NO_END if known else INVALID_INSTRUCTION


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
