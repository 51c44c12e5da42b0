# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportAny=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportCallIssue=false
# pyright: reportPrivateImportUsage=false
"""The emulator's inner loop compiled: a hook before every instruction, and a batch around it.

Python costs 10 to 40 us an instruction in a hook; machine code that calls the emulation library's
own functions through their addresses costs about 1. This file knows those functions' signatures
and nothing else of the library: `unicorn_engine` gives it addresses, ids and buffers.

Addresses travel as numbers at run time and not as compiled-in constants, so that machine code can
stay in numba's disk cache. An exception in a hook would be printed and emulation would go on, so
the hook has none: no allocation, no checked index; the caller checks the counts of rows.
"""

from enum import IntEnum
from typing import Final

import numba
import numpy as np
from numba import carray, types
from numpy.typing import NDArray

from simulators.cpu.emulation.c_calls import call, call_variadic, pointer
from simulators.cpu.emulation.program_ends import (
    CODE_SLACK,
    HALTED,
    INVALID_INSTRUCTION,
    LEFT_PROGRAM,
    NO_END,
    STEP_LIMIT,
    end_after,
    end_before,
)

_COMPILED_FROM: Final = "1946efeafd484744835b4f158356206f7fe8d59d737e1644c5f281db80cc8ce7"
"""SHA-256 of the other files that are compiled in, one after the other: `cpu/c_calls.py` and
`cpu/program_ends.py`. numba's disk cache watches this file only. A test asks for the new hash when
one of them has changed; writing it here is what makes numba compile anew."""


class Slot(IntEnum):
    """Places in the control block, an array of int64 that driver and hooks share."""

    READ_BATCH = 0
    """Addresses of the library's functions."""
    EMU_STOP = 1
    EMU_START = 2
    WRITE_BATCH = 3
    RESTORE = 4
    CTL = 5
    ENGINE = 6
    CONTEXT = 7
    """Registers as a fresh machine has them."""
    FLUSH = 8
    """The code of the call that throws all translations away."""
    BEGIN = 9
    UNTIL = 10
    READ_IDS = 11
    """Addresses of the ids of the registers that a row has, and of a pointer for each, ..."""
    READ_POINTERS = 12
    NUM_READ = 13
    WRITE_IDS = 14
    """... and of those that a program starts with."""
    WRITE_POINTERS = 15
    NUM_WRITE = 16
    CODE = 17
    """Address of the code area's bytes in this process, ..."""
    CODE_ADDRESS = 18
    """... and in the machine."""
    PROGRAM_BYTES = 19
    STOP = 20
    """The stop instruction as a little-endian number, and its bytes."""
    STOP_BYTES = 21
    ALIGNMENT = 22
    KIND = 23
    MAX_STATES = 24
    PC_COLUMN = 25
    DATA_OFFSET = 26
    """Of the window within the data area."""
    NUM_ROWS = 27
    """Rows of the program at hand so far, its end so far, and the last interrupt's number."""
    END = 28
    INTERRUPT = 29
    FAILED = 30
    """Not 0 where one of the library's functions failed that must not."""


NUM_SLOTS: Final = len(Slot)


@numba.njit(cache=True, inline="always")
def _is_stop(code: NDArray[np.uint8], offset: int, stop: int, num_bytes: int) -> bool:
    for i in range(num_bytes):
        if np.int64(code[offset + i]) != (stop >> np.int64(8 * i)) & np.int64(255):
            return False
    return True


@numba.cfunc(types.void(types.voidptr, types.uint64, types.uint32, types.voidptr), cache=True)
def on_instruction(engine, address, size, user):  # noqa: ARG001
    """Record a row before an instruction, and stop the engine where the program ends."""
    control = carray(user, (NUM_SLOTS,), np.int64)
    uc = control[Slot.ENGINE]
    if control[Slot.END] != NO_END:
        call(control[Slot.EMU_STOP], (uc,))
        return
    num_read = control[Slot.NUM_READ]
    control[Slot.FAILED] |= call(
        control[Slot.READ_BATCH],
        (uc, control[Slot.READ_IDS], control[Slot.READ_POINTERS], num_read),
    )
    pointers = carray(pointer(control[Slot.READ_POINTERS]), (num_read,), np.int64)
    for i in range(num_read):
        pointers[i] += num_read * 8
    num_rows = control[Slot.NUM_ROWS] + 1
    control[Slot.NUM_ROWS] = num_rows

    end = np.int64(NO_END)
    program_bytes = control[Slot.PROGRAM_BYTES]
    offset = np.int64(address) - control[Slot.CODE_ADDRESS]
    if offset < 0 or offset >= program_bytes:
        end = np.int64(LEFT_PROGRAM)
    elif offset & (control[Slot.ALIGNMENT] - 1) != 0:
        end = np.int64(INVALID_INSTRUCTION)
    else:
        code = carray(pointer(control[Slot.CODE]), (program_bytes + CODE_SLACK,), np.uint8)
        if _is_stop(code, offset, control[Slot.STOP], control[Slot.STOP_BYTES]):
            end = np.int64(HALTED)
        else:
            end = np.int64(end_before(code, offset, control[Slot.KIND]))
            if end == NO_END and num_rows >= control[Slot.MAX_STATES]:
                end = np.int64(STEP_LIMIT)
    if end != NO_END:
        control[Slot.END] = end
        call(control[Slot.EMU_STOP], (uc,))


@numba.cfunc(types.void(types.voidptr, types.uint32, types.voidptr), cache=True)
def on_interrupt(engine, number, user):  # noqa: ARG001
    """Keep an interrupt's number, and stop the engine, which would take it for served."""
    control = carray(user, (NUM_SLOTS,), np.int64)
    control[Slot.INTERRUPT] = np.int64(number)
    call(control[Slot.EMU_STOP], (control[Slot.ENGINE],))


@numba.njit(cache=True)
def run_programs(
    control: NDArray[np.int64],
    code: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    values: NDArray[np.uint64],
    windows: NDArray[np.uint8],
    areas: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]],
    first: int,
    rows: NDArray[np.uint64],
    counts: NDArray[np.int64],
    ends: NDArray[np.uint8],
) -> int:
    """Run programs from `first` on while `rows` has room; return the first that was not run.

    `values` are the registers that programs start with, `windows` their data, `areas` the
    machine's code, data and stack as bytes of this process. A program's rows follow those of the
    one before; `counts[i]` says how many they are, 0 where the library failed.
    """
    engine = control[Slot.ENGINE]
    num_read, num_write = control[Slot.NUM_READ], control[Slot.NUM_WRITE]
    read_pointers = carray(pointer(control[Slot.READ_POINTERS]), (num_read,), np.int64)
    write_pointers = carray(pointer(control[Slot.WRITE_POINTERS]), (max(num_write, 1),), np.int64)
    code_area, data_area, stack_area = areas
    used = 0
    for i in range(first, len(offsets) - 1):
        if used + control[Slot.MAX_STATES] > len(rows):
            return i
        num_bytes = offsets[i + 1] - offsets[i]
        code_area[:num_bytes] = code[offsets[i] : offsets[i + 1]]
        code_area[num_bytes:] = 0
        data_area[:] = 0
        data_offset = control[Slot.DATA_OFFSET]
        data_area[data_offset : data_offset + windows.shape[1]] = windows[i]
        stack_area[:] = 0

        control[Slot.FAILED] = call(control[Slot.RESTORE], (engine, control[Slot.CONTEXT]))
        for j in range(num_write):
            write_pointers[j] = np.int64(values.ctypes.data) + 8 * (i * num_write + j)
        control[Slot.FAILED] |= call(
            control[Slot.WRITE_BATCH],
            (engine, control[Slot.WRITE_IDS], control[Slot.WRITE_POINTERS], num_write),
        )
        control[Slot.FAILED] |= call_variadic(control[Slot.CTL], engine, control[Slot.FLUSH])
        for j in range(num_read):
            read_pointers[j] = np.int64(rows.ctypes.data) + 8 * (used * num_read + j)
        control[Slot.NUM_ROWS] = 0
        control[Slot.END] = NO_END
        control[Slot.INTERRUPT] = NO_END
        error = call(
            control[Slot.EMU_START],
            (engine, control[Slot.BEGIN], control[Slot.UNTIL], np.int64(0), np.int64(0)),
        )
        end = control[Slot.END]
        num_rows = control[Slot.NUM_ROWS]
        if end == NO_END:
            end = np.int64(end_after(control[Slot.KIND], error, control[Slot.INTERRUPT]))
            if end == NO_END:
                # The row after a jump to where nothing can be fetched: no hook came for it.
                control[Slot.FAILED] |= call(
                    control[Slot.READ_BATCH],
                    (engine, control[Slot.READ_IDS], control[Slot.READ_POINTERS], num_read),
                )
                pc = rows[used + num_rows, control[Slot.PC_COLUMN]]
                if (
                    np.int64(pc) - control[Slot.CODE_ADDRESS] < 0
                    or np.int64(pc) - control[Slot.CODE_ADDRESS] >= control[Slot.PROGRAM_BYTES]
                ):
                    end = np.int64(LEFT_PROGRAM)
                    num_rows += 1
                else:
                    end = np.int64(INVALID_INSTRUCTION)  # it waits for what never comes
        if control[Slot.FAILED] != 0:
            num_rows = 0
        counts[i] = num_rows
        ends[i] = end
        used += num_rows
    return len(offsets) - 1
