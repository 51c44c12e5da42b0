# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""One entry compiled: its variables drawn, its instructions encoded, its branch patched.

`programs_kernel` says which entry stands where and compiles these functions in; the arrays are
`program_columns`' ones. Nothing is checked here.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from simulators.counter_rng import splitmix64, take_below
from simulators.cpu.drawing.program_columns import (
    BASE_HIGH,
    BASE_LOW,
    BIAS,
    COUNT,
    DIFFERS,
    FIRST_PIECE,
    FIRST_TARGET_PIECE,
    FIRST_VALUE,
    FIRST_VARIABLE,
    HIGH_WORD,
    LENGTH,
    LISTED,
    LOW,
    MASK,
    NUM_PIECES,
    NUM_TARGET_PIECES,
    NUM_VARIABLES,
    SHIFT,
    SOURCE,
    STEP,
    TARGET_BIT,
    VARIABLE,
    WRITTEN,
    Tables,
    Words,
)

_COMPILED_FROM: Final = "535ebf369844b90b3232585bf37384ce8184100c13c20a9e0c98f528c0746097"
"""As in `programs_kernel`."""

_0: Final = np.uint64(0)
_1: Final = np.uint64(1)
_8: Final = np.uint64(8)

_REJECTIONS: Final = 8
"""A register that may not be written is drawn again so many times before the next free one is
taken; 8 draws below 64 use 48 of a word's 64 bits."""


@numba.njit(cache=True, forceinline=True)
def emit(
    code: NDArray[np.uint8], at: np.uint64, t: Tables, use: np.uint64, chosen: Words, row: np.uint64
) -> np.uint64:
    """Encode one instruction at `at` with the values in `chosen[row]`; return where it ends."""
    low, high = t.uses[use, BASE_LOW], t.uses[use, BASE_HIGH]
    first = t.uses[use, FIRST_PIECE]
    for piece in range(first, first + t.uses[use, NUM_PIECES]):
        value = chosen[row, t.pieces[piece, VARIABLE]]
        bits = (value >> t.pieces[piece, SOURCE]) & t.pieces[piece, MASK]
        if t.pieces[piece, HIGH_WORD] == _0:
            low |= bits << t.pieces[piece, TARGET_BIT]
        else:
            high |= bits << t.pieces[piece, TARGET_BIT]
    length = t.uses[use, LENGTH]
    for i in range(min(length, _8)):
        code[at + i] = np.uint8(low & np.uint64(255))
        low >>= _8
    for i in range(_8, length):
        code[at + i] = np.uint8(high & np.uint64(255))
        high >>= _8
    return at + length


@numba.njit(cache=True, forceinline=True)
def patch(
    code: NDArray[np.uint8], at: np.uint64, t: Tables, use: np.uint64, distance: np.uint64
) -> None:
    """Write where the branch at `at` goes to: `distance` bytes from its first, modulo 2**64."""
    number = (distance - t.uses[use, BIAS]) >> t.uses[use, SHIFT]
    first = t.uses[use, FIRST_TARGET_PIECE]
    low = high = _0
    for piece in range(first, first + t.uses[use, NUM_TARGET_PIECES]):
        bits = (number >> t.pieces[piece, SOURCE]) & t.pieces[piece, MASK]
        if t.pieces[piece, HIGH_WORD] == _0:
            low |= bits << t.pieces[piece, TARGET_BIT]
        else:
            high |= bits << t.pieces[piece, TARGET_BIT]
    length = t.uses[use, LENGTH]
    for i in range(min(length, _8)):
        code[at + i] |= np.uint8(low & np.uint64(255))
        low >>= _8
    for i in range(_8, length):
        code[at + i] |= np.uint8(high & np.uint64(255))
        high >>= _8


@numba.njit(cache=True, forceinline=True)
def emit_all(
    code: NDArray[np.uint8],
    at: np.uint64,
    t: Tables,
    first: np.uint64,
    count: np.uint64,
    chosen: Words,
    row: np.uint64,
) -> np.uint64:
    """Encode `count` uses from `first` on; return where they end."""
    for use in range(first, first + count):
        at = emit(code, at, t, np.uint64(use), chosen, row)
    return at


@numba.njit(cache=True, forceinline=True)
def choose(
    start: np.uint64,
    word: np.uint64,
    t: Tables,
    entry: np.uint64,
    reserved: np.uint64,
    chosen: Words,
    chosen_bits: Words,
    row: np.uint64,
) -> tuple[bool, np.uint64]:
    """Draw an entry's variables into `chosen[row]`; return (all found a value, next word)."""
    first = t.entries[entry, FIRST_VARIABLE]
    for v in range(t.entries[entry, NUM_VARIABLES]):
        variable = first + v
        count = t.variables[variable, COUNT]
        bits = _0
        if count > _1:
            bits = splitmix64(start, word)
            word += _1
        pick, bits = take_below(bits, count)
        if t.variables[variable, LISTED] == _0:
            chosen[row, v] = t.variables[variable, LOW] + t.variables[variable, STEP] * pick
            continue
        forbidden = reserved if t.variables[variable, WRITTEN] != _0 else _0
        differs = t.variables[variable, DIFFERS]
        if differs != _0:
            for other in range(v):
                if (differs >> other) & _1 != _0:
                    forbidden |= chosen_bits[row, other]
        value = t.variables[variable, FIRST_VALUE]
        if t.value_bits[value + pick] & forbidden != _0:
            for _ in range(_REJECTIONS):
                pick, bits = take_below(bits, count)
                if t.value_bits[value + pick] & forbidden == _0:
                    break
            tried = _0
            while t.value_bits[value + pick] & forbidden != _0:
                pick = pick + _1 if pick + _1 < count else _0
                tried += _1
                if tried == count:
                    return False, word
        chosen[row, v] = t.values[value + pick]
        chosen_bits[row, v] = t.value_bits[value + pick]
    return True, word
