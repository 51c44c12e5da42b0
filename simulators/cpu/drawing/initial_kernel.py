# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""Random initial states and data windows, compiled; words as `program_columns` deals them out."""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from simulators.counter_rng import splitmix64, take_below
from simulators.cpu.drawing.program_columns import DATA_WORDS, STATE_WORDS, Words

_COMPILED_FROM: Final = "535ebf369844b90b3232585bf37384ce8184100c13c20a9e0c98f528c0746097"
"""As in `programs_kernel`."""

_0: Final = np.uint64(0)
_1: Final = np.uint64(1)
_2: Final = np.uint64(2)
_4: Final = np.uint64(4)
_8: Final = np.uint64(8)
_STATE_WORDS: Final = np.uint64(STATE_WORDS)
_DATA_WORDS: Final = np.uint64(DATA_WORDS)


@numba.njit(cache=True, forceinline=True)
def _mixed(start: np.uint64, word: np.uint64, num_widths: np.uint64) -> np.uint64:
    """Return a number of mixed magnitude: 4, 8, 16, ... random low bits, in 1 of 4 complemented."""
    width, bits = take_below(splitmix64(start, word), num_widths)
    complemented, bits = take_below(bits, _4)
    value = splitmix64(start, word + _1) >> (np.uint64(64) - (_4 << width))
    return ~value if complemented == _0 else value


@numba.njit(cache=True)
def fill_states(
    key: np.uint64,
    counters: Words,
    fields: Words,
    num_widths: np.uint64,
    states: NDArray[np.uint8],
) -> None:
    """Fill `[n, state_bytes]` initial states, which are zero.

    `fields` is `[fields, 4]`: offset, bytes, the program register's number plus 2 (1 is the flag
    register, 0 a fixed value), and the fixed value or the mask of the flags.
    """
    for i in range(len(counters)):
        start = splitmix64(key, counters[i])
        for field in range(len(fields)):
            kind, value = fields[field, 2], fields[field, 3]
            if kind == _1:
                value &= splitmix64(start, _STATE_WORDS)
            elif kind != _0:
                value = _mixed(start, _STATE_WORDS + _1 + (kind - _2) * _2, num_widths)
            first = fields[field, 0]
            for byte in range(fields[field, 1]):
                states[i, first + byte] = np.uint8(value & np.uint64(255))
                value >>= _8


@numba.njit(cache=True)
def fill_data(key: np.uint64, counters: Words, data: Words) -> None:
    """Fill `[n, data_bytes / 8]` words of data windows."""
    for i in range(len(counters)):
        start = splitmix64(key, counters[i])
        for word in range(np.uint64(data.shape[1])):
            data[i, word] = _mixed(start, _DATA_WORDS + _2 * word, np.uint64(5))
