"""Sums by part: how many units and bytes are right, what they cost, where writing first goes wrong.

One pass over items and answers gives every dimension's parts; reports, explanations and the page
all read these. Sums are kept by sample, so that a bootstrap can draw groups again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.explaining.dimension import GENERIC, Dimension, Parts, generic_parts
from benchmarks.metrics import Answer, Ratio, bits, first_different_byte
from benchmarks.task import Item, Task

_UNITS, _WHOLE, _BYTES, _RIGHT, _NATS = range(5)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartSums:
    """What was answered on one part of the files, e.g. on the states after an ADD."""

    name: str
    units: int
    """How many states, or registers of a state, belong to it."""
    num_bytes: int
    accuracy: Ratio
    """Share of units of which every byte is predicted; of nothing where nothing is predicted."""
    byte_accuracy: Ratio
    bits: float | None
    """What its bytes cost; `None` where that is not known by byte."""
    first_wrong: int
    """Written files whose first wrong byte stands here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sums:
    """One part's sums by sample: units, units right, bytes, bytes right, nats."""

    by_row: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    first_wrong: list[int] = field(default_factory=list)
    """Samples of which the first wrong byte that was written stands here."""


def dimensions_of(task: Task) -> tuple[Dimension, ...]:
    """Return what errors of a task are told apart by."""
    return task.spec.dimensions or GENERIC


def dissect(task: Task, item: Item) -> Mapping[str, Parts]:
    """Cut an item's target along all dimensions of its task, or along the generic ones."""
    return task.dissect(item) if task.spec.dimensions else generic_parts(item.continuation.target)


def tally(
    task: Task,
    items: Sequence[Item],
    answers: Sequence[Answer],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Mapping[str, list[PartSums]]:
    """Return for every dimension of the task its parts, in the order in which they are met.

    Empty where nothing was predicted and nothing written. `progress` is told (items done, items in
    all).
    """
    sums: dict[str, dict[str, _Sums]] = {one.name: {} for one in dimensions_of(task)}
    knows_bits = any(answer.teacher_forced_byte_nats is not None for answer in answers)
    for row, (item, answer) in enumerate(zip(items, answers, strict=True)):
        progress(row, len(items))
        if answer.teacher_forced_predicted is None and answer.free_running is None:
            continue
        target = item.continuation.target
        right = forced_right(answer, target)
        written = answer.free_running
        wrong = None if written is None else first_different_byte(target, written)
        for name, parts in dissect(task, item).items():
            _add(sums[name], row, parts, right, answer.teacher_forced_byte_nats, len(target))
            part = None if wrong is None or wrong >= len(target) else parts.at(wrong)
            if part is not None:
                sums[name][part].first_wrong.append(row)
    return {
        name: [_part(part, found, knows_bits) for part, found in parts.items()]
        for name, parts in sums.items()
        if parts
    }


def forced_right(answer: Answer, target: bytes) -> NDArray[np.bool_] | None:
    """Return for every byte of the target whether it was predicted, the true bytes given."""
    predicted = answer.teacher_forced_predicted
    return None if predicted is None else predicted == np.frombuffer(target, np.uint8)


def _add(
    sums: dict[str, _Sums],
    row: int,
    parts: Parts,
    right: NDArray[np.bool_] | None,
    nats: NDArray[np.float32] | None,
    num_bytes: int,
) -> None:
    """Add one file's units to the sums of their parts."""
    numbers: dict[str | None, int] = {}
    of_unit = [numbers.setdefault(name, len(numbers)) for name in parts.names]
    table = np.zeros((len(numbers), 5))
    table[:, _UNITS] = np.bincount(of_unit, minlength=len(numbers))
    sizes = np.diff(parts.starts, append=num_bytes)
    table[:, _BYTES] = np.bincount(of_unit, sizes, len(numbers))
    if right is not None:
        num_right = np.add.reduceat(right.astype(np.int64), parts.starts)
        table[:, _WHOLE] = np.bincount(of_unit, num_right == sizes, len(numbers))
        table[:, _RIGHT] = np.bincount(of_unit, num_right, len(numbers))
    if nats is not None:
        paid = np.add.reduceat(nats.astype(np.float64), parts.starts)
        table[:, _NATS] = np.bincount(of_unit, paid, len(numbers))
    for name, number in numbers.items():
        if name is not None:
            found = sums.setdefault(name, _Sums())
            found.by_row[row] = table[number]
            if right is None:
                found.by_row[row][[_WHOLE, _RIGHT]] = np.nan


def _part(name: str, sums: _Sums, knows_bits: bool) -> PartSums:
    rows = np.array(sorted(sums.by_row), np.int64)
    units, whole, num_bytes, right, nats = np.array([sums.by_row[row] for row in rows.tolist()]).T
    known = ~np.isnan(whole)
    return PartSums(
        name=name,
        units=int(units.sum()),
        num_bytes=int(num_bytes.sum()),
        accuracy=Ratio(rows=rows[known], numerators=whole[known], denominators=units[known]),
        byte_accuracy=Ratio(
            rows=rows[known], numerators=right[known], denominators=num_bytes[known]
        ),
        bits=bits(float(nats.sum())) if knows_bits else None,
        first_wrong=len(sums.first_wrong),
    )
