"""The metrics: from answers to sums over samples. Pure numpy; no torch, no files, no randomness.

Every metric is a sum over samples divided by another sum over samples, kept apart by sample as a
`Ratio`, so that a bootstrap can draw groups again. All of the test set counts, never only what
stands before the first error; in free running, missing and surplus bytes count as wrong. Docs:
docs/benchmark.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

UNITS: Final[dict[str, str]] = {
    "teacher_forced_bits_per_byte": "bits/byte",
    "teacher_forced_bits_per_byte_shuffled_source": "bits/byte",
    "shuffled_source_cost": "bits/byte",
    "teacher_forced_byte_accuracy": "fraction",
    "teacher_forced_state_accuracy": "fraction",
    "teacher_forced_trace_accuracy": "fraction",
    "free_running_byte_accuracy": "fraction",
    "free_running_state_accuracy": "fraction",
    "free_running_trace_accuracy": "fraction",
    "free_running_file_accuracy": "fraction",
    "free_running_file_accuracy_true_lengths": "fraction",
    "free_running_valid_file_share": "fraction",
    "free_running_note_f1": "fraction",
    "free_running_key_accuracy": "fraction",
    "free_running_metre_accuracy": "fraction",
    "free_running_bar_accuracy": "fraction",
    "free_running_full_bar_share": "fraction",
    "free_running_edit_similarity": "fraction",
}
"""Every metric of the benchmark and its unit, in the order of a report."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a submission says about one item; `None` where it cannot say it."""

    teacher_forced_nats: float | None = None
    teacher_forced_predicted: NDArray[np.uint16] | None = None
    """`[n]` likeliest token at each target byte."""
    teacher_forced_byte_nats: NDArray[np.float32] | None = None
    """`[n]` -log p of each target byte."""
    free_running: bytes | None = None
    shuffled_nats: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """A metric by sample; its value is the sum of numerators over the sum of denominators."""

    rows: NDArray[np.int64]
    """`[n]` numbers of the samples that count."""
    numerators: NDArray[np.float64]
    """`[n]`."""
    denominators: NDArray[np.float64]
    """`[n]`."""

    def __len__(self) -> int:
        """Return the number of samples that count."""
        return len(self.rows)

    @property
    def value(self) -> float | None:
        """Return the metric's value, `None` where there is nothing to divide by.

        Sums are exact (`math.fsum`), so no order of samples moves the last digit.
        """
        below = math.fsum(self.denominators.tolist())
        return math.fsum(self.numerators.tolist()) / below if below > 0 else None


def ratio(parts: Sequence[tuple[int, float, float]]) -> Ratio | None:
    """Make a `Ratio` of (sample number, numerator, denominator); `None` of no parts.

    >>> ratio([(0, 1, 2), (4, 2, 2)]).value
    0.75
    """
    if not parts:
        return None
    return Ratio(
        rows=np.array([row for row, _, _ in parts], np.int64),
        numerators=np.array([top for _, top, _ in parts], np.float64),
        denominators=np.array([below for _, _, below in parts], np.float64),
    )


def bits(nats: float) -> float:
    """Return nats as bits."""
    return nats / math.log(2)


def units_right_forced(
    predicted: NDArray[np.uint16], target: bytes, unit_bytes: int
) -> NDArray[np.bool_]:
    """Return for every unit of `unit_bytes` of the target whether all its bytes were predicted.

    The last unit may be shorter.

    >>> units_right_forced(np.array([1, 2, 9], np.uint16), bytes([1, 2, 3]), 2).tolist()
    [True, False]
    """
    right = predicted == np.frombuffer(target, np.uint8)
    return np.logical_and.reduceat(right, np.arange(0, len(target), unit_bytes))


def units_right_written(written: bytes, target: bytes, unit_bytes: int) -> tuple[int, int]:
    """Return (units that stand right at their place, units of the longer of the two).

    >>> units_right_written(b"abXdefgh", b"abcdef", 1), units_right_written(b"abXdef", b"abcdef", 2)
    ((5, 8), (2, 3))
    """
    longer = max(len(written), len(target))
    starts = np.arange(0, longer, unit_bytes)
    padded = np.full((2, longer), 256, np.uint16)
    padded[0, : len(written)] = np.frombuffer(written, np.uint8)
    padded[1, : len(target)] = np.frombuffer(target, np.uint8)
    right = np.logical_and.reduceat(padded[0] == padded[1], starts) if longer else starts
    return int(right.sum()), len(starts)


def first_different_byte(one: bytes, other: bytes) -> int | None:
    """Return the offset at which two files part, the end of the shorter included, or `None`.

    >>> first_different_byte(b"abc", b"abd"), first_different_byte(b"ab", b"abc")
    (2, 2)
    """
    shortest = min(len(one), len(other))
    for offset in range(shortest):
        if one[offset] != other[offset]:
            return offset
    return None if len(one) == len(other) else shortest


def forced_bits_per_byte(answers: Sequence[Answer], targets: Sequence[bytes]) -> Ratio | None:
    """Bits for the target's bytes and the first `EOP` after them, by target byte."""
    return ratio(
        [
            (i, bits(answer.teacher_forced_nats), len(target))
            for i, (answer, target) in enumerate(zip(answers, targets, strict=True))
            if answer.teacher_forced_nats is not None
        ]
    )


def shuffled_bits_per_byte(answers: Sequence[Answer], targets: Sequence[bytes]) -> Ratio | None:
    """The same bits with another sample's source."""
    return ratio(
        [
            (i, bits(answer.shuffled_nats), len(target))
            for i, (answer, target) in enumerate(zip(answers, targets, strict=True))
            if answer.shuffled_nats is not None
        ]
    )


def shuffled_cost(answers: Sequence[Answer], targets: Sequence[bytes]) -> Ratio | None:
    """What another sample's source costs more, by target byte, on samples that have both."""
    return ratio(
        [
            (i, bits(answer.shuffled_nats - answer.teacher_forced_nats), len(target))
            for i, (answer, target) in enumerate(zip(answers, targets, strict=True))
            if answer.shuffled_nats is not None and answer.teacher_forced_nats is not None
        ]
    )


def forced_accuracy(
    answers: Sequence[Answer], targets: Sequence[bytes], unit_bytes: int | None
) -> Ratio | None:
    """Share of units predicted whole, the true bytes before given; `None`: whole files."""
    parts: list[tuple[int, float, float]] = []
    for i, (answer, target) in enumerate(zip(answers, targets, strict=True)):
        if answer.teacher_forced_predicted is not None:
            right = units_right_forced(
                answer.teacher_forced_predicted, target, unit_bytes or len(target)
            )
            parts.append((i, float(right.sum()), float(len(right))))
    return ratio(parts)


def written_accuracy(
    answers: Sequence[Answer], targets: Sequence[bytes], unit_bytes: int
) -> Ratio | None:
    """Share of units written right at their place; surplus and missing units count as wrong."""
    parts: list[tuple[int, float, float]] = []
    for i, (answer, target) in enumerate(zip(answers, targets, strict=True)):
        if answer.free_running is not None:
            right, units = units_right_written(answer.free_running, target, unit_bytes)
            parts.append((i, float(right), float(units)))
    return ratio(parts)


def written_exactly(answers: Sequence[Answer], targets: Sequence[bytes]) -> Ratio | None:
    """Share of files written right from the first byte to the end, at the right length."""
    return ratio(
        [
            (i, float(answer.free_running == target), 1.0)
            for i, (answer, target) in enumerate(zip(answers, targets, strict=True))
            if answer.free_running is not None
        ]
    )
