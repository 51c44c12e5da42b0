"""From items and answers to an explanation: sums by part as counts, and the worst samples.

Pure: no files, no model, no torch. The same predictions give the same explanation, in whatever
order their rows stand.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from benchmarks.bootstrap import Bootstrap
from benchmarks.explaining.dimension import Dimension
from benchmarks.explaining.explanation import (
    SCHEMA_VERSION,
    Explanation,
    ForcedTotals,
    Mode,
    PartCounts,
    PartTable,
    TraceLine,
    WorstSample,
    WrittenTotals,
)
from benchmarks.explaining.tally import PartSums, dimensions_of, dissect, forced_right
from benchmarks.explaining.worst_traces import trace_lines
from benchmarks.metrics import Answer, bits
from benchmarks.report import CorpusRef, SubmissionRef, TaskRef
from benchmarks.task import Item, Task
from benchmarks.tasks.cpu import SimulationTask

WORST: Final = 3
"""Samples of each mode that an explanation beside a report holds."""
_DIGITS: Final = 6


def explain(
    task: Task,
    items: Sequence[Item],
    answers: Sequence[Answer],
    sums: Mapping[str, Sequence[PartSums]],
    bootstrap: Bootstrap,
    *,
    corpus: CorpusRef,
    submission: SubmissionRef,
    worst: int = WORST,
) -> Explanation:
    """Explain answers of which `sums` are the parts (`tally`)."""
    return Explanation(
        schema_version=SCHEMA_VERSION,
        task=TaskRef(name=task.spec.name, version=task.spec.version),
        corpus=corpus,
        submission=submission,
        teacher_forced=_forced_totals(items, answers),
        free_running=_written_totals(items, answers),
        tables=tuple(
            _table(dimension, sums[dimension.name], bootstrap)
            for dimension in dimensions_of(task)
            if sums.get(dimension.name)
        ),
        worst=(
            *_worst(task, items, answers, "teacher_forced", worst),
            *_worst(task, items, answers, "free_running", worst),
        ),
    )


def _table(dimension: Dimension, sums: Sequence[PartSums], bootstrap: Bootstrap) -> PartTable:
    """Return one dimension's parts, the costliest first or in their own order."""
    rows = [_counts(part, bootstrap) for part in sums]
    if dimension.ranked:
        rows.sort(key=lambda row: (-row.wrong_bytes, -row.first_wrong, -row.bytes, row.name))
    else:
        rows.sort(key=lambda row: _in_order(row.name))
    return PartTable(
        name=dimension.name,
        part=dimension.part,
        unit=dimension.unit,
        ranked=dimension.ranked,
        rows=tuple(rows),
    )


def _in_order(name: str) -> tuple[int, str]:
    """Order ranges by their first number; what has none comes last.

    >>> sorted(["never", "16-63", "2", "below 2^8"], key=_in_order)
    ['2', '16-63', 'below 2^8', 'never']
    """
    first = name.split("-")[0].split(" ")[0]
    return (int(first) if first.isdigit() else 1 << 62, _unnamed_order(name))


def _unnamed_order(name: str) -> str:
    """Order `below 2^8` before `below 2^16`."""
    _, _, power = name.partition("2^")
    return f"{int(power):04}" if power.isdigit() else name


def _counts(part: PartSums, bootstrap: Bootstrap) -> PartCounts:
    predicted = len(part.accuracy) > 0
    right_units, right_bytes = (
        int(ratio.numerators.sum()) for ratio in (part.accuracy, part.byte_accuracy)
    )
    stderr = bootstrap.stderr(part.accuracy) if predicted else None
    return PartCounts(
        name=part.name,
        units=part.units,
        wrong_units=part.units - right_units if predicted else 0,
        stderr=None if stderr is None else float(f"{stderr:.{_DIGITS}g}"),
        bytes=part.num_bytes,
        wrong_bytes=part.num_bytes - right_bytes if predicted else 0,
        bits=None if part.bits is None else float(f"{part.bits:.{_DIGITS}g}"),
        first_wrong=part.first_wrong,
    )


def _forced_totals(items: Sequence[Item], answers: Sequence[Answer]) -> ForcedTotals | None:
    num_bytes, num_right = 0, 0
    for item, answer in zip(items, answers, strict=True):
        right = forced_right(answer, item.continuation.target)
        if right is None:
            return None
        num_bytes, num_right = num_bytes + len(right), num_right + int(right.sum())
    nats = [answer.teacher_forced_byte_nats for answer in answers]
    paid = [float(one.sum(dtype=np.float64)) for one in nats if one is not None]
    return ForcedTotals(
        bytes=num_bytes,
        wrong_bytes=num_bytes - num_right,
        bits=float(f"{bits(sum(paid)):.{_DIGITS}g}") if len(paid) == len(nats) else None,
    )


def _written_totals(items: Sequence[Item], answers: Sequence[Answer]) -> WrittenTotals | None:
    pairs = [
        (answer.free_running, item.continuation.target)
        for item, answer in zip(items, answers, strict=True)
        if answer.free_running is not None
    ]
    if not pairs:
        return None
    return WrittenTotals(
        files=len(pairs),
        exact=sum(written == target for written, target in pairs),
        only_too_long=sum(
            len(written) > len(target) and written.startswith(target) for written, target in pairs
        ),
    )


def _worst(
    task: Task, items: Sequence[Item], answers: Sequence[Answer], mode: Mode, count: int
) -> list[WorstSample]:
    """Return the samples with the most wrong bytes; those without any are never among them."""
    found: list[tuple[int, str, int]] = []
    for row, (item, answer) in enumerate(zip(items, answers, strict=True)):
        wrong = _wrong_bytes(item, answer, mode)
        if wrong:
            found.append((-wrong, item.key, row))
    return [_sample(task, items[row], answers[row], mode) for _, _, row in sorted(found)[:count]]


def _wrong_bytes(item: Item, answer: Answer, mode: Mode) -> int:
    """Return how many bytes are wrong, missing and surplus ones included."""
    target = item.continuation.target
    if mode == "teacher_forced":
        right = forced_right(answer, target)
        return 0 if right is None else int((~right).sum())
    written = answer.free_running
    if written is None:
        return 0
    same = min(len(written), len(target))
    one, other = (np.frombuffer(data[:same], np.uint8) for data in (written, target))
    return int((one != other).sum()) + max(len(written), len(target)) - same


def _sample(task: Task, item: Item, answer: Answer, mode: Mode) -> WorstSample:
    target = item.continuation.target
    predicted, written = answer.teacher_forced_predicted, answer.free_running
    if mode == "teacher_forced":
        assert predicted is not None
        answered = predicted.tolist()
    else:
        assert written is not None
        answered = list(written)
    first = next(
        (i for i, (a, b) in enumerate(zip(answered, target, strict=False)) if a != b),
        min(len(answered), len(target)),
    )
    trace: tuple[TraceLine, ...] = ()
    if isinstance(task, SimulationTask) and first < len(target):
        machine = task.machine(item.continuation.prompt)
        trace = trace_lines(machine, item.continuation, answered, first)
    return WorstSample(
        key=item.key,
        mode=mode,
        bytes=max(len(answered), len(target)),
        wrong_bytes=_wrong_bytes(item, answer, mode),
        first_wrong=first,
        true=target[first] if first < len(target) else None,
        answered=answered[first] if first < len(answered) else None,
        place=place_of(task, item, first),
        trace=trace,
    )


def place_of(task: Task, item: Item, offset: int) -> dict[str, str]:
    """Return in which part of each dimension a byte of the target stands; none behind its end."""
    if offset >= len(item.continuation.target):
        return {}
    found = {name: parts.at(offset) for name, parts in dissect(task, item).items()}
    return {name: part for name, part in found.items() if part is not None}
