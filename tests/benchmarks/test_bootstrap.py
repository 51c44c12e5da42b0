"""Standard errors against formulas that are known, and their repeatability."""

import math

import numpy as np
import pytest

from benchmarks.bootstrap import Bootstrap, GroupResamples
from benchmarks.metrics import ratio


def errors(values: list[float], groups: list[str], resamples: int = 4000) -> float:
    found = GroupResamples(groups, resamples, 0).stderr(
        np.array(values, np.float64), np.ones(len(values))
    )
    assert found is not None
    return found


def test_the_error_of_a_mean_is_the_standard_deviation_over_root_n() -> None:
    values = [float(i * i % 17) for i in range(200)]
    expected = float(np.std(values)) / math.sqrt(200)
    assert errors(values, [str(i) for i in range(200)]) == pytest.approx(expected, rel=0.05)


def test_groups_are_drawn_not_samples() -> None:
    # 50 groups of 4 equal samples know as much as 50 samples.
    values = [float(i // 4 % 7) for i in range(200)]
    expected = float(np.std(values)) / math.sqrt(50)
    assert errors(values, [str(i // 4) for i in range(200)]) == pytest.approx(expected, rel=0.05)


def test_a_constant_has_no_error_and_one_group_has_none_to_tell() -> None:
    assert errors([3.0] * 10, list("abcdefghij")) == pytest.approx(0.0, abs=1e-12)
    assert GroupResamples(["a", "a"], 100, 0).stderr(np.ones(2), np.ones(2)) is None


def test_the_draws_are_frozen() -> None:
    # Golden: a change of the draws is a change of every published error.
    values = [float(i) for i in range(20)]
    assert errors(values, [str(i) for i in range(20)], 1000) == pytest.approx(GOLDEN, rel=1e-12)


def test_the_order_of_samples_moves_nothing() -> None:
    rows = [(i, float(i % 5), float(1 + i % 3)) for i in range(30)]
    groups = [f"g{i // 2}" for i in range(30)]
    backwards = [(29 - i, top, below) for i, top, below in reversed(rows)]
    one, two = ratio(rows), ratio(backwards)
    assert one is not None
    assert two is not None
    assert one.value == two.value
    assert Bootstrap(groups, resamples=300, seed=1).stderr(one) == pytest.approx(
        Bootstrap(groups[::-1], resamples=300, seed=1).stderr(two), rel=1e-12
    )


def test_a_ratio_of_few_samples_uses_their_groups_only() -> None:
    groups = ["a"] * 5 + ["b", "c"]
    found = ratio([(5, 1.0, 1.0), (6, 0.0, 1.0)])
    assert found is not None
    assert Bootstrap(groups, resamples=2000, seed=0).stderr(found) == pytest.approx(
        math.sqrt(0.125), rel=0.05
    )


GOLDEN = 1.2367069313438952
