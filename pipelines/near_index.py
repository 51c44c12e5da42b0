"""Which of some melodies another one is near to, exactly: an inverted index of their n-grams.

It is built once, of the test tunes, and asked about every tune that would go into train; what
near means is said in `pipelines.dedup`. It is a handful of plain arrays, a few megabytes for a
thousand tunes, so it goes to worker processes with a plan.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.near_kernel import NearTables, fill_table, find_near, find_nearest
from pipelines.ngram_kernel import all_ngrams


class Nearest(NamedTuple):
    """The nearest indexed melody of every melody asked about."""

    shared: NDArray[np.int64]
    """`[n]`: n-grams that the two share; Jaccard is `shared / union`."""
    union: NDArray[np.int64]
    """`[n]`: n-grams that either has, at least 1."""
    melody: NDArray[np.int64]
    """`[n]`: which indexed melody, the first of several; -1 if none shares an n-gram."""
    reached: NDArray[np.bool_]
    """`[m]`: whether an indexed melody is near to any of those asked about, nearest or not."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NearIndex:
    """An index of m melodies."""

    tables: NearTables

    @staticmethod
    def build(intervals: NDArray[np.uint8], offsets: NDArray[np.int64]) -> "NearIndex":
        """Index melodies in flat arrays, as `melody_batch` gives them."""
        ngrams, ngram_offsets = all_ngrams(intervals, offsets)
        sizes = np.diff(ngram_offsets)
        distinct, numbers, counts = np.unique(ngrams, return_inverse=True, return_counts=True)
        places = 1 << (2 * len(distinct)).bit_length()
        table_ngrams, table_numbers = np.zeros(places, np.uint64), np.empty(places, np.int64)
        fill_table(distinct, table_ngrams, table_numbers)
        holders = np.repeat(np.arange(len(sizes)), sizes)
        return NearIndex(
            tables=NearTables(
                table_ngrams=table_ngrams,
                table_numbers=table_numbers,
                holder_offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                holders=holders[np.argsort(numbers, kind="stable")],
                sizes=sizes,
            )
        )

    def near(self, intervals: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return `[n]` for every melody whether any indexed one is near to it."""
        return find_near(intervals, offsets, self.tables)

    def nearest(self, intervals: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Nearest:
        """Return the nearest indexed melody of every melody."""
        return Nearest(*find_nearest(intervals, offsets, self.tables))
