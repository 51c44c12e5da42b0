"""Mixed corpora come in their shares, and each whole before it comes again."""

import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from counting import pairs, view

from bgpt.data import BatchStream, DrawnSample
from bgpt.mixture import BLOCK, Mixture, counts
from bgpt.patching import TooLong


def mixture(weights: dict[str, float]) -> Mixture:
    views = {"one": view(50), "three": view(20, step=3), "pairs": pairs(30)}
    return Mixture({name: views[name] for name in weights}, weights)


def drawn(mixed: Mixture, stop: int, seed: int = 0) -> list[DrawnSample]:
    return mixed.drawn(np.arange(stop), seed)


def test_every_block_holds_each_corpus_by_its_weight() -> None:
    mixed = mixture({"one": 2, "three": 1, "pairs": 1})
    samples = drawn(mixed, 3 * BLOCK)
    for first in range(0, 3 * BLOCK, BLOCK):
        found = Counter(sample.corpus for sample in samples[first : first + BLOCK])
        assert found == {"one": 500, "three": 250, "pairs": 250}
    # Within a block they are mixed, not in runs.
    changes = sum(a.corpus != b.corpus for a, b in pairwise(samples))
    assert changes > len(samples) / 2


def test_each_corpus_comes_whole_before_it_comes_again() -> None:
    samples = drawn(mixture({"one": 3, "three": 1}), 2 * BLOCK)
    for name, size in (("one", 50), ("three", 20)):
        keys = [sample.key for sample in samples if sample.corpus == name]
        assert len(keys) > 10 * size
        for first in range(0, len(keys) - size, size):
            assert len(set(keys[first : first + size])) == size
        assert keys[:size] != keys[size : 2 * size]


@settings(max_examples=25, deadline=None)
@given(positions=st.lists(st.integers(0, 3000), min_size=1, max_size=20), seed=st.integers(0, 3))
def test_a_position_holds_the_same_sample_in_whatever_order_it_is_asked_for(
    positions: list[int], seed: int
) -> None:
    mixed = mixture({"one": 1.5, "pairs": 1})
    alone = [mixed.drawn(np.array([p]), seed)[0] for p in positions]
    assert mixed.drawn(np.array(positions), seed) == alone


def test_batches_of_a_mixture_hold_all_corpora_and_depend_on_the_seed() -> None:
    def keys(seed: int) -> list[list[str]]:
        stream = BatchStream(
            mixture({"one": 1, "three": 1}), batch_size=16, window_batches=1, seed=seed
        )
        return [[sample.key for sample in stream.batch(i)] for i in range(4)]

    assert keys(0) == keys(0) != keys(1)
    assert all(len({key.split("-")[0] for key in batch}) == 2 for batch in keys(0))


@settings(max_examples=60, deadline=None)
@given(weights=st.lists(st.floats(0.05, 20), min_size=1, max_size=6))
def test_shares_sum_to_a_block_and_are_right_to_one_sample(weights: list[float]) -> None:
    named = {str(i): weight for i, weight in enumerate(weights)}
    shares = counts(named)
    assert sum(shares.values()) == BLOCK
    for name, share in shares.items():
        assert abs(share - BLOCK * named[name] / sum(weights)) < 1


def test_weights_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="the weight of corpus 'b' must be above 0, not -1"):
        counts({"a": 1, "b": -1})
    with pytest.raises(ValueError, match=r"'b', 1 of 10001, is less than one sample in 1000"):
        counts({"a": 10_000, "b": 1})


def test_a_sample_that_is_too_long_is_named_by_its_corpus_view() -> None:
    with pytest.raises(TooLong, match=r"more than the 4 patches .*count3-\d+, takes"):
        mixture({"three": 1}).check_lengths(4)
