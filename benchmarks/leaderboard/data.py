"""Everything the leaderboard shows, read once and checked: reports, published figures, runs.

Input is hostile until read here: wrong types, NaN, duplicates and results on different test sets
are errors that name the file. It computes nothing and draws nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.explaining.explanation import (
    Explanation,
    ExplanationError,
    read_explanation,
)
from benchmarks.leaderboard.columns import TASKS
from benchmarks.leaderboard.compression import CompressionResult, read_compression
from benchmarks.leaderboard.examples import ShownExample, read_examples
from benchmarks.leaderboard.runs import Run, read_runs
from benchmarks.report import EXPLAIN_SUFFIX
from benchmarks.strict_json import (
    JsonObject,
    JsonRefused,
    as_object,
    items,
    load_text,
    member,
    optional_count,
    optional_number,
    parse_object,
    text,
)

SCHEMA_VERSION = 3
READABLE_VERSIONS = (2, 3)
"""Version 2 has no examples and no base tunes; all else is alike."""
Kind = Literal["model", "baseline", "reported"]
_KINDS: dict[str, Kind] = {"model": "model", "baseline": "baseline", "reported": "reported"}


class LeaderboardError(ValueError):
    """A report, a run or a list of published figures cannot be shown; the message says where."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A value, its standard error and how many samples it is a mean of; None is "n/a"."""

    value: float | None
    stderr: float | None
    n: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PartScore:
    """Accuracy on one part of the files: the states after an instruction, a register, ..."""

    name: str
    n: int
    accuracy: float | None
    byte_accuracy: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One submission's results on one task."""

    task: str
    name: str
    kind: Kind
    description: str
    parameters: int | None
    train_samples: int | None
    base_tunes: int | None
    metrics: Mapping[str, Metric]
    breakdowns: Mapping[str, tuple[PartScore, ...]]
    examples: tuple[ShownExample, ...]
    explanation: Explanation | None
    """`None` where none lies beside the report."""
    task_version: str
    corpus: str
    config_sha256: str
    test_sha256: str
    samples: int | None
    environment: Mapping[str, object]
    wall_seconds: float | None
    raw: JsonObject
    """The report as it was read."""

    def value(self, metric: str) -> float | None:
        """Return the value of `metric`, None where it is not defined."""
        found = self.metrics.get(metric)
        return None if found is None else found.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure that somebody else published; percentages are kept as fractions."""

    task: str
    name: str
    metric: str
    value: float
    source: str
    note: str
    raw: JsonObject


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """All that one page shows, in a fixed order."""

    entries: tuple[Entry, ...]
    figures: tuple[Figure, ...]
    runs: tuple[Run, ...]
    compression: tuple[CompressionResult, ...] = ()

    def tasks(self) -> tuple[str, ...]:
        """Return the tasks that have something to show, known ones in their order, then others."""
        found = {entry.task for entry in self.entries} | {figure.task for figure in self.figures}
        return (*(name for name in TASKS if name in found), *sorted(found - set(TASKS)))


def read_board(
    reports_dir: Path,
    runs_dir: Path | None,
    published: Path | None,
    compression_dir: Path | None = None,
) -> Board:
    """Read every report below `reports_dir`, every run below `runs_dir` and the published figures.

    A `runs_dir` that does not exist holds no runs, a `compression_dir` no results of compression.

    Raises:
        LeaderboardError: a missing folder, an unreadable file, two reports for one entry, or
            reports of one task that were scored on different test sets.
    """
    try:
        compression = () if compression_dir is None else read_compression(compression_dir)
        return _read_board(reports_dir, runs_dir, published, compression)
    except JsonRefused as error:
        raise LeaderboardError(str(error)) from error


def _read_board(
    reports_dir: Path,
    runs_dir: Path | None,
    published: Path | None,
    compression: tuple[CompressionResult, ...],
) -> Board:
    if not reports_dir.is_dir():
        raise LeaderboardError(
            f'{reports_dir}: no such folder of reports; write some with "bgpt-bench score"'
        )
    entries: dict[tuple[str, str], tuple[Path, Entry]] = {}
    for path in sorted(reports_dir.rglob("*.json")):
        loaded = parse_object(load_text(path), str(path))
        if "submission" not in loaded or "metrics" not in loaded:
            continue  # Another file that lies beside the reports, such as a list of hashes.
        if path.name.endswith(EXPLAIN_SUFFIX):
            continue
        entry = _read_entry(loaded, path)
        key = (entry.task, entry.name)
        if key in entries:
            raise LeaderboardError(
                f"{path}: a second report for {entry.name!r} on {entry.task!r}; the first is "
                f"{entries[key][0]}. Keep one of them."
            )
        entries[key] = (path, entry)
    _check_one_test_set(list(entries.values()))
    return Board(
        entries=tuple(entries[key][1] for key in sorted(entries)),
        figures=() if published is None else read_figures(published),
        runs=() if runs_dir is None else read_runs(runs_dir),
        compression=compression,
    )


def _read_entry(report: JsonObject, path: Path) -> Entry:
    """Check one report's fields, and the explanation beside it."""
    where = str(path)
    version = report.get("schema_version")
    if version not in READABLE_VERSIONS:
        raise LeaderboardError(
            f"{where}: schema_version is {version!r}, this leaderboard reads {SCHEMA_VERSION}; "
            'score it again with "bgpt-bench score"'
        )
    task = member(report, "task", where)
    corpus = member(report, "corpus", where)
    submission = member(report, "submission", where)
    kind = text(submission, "kind", where)
    if kind not in _KINDS:
        raise LeaderboardError(f"{where}: kind: {kind!r} is not one of {', '.join(_KINDS)}")
    metrics: dict[str, Metric] = {}
    for name, value in member(report, "metrics", where).items():
        metrics[name] = _read_metric(as_object(value, f"{where}: {name}"), f"{where}: {name}")
    environment = report.get("environment")
    breakdowns = member(report, "breakdowns", where)
    return Entry(
        task=text(task, "name", where),
        name=text(submission, "name", where),
        kind=_KINDS[kind],
        description=text(submission, "description", where, default=""),
        parameters=optional_count(submission, "parameters", where),
        train_samples=optional_count(submission, "train_samples", where),
        base_tunes=optional_count(submission, "base_tunes", where),
        metrics=metrics,
        breakdowns={
            name: tuple(
                _read_part(as_object(item, where), f"{where}: breakdowns.{name}")
                for item in items(breakdowns, name, f"{where}: breakdowns")
            )
            for name in breakdowns
        },
        examples=read_examples(report, where),
        explanation=_read_explanation(report, path),
        task_version=str(task.get("version", "")),
        corpus=text(corpus, "name", where, default=""),
        config_sha256=text(corpus, "config_sha256", where, default=""),
        test_sha256=text(corpus, "test_sha256", where, default=""),
        samples=optional_count(corpus, "samples", where),
        environment={} if environment is None else as_object(environment, f"{where}: environment"),
        wall_seconds=optional_number(report, "wall_seconds", where),
        raw=report,
    )


def _read_explanation(report: JsonObject, path: Path) -> Explanation | None:
    """Read what says where the entry errs, and refuse another one's."""
    beside = path.with_name(path.name.removesuffix(".json") + EXPLAIN_SUFFIX)
    if not beside.exists():
        return None
    try:
        found = read_explanation(beside)
    except ExplanationError as error:
        raise LeaderboardError(str(error)) from error
    where = str(path)
    task = member(report, "task", where)
    mine = (
        (task.get("name"), found.task.name),
        (str(task.get("version")), str(found.task.version)),
        (member(report, "corpus", where).get("test_sha256"), found.corpus.test_sha256),
        (member(report, "submission", where).get("name"), found.submission.name),
    )
    if any(one != other for one, other in mine):
        raise LeaderboardError(
            f'{beside}: explains another result than {path.name}; score again with "bgpt-bench '
            'score", or delete it'
        )
    return found


def _read_metric(found: JsonObject, where: str) -> Metric:
    """Check one metric."""
    stderr = optional_number(found, "stderr", where)
    if stderr is not None and stderr < 0:
        raise LeaderboardError(f"{where}: stderr: {stderr} is below zero")
    return Metric(
        value=optional_number(found, "value", where),
        stderr=stderr,
        n=optional_count(found, "n", where),
    )


def _read_part(found: JsonObject, where: str) -> PartScore:
    """Check one row of a breakdown."""
    return PartScore(
        name=text(found, "name", where),
        n=optional_count(found, "n", where) or 0,
        accuracy=optional_number(found, "teacher_forced_accuracy", where),
        byte_accuracy=optional_number(found, "teacher_forced_byte_accuracy", where),
    )


def _check_one_test_set(entries: list[tuple[Path, Entry]]) -> None:
    """Refuse a task of which two reports cannot be compared."""
    first: dict[str, tuple[Path, Entry]] = {}
    for path, entry in entries:
        first_path, other = first.setdefault(entry.task, (path, entry))
        for what, mine, theirs in (
            ("task version", entry.task_version, other.task_version),
            ("test set", entry.test_sha256, other.test_sha256),
        ):
            if mine != theirs:
                raise LeaderboardError(
                    f"{path}: {what} {mine[:12]!r} of {entry.task!r}, but {first_path} has "
                    f"{theirs[:12]!r}: they cannot stand in one table. Score one of them again."
                )


def read_figures(path: Path) -> tuple[Figure, ...]:
    """Read a list of published figures."""
    where = str(path)
    figures: list[Figure] = []
    for item in items(parse_object(load_text(path), where), "entries", where):
        found = as_object(item, where)
        value = optional_number(found, "value", where)
        if value is None:
            raise LeaderboardError(f"{where}: value: a published figure needs one")
        percent = text(found, "unit", where, default="") in {"%", "percent"}
        figures.append(
            Figure(
                task=text(found, "task", where),
                name=text(found, "name", where),
                metric=text(found, "metric", where),
                value=value / 100 if percent else value,
                source=text(found, "source", where, default=""),
                note=text(found, "note", where, default=""),
                raw=found,
            )
        )
    return tuple(sorted(figures, key=lambda figure: (figure.task, figure.name, figure.metric)))


def merged(board: Board, *, with_examples: bool = True) -> dict[str, object]:
    """Return everything the page shows as one JSON value, in the board's order.

    Without the files of the examples it is half as large.
    """
    left_out = () if with_examples else ("examples",)
    return {
        "schema_version": SCHEMA_VERSION,
        "reports": [
            {key: value for key, value in entry.raw.items() if key not in left_out}
            for entry in board.entries
        ],
        "published": [dict(figure.raw) for figure in board.figures],
        **({"compression": [dict(c.raw) for c in board.compression]} if board.compression else {}),
        "runs": [
            {
                "name": run.name,
                "task": run.task,
                "points": [
                    {
                        "step": point.step,
                        "samples": point.samples,
                        "bits_per_byte": point.bits_per_byte,
                        "byte_accuracy": point.byte_accuracy,
                        "n": point.n,
                    }
                    for point in run.points
                ],
            }
            for run in board.runs
        ],
    }
