# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportAttributeAccessIssue=false
"""Near-duplicate clusters of tunes, so that no tune has its variant on the other side of the split.

Two tunes are near-duplicates if the sets of their melodies' interval n-grams overlap by half or
more (Jaccard >= 1/2). Intervals instead of pitches make this blind to transposition. A cluster is
what near-duplicates connect, directly or through others. Candidates come from MinHash with banding
(rensa); each is then judged exactly, so a cluster never rests on an estimate.

It says nothing of rhythm: two tunes with the same pitches in another metre are variants here.
"""

from collections.abc import Sequence
from itertools import pairwise

import rensa

from simulators.music.midi import Note

NGRAM_INTERVALS = 5
"""Intervals in an n-gram, so six notes. On the real tunes 4 / 5 / 6 / 8 put 2,179 / 1,938 / 1,736 /
1,462 of 12,312 into clusters of two and more; 5 still tells unrelated short songs apart."""

# 128 bands of 3 rows miss a pair of Jaccard 1/2 with probability (1 - 1/8)^128 = 4e-8: on the real
# tunes none of 1,186 pairs. 32 bands of 4 rows, the usual choice, missed 22.
_NUM_PERMUTATIONS = 384
_NUM_BANDS = 128
_MINHASH_SEED = 42


def melody_intervals(notes: Sequence[Note]) -> bytes:
    """Return the steps between successive melody notes, one byte each: semitones + 128.

    The melody is the highest note of each start on the lowest channel used (the converter puts
    accompaniment on higher ones).
    """
    channel = min((note.channel for note in notes), default=0)
    highest: dict[int, int] = {}
    for note in notes:
        if note.channel == channel and highest.get(note.start_tick, -1) < note.pitch:
            highest[note.start_tick] = note.pitch
    pitches = [highest[start] for start in sorted(highest)]
    return bytes(after - before + 128 for before, after in pairwise(pitches))


def interval_ngrams(intervals: bytes) -> frozenset[bytes]:
    """Return the set of n-grams; a melody too short for one is its own only n-gram."""
    size = NGRAM_INTERVALS
    if len(intervals) <= size:
        return frozenset([intervals])
    return frozenset(intervals[at : at + size] for at in range(len(intervals) - size + 1))


def is_near_duplicate(one: frozenset[bytes], other: frozenset[bytes]) -> bool:
    """Return whether the Jaccard similarity of two sets is at least one half."""
    shared = len(one & other)
    return 2 * shared >= len(one) + len(other) - shared


def candidate_pairs(ngrams: Sequence[frozenset[bytes]]) -> list[tuple[int, int]]:
    """Return pairs `(i, j)`, i < j, that may be near-duplicates, sorted."""
    if not ngrams:
        return []
    sketches = rensa.RMinHash.from_token_sets(
        [sorted(grams) for grams in ngrams], _NUM_PERMUTATIONS, _MINHASH_SEED
    )
    index = rensa.RMinHashLSH(0.5, _NUM_PERMUTATIONS, _NUM_BANDS)
    index.insert_many(sketches)
    found: list[list[int]] = index.query_all(sketches)
    return sorted({(i, j) for i, others in enumerate(found) for j in others if i < j})


def cluster_ids(melodies: Sequence[bytes], hashes: Sequence[str]) -> list[str]:
    """Return the cluster of each melody (as `melody_intervals` gives it).

    A cluster is named by the smallest of its members' `hashes`, so the names do not depend on the
    order in which the tunes come.

    Raises:
        ValueError: not as many hashes as melodies.
    """
    if len(melodies) != len(hashes):
        raise ValueError(f"{len(melodies)} melodies, but {len(hashes)} hashes")
    ngrams = [interval_ngrams(melody) for melody in melodies]
    leaders = list(range(len(ngrams)))
    for i, j in candidate_pairs(ngrams):
        if is_near_duplicate(ngrams[i], ngrams[j]):
            one, other = _leader(leaders, i), _leader(leaders, j)
            low, high = (one, other) if hashes[one] <= hashes[other] else (other, one)
            leaders[high] = low
    return [hashes[_leader(leaders, number)] for number in range(len(ngrams))]


def _leader(leaders: list[int], number: int) -> int:
    """Return the leader of a cluster, shortening the way to it."""
    while leaders[number] != number:
        leaders[number] = leaders[leaders[number]]
        number = leaders[number]
    return number
