"""Training runs as the learning curves need them: the evaluations in each run's `metrics.jsonl`.

It reads what training wrote and draws nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.leaderboard.columns import TASKS
from benchmarks.strict_json import (
    JsonRefused,
    as_object,
    load_text,
    optional_count,
    optional_number,
    parse_object,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One evaluation during training."""

    step: int
    samples: int
    bits_per_byte: float | None
    byte_accuracy: float | None
    n: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The evaluations of one training run; `task` is None where the name fits no task."""

    name: str
    task: str | None
    points: tuple[Point, ...]


def read_runs(runs_dir: Path) -> tuple[Run, ...]:
    """Read `metrics.jsonl` of every run, one or two folders deep.

    Raises:
        JsonRefused: a file or a line of it cannot be read.
    """
    paths = {*runs_dir.glob("*/metrics.jsonl"), *runs_dir.glob("*/*/metrics.jsonl")}
    runs: list[Run] = []
    for path in sorted(paths):
        name = path.parent.relative_to(runs_dir).as_posix()
        runs.append(Run(name=name, task=task_of_run(name), points=_read_points(path)))
    return tuple(runs)


def task_of_run(name: str) -> str | None:
    """Return the task that a run's name says: the longest task name that it starts with.

    >>> task_of_run("cpu-toy-10000"), task_of_run("experiment")
    ('cpu-toy', None)
    """
    fits = [task for task in TASKS if name.replace("_", "-").startswith(task)]
    return max(fits, key=len, default=None)


def _read_points(path: Path) -> tuple[Point, ...]:
    """Read a run's evaluations; where a resumed run repeats steps, the last one counts."""
    lines = load_text(path).split("\n")
    points: list[Point] = []
    for number, line in enumerate(lines[:-1], start=1):  # What has no newline is still written.
        where = f"{path}:{number}"
        record = parse_object(line, where)
        step = optional_count(record, "step", where)
        samples = optional_count(record, "samples", where)
        if step is None or samples is None:
            raise JsonRefused(f"{where}: step and samples are required")
        while points and points[-1].step >= step:
            points.pop()
        found = record.get("eval")
        if found is None:
            continue
        scores = as_object(found, f"{where}: eval")
        points.append(
            Point(
                step=step,
                samples=samples,
                bits_per_byte=optional_number(scores, "bits_per_byte", where),
                byte_accuracy=optional_number(scores, "byte_accuracy", where),
                n=optional_count(scores, "n", where),
            )
        )
    return tuple(points)
