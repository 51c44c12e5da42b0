# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""The set of a melody's interval n-grams as sorted numbers, compiled.

An n-gram is its bytes as one number, with its length above them: a melody too short for an n-gram
is its own only one, of fewer intervals, and must differ from all others.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

NGRAM_INTERVALS: Final = 5
"""Intervals in an n-gram, so six notes. On the real tunes 4 / 5 / 6 / 8 put 2,179 / 1,938 / 1,736 /
1,462 of 12,312 into clusters of two and more; 5 still tells unrelated short songs apart."""

_8: Final = np.uint64(8)
_LENGTH_SHIFT: Final = np.uint64(8 * NGRAM_INTERVALS)
_BYTES_MASK: Final = np.uint64((1 << 8 * NGRAM_INTERVALS) - 1)


@numba.njit(cache=True)
def melody_ngrams(
    intervals: NDArray[np.uint8], first: int, end: int, ngrams: NDArray[np.uint64]
) -> int:
    """Write the distinct n-grams of `intervals[first:end]` to the front of `ngrams`, sorted.

    Returns:
        How many there are: 1 to `most_ngrams(end - first)`.
    """
    size = min(end - first, NGRAM_INTERVALS)
    length = np.uint64(size) << _LENGTH_SHIFT
    ngram = np.uint64(0)
    for at in range(first, first + size):
        ngram = ngram << _8 | np.uint64(intervals[at])
    ngrams[0] = ngram | length
    count = 1
    for at in range(first + size, end):
        ngram = (ngram << _8 | np.uint64(intervals[at])) & _BYTES_MASK
        ngrams[count] = ngram | length
        count += 1
    if count == 1:
        return 1
    ngrams[:count].sort()
    distinct = 1
    for at in range(1, count):
        if ngrams[at] != ngrams[at - 1]:
            ngrams[distinct] = ngrams[at]
            distinct += 1
    return distinct


@numba.njit(cache=True)
def most_ngrams(offsets: NDArray[np.int64]) -> int:
    """Return how many n-grams the longest of the melodies may have."""
    longest = 1
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i] - NGRAM_INTERVALS + 1)
    return longest


@numba.njit(cache=True)
def all_ngrams(
    intervals: NDArray[np.uint8], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the distinct n-grams of every melody, sorted within each, and where each's begin."""
    num_melodies = len(offsets) - 1
    ngrams = np.empty(len(intervals) + num_melodies, np.uint64)
    ngram_offsets = np.zeros(num_melodies + 1, np.int64)
    for i in range(num_melodies):
        first = ngram_offsets[i]
        count = melody_ngrams(intervals, offsets[i], offsets[i + 1], ngrams[first:])
        ngram_offsets[i + 1] = first + count
    return ngrams[: ngram_offsets[-1]].copy(), ngram_offsets
