"""The ablation study: every option at the base's bytes, and once more at the base's CPU time.

The learning rate follows the budget, so a training cannot be cut where its time is up. An option
that takes another CPU time than the base at equal bytes is trained anew with its bytes scaled by
base / own time; the measured seconds of both stand in the result. Bytes bind, so a run can be
repeated anywhere; the ratio is rounded to whole percents for that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.studies.config import BASE, Study
from benchmarks.studies.estimates import Estimate, estimate, paired_difference
from benchmarks.studies.plan import Planner
from benchmarks.studies.run_result import RunResult
from benchmarks.studies.runner import Runner

SAME_TIME: Final = 0.05
"""Up to this share of difference in CPU time, equal bytes count as equal time."""
_SHORTEST: Final = 0.1
_LONGEST: Final = 10.0
"""Bounds of the scale of a budget, against a clock that measured next to nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One option at one budget, over seeds."""

    bytes: int
    bits_per_byte: Estimate
    byte_accuracy: Estimate
    cpu_seconds: Estimate
    difference: Estimate | None
    """Of bits per byte, own minus that of the option compared with, seed by seed; None for the
    base itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionRow:
    """One option on one task."""

    option: str
    what: str
    against: str | None
    parameters: int
    equal_bytes: Outcome | None
    """None where every training diverged."""
    equal_cpu: Outcome | None
    """`equal_bytes` itself where the times are within `SAME_TIME`."""
    failures: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskTable:
    """All options on one task, the best at equal bytes first."""

    task: str
    run: str
    corpus: str
    train_samples: int
    bytes: int
    eval_samples: int
    rows: tuple[OptionRow, ...]


Found = dict[tuple[str, str], list[RunResult]]
"""Results by task and option."""


def train_ablations(study: Study, planner: Planner, runner: Runner) -> tuple[Found, Found]:
    """Do all trainings of a study; return those at equal bytes and those at equal CPU time.

    Seeds go round outermost, so an interrupted study has every option a few times rather than a few
    options every time, and a slow drift of the machine falls on all alike.
    """
    names = [(task, option) for task in study.tasks for option in (BASE, *study.options_on(task))]
    planned = [planner.run(task, name, seed) for seed in study.seeds for task, name in names]
    at_bytes = by_option(runner.run_all(planned))
    ratios = {
        (task, name): time_ratio(at_bytes[task, BASE], at_bytes[task, name])
        for task, name in names
        if name != BASE
    }
    again = [
        planner.run(task, name, seed, num_bytes=max(1, round(ratio * study.tasks[task].bytes)))
        for seed in study.seeds
        for (task, name), ratio in ratios.items()
        if ratio != 1
    ]
    at_cpu = by_option(runner.run_all(again))
    return at_bytes, {key: at_cpu.get(key, results) for key, results in at_bytes.items()}


def time_ratio(base: Sequence[RunResult], own: Sequence[RunResult]) -> float:
    """Return by how much `own` budget is to be scaled to take the base's CPU time.

    1 where the times are within `SAME_TIME`, or where one of them is not known.
    """
    theirs = estimate([r.cpu_seconds for r in base if r.failed is None])
    ours = estimate([r.cpu_seconds for r in own if r.failed is None])
    if theirs is None or ours is None or min(theirs.mean, ours.mean) <= 0:
        return 1.0
    ratio = theirs.mean / ours.mean
    if abs(1 / ratio - 1) <= SAME_TIME:
        return 1.0
    return round(min(max(ratio, _SHORTEST), _LONGEST), 2)


def by_option(results: Sequence[RunResult]) -> Found:
    """Return the results by task and option."""
    found: Found = {}
    for result in results:
        found.setdefault((result.task, result.option), []).append(result)
    return found


def task_tables(study: Study, planner: Planner, found: tuple[Found, Found]) -> list[TaskTable]:
    """Return the table of every task."""
    return [_task_table(study, planner, task, *found) for task in study.tasks]


def _task_table(
    study: Study, planner: Planner, task: str, at_bytes: Found, at_cpu: Found
) -> TaskTable:
    about = study.tasks[task]
    rows: list[OptionRow] = []
    for name, against, what in (
        (BASE, None, f"the run `{about.run}` as it is"),
        *((n, o.against, study.options[n].what) for n, o in study.options_on(task).items()),
    ):
        results = at_bytes[task, name]
        rows.append(
            OptionRow(
                option=name,
                what=what,
                against=against,
                parameters=max(result.parameters for result in results),
                equal_bytes=_outcome(at_bytes, task, name, against),
                equal_cpu=_outcome(at_cpu, task, name, against),
                failures=tuple(
                    f"seed {r.seed}, {r.bytes} bytes: {r.failed}"
                    for r in {id(r): r for r in (*results, *at_cpu[task, name])}.values()
                    if r.failed is not None
                ),
            )
        )
    return TaskTable(
        task=task,
        run=about.run,
        corpus=planner.corpus_of(task),
        train_samples=at_bytes[task, BASE][0].train_samples,
        bytes=about.bytes,
        eval_samples=about.eval_samples,
        rows=tuple(sorted(rows, key=_order)),
    )


def _outcome(found: Found, task: str, name: str, against: str | None) -> Outcome | None:
    """Return one option's figures at one budget; `None` where no training reached its end."""
    own = [result for result in found[task, name] if result.curve]
    bits = estimate(list(_bits_by_seed(own).values()))
    accuracy = estimate([result.curve[-1].byte_accuracy for result in own])
    seconds = estimate([result.cpu_seconds for result in own])
    if bits is None or accuracy is None or seconds is None:
        return None
    difference = None
    if against is not None:
        difference = paired_difference(_bits_by_seed(own), _bits_by_seed(found[task, against]))
    return Outcome(
        bytes=own[0].bytes,
        bits_per_byte=bits,
        byte_accuracy=accuracy,
        cpu_seconds=seconds,
        difference=difference,
    )


def _bits_by_seed(results: Sequence[RunResult]) -> Mapping[int, float]:
    return {result.seed: result.curve[-1].bits_per_byte for result in results if result.curve}


def _order(row: OptionRow) -> tuple[bool, float, str]:
    bits = 0.0 if row.equal_bytes is None else row.equal_bytes.bits_per_byte.mean
    return row.equal_bytes is None, bits, row.option
