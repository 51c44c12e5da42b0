# pyright: reportUntypedFunctionDecorator=false
"""Counter-based random words: word `i` of draw `c` is a pure function of (stream key, c, i).

Two layers of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
generators"): the stream key seeds one generator whose output `c` seeds the generator of draw `c`.
Outputs can be reached in any order, so draws need no shared state. It does not draw anything by
itself, and it is no cryptographic generator: who sees some draws may compute the others.
"""

from hashlib import blake2b
from typing import Final

import numba
import numpy as np

# Every constant is a np.uint64 because numba turns uint64 with a plain integer into a float.
_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2: Final = np.uint64(0x94D049BB133111EB)
_LOW_32: Final = np.uint64(0xFFFFFFFF)
_1: Final = np.uint64(1)
_27: Final = np.uint64(27)
_30: Final = np.uint64(30)
_31: Final = np.uint64(31)
_32: Final = np.uint64(32)


def stream_key(name: str, version: str, seed: int) -> np.uint64:
    """Return the key of one system's stream: 8 bytes of BLAKE2b over `name/version/seed`.

    The digest is read as a little-endian number.

    >>> hex(int(stream_key("toy", "1", 0)))
    '0xdcf62731834abe1'
    """
    text = f"{name}/{version}/{seed}".encode()
    return np.uint64(int.from_bytes(blake2b(text, digest_size=8).digest(), "little"))


@numba.njit(cache=True, inline="always")
def splitmix64(seed: np.uint64, index: np.uint64) -> np.uint64:
    """Return output `index`, counted from 0, of SplitMix64 started with `seed`.

    The generator's state is a counter in steps of gamma, so any output is one multiplication away.
    """
    z = seed + (index + _1) * _GAMMA
    z = (z ^ (z >> _30)) * _MULTIPLIER_1
    z = (z ^ (z >> _27)) * _MULTIPLIER_2
    return z ^ (z >> _31)


@numba.njit(cache=True, inline="always")
def take_below(bits: np.uint64, bound: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return (number in 0..bound - 1, the bits that are left), `bound` below 2**32.

    `bits` is read as a fraction of 2**64: the number is the high word of `bits * bound`, what is
    left is the low word, ready for the next draw. After draws below b1, b2, ... from one word,
    a number's probability is off by at most b1 * b2 * ... / 2**64.
    """
    # The high half of a 64 by 32 bit product without 128-bit integers, which numba lacks.
    middle = (bits >> _32) * bound + (((bits & _LOW_32) * bound) >> _32)
    return middle >> _32, bits * bound
