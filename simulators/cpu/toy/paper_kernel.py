# pyright: reportUntypedFunctionDecorator=false
"""The compiled loops of the authors' stream: the Mersenne Twister of CPython, and draws out of it.

A number below n is drawn as CPython's `random` does it: the top `n.bit_length()` bits of a word,
and another word as long as that is not below n. Loops that do so for every number mispredict most
of their branches. Here a table says, for every kind of number that may be next and every nine top
bits of a word, what they add to the instruction and which kind follows; a refused word leaves the
kind as it is. `paper_stream` makes the table out of the instruction set and hands it in, so that
numba's disk cache need not know of it.

The generator: Matsumoto, Nishimura 1998, "Mersenne Twister", with the seeding of 2002.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

NUM_WORDS: Final = 624
"""Words of the generator's state; word 624 of our arrays is the index of the next one."""
TABLE_BITS: Final = 9
"""Top bits of a word that the widest draw takes: a number below 256 takes 9, half are refused."""

# The fields of a table's entry, lowest bit first: 8 bits of value, its shift, done, next row.
SHIFT_AT: Final = np.uint32(8)
DONE_AT: Final = np.uint32(13)
ROW_AT: Final = np.uint32(14)

# Every number is a np.uint32 or np.uint64 because numba turns unsigned with a plain integer into a
# float or a signed one.
_0: Final = np.uint32(0)
_1: Final = np.uint32(1)
_7: Final = np.uint32(7)
_11: Final = np.uint32(11)
_15: Final = np.uint32(15)
_18: Final = np.uint32(18)
_30: Final = np.uint32(30)
_31: Final = np.uint32(31)
_255: Final = np.uint32(255)
_MIDDLE: Final = 397
_TOP: Final = np.uint32(0x80000000)
_LOW: Final = np.uint32(0x7FFFFFFF)
_MATRIX: Final = np.uint32(0x9908B0DF)
_TEMPER_B: Final = np.uint32(0x9D2C5680)
_TEMPER_C: Final = np.uint32(0xEFC60000)
_DISCARDED: Final = np.uint32(32 - TABLE_BITS)

_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_27_LONG: Final = np.uint64(27)
_30_LONG: Final = np.uint64(30)
_31_LONG: Final = np.uint64(31)


@numba.njit(cache=True)
def seed_words(key: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return `[625]`: the state that `init_by_array(key)` leaves, all its words still to come."""
    state = np.empty(NUM_WORDS + 1, np.uint32)
    state[0] = np.uint32(19650218)
    for i in range(1, NUM_WORDS):
        before = state[i - 1] ^ (state[i - 1] >> _30)
        state[i] = np.uint32(np.uint64(1812433253) * np.uint64(before) + np.uint64(i))
    i, j = 1, 0
    for _ in range(max(NUM_WORDS, len(key))):
        before = state[i - 1] ^ (state[i - 1] >> _30)
        mixed = np.uint64(state[i]) ^ (np.uint64(before) * np.uint64(1664525))
        state[i] = np.uint32(mixed + np.uint64(key[j]) + np.uint64(j))
        i, j = i + 1, j + 1
        if i == NUM_WORDS:
            state[0] = state[NUM_WORDS - 1]
            i = 1
        if j == len(key):
            j = 0
    for _ in range(NUM_WORDS - 1):
        before = state[i - 1] ^ (state[i - 1] >> _30)
        mixed = np.uint64(state[i]) ^ (np.uint64(before) * np.uint64(1566083941))
        state[i] = np.uint32(mixed - np.uint64(i))
        i += 1
        if i == NUM_WORDS:
            state[0] = state[NUM_WORDS - 1]
            i = 1
    state[0] = _TOP
    state[NUM_WORDS] = np.uint32(NUM_WORDS)
    return state


@numba.njit(cache=True, inline="always")
def _twisted(far: np.uint32, here: np.uint32, after: np.uint32) -> np.uint32:
    """Return one word of the next block."""
    mixed = (here & _TOP) | (after & _LOW)
    return far ^ (mixed >> _1) ^ ((_0 - (mixed & _1)) & _MATRIX)


@numba.njit(cache=True)
def _twist(state: NDArray[np.uint32]) -> None:
    """Put the next block of words into `state`; its index is left alone."""
    # Two loops because the second reads what the first wrote; numba vectorises both.
    last = NUM_WORDS - 1
    for i in range(NUM_WORDS - _MIDDLE):
        state[i] = _twisted(state[i + _MIDDLE], state[i], state[i + 1])
    for i in range(NUM_WORDS - _MIDDLE, last):
        state[i] = _twisted(state[i + _MIDDLE - NUM_WORDS], state[i], state[i + 1])
    state[last] = _twisted(state[_MIDDLE - 1], state[last], state[0])


@numba.njit(cache=True)
def _temper(state: NDArray[np.uint32], words: NDArray[np.uint32]) -> None:
    """Fill `words` with what the generator gives out for its block."""
    for i in range(NUM_WORDS):
        word = state[i]
        word ^= word >> _11
        word ^= (word << _7) & _TEMPER_B
        word ^= (word << _15) & _TEMPER_C
        words[i] = word ^ (word >> _18)


@numba.njit(cache=True)
def _below(
    bound: np.uint32,
    discarded: np.uint32,
    state: NDArray[np.uint32],
    words: NDArray[np.uint32],
    index: np.uint64,
) -> tuple[np.uint32, np.uint64]:
    """Return a number below `bound`, of words less `discarded` low bits, and the next index."""
    while True:
        if index == np.uint64(NUM_WORDS):
            _twist(state)
            _temper(state, words)
            index = np.uint64(0)
        number = np.uint32(words[index] >> discarded)
        index += np.uint64(1)
        if number < bound:
            return number, index


@numba.njit(cache=True)
def draw_programs(
    state: NDArray[np.uint32],
    table: NDArray[np.uint32],
    max_instructions: np.uint32,
    length_discarded: np.uint32,
    offsets: NDArray[np.int64],
    code: NDArray[np.uint32],
    initial_states: NDArray[np.uint8],
) -> None:
    """Draw `len(offsets) - 1` programs one after another; everything but `table` is written.

    `code` has room for `max_instructions` words a program (HLT, the last, is 0); `initial_states`
    is `[n, 16]` and zeroed; `state` moves on.
    """
    words = np.empty(NUM_WORDS, np.uint32)
    _temper(state, words)
    index = np.uint64(state[NUM_WORDS])
    at = np.uint64(0)
    offsets[0] = 0
    for i in range(len(offsets) - 1):
        # ACC, then A..J, which lie behind PC and the four bytes of IR.
        for place in (1, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15):
            number, index = _below(np.uint32(256), _DISCARDED, state, words, index)
            initial_states[i, place] = np.uint8(number)
        number, index = _below(max_instructions, length_discarded, state, words, index)
        end = at + np.uint64(number)
        offsets[i + 1] = np.int64(end + np.uint64(1))
        row = _0
        instruction = _0
        while at < end:
            if index == np.uint64(NUM_WORDS):
                _twist(state)
                _temper(state, words)
                index = np.uint64(0)
            entry = table[row | np.uint32(words[index] >> _DISCARDED)]
            index += np.uint64(1)
            instruction |= (entry & _255) << ((entry >> SHIFT_AT) & _31)
            code[at] = instruction
            done = (entry >> DONE_AT) & _1
            at += np.uint64(done)
            instruction &= done - _1
            row = entry >> ROW_AT
        code[at] = _0
        at += np.uint64(1)
    state[NUM_WORDS] = np.uint32(index)


@numba.njit(cache=True, inline="always")
def _mixed(z: np.uint64) -> np.uint64:
    """Return the 64 bits that SplitMix64's last steps make of `z`; one to one."""
    z = (z ^ (z >> _30_LONG)) * _MIX_1
    z = (z ^ (z >> _27_LONG)) * _MIX_2
    return z ^ (z >> _31_LONG)


@numba.njit(cache=True)
def fill_fingerprints(
    code: NDArray[np.uint32], offsets: NDArray[np.int64], fingerprints: NDArray[np.uint64]
) -> None:
    """Fill `[n, 2]` with 128 bits of every program: two chains of mixing, begun differently.

    They begin far from small numbers: 0 is mixed to 0, and a length that the first word cancels
    made 1 in 100 short programs share 64 bits with another one.
    """
    for i in range(len(offsets) - 1):
        start, end = np.uint64(offsets[i]), np.uint64(offsets[i + 1])
        a = _MIX_1 + (end - start)
        b = _MIX_2 + (end - start)
        for at in range(start, end):
            word = np.uint64(code[at])
            a = _mixed(a ^ word)
            b = _mixed(b ^ word)
        fingerprints[i, 0] = a
        fingerprints[i, 1] = b
