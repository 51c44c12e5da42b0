"""Near-duplicates in plain words: sets of n-grams, all pairs, a component by spreading names."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

SIZE = 5


def flat(melodies: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return melodies as `melody_batch` gives them."""
    offsets = np.cumsum([0, *map(len, melodies)]).astype(np.int64)
    return np.frombuffer(b"".join(melodies), np.uint8), offsets


def interval_ngrams(intervals: bytes) -> frozenset[bytes]:
    """Return the set of n-grams; a melody too short for one is its own only n-gram."""
    if len(intervals) <= SIZE:
        return frozenset([intervals])
    return frozenset(intervals[at : at + SIZE] for at in range(len(intervals) - SIZE + 1))


def jaccard(one: frozenset[bytes], other: frozenset[bytes]) -> tuple[int, int]:
    """Return what two sets share, and their union."""
    return len(one & other), len(one | other)


def near_pairs(ngrams: Sequence[frozenset[bytes]]) -> set[tuple[int, int]]:
    """Return every pair `(i, j)`, i < j, of Jaccard >= 1/2, of all that share an n-gram."""
    holders: defaultdict[bytes, list[int]] = defaultdict(list)
    for number, grams in enumerate(ngrams):
        for gram in grams:
            holders[gram].append(number)
    pairs = {pair for held in holders.values() for pair in combinations(held, 2)}
    judged = {(i, j): jaccard(ngrams[i], ngrams[j]) for i, j in pairs}
    return {pair for pair, (shared, union) in judged.items() if 2 * shared >= union}


def clusters(melodies: Sequence[bytes], names: Sequence[str]) -> list[str]:
    """Return the smallest name of each melody's component of the graph of near pairs."""
    spread = list(names)
    edges = near_pairs([interval_ngrams(melody) for melody in melodies])
    changed = True
    while changed:
        changed = False
        for i, j in edges:
            if spread[i] != spread[j]:
                spread[i] = spread[j] = min(spread[i], spread[j])
                changed = True
    return spread
