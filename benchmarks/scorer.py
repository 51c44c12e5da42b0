"""The scorer: predictions and a task's samples in, a report out. No files, no model, no torch.

The same predictions give the same report, to the last digit, in whatever order their rows stand.
"""

from collections.abc import Sequence

from benchmarks.bootstrap import Bootstrap
from benchmarks.config import BenchmarkConfig
from benchmarks.examples import report_examples
from benchmarks.explaining.explain import WORST, explain
from benchmarks.explaining.explanation import Explanation
from benchmarks.explaining.tally import PartSums, tally
from benchmarks.metrics import (
    UNITS,
    Ratio,
    forced_accuracy,
    forced_bits_per_byte,
    shuffled_bits_per_byte,
    shuffled_cost,
    written_accuracy,
)
from benchmarks.predictions import Predictions
from benchmarks.report import (
    SCHEMA_VERSION,
    CorpusRef,
    MetricValue,
    PartValue,
    Report,
    TaskRef,
)
from benchmarks.submission import match
from benchmarks.task import SampleSet, Task, prepare


def score(
    task: Task, samples: SampleSet, predictions: Predictions, config: BenchmarkConfig
) -> Report:
    """Score predictions on the test samples that they answer.

    Raises:
        SubmissionError: they are not answers to exactly these samples, see `submission.match`.
        TaskError: the samples are not of the task's form.
    """
    return score_and_explain(task, samples, predictions, config)[0]


def score_and_explain(
    task: Task,
    samples: SampleSet,
    predictions: Predictions,
    config: BenchmarkConfig,
    *,
    worst: int = WORST,
) -> tuple[Report, Explanation]:
    """Score predictions, and say where they are wrong, with the `worst` samples of each mode.

    Raises:
        SubmissionError: as `score`.
        TaskError: as `score`.
    """
    items = prepare(task, samples)
    answers = match(
        predictions,
        task.spec,
        samples,
        items,
        free_running_samples=config.free_running_samples,
    )
    targets = [item.continuation.target for item in items]
    measured: dict[str, Ratio | None] = {
        "teacher_forced_bits_per_byte": forced_bits_per_byte(answers, targets),
        "teacher_forced_bits_per_byte_shuffled_source": shuffled_bits_per_byte(answers, targets),
        "shuffled_source_cost": shuffled_cost(answers, targets),
        "teacher_forced_byte_accuracy": forced_accuracy(answers, targets, 1),
        "free_running_byte_accuracy": written_accuracy(answers, targets, 1),
        **task.own_metrics(items, answers),
    }
    bootstrap = Bootstrap(samples.groups, resamples=config.bootstrap_resamples, seed=config.seed)
    sums = tally(task, items, answers)
    report = Report(
        schema_version=SCHEMA_VERSION,
        task=TaskRef(name=task.spec.name, version=task.spec.version),
        corpus=corpus_ref(samples),
        submission=predictions.header.submission,
        metrics={name: _value(name, measured.get(name), bootstrap) for name in task.spec.metrics},
        breakdowns={
            name: _breakdown(name, sums[name], bootstrap)
            for name in task.spec.reported
            if any(part.accuracy.value is not None for part in sums.get(name, ()))
        },
        examples=report_examples(task, samples.settings, predictions),
        environment=predictions.header.environment,
        wall_seconds=predictions.header.wall_seconds,
    )
    explanation = explain(
        task,
        items,
        answers,
        sums,
        bootstrap,
        corpus=report.corpus,
        submission=report.submission,
        worst=worst,
    )
    return report, explanation


def corpus_ref(samples: SampleSet) -> CorpusRef:
    """Return what names these samples in predictions and reports."""
    return CorpusRef(
        name=samples.corpus,
        config_sha256=samples.config_sha256,
        test_sha256=samples.sha256,
        samples=len(samples),
    )


def _value(name: str, measured: Ratio | None, bootstrap: Bootstrap) -> MetricValue:
    if measured is None or measured.value is None:
        return MetricValue(value=None, stderr=None, n=0, unit=UNITS[name])
    return MetricValue(
        value=measured.value,
        stderr=bootstrap.stderr(measured),
        n=len(measured),
        unit=UNITS[name],
    )


def _breakdown(name: str, sums: Sequence[PartSums], bootstrap: Bootstrap) -> list[PartValue]:
    """Return one dimension's accuracy, instructions by name and all else as it is met."""
    parts = sorted(sums, key=lambda part: part.name) if name == "instruction" else sums
    return [_part(part, bootstrap) for part in parts]


def _part(row: PartSums, bootstrap: Bootstrap) -> PartValue:
    return PartValue(
        name=row.name,
        n=row.units,
        teacher_forced_accuracy=row.accuracy.value or 0.0,
        teacher_forced_byte_accuracy=row.byte_accuracy.value or 0.0,
        stderr=bootstrap.stderr(row.accuracy),
    )
