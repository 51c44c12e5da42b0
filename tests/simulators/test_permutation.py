"""The order of samples is one to one, computed from its key alone, and frozen by golden values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.permutation import Permutation, derived_seed, hashed


@settings(max_examples=150, deadline=None)
@given(num_items=st.integers(1, 5000), seed=st.integers(0, 2**63), epoch=st.integers(0, 2**40))
def test_every_item_comes_exactly_once_whatever_the_number_of_items(
    num_items: int, seed: int, epoch: int
) -> None:
    order = Permutation(num_items, seed, epoch)(np.arange(num_items))
    assert np.array_equal(np.sort(order), np.arange(num_items))


def test_every_small_number_of_items_is_covered() -> None:
    for num_items in range(1, 70):
        order = Permutation(num_items, 1, 2)(np.arange(num_items))
        assert np.array_equal(np.sort(order), np.arange(num_items))


@settings(max_examples=50, deadline=None)
@given(
    num_items=st.integers(1, 10**12),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    seed=st.integers(0, 100),
)
def test_the_order_does_not_depend_on_how_positions_are_split_between_callers(
    num_items: int, cuts: list[int], seed: int
) -> None:
    positions = np.arange(min(num_items, 200))
    whole = Permutation(num_items, seed, 0)(positions)
    parts = np.split(positions, sorted(min(cut, len(positions)) for cut in cuts))
    pieces = [Permutation(num_items, seed, 0)(part) for part in parts]
    assert np.array_equal(np.concatenate(pieces), whole)
    one_by_one = [
        int(Permutation(num_items, seed, 0)(positions[i : i + 1])[0]) for i in positions[:3]
    ]
    assert one_by_one == whole[:3].tolist()


def test_the_values_are_the_same_on_every_machine_and_version() -> None:
    assert derived_seed(0, "order", 1) == 7167907109325818258
    assert Permutation(10, 0, "epoch", 0)(np.arange(10)).tolist() == [6, 5, 8, 4, 3, 9, 2, 0, 7, 1]
    assert Permutation(10**9, 7)(np.arange(4)).tolist() == [
        356618259,
        96385583,
        174479434,
        56971071,
    ]
    assert hashed(np.arange(2), 3, "x").tolist() == [3615561058155496066, 3559369533242080518]


def test_another_seed_or_epoch_gives_another_order_and_no_item_stays_near_its_place() -> None:
    positions = np.arange(10_000)
    orders = [Permutation(10_000, seed, epoch)(positions) for seed in (0, 1) for epoch in (0, 1)]
    for i, first in enumerate(orders):
        assert abs(np.corrcoef(positions, first)[0, 1]) < 0.04
        assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.04
        for second in orders[i + 1 :]:
            assert abs(np.corrcoef(first, second)[0, 1]) < 0.04


def test_small_permutations_come_out_about_equally_often() -> None:
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(1200):
        order = tuple(Permutation(4, seed)(np.arange(4)).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert min(counts.values()) > 20
    assert max(counts.values()) < 100


def test_a_shape_of_positions_is_kept() -> None:
    order = Permutation(12, 5)
    assert np.array_equal(order(np.arange(12).reshape(3, 4)).ravel(), order(np.arange(12)))


@pytest.mark.parametrize("num_items", [0, -1, 2**62 + 1])
def test_a_number_of_items_out_of_range_is_refused(num_items: int) -> None:
    with pytest.raises(ValueError, match=r"needs 1\.\.2\^62 items"):
        Permutation(num_items, 0)


def test_a_position_out_of_range_is_refused() -> None:
    with pytest.raises(IndexError, match=r"outside 0\.\.3"):
        Permutation(4, 0)(np.array([0, 4]))
