# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false, reportArgumentType=false
# pyright: reportReturnType=false
"""RV32IM and RV64IM compiled: every program of a batch decoded once, then run in one tight loop.

One interpreter serves both widths: a register of RV32 is kept sign-extended to 64 bits. Comparisons
and logic are then the same in both, and `add` of RV32 is `addw` of RV64; `cpu.riscv` says so where
it fills the table of operations. The width is left in the words of a state and in addresses.

Operand `b` is the second register plus the instruction's number, of which it has one or the other:
so `add`, `addi`, `lui` and `mv` are one operation. Nothing is checked; `cpu.riscv` checks first.
What operations do: "The RISC-V Instruction Set Manual", volume I, version 20191213, chapters 2, 5
and 7. Taking instructions apart is `riscv_decode`'s.

Constants are np.uint64 because numba turns uint64 with a plain integer into a float; indices are
unsigned because it checks signed ones for being negative.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from simulators.cpu.interpreter.riscv_decode import NUM_PLACES, PC, decode, last_word, word_at

_COMPILED_FROM: Final = "f043d391d66c6a4a0fdab0b5d4c4a0413bf205734edbad1bc25b8f1322a167a5"
"""SHA-256 of `cpu/riscv_decode.py`, compiled in; numba's disk cache watches this file only.
A test asks for the new hash when that one has changed; writing it here makes numba compile anew."""

# `riscv_decode.OPERATIONS`, in their order; numba reads plain numbers only.
_INVALID, _STOP, _SYSTEM_CALL, _LEFT_PROGRAM, _MEMORY_FAULT, _STEP_LIMIT = range(6)
_ADD, _SUB, _SLL, _SLT, _SLTU, _XOR, _SRL, _SRA, _OR, _AND = range(6, 16)
_ADDW, _SUBW, _SLLW, _SRLW, _SRAW, _AUIPC, _NOTHING = range(16, 23)
_MUL, _MULH, _MULHSU, _MULHU, _MULW, _MULHW, _MULHSUW, _MULHUW = range(23, 31)
_DIV, _DIVU, _REM, _REMU, _DIVW, _DIVUW, _REMW, _REMUW = range(31, 39)
_LB, _LH, _LW, _LD, _LBU, _LHU, _LWU, _SB, _SH, _SW, _SD = range(39, 50)
_BEQ, _BNE, _BLT, _BGE, _BLTU, _BGEU, _JAL, _JALR = range(50, 58)
_LAST_END: Final = _STEP_LIMIT
_ACCESS_BYTES: Final = np.array([1, 2, 4, 8, 1, 2, 4, 1, 2, 4, 8], np.uint64)
"""From `lb` to `sd`."""

_0: Final = np.uint64(0)
_1: Final = np.uint64(1)
_2: Final = np.uint64(2)
_3: Final = np.uint64(3)
_4: Final = np.uint64(4)
_8: Final = np.uint64(8)
_31: Final = np.uint64(31)
_32: Final = np.uint64(32)
_63: Final = np.uint64(63)
_ALL: Final = np.uint64(2**64 - 1)
_LOW_32: Final = np.uint64(2**32 - 1)

PAGE_BYTES: Final = 4096
_PAGE: Final = np.uint64(PAGE_BYTES)


@numba.njit(cache=True)
def run_programs(
    code: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    initial: NDArray[np.uint64],
    data: NDArray[np.uint8],
    operations: NDArray[np.uint8],
    places: NDArray[np.uint64],
    machine: NDArray[np.uint64],
    states: NDArray[np.uint64],
    rows: NDArray[np.int64],
    ends: NDArray[np.uint8],
) -> None:
    """Run every program; fill `states`, `rows` (`[n + 1]` offsets) and `ends` (of `OPERATIONS`).

    `operations` is the table by `operation_key`. A state is words of the machine's width: the
    registers at `places`. `initial` is `[n, words]`, and `states` flat, with room for the largest
    number of states of every program; both are of uint32 or of uint64. `machine` holds what the
    first lines below take out of it.
    """
    bits, code_address, code_bytes, program_bytes = machine[0], machine[1], machine[2], machine[3]
    data_address, stack_address, max_states = machine[4], machine[5], machine[6]
    addresses = _ALL >> (np.uint64(64) - bits)
    sign = _1 << (bits - _1)
    data_page = data_address - data_address % _PAGE
    data_start = data_address % _PAGE
    num_data = np.uint64(data.shape[1])
    num_places = np.uint64(len(places))

    registers = np.zeros(NUM_PLACES, np.uint64)
    memory = np.zeros(2 * PAGE_BYTES, np.uint8)  # the data window's page, then the stack
    data_clean = stack_clean = True
    num_slots = program_bytes // _4 + _1
    decoded = np.zeros(num_slots, np.uint32)  # rd, rs1, rs2 and the operation, a byte each
    numbers = np.zeros(num_slots, np.uint64)

    out = _0
    for i in range(np.uint64(len(offsets) - 1)):
        start = np.uint64(offsets[i])
        num_bytes = np.uint64(offsets[i + _1]) - start
        num_decoded = (num_bytes + _3) // _4
        for k in range(num_bytes // _4):
            word = word_at(code, start + k * _4)
            decoded[k], numbers[k] = decode(word, operations)
        if num_bytes & _3:
            word = last_word(code, start + (num_bytes & ~_3), start + num_bytes)
            decoded[num_decoded - _1], numbers[num_decoded - _1] = decode(word, operations)

        if not data_clean:
            memory[:PAGE_BYTES] = 0
        if not stack_clean:
            memory[PAGE_BYTES:] = 0
        stack_clean = True
        data_clean = num_data == _0
        for j in range(num_data):
            memory[data_start + j] = data[i, j]
        registers[:] = 0
        registers[2] = stack_address + _PAGE
        for j in range(num_places):
            registers[places[j]] = (np.uint64(initial[i, j]) ^ sign) - sign
        pc = code_address
        num_states = _0

        while True:
            registers[PC] = pc
            for j in range(num_places):
                states[out + j] = registers[places[j]]
            out += num_places
            num_states += _1

            distance = pc - code_address
            if distance >= program_bytes:
                end = _LEFT_PROGRAM
                break
            slot = distance >> _2
            if distance & _3 != _0 or slot >= num_decoded:
                end = _INVALID
                break
            instruction = decoded[slot]
            op = np.uint8(instruction >> np.uint32(24))
            if op <= _LAST_END:
                end = np.int64(op)
                break
            if num_states >= max_states:
                end = _STEP_LIMIT
                break

            rd = np.uint8(instruction)
            a = registers[np.uint8(instruction >> np.uint32(8))]
            c = registers[np.uint8(instruction >> np.uint32(16))]
            number = numbers[slot]
            b = c + number
            following = pc + _4

            if op == _ADD:
                result = a + b
            elif op == _ADDW:
                result = _word(a + b)
            elif op == _SUB:
                result = a - c
            elif op == _SUBW:
                result = _word(a - c)
            elif op == _SLL:
                result = a << (b & _63)
            elif op == _SLLW:
                result = _word(a << (b & _31))
            elif op == _SRL:
                result = a >> (b & _63)
            elif op == _SRLW:
                result = _word((a & _LOW_32) >> (b & _31))
            elif op == _SRA:
                result = np.uint64(np.int64(a) >> np.int64(b & _63))
            elif op == _SRAW:
                result = np.uint64(np.int64(_word(a)) >> np.int64(b & _31))
            elif op == _SLT:
                result = np.uint64(np.int64(a) < np.int64(b))
            elif op == _SLTU:
                result = np.uint64(a < b)
            elif op == _XOR:
                result = a ^ b
            elif op == _OR:
                result = a | b
            elif op == _AND:
                result = a & b
            elif op == _MUL:
                result = a * c
            elif op == _MULW:
                result = _word(a * c)
            elif op == _MULH:
                result = _high(a, c) - (c if a >> _63 else _0) - (a if c >> _63 else _0)
            elif op == _MULHSU:
                result = _high(a, c) - (c if a >> _63 else _0)
            elif op == _MULHU:
                result = _high(a, c)
            elif op == _MULHW:
                result = np.uint64(np.int64(a * c) >> 32)
            elif op == _MULHSUW:
                result = np.uint64(np.int64(a * (c & _LOW_32)) >> 32)
            elif op == _MULHUW:
                result = _word(((a & _LOW_32) * (c & _LOW_32)) >> _32)
            elif op == _DIV:
                result = _divide(a, c)
            elif op == _DIVU:
                result = a // c if c != _0 else _ALL
            elif op == _REM:
                result = _remainder(a, c)
            elif op == _REMU:
                result = a % c if c != _0 else a
            elif op == _DIVW:
                result = _word(_divide(_word(a), _word(c)))
            elif op == _DIVUW:
                low = c & _LOW_32
                result = _word((a & _LOW_32) // low) if low != _0 else _ALL
            elif op == _REMW:
                result = _word(_remainder(_word(a), _word(c)))
            elif op == _REMUW:
                low = c & _LOW_32
                result = _word((a & _LOW_32) % low) if low != _0 else _word(a)
            elif op >= _BEQ:
                result = following
                if op == _JAL:
                    following = pc + number
                elif op == _JALR:
                    following = (a + number) & addresses & ~_1
                else:
                    if op == _BEQ:
                        taken = a == c
                    elif op == _BNE:
                        taken = a != c
                    elif op == _BLT:
                        taken = np.int64(a) < np.int64(c)
                    elif op == _BGE:
                        taken = np.int64(a) >= np.int64(c)
                    elif op == _BLTU:
                        taken = a < c
                    else:
                        taken = a >= c
                    if taken:
                        following = pc + number
            elif op >= _LB:
                address = (a + number) & addresses
                size = _ACCESS_BYTES[op - _LB]
                if address - data_page <= _PAGE - size:
                    place = address - data_page
                elif address - stack_address <= _PAGE - size:
                    place = address - stack_address + _PAGE
                elif op < _SB and address - code_address <= code_bytes - size:
                    place = _ALL
                else:
                    end = _MEMORY_FAULT
                    break
                result = _0
                if op >= _SB:
                    for j in range(size):
                        memory[place + j] = np.uint8(c >> (_8 * j))
                    if place < _PAGE:
                        data_clean = False
                    else:
                        stack_clean = False
                elif place == _ALL:
                    first = address - code_address
                    for j in range(min(size, num_bytes - min(num_bytes, first))):
                        result |= np.uint64(code[start + first + j]) << (_8 * j)
                    result = _extend(result, op)
                else:
                    for j in range(size):
                        result |= np.uint64(memory[place + j]) << (_8 * j)
                    result = _extend(result, op)
            elif op == _AUIPC:
                result = ((pc + number) ^ sign) & addresses
                result -= sign
            else:  # nothing
                result = _0
            registers[rd] = result
            pc = following

        ends[i] = end
        rows[i + _1] = rows[i] + np.int64(num_states)


@numba.njit(cache=True, inline="always")
def _word(value: np.uint64) -> np.uint64:
    """Return the low 32 bits, sign-extended."""
    return np.uint64(np.int64(np.int32(value)))


@numba.njit(cache=True, inline="always")
def _high(a: np.uint64, c: np.uint64) -> np.uint64:
    """Return the high half of the product of two unsigned numbers; numba has no 128 bits."""
    a_low, a_high, c_low, c_high = a & _LOW_32, a >> _32, c & _LOW_32, c >> _32
    middle = a_high * c_low + ((a_low * c_low) >> _32)
    return a_high * c_high + (middle >> _32) + ((a_low * c_high + (middle & _LOW_32)) >> _32)


@numba.njit(cache=True, inline="always")
def _magnitude(value: np.uint64) -> np.uint64:
    return _0 - value if value >> _63 else value


@numba.njit(cache=True, inline="always")
def _divide(a: np.uint64, c: np.uint64) -> np.uint64:
    """Return the signed quotient, rounded towards 0; all ones by 0; the least by -1 is itself."""
    if c == _0:
        return _ALL
    quotient = _magnitude(a) // _magnitude(c)
    return _0 - quotient if (a ^ c) >> _63 else quotient


@numba.njit(cache=True, inline="always")
def _remainder(a: np.uint64, c: np.uint64) -> np.uint64:
    """Return the signed remainder, with the sign of `a`; `a` by 0."""
    if c == _0:
        return a
    remainder = _magnitude(a) % _magnitude(c)
    return _0 - remainder if a >> _63 else remainder


@numba.njit(cache=True, inline="always")
def _extend(value: np.uint64, op: np.uint8) -> np.uint64:
    """Return what a load makes of the bytes it read."""
    if op == _LB:
        return np.uint64(np.int64(np.int8(value)))
    if op == _LH:
        return np.uint64(np.int64(np.int16(value)))
    if op == _LW:
        return _word(value)
    return value
