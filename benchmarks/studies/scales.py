"""The scale study: the base run on longer and longer prefixes of its corpus, at one budget.

A scale is a number of first samples of the train side. A budget reads so many samples and no more:
where the scale is larger, the training sees each sample at most once, and a still larger scale is
the same training on other samples. Fits therefore go over the *different samples read*. A scale
that the corpus on disk does not have is named with its cure, and nothing stands in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.leaderboard.data import Figure, read_figures
from benchmarks.leaderboard.site import PUBLISHED
from benchmarks.strict_json import optional_count
from benchmarks.studies.config import Study
from benchmarks.studies.estimates import Estimate, estimate
from benchmarks.studies.floors import Floor, floor_of
from benchmarks.studies.plan import PlannedRun, Planner
from benchmarks.studies.power_law import PowerLaw, ScalePoint, fit_power_law
from benchmarks.studies.run_result import RunResult
from benchmarks.studies.runner import Runner
from pipelines.corpus import Corpus, CorpusError

_REACH: Final = 10
"""A law is drawn this many times beyond the largest scale that was read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleRow:
    """One scale of one task."""

    scale: int
    missing: str | None
    """Why it was not measured, and how it can be."""
    different_samples: int | None = None
    """Different samples read: the scale, or as many as the budget reads."""
    passes: float | None = None
    """How often each was read."""
    bits_per_byte: Estimate | None = None
    byte_accuracy: Estimate | None = None
    cpu_seconds: Estimate | None = None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Extrapolation:
    """What a law says of a scale that was not read: two standard errors to both sides."""

    samples: int
    bits_per_byte: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperPoint:
    """A figure that the paper reports, with the scale that it is of."""

    samples: int
    metric: str
    value: float
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleTable:
    """All scales of one task."""

    task: str
    run: str
    corpus: str
    bytes: int
    eval_samples: int
    parameters: int
    rows: tuple[ScaleRow, ...]
    floor: Floor
    law: PowerLaw | None
    no_law: str | None
    """Why there is no law."""
    extrapolation: Extrapolation | None
    paper: tuple[PaperPoint, ...]


def scale_tables(
    study: Study, planner: Planner, runner: Runner, data: Path
) -> tuple[list[ScaleTable], list[RunResult]]:
    """Do all trainings of a study; return the table of every task, and the results."""
    missing: dict[tuple[str, int], str] = {}
    corpora: dict[str, Corpus | None] = {}
    planned: list[PlannedRun] = []
    for seed in study.seeds:
        for task in study.tasks:
            if task not in corpora:
                corpora[task] = _opened(data, planner.corpus_of(task))
            for scale in study.scales:
                why = _why_missing(data, planner.corpus_of(task), corpora[task], scale)
                if why is None:
                    planned.append(planner.run(task, str(scale), seed, train_samples=scale))
                else:
                    missing[task, scale] = why
    results = runner.run_all(planned)
    figures = read_figures(PUBLISHED)
    tables: list[ScaleTable] = []
    for task, about in study.tasks.items():
        own = [result for result in results if result.task == task]
        rows = [
            _row(scale, missing.get((task, scale)), [r for r in own if r.option == str(scale)])
            for scale in study.scales
        ]
        floor = floor_of(task, corpora[task])
        law, no_law = _law(rows, floor)
        largest = max((row.different_samples or 0 for row in rows), default=0)
        tables.append(
            ScaleTable(
                task=task,
                run=about.run,
                corpus=planner.corpus_of(task),
                bytes=about.bytes,
                eval_samples=about.eval_samples,
                parameters=max((result.parameters for result in own), default=0),
                rows=tuple(rows),
                floor=floor,
                law=law,
                no_law=no_law,
                extrapolation=None if law is None else _extrapolated(law, _REACH * largest),
                paper=_paper_points(task, figures),
            )
        )
    return tables, results


def law_points(law: PowerLaw, first: int, last: int, count: int = 24) -> list[Extrapolation]:
    """Return the law from `first` to `last` samples, even on a log scale."""
    step = (last / first) ** (1 / (count - 1))
    samples = [round(first * step**i) for i in range(count - 1)] + [last]
    return [_extrapolated(law, n) for n in samples]


def _extrapolated(law: PowerLaw, samples: int) -> Extrapolation:
    low, high = law.interval(samples)
    return Extrapolation(samples=samples, bits_per_byte=law.at(samples), low=low, high=high)


def _opened(data: Path, name: str) -> Corpus | None:
    """Return a corpus, `None` where none is built."""
    try:
        return Corpus.open(data / name)
    except CorpusError:
        if (data / name).exists():
            raise
        return None


def _why_missing(data: Path, name: str, corpus: Corpus | None, scale: int) -> str | None:
    """Return why a scale cannot be measured, and the cure; `None` where it can."""
    cure = (
        f"set corpora.{name}.train_samples to at least {scale} in the parameters and run "
        f'"bgpt-data build {name} --params params.yaml --out {data / name}"'
    )
    if corpus is None:
        return f"not measured: {data / name} is not built; {cure}"
    found = corpus.manifest.num_samples("train")
    if found < scale:
        return f"not measured: {data / name} has {found} train samples; {cure}"
    return None


def _row(scale: int, missing: str | None, results: Sequence[RunResult]) -> ScaleRow:
    """Return one scale's figures over seeds."""
    if missing is not None:
        return ScaleRow(scale=scale, missing=missing)
    ended = [result for result in results if result.curve]
    failures = tuple(f"seed {r.seed}: {r.failed}" for r in results if r.failed is not None)
    if not ended:
        return ScaleRow(scale=scale, missing=None, failures=failures)
    read = round(sum(result.samples_read for result in ended) / len(ended))
    return ScaleRow(
        scale=scale,
        missing=None,
        different_samples=min(scale, read),
        passes=read / scale,
        bits_per_byte=estimate([result.curve[-1].bits_per_byte for result in ended]),
        byte_accuracy=estimate([result.curve[-1].byte_accuracy for result in ended]),
        cpu_seconds=estimate([result.cpu_seconds for result in ended]),
        failures=failures,
    )


def _law(rows: Sequence[ScaleRow], floor: Floor) -> tuple[PowerLaw | None, str | None]:
    """Return the law through the scales, or why there is none.

    Scales beyond what the budget reads see equally many different samples: the first of them
    stands for all, so that none counts twice.
    """
    points: dict[int, ScalePoint] = {}
    is_full = False
    for row in rows:
        if row.bits_per_byte is None or row.different_samples is None or is_full:
            continue
        is_full = row.different_samples < row.scale
        points[row.different_samples] = ScalePoint(
            samples=row.different_samples,
            bits_per_byte=row.bits_per_byte.mean,
            stderr=row.bits_per_byte.stderr,
        )
    law = fit_power_law(list(points.values()), floor.bits_per_byte or 0.0)
    if law is not None:
        return law, None
    return None, (
        f"no law: {len(points)} scales with different samples were measured, and a fit needs three "
        "above the floor"
    )


def _paper_points(task: str, figures: Sequence[Figure]) -> tuple[PaperPoint, ...]:
    """Return what the paper reports of a task at known scales."""
    found: list[PaperPoint] = []
    for figure in figures:
        samples = optional_count(figure.raw, "train_samples", str(PUBLISHED))
        if figure.task == task and samples:
            found.append(
                PaperPoint(
                    samples=samples, metric=figure.metric, value=figure.value, note=figure.note
                )
            )
    return tuple(sorted(found, key=lambda point: (point.metric, point.samples)))
