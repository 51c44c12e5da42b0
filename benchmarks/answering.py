"""From a corpus folder and an entrant to a predictions folder: the joint of all the other parts.

A baseline's job is picklable, so that several run at once. Nothing is measured here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.config import BenchmarkConfig
from benchmarks.entrant import Entrant, baseline_entrant
from benchmarks.examples import write_examples
from benchmarks.predict import environment, num_requests, predict
from benchmarks.predictions import SCHEMA_VERSION, Header, Predictions, write_predictions
from benchmarks.report import TaskRef
from benchmarks.samples import load_samples
from benchmarks.scorer import corpus_ref
from benchmarks.task import Task, prepare
from benchmarks.tasks.registry import find_task
from pipelines.corpus import Corpus

Progress = Callable[[int, int], None]
"""Told (requests answered, requests in all)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineJob:
    """One baseline on one task."""

    task: str
    baseline: str
    corpus: Path
    out: Path
    """The predictions folder."""
    config: BenchmarkConfig


def run_baseline(job: BaselineJob) -> str:
    """Fit a baseline, let it answer, write its predictions, and return its name."""
    task = find_task(job.task)
    corpus = Corpus.open(job.corpus)
    answer_task(
        task,
        corpus,
        lambda: baseline_entrant(
            task, job.baseline, lambda: load_samples(corpus, "train"), job.config.ngram.max_order
        ),
        job.out,
        job.config,
    )
    return job.baseline


def answer_task(
    task: Task,
    corpus: Corpus,
    make_entrant: Callable[[], Entrant],
    out: Path,
    config: BenchmarkConfig,
    progress: Progress = lambda _done, _total: None,
) -> Predictions:
    """Make an entrant, let it answer the task's test samples and write the predictions to `out`.

    `wall_seconds` covers making (a baseline's training) and answering, not the display tunes.
    """
    samples = load_samples(corpus, "test", config.test_samples)
    items = prepare(task, samples)
    total = num_requests(items, config.free_running_samples)
    done = 0

    def count(answered: int) -> None:
        nonlocal done
        done += answered
        progress(done, total)

    started = time.perf_counter()
    entrant = make_entrant()
    answers = predict(
        items,
        entrant.model,
        free_running_samples=config.free_running_samples,
        progress=count,
    )
    wall_seconds = round(time.perf_counter() - started, 3)
    header = Header(
        schema_version=SCHEMA_VERSION,
        task=TaskRef(name=task.spec.name, version=task.spec.version),
        corpus=corpus_ref(samples),
        submission=entrant.submission,
        environment=environment(),
        wall_seconds=wall_seconds,
        examples=write_examples(task, samples.settings, entrant.model)
        if entrant.reads_source
        else (),
    )
    predictions = Predictions(
        header=header,
        keys=samples.keys,
        groups=samples.groups,
        num_bytes=tuple(len(item.continuation.target) for item in items),
        answers=tuple(answers),
    )
    write_predictions(out, predictions)
    return predictions
