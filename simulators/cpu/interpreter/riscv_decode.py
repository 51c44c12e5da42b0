# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false, reportArgumentType=false
# pyright: reportReturnType=false
"""RISC-V instructions taken apart, compiled: what `riscv_kernel` does once per program.

Which operation an instruction is, a table says that `cpu.riscv` fills from the forms of the set;
here is where registers and numbers lie ("The RISC-V Instruction Set Manual", volume I, version
20191213, section 2.3). Whatever the table does not have is invalid; nothing is run here.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

OPERATIONS: Final = (
    *("invalid", "stop", "system call", "left program", "memory fault", "step limit"),
    *("add", "sub", "sll", "slt", "sltu", "xor", "srl", "sra", "or", "and"),
    *("addw", "subw", "sllw", "srlw", "sraw", "auipc", "nothing"),
    *("mul", "mulh", "mulhsu", "mulhu", "mulw", "mulhw", "mulhsuw", "mulhuw"),
    *("div", "divu", "rem", "remu", "divw", "divuw", "remw", "remuw"),
    *("lb", "lh", "lw", "ld", "lbu", "lhu", "lwu", "sb", "sh", "sw", "sd"),
    *("beq", "bne", "blt", "bge", "bltu", "bgeu", "jal", "jalr"),
)
"""What the interpreter does, by the names of RV64. The first six end a run: three by decoding to
them, three by what happens. `mulhw` and its kin are ours: the high word of a product of words."""

PC: Final = 32
"""The program counter's place behind the registers x0 to x31; ..."""
SINK: Final = 33
"""... and the place that writes to x0 go to."""
NUM_PLACES: Final = 34

_INVALID: Final = OPERATIONS.index("invalid")
_STOP: Final = OPERATIONS.index("stop")
_SYSTEM_CALL: Final = OPERATIONS.index("system call")

_0: Final = np.uint64(0)
_1: Final = np.uint64(1)
_2: Final = np.uint64(2)
_3: Final = np.uint64(3)
_4: Final = np.uint64(4)
_5: Final = np.uint64(5)
_8: Final = np.uint64(8)

_ECALL: Final = 0x73
_EBREAK: Final = 0x100073
_RD, _RS1, _RS2 = 0x1F, 0x1F00, 0x1F0000
_FORMATS: Final = np.zeros((32, 6), np.int64)
"""Major opcode, without its two low bits, to masks of what an instruction has: registers (rd, rs1
and rs2, a byte each from the lowest), then its number in format I, S, B, U or J. Masks take
a fifth of the time of branches, which no processor foresees here: 5 ns an instruction."""
for _opcodes, _registers, _format in (
    ((0x33, 0x3B), _RD | _RS1 | _RS2, 0),
    ((0x03, 0x13, 0x1B, 0x67), _RD | _RS1, 1),
    ((0x23,), _RS1 | _RS2, 2),
    ((0x63,), _RS1 | _RS2, 3),
    ((0x17, 0x37), _RD, 4),
    ((0x6F,), _RD, 5),
):
    for _opcode in _opcodes:
        _FORMATS[_opcode >> 2, _format] = -1
        _FORMATS[_opcode >> 2, 0] = _registers


@numba.njit(cache=True, inline="always")
def word_at(code: NDArray[np.uint8], at: np.uint64) -> int:
    """Return four bytes of code."""
    low = np.int64(code[at]) | np.int64(code[at + _1]) << 8
    return low | np.int64(code[at + _2]) << 16 | np.int64(code[at + _3]) << 24


@numba.njit(cache=True)
def last_word(code: NDArray[np.uint8], at: np.uint64, stop: np.uint64) -> int:
    """Return the bytes of code from `at` up to `stop`, fewer than four, and zeros behind them."""
    word = 0
    for j in range(stop - at):
        word |= np.int64(code[at + j]) << np.int64(_8 * j)
    return word


@numba.njit(cache=True, inline="always")
def operation_key(word: int) -> int:
    """Return an instruction's place in the table of operations, by opcode, funct3 and funct7."""
    return (word & 0x7C) << 8 | (word & 0x7000) >> 5 | word >> 25


@numba.njit(cache=True, inline="always")
def decode(word: int, operations: NDArray[np.uint8]) -> tuple[np.uint32, np.uint64]:
    """Return (rd, rs1, rs2 and the operation, a byte each from the lowest; the number).

    A register that is not written is the sink, one that is not read is x0; the number is
    sign-extended.
    """
    op = np.int64(operations[np.uint64(operation_key(word))])
    if word & 3 != 3:
        op = _INVALID
    elif op == _INVALID:
        if word == _EBREAK:
            op = _STOP
        elif word == _ECALL:
            op = _SYSTEM_CALL
    layout = np.uint64(word >> 2 & 31)
    has = _FORMATS[layout, _0]
    rd = word >> 7 & has & _RD
    rd = SINK if rd == 0 else rd
    registers = (word >> 7 & _RS1 | word >> 4 & _RS2) & has | rd
    signed = np.int64(np.int32(word))
    number = signed >> 20 & _FORMATS[layout, _1]
    number |= (signed >> 25 << 5 | word >> 7 & 0x1F) & _FORMATS[layout, _2]
    number |= (
        signed >> 31 << 12 | word << 4 & 0x800 | word >> 20 & 0x7E0 | word >> 7 & 0x1E
    ) & _FORMATS[layout, _3]
    number |= signed & -4096 & _FORMATS[layout, _4]
    number |= (
        signed >> 31 << 20 | word & 0xFF000 | word >> 9 & 0x800 | word >> 20 & 0x7FE
    ) & _FORMATS[layout, _5]
    return np.uint32(op << 24 | registers), np.uint64(number)
