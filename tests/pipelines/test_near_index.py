"""The index of melodies: every similarity exact, against all pairs in plain words."""

import copy
import random
import time
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.near_index import NearIndex
from tests.pipelines.near_oracle import flat, interval_ngrams, jaccard
from tests.pipelines.test_dedup import real_melodies


def assert_exact(indexed: Sequence[bytes], asked: Sequence[bytes]) -> tuple[int, int]:
    """Hold an index to all pairs.

    Returns:
        How many of those asked about are near, and how many are not.
    """
    index = NearIndex.build(*flat(indexed))
    near = index.near(*flat(asked))
    found = index.nearest(*flat(asked))
    sets = [interval_ngrams(melody) for melody in indexed]
    reached = [False] * len(indexed)
    for number, melody in enumerate(asked):
        grams = interval_ngrams(melody)
        pairs = [jaccard(grams, other) for other in sets]
        for i, (shared, union) in enumerate(pairs):
            reached[i] |= 2 * shared >= union
        best = max(
            range(len(sets)), key=lambda i: (pairs[i][0] / pairs[i][1], -i), default=-1
        )  # fmt: skip
        if best >= 0 and not pairs[best][0]:
            best = -1
        shared, union = pairs[best] if best >= 0 else (0, len(grams))
        assert (found.shared[number], found.union[number]) == (shared, union)
        assert found.melody[number] == best
        assert near[number] == (2 * shared >= union)
    assert found.reached.tolist() == reached
    return int(near.sum()), int((~near).sum())


_MELODIES = st.lists(
    st.lists(st.sampled_from([127, 128, 129]), max_size=14).map(bytes), max_size=10
)


def test_any_melodies_are_compared_exactly() -> None:
    seen = np.zeros(2, np.int64)

    @settings(max_examples=300, deadline=None)
    @given(_MELODIES, _MELODIES)
    def check(indexed: list[bytes], asked: list[bytes]) -> None:
        seen[:] += assert_exact(indexed, asked)

    check()
    near, far = seen
    assert near > 50
    assert far > 50


def test_real_tunes_are_compared_exactly() -> None:
    melodies = real_melodies()
    random.Random(3).shuffle(melodies)
    near, far = assert_exact(melodies[:150], melodies[150:])
    assert near > 20
    assert far > 100


def test_an_empty_index_is_near_to_nothing() -> None:
    assert assert_exact([], [b"", b"abcdefgh"]) == (0, 2)
    assert assert_exact([b"abcdefgh"], []) == (0, 0)


def test_an_index_is_small_and_plain_and_quick() -> None:
    melodies = real_melodies()
    index = NearIndex.build(*flat(melodies))
    assert sum(array.nbytes for array in index.tables) < 200 * sum(map(len, melodies))
    again = copy.deepcopy(index)
    asked = flat(melodies * 20)
    before = time.process_time()
    assert again.near(*asked).all()
    # 7 us a tune on one core; a hundred times as long would be a fault.
    assert time.process_time() - before < 700e-6 * len(melodies) * 20
