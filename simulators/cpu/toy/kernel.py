# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""The toy CPU compiled: draws, step counts and runs over flat arrays, one pass each.

All knowledge of instructions comes from `toy.isa` as arrays made once at import. An instruction is
one little-endian 32-bit word here, `op` lowest; a state is two 64-bit words, `[PC, ACC, IR, A, B]`
and `[C..J]`. Nothing is checked; `toy.machine` checks its arguments first; these loops trust it.

Measured on one Zen 4 core, programs of mean 128 instructions: byte-wise registers in an array cost
3.9 us a run, these words 1.6 us; signed indices keep numba from vectorising, so all are uint64.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from simulators.counter_rng import splitmix64, take_below
from simulators.cpu.toy.isa import (
    INSTRUCTIONS,
    MAX_OPERANDS,
    NUM_OPERAND_REGISTERS,
    SLOTS,
    Function,
)
from simulators.protocol import EndReason

_COMPILED_FROM: Final = "76a156072969cc7ca6d2bc0eff16f66dd874da8adf1a94d92de525a8d3a37992"
"""SHA-256 of the other files that are compiled in, one after the other: `counter_rng.py`,
`toy/isa.py`, `protocol.py`. numba's disk cache watches this file only. A test asks for the new
hash when one of them has changed; writing it here is what makes numba compile anew."""

# Every number is a np.uint64 because numba turns uint64 with a plain integer into a float.
_0: Final = np.uint64(0)
_1: Final = np.uint64(1)
_2: Final = np.uint64(2)
_3: Final = np.uint64(3)
_7: Final = np.uint64(7)
_8: Final = np.uint64(8)
_16: Final = np.uint64(16)
_24: Final = np.uint64(24)
_40: Final = np.uint64(40)
_48: Final = np.uint64(48)
_255: Final = np.uint64(255)
_65535: Final = np.uint64(65535)

_ACC_TO_B: Final = np.uint64(0xFFFF_0000_0000_FF00)
"""The bits of a state's first word that registers hold; the others are PC and IR."""
_NUM_FIRST_REGISTERS: Final = _3
"""ACC, A and B lie in the first word, the others in the second."""
_SHIFTS: Final = np.array([8, 48, 56, *range(0, 64, 8)], np.uint64)
"""Lowest bit of each register within its word."""

_NUM_OPS: Final = np.uint64(len(INSTRUCTIONS))
_LAST_REGISTER: Final = np.uint64(NUM_OPERAND_REGISTERS)
_IMMEDIATE_OP: Final = np.uint64(
    next(row.op for row in INSTRUCTIONS if row.function is Function.IMMEDIATE)
)
_STOP_OP: Final = np.uint64(next(row.op for row in INSTRUCTIONS if row.function is Function.STOP))

# The table for the generator, by [op, number of the form, operand]: an operand is a draw below
# its bound, plus its offset. Absent operands are draws below 1, which cost no bits.
_NUM_FORMS: Final = np.array([len(row.forms) for row in INSTRUCTIONS], np.uint64)
_BOUNDS: Final = np.ones((len(INSTRUCTIONS), MAX_OPERANDS, MAX_OPERANDS), np.uint64)
_OFFSETS: Final = np.zeros((len(INSTRUCTIONS), MAX_OPERANDS, MAX_OPERANDS), np.uint64)
# The table for the interpreter, by [op, number of operands]; slots as shifts into the instruction
# word with its op zeroed, so that ACC (slot 0) reads as register 0.
_HAS_FORM: Final = np.zeros((len(INSTRUCTIONS), MAX_OPERANDS + 1), np.bool_)
_FUNCTIONS: Final = np.array([row.function for row in INSTRUCTIONS], np.uint64)
_X: Final = np.zeros((len(INSTRUCTIONS), MAX_OPERANDS + 1), np.uint64)
_Y: Final = np.zeros((len(INSTRUCTIONS), MAX_OPERANDS + 1), np.uint64)
_TARGET: Final = np.zeros((len(INSTRUCTIONS), MAX_OPERANDS + 1), np.uint64)
for _row in INSTRUCTIONS:
    for _number, _form in enumerate(_row.forms):
        _BOUNDS[_row.op, _number, : _form.num_operands] = (
            256 if _row.immediate else NUM_OPERAND_REGISTERS
        )
        _OFFSETS[_row.op, _number, : _form.num_operands] = 0 if _row.immediate else 1
        _HAS_FORM[_row.op, _form.num_operands] = True
        _X[_row.op, _form.num_operands] = 8 * SLOTS.index(_form.x)
        _Y[_row.op, _form.num_operands] = 8 * SLOTS.index(_form.y)
        _TARGET[_row.op, _form.num_operands] = 8 * SLOTS.index(_form.target)

# numba reads plain globals only, no members of an enumeration.
_CLEAR: Final = np.uint64(Function.CLEAR)
_INCREMENT: Final = np.uint64(Function.INCREMENT)
_DECREMENT: Final = np.uint64(Function.DECREMENT)
_SHIFT_LEFT: Final = np.uint64(Function.SHIFT_LEFT)
_SHIFT_RIGHT: Final = np.uint64(Function.SHIFT_RIGHT)
_ROTATE_LEFT: Final = np.uint64(Function.ROTATE_LEFT)
_ROTATE_RIGHT: Final = np.uint64(Function.ROTATE_RIGHT)
_COMPLEMENT: Final = np.uint64(Function.COMPLEMENT)
_COPY: Final = np.uint64(Function.COPY)
_EXCHANGE: Final = np.uint64(Function.EXCHANGE)
_ADD: Final = np.uint64(Function.ADD)
_SUBTRACT: Final = np.uint64(Function.SUBTRACT)
_MULTIPLY: Final = np.uint64(Function.MULTIPLY)
_DIVIDE: Final = np.uint64(Function.DIVIDE)
_AND: Final = np.uint64(Function.AND)
_OR: Final = np.uint64(Function.OR)
_HALTED: Final = np.uint8(EndReason.HALTED)
_INVALID: Final = np.uint8(EndReason.INVALID_INSTRUCTION)
_STEP_LIMIT: Final = np.uint8(EndReason.STEP_LIMIT)


@numba.njit(cache=True)
def draw_lengths(
    key: np.uint64, counters: NDArray[np.uint64], max_instructions: np.uint64
) -> NDArray[np.int64]:
    """Return `[n + 1]` offsets, in instructions, of the programs that `counters` draw."""
    offsets = np.zeros(len(counters) + 1, np.int64)
    for i in range(len(counters)):
        word = splitmix64(splitmix64(key, counters[i]), _0)  # word 0 is the length
        below, _ = take_below(word, max_instructions)
        offsets[i + 1] = offsets[i] + np.int64(below + _1)
    return offsets


@numba.njit(cache=True)
def draw_programs(
    key: np.uint64,
    counters: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    code: NDArray[np.uint32],
    initial_states: NDArray[np.uint64],
) -> None:
    """Fill `code` (zeroed; offsets in instructions) and `initial_states` with the draws."""
    for i in range(len(counters)):
        start = splitmix64(key, counters[i])
        # The 11 register bytes ACC, A..J are word 1 and the low three bytes of word 2.
        word_1 = splitmix64(start, _1)
        word_2 = splitmix64(start, _2)
        initial_states[i, 0] = ((word_1 & _255) << _8) | (((word_1 >> _8) & _65535) << _48)
        initial_states[i, 1] = (word_1 >> _24) | (word_2 << _40)
        # Word 3 + j is instruction j. The last is HLT: four zero bytes, and `code` is zeroed.
        first = np.uint64(offsets[i])
        for j in range(np.uint64(offsets[i + 1]) - first - _1):
            bits = splitmix64(start, _3 + j)
            op, bits = take_below(bits, _NUM_OPS - _1)
            op += _1  # HLT, op 0, is not drawn
            form, bits = take_below(bits, _NUM_FORMS[op])
            a1, bits = take_below(bits, _BOUNDS[op, form, 0])
            a2, bits = take_below(bits, _BOUNDS[op, form, 1])
            a3, bits = take_below(bits, _BOUNDS[op, form, 2])
            a1 += _OFFSETS[op, form, 0]
            a2 += _OFFSETS[op, form, 1]
            a3 += _OFFSETS[op, form, 2]
            code[first + j] = np.uint32(op | (a1 << _8) | (a2 << _16) | (a3 << _24))


@numba.njit(cache=True, inline="always")
def _is_valid(word: np.uint64) -> bool:
    """Say whether the table has the instruction."""
    op = word & _255
    if op >= _NUM_OPS:
        return False
    a1, a2, a3 = (word >> _8) & _255, (word >> _16) & _255, word >> _24
    if op == _IMMEDIATE_OP:
        return (a2 | a3) == _0
    num_operands = np.uint64(a1 != _0) + np.uint64(a2 != _0) + np.uint64(a3 != _0)
    gap = (a1 == _0) & (num_operands > _0) | (a2 == _0) & (a3 != _0)
    return _HAS_FORM[op, num_operands] & (max(a1, a2, a3) <= _LAST_REGISTER) & (not gap)


@numba.njit(cache=True)
def count_steps(
    code: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    initial_states: NDArray[np.uint64],
    num_slots: np.uint64,
    end_reasons: NDArray[np.uint8],
) -> NDArray[np.int64]:
    """Return `[n + 1]` row offsets of the traces, and fill `end_reasons`.

    The memory holds `num_slots` instructions. Without branches a run ends where a scan of the
    program ends, so nothing is executed.
    """
    rows = np.zeros(len(offsets), np.int64)
    for i in range(len(offsets) - 1):
        start = np.uint64(offsets[i])
        num_instructions = np.uint64(offsets[i + 1]) - start
        first_pc = initial_states[i, 0] & _255
        pc = first_pc
        # Past the program lie zeros, which are HLT; past the memory, the last slot once more.
        reason = _HALTED if num_instructions < num_slots else _STEP_LIMIT
        while pc < num_instructions:
            word = np.uint64(code[start + pc])
            if word == _STOP_OP:
                reason = _HALTED
                break
            if not _is_valid(word):
                reason = _INVALID
                break
            pc += _1
        if reason == _STEP_LIMIT:
            pc -= _1  # the last slot was fetched already
        end_reasons[i] = reason
        # One row for the initial state, and one for each fetch, the last one included.
        rows[i + 1] = rows[i] + np.int64(pc - first_pc + _2)
    return rows


@numba.njit(cache=True, inline="always")
def _read(low: np.uint64, high: np.uint64, register: np.uint64) -> np.uint64:
    """Return the value of register 0..10."""
    word = low if register < _NUM_FIRST_REGISTERS else high
    return (word >> _SHIFTS[register]) & _255


@numba.njit(cache=True, inline="always")
def _write(
    low: np.uint64, high: np.uint64, register: np.uint64, value: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Return both words with register 0..10 set; both are computed so that nothing branches."""
    kept = ~(_255 << _SHIFTS[register])
    bits = value << _SHIFTS[register]
    in_low = register < _NUM_FIRST_REGISTERS
    return (low & kept) | bits if in_low else low, high if in_low else (high & kept) | bits


@numba.njit(cache=True)
def fill_states(
    code: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    initial_states: NDArray[np.uint64],
    num_slots: np.uint64,
    rows: NDArray[np.int64],
    states: NDArray[np.uint64],
) -> None:
    """Run every program for the steps that `rows` gives it, and fill `states`, `[total, 2]`."""
    for i in range(len(offsets) - 1):
        start = np.uint64(offsets[i])
        num_instructions = np.uint64(offsets[i + 1]) - start
        row, end = np.uint64(rows[i]), np.uint64(rows[i + 1])
        low, high = initial_states[i, 0], initial_states[i, 1]
        states[row, 0], states[row, 1] = low, high
        pc = low & _255
        while True:
            word = np.uint64(code[start + pc]) if pc < num_instructions else _0
            pc = min(pc + _1, num_slots - _1)
            row += _1
            # Recorded after the fetch and before the effect.
            states[row, 0] = (low & _ACC_TO_B) | (word << _16) | pc
            states[row, 1] = high
            if row + _1 == end:  # HLT, an invalid one, or one whose effect is not seen
                break
            low, high = _execute(low, high, word)


@numba.njit(cache=True, inline="always")
def _execute(low: np.uint64, high: np.uint64, word: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return both words of registers after one valid instruction."""
    op = word & _255
    if op == _IMMEDIATE_OP:
        return _write(low, high, _0, (word >> _8) & _255)
    operands = word - op
    num_operands = (
        np.uint64((word >> _8) & _255 != _0)
        + np.uint64((word >> _16) & _255 != _0)
        + np.uint64(word >> _24 != _0)
    )
    x = _read(low, high, (operands >> _X[op, num_operands]) & _255)
    y_register = (operands >> _Y[op, num_operands]) & _255
    y = _read(low, high, y_register)
    function = _FUNCTIONS[op]
    if function == _CLEAR:
        result = _0
    elif function == _INCREMENT:
        result = min(x + _1, _255)
    elif function == _DECREMENT:
        result = max(x, _1) - _1
    elif function == _SHIFT_LEFT:
        result = x << _1
    elif function == _SHIFT_RIGHT:
        result = x >> _1
    elif function == _ROTATE_LEFT:
        result = (x << _1) | (x >> _7)
    elif function == _ROTATE_RIGHT:
        result = (x >> _1) | (x << _7)
    elif function == _COMPLEMENT:
        result = ~x
    elif function == _COPY:
        result = x
    elif function == _EXCHANGE:
        result = y
        low, high = _write(low, high, y_register, x)
    elif function == _ADD:
        result = min(x + y, _255)
    elif function == _SUBTRACT:
        result = max(x, y) - y
    elif function == _MULTIPLY:
        result = min(x * y, _255)
    elif function == _DIVIDE:
        result = np.uint64(np.uint32(x) // np.uint32(y)) if y != _0 else _255
    elif function == _AND:
        result = x & y
    elif function == _OR:
        result = x | y
    else:
        result = x ^ y
    return _write(low, high, (operands >> _TARGET[op, num_operands]) & _255, result & _255)
