"""Near-duplicate clusters of tunes, so that no tune has its variant on the other side of the split.

Two tunes are near-duplicates if the sets of their melodies' interval n-grams overlap by half or
more (Jaccard >= 1/2). Intervals instead of pitches make this blind to transposition. A cluster is
what near-duplicates connect, directly or through others. Every pair that can be near is found and
compared exactly; nothing is estimated.

It says nothing of rhythm: two tunes with the same pitches in another metre are variants here.
Melodies come as `simulators.music.midi.note_batches.melody_batch` gives them: the interval bytes of
all tunes in a row, and offsets.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.cluster_kernel import join_near, sort_sets
from pipelines.ngram_kernel import all_ngrams


def cluster_ids(
    intervals: NDArray[np.uint8], offsets: NDArray[np.int64], hashes: Sequence[str]
) -> list[str]:
    """Return the cluster of each melody.

    A cluster is named by the smallest of its members' `hashes`, so the names do not depend on the
    order in which the tunes come.

    Raises:
        ValueError: not as many hashes as melodies.
    """
    if len(offsets) - 1 != len(hashes):
        raise ValueError(f"{len(offsets) - 1} melodies, but {len(hashes)} hashes")
    ngrams, ngram_offsets = all_ngrams(intervals, offsets)
    ranks, num_ranks = _ranks_by_rarity(ngrams)
    set_hashes = sort_sets(ranks, ngram_offsets)
    order = np.lexsort((set_hashes, np.diff(ngram_offsets)))
    leaders = join_near(ranks, ngram_offsets, order, num_ranks).tolist()
    names: dict[int, str] = {}
    for leader, name in zip(leaders, hashes, strict=True):
        names[leader] = min(names.get(leader, name), name)
    return [names[leader] for leader in leaders]


def _ranks_by_rarity(ngrams: NDArray[np.uint64]) -> tuple[NDArray[np.int64], int]:
    """Return a number for every n-gram, lower for rarer ones, and how many numbers there are."""
    _, numbers, counts = np.unique(ngrams, return_inverse=True, return_counts=True)
    ranks = np.empty(len(counts), np.int64)
    ranks[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    return ranks[numbers], len(counts)
