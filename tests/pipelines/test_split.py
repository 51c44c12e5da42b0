from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.split import side_of_group

GOLDEN = [("a", "train"), ("b", "test"), ("cluster-0", "train"), ("", "train"), ("é", "train")]


@pytest.mark.parametrize(("group", "side"), GOLDEN)
def test_a_group_stands_on_the_side_where_it_always_stood(group: str, side: str) -> None:
    assert side_of_group(group) == side


def test_a_tenth_of_all_groups_is_test() -> None:
    tests = sum(side_of_group(str(i)) == "test" for i in range(20_000))
    assert 1_850 < tests < 2_150


@given(st.binary(), st.fractions(0, 1), st.fractions(0, 1))
def test_a_larger_test_fraction_only_adds_groups(group: bytes, a: Fraction, b: Fraction) -> None:
    if side_of_group(group, min(a, b)) == "test":
        assert side_of_group(group, max(a, b)) == "test"


@given(st.text())
def test_text_is_hashed_as_utf8(group: str) -> None:
    assert side_of_group(group) == side_of_group(group.encode())


def test_fractions_zero_and_one_put_everything_on_one_side() -> None:
    assert {side_of_group(str(i), Fraction(0)) for i in range(99)} == {"train"}
    assert {side_of_group(str(i), Fraction(1)) for i in range(99)} == {"test"}


def test_a_fraction_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="test_fraction 3/2 is not within"):
        side_of_group("a", Fraction(3, 2))
