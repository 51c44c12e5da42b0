"""Every metric against a plain count in Python, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.metrics import (
    Answer,
    Ratio,
    forced_accuracy,
    forced_bits_per_byte,
    ratio,
    shuffled_bits_per_byte,
    shuffled_cost,
    units_right_forced,
    units_right_written,
    written_accuracy,
    written_exactly,
)

SHORT = st.binary(max_size=40).map(lambda data: bytes(byte % 3 for byte in data))


def value(found: Ratio | None) -> float:
    assert found is not None
    assert found.value is not None
    return found.value


@given(SHORT, SHORT, st.sampled_from([1, 2, 16]))
def test_written_units_are_counted_as_a_plain_loop_counts_them(
    written: bytes, target: bytes, unit: int
) -> None:
    longer = max(len(written), len(target))
    starts = range(0, longer, unit)
    right = 0
    for start in starts:
        places = range(start, min(start + unit, longer))
        right += all(written[i : i + 1] == target[i : i + 1] != b"" for i in places)
    assert units_right_written(written, target, unit) == (right, len(starts))


@given(st.binary(min_size=1, max_size=40), st.sampled_from([1, 16]), st.data())
def test_forced_units_are_right_only_if_all_their_bytes_are(
    target: bytes, unit: int, data: st.DataObject
) -> None:
    wrong = data.draw(st.sets(st.integers(0, len(target) - 1)))
    predicted = np.array([256 if i in wrong else b for i, b in enumerate(target)], np.uint16)
    expected = [
        not any(i in wrong for i in range(start, min(start + unit, len(target))))
        for start in range(0, len(target), unit)
    ]
    assert units_right_forced(predicted, target, unit).tolist() == expected


def test_missing_and_surplus_bytes_count_as_wrong() -> None:
    answers = [Answer(free_running=b"abcd"), Answer(free_running=b"ab"), Answer(free_running=b"")]
    targets = [b"ab", b"abcd", b"ab"]
    assert value(written_accuracy(answers, targets, 1)) == (2 + 2 + 0) / (4 + 4 + 2)
    assert value(written_exactly(answers, targets)) == 0


def test_bits_per_byte_is_all_bits_over_all_bytes_not_a_mean_of_files() -> None:
    answers = [Answer(teacher_forced_nats=math.log(2) * 8), Answer(teacher_forced_nats=0.0)]
    assert value(forced_bits_per_byte(answers, [b"a", b"abc"])) == pytest.approx(2.0, rel=1e-15)


def test_shuffled_cost_is_paired_and_leaves_out_what_has_no_control() -> None:
    bit = math.log(2)
    answers = [
        Answer(teacher_forced_nats=2 * bit, shuffled_nats=6 * bit),
        Answer(teacher_forced_nats=1000 * bit, shuffled_nats=None),
    ]
    targets = [b"ab", b"abcd"]
    assert value(shuffled_cost(answers, targets)) == pytest.approx(2.0)
    assert value(shuffled_bits_per_byte(answers, targets)) == pytest.approx(3.0)
    found = shuffled_cost(answers, targets)
    assert found is not None
    assert found.rows.tolist() == [0]


def test_a_whole_trace_needs_every_byte() -> None:
    predicted = np.array([1, 2, 3], np.uint16)
    answers = [
        Answer(teacher_forced_predicted=predicted),
        Answer(teacher_forced_predicted=predicted),
    ]
    assert value(forced_accuracy(answers, [b"\1\2\3", b"\1\2\4"], None)) == 0.5


def test_what_nobody_answered_has_no_value() -> None:
    assert forced_bits_per_byte([Answer()], [b"a"]) is None
    assert written_exactly([Answer()], [b"a"]) is None
    assert ratio([]) is None
