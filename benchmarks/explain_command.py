"""`bgpt-bench explain`: where a result errs, on the terminal, as JSON or as a page.

A result is a predictions folder, explained against the corpus that it answers, or a report that
`score` wrote, whose explanation lies beside it. It computes nothing itself.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from rich.color import ColorSystem
from rich.style import Style

from benchmarks.bootstrap import Bootstrap
from benchmarks.config import BenchmarkConfig
from benchmarks.explaining.explain import explain
from benchmarks.explaining.explanation import (
    Explanation,
    ExplanationError,
    explanation_json,
    read_explanation,
)
from benchmarks.explaining.tally import tally
from benchmarks.explaining.text import Mark, explanation_text, sample_text, signs
from benchmarks.explaining.worst_tunes import TuneLook, tune_text
from benchmarks.leaderboard.explain_page import explain_page
from benchmarks.metrics import Answer
from benchmarks.predictions import HEADER_NAME
from benchmarks.report import EXPLAIN_SUFFIX
from benchmarks.samples import load_samples
from benchmarks.scorer import corpus_ref
from benchmarks.submission import match, read_predictions
from benchmarks.task import Item, TaskError, prepare
from benchmarks.tasks.conversion import ConversionTask
from benchmarks.tasks.registry import find_task
from pipelines.corpus import Corpus
from pipelines.printable_text import printable_text
from pipelines.shards import write_atomically
from pipelines.terminal import can_write, terminal_mark, terminal_width
from simulators.music.looking.roll_text import ASCII, UNICODE

Progress: TypeAlias = Callable[[int, int], None]
"""Told (samples done, samples in all)."""

_WRONG: Final = Style(bold=True, color="red")


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """An explanation, and what of the corpus it speaks of."""

    explanation: Explanation
    items: Mapping[str, tuple[Item, Answer]]
    """By key; none where an explanation was read from a file."""
    settings: Mapping[str, object]
    """The corpus'."""


def explained(result: Path, corpus: Path | None, samples: int, progress: Progress) -> Explained:
    """Explain a result, with so many of the worst samples of each mode.

    Raises:
        ExplanationError: it is no result, or the corpus is not of its task.
        SubmissionError: the predictions are malformed, or answer other samples.
    """
    if (result / HEADER_NAME).exists():
        return _from_predictions(result, corpus, samples, progress)
    if result.is_dir():
        inner = sorted(path.parent.name for path in result.glob(f"*/{HEADER_NAME}"))
        if inner:
            raise ExplanationError(
                f"{result}: {len(inner)} predictions folders; explain one of them: "
                + ", ".join(inner)
            )
        raise ExplanationError(
            f"{result}: holds no {HEADER_NAME}, so no predictions; give a folder that "
            '"bgpt-bench predict" wrote, or a report'
        )
    if not result.exists():
        raise ExplanationError(f"{result}: no such folder of predictions, and no such report")
    if corpus is not None:
        raise ExplanationError(
            f"{result}: a report is explained by the file beside it; leave --corpus out, or give "
            "the predictions folder"
        )
    read = _read_beside(result)
    forced = [sample for sample in read.worst if sample.mode == "teacher_forced"]
    written = [sample for sample in read.worst if sample.mode == "free_running"]
    worst = (*forced[:samples], *written[:samples])
    return Explained(explanation=dataclasses.replace(read, worst=worst), items={}, settings={})


def _read_beside(path: Path) -> Explanation:
    """Read the explanation that a file is, or that lies beside a report."""
    if path.name.endswith(EXPLAIN_SUFFIX):
        return read_explanation(path)
    beside = path.with_name(path.name.removesuffix(".json") + EXPLAIN_SUFFIX)
    if not beside.exists():
        raise ExplanationError(
            f"{path}: no explanation beside it ({beside.name}); score again with "
            '"bgpt-bench score", or give the predictions folder'
        )
    return read_explanation(beside)


def _from_predictions(
    folder: Path, corpus: Path | None, worst: int, progress: Progress
) -> Explained:
    predictions = read_predictions(folder)
    about = predictions.header.corpus
    task = find_task(predictions.header.task.name)
    if corpus is None:
        raise ExplanationError(
            f"{folder}: predictions are explained against the samples that they answer; add "
            f"--corpus FOLDER, the corpus {printable_text(about.name)}"
        )
    if about.samples < 1:
        raise ExplanationError(f"{folder / HEADER_NAME}: corpus.samples is {about.samples}")
    samples = load_samples(Corpus.open(corpus), "test", about.samples)
    try:
        items = prepare(task, samples)
    except TaskError as error:
        raise ExplanationError(
            f"{folder}: a result of another task: {task.spec.name}, not one of {corpus}: {error}"
        ) from error
    answers = match(
        predictions,
        task.spec,
        samples,
        items,
        free_running_samples=sum(one.free_running is not None for one in predictions.answers),
    )
    config = BenchmarkConfig()
    found = explain(
        task,
        items,
        answers,
        tally(task, items, answers, progress),
        Bootstrap(samples.groups, resamples=config.bootstrap_resamples, seed=config.seed),
        corpus=corpus_ref(samples),
        submission=predictions.header.submission,
        worst=worst,
    )
    by_key = {item.key: (item, answer) for item, answer in zip(items, answers, strict=True)}
    return Explained(explanation=found, items=by_key, settings=samples.settings)


def shown(found: Explained, rows: int) -> str:
    """Return all of it as text for this terminal, in plain signs where stdout is none."""
    mark = _mark()
    look = TuneLook(
        width=terminal_width(),
        glyphs=UNICODE if can_write("".join(dataclasses.astuple(UNICODE))) else ASCII,
        mark=mark,
        settings=found.settings,
    )
    texts = _tune_texts(found, look)
    blocks = [explanation_text(found.explanation, rows=rows)]
    if found.explanation.worst:
        blocks.append("The worst samples")
    for sample in found.explanation.worst:
        also = texts.get((sample.key, sample.mode))
        blocks.append("\n".join([sample_text(sample, mark), *([also] if also else [])]))
    return "\n\n".join(blocks)


def write_page(found: Explained, path: Path) -> None:
    """Write the explanation as one HTML page that fetches nothing."""
    texts = _tune_texts(found, TuneLook(settings=found.settings))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, [explain_page(found.explanation, texts).encode()])


def _tune_texts(found: Explained, look: TuneLook) -> dict[tuple[str, str], str]:
    """Return bytes and piano roll of the worst tunes, by key and mode, where the corpus is here."""
    if not isinstance(find_task(found.explanation.task.name), ConversionTask):
        return {}
    return {
        (sample.key, sample.mode): tune_text(*found.items[sample.key], sample, look)
        for sample in found.explanation.worst
        if sample.key in found.items
    }


def explained_json(found: Explained) -> str:
    """Return the explanation as JSON, in the form that `score` writes."""
    return explanation_json(found.explanation).rstrip("\n")


def _mark() -> Mark:
    """Return red on a terminal with colours, and signs elsewhere."""
    if terminal_mark() is None:
        return signs
    return lambda text: _WRONG.render(text, color_system=ColorSystem.STANDARD)
