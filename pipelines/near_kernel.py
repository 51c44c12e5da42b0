# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""Compare melodies with an index of others, compiled: n-grams looked up, their holders counted.

The count is what two melodies share, so every similarity is exact; the index is `near_index`'s.
"""

from typing import Final, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from pipelines.ngram_kernel import melody_ngrams, most_ngrams

_COMPILED_FROM: Final = "fa2e2c954ceddd1461f1b951875be417a7f7ac3bfe8aebb80deed95744d588fc"
"""SHA-256 of `ngram_kernel.py`, compiled in; numba's disk cache watches this file only. A test asks
for the new hash when it has changed; writing it here makes numba compile anew."""

_FREE: Final = -1
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_32: Final = np.uint64(32)


class NearTables(NamedTuple):
    """An inverted index of the n-grams of m melodies."""

    table_ngrams: NDArray[np.uint64]
    """`[a power of 2]`: a hash table with open addressing, at most half full."""
    table_numbers: NDArray[np.int64]
    """The number of the n-gram in that place, or -1."""
    holder_offsets: NDArray[np.int64]
    """`[n-grams + 1]`: the holders of n-gram i are `holder_offsets[i]:holder_offsets[i + 1]`."""
    holders: NDArray[np.int64]
    """Numbers of melodies, ascending for each n-gram."""
    sizes: NDArray[np.int64]
    """`[m]` distinct n-grams."""


@numba.njit(cache=True)
def fill_table(
    ngrams: NDArray[np.uint64], table_ngrams: NDArray[np.uint64], table_numbers: NDArray[np.int64]
) -> None:
    """Put distinct n-grams into an empty table, numbered in their order."""
    table_numbers[:] = _FREE
    for number in range(len(ngrams)):
        place = _place(ngrams[number], table_ngrams, table_numbers)
        table_ngrams[place] = ngrams[number]
        table_numbers[place] = number


@numba.njit(cache=True)
def find_near(
    intervals: NDArray[np.uint8], offsets: NDArray[np.int64], tables: NearTables
) -> NDArray[np.bool_]:
    """Return for every melody whether an indexed one has Jaccard >= 1/2."""
    num_melodies = len(offsets) - 1
    near = np.zeros(num_melodies, np.bool_)
    ngrams = np.empty(most_ngrams(offsets), np.uint64)
    shared = np.zeros(len(tables.sizes), np.int64)
    touched = np.empty(len(tables.sizes), np.int64)
    for i in range(num_melodies):
        size = melody_ngrams(intervals, offsets[i], offsets[i + 1], ngrams)
        num_touched = _count(ngrams[:size], (size + 1) // 2, tables, shared, touched)
        for j in range(num_touched):
            other = touched[j]
            near[i] |= 3 * shared[other] >= size + tables.sizes[other]
            shared[other] = 0
    return near


@numba.njit(cache=True)
def find_nearest(
    intervals: NDArray[np.uint8], offsets: NDArray[np.int64], tables: NearTables
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return what `near_index.Nearest` holds."""
    num_melodies = len(offsets) - 1
    most_shared = np.zeros(num_melodies, np.int64)
    unions = np.empty(num_melodies, np.int64)
    nearest = np.full(num_melodies, -1)
    reached = np.zeros(len(tables.sizes), np.bool_)
    ngrams = np.empty(most_ngrams(offsets), np.uint64)
    shared = np.zeros(len(tables.sizes), np.int64)
    touched = np.empty(len(tables.sizes), np.int64)
    for i in range(num_melodies):
        size = melody_ngrams(intervals, offsets[i], offsets[i + 1], ngrams)
        unions[i] = size
        num_touched = _count(ngrams[:size], 1, tables, shared, touched)
        for j in range(num_touched):
            other = touched[j]
            both = shared[other]
            shared[other] = 0
            union = size + tables.sizes[other] - both
            reached[other] |= 2 * both >= union
            more = both * unions[i] - most_shared[i] * union
            if more > 0 or (more == 0 and other < nearest[i]):
                most_shared[i], unions[i], nearest[i] = both, union, other
    return most_shared, unions, nearest, reached


@numba.njit(cache=True)
def _count(
    ngrams: NDArray[np.uint64],
    needed: int,
    tables: NearTables,
    shared: NDArray[np.int64],
    touched: NDArray[np.int64],
) -> int:
    """Count into `shared` what each indexed melody has of `ngrams`, and list those that have any.

    Returns:
        How many are listed in `touched`; 0 if fewer than `needed` n-grams occur in the index.
    """
    known = 0
    for i in range(len(ngrams)):
        place = _place(ngrams[i], tables.table_ngrams, tables.table_numbers)
        number = tables.table_numbers[place]
        if number != _FREE:
            ngrams[known] = np.uint64(number)
            known += 1
    num_touched = 0
    if known < needed:
        return num_touched
    for i in range(known):
        number = np.int64(ngrams[i])
        for at in range(tables.holder_offsets[number], tables.holder_offsets[number + 1]):
            holder = tables.holders[at]
            if shared[holder] == 0:
                touched[num_touched] = holder
                num_touched += 1
            shared[holder] += 1
    return num_touched


@numba.njit(cache=True)
def _place(
    ngram: np.uint64, table_ngrams: NDArray[np.uint64], table_numbers: NDArray[np.int64]
) -> int:
    """Return the place of an n-gram in the table, or the free one where it would go."""
    mask = len(table_ngrams) - 1
    place = int(np.int64((ngram * _MULTIPLIER) >> _32)) & mask
    while table_numbers[place] != _FREE and table_ngrams[place] != ngram:
        place = (place + 1) & mask
    return place
