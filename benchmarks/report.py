"""A report: what one submission reached on one task, as a JSON file, and the summary of many.

The forms are fixed in docs/benchmark.md; the leaderboard and strangers read them. Nothing is
computed here.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.strict_json import parse_object
from pipelines.shards import write_atomically

SCHEMA_VERSION = 3
SUMMARY_NAME = "summary.json"
EXPLAIN_SUFFIX = ".explain.json"
"""Of what lies beside a report and says where the submission errs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRef:
    """Which task, in which version of its rules."""

    name: str
    version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusRef:
    """Exactly which samples were scored."""

    name: str
    config_sha256: str
    test_sha256: str
    """Hash of the test shards' hashes and the number of samples taken, see `SampleSet.sha256`."""
    samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmissionRef:
    """Who answered."""

    name: str
    kind: Literal["model", "baseline"]
    description: str
    parameters: int | None
    train_samples: int | None
    base_tunes: int | None = None
    """Tunes behind the train samples of a conversion corpus, before transposing and recombining;
    `None` where the corpus does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricValue:
    """One metric; `value` is `None` where the submission cannot be measured so ("n/a")."""

    value: float | None
    stderr: float | None
    """By bootstrap over groups; `None` where there are fewer than two."""
    n: int
    """Samples that count."""
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PartValue:
    """Teacher-forced accuracy on a part of the files: an instruction, a register, a distance."""

    name: str
    n: int
    """Units: whole states, or one register of each state."""
    teacher_forced_accuracy: float
    """Share of units of which every byte is right."""
    teacher_forced_byte_accuracy: float
    stderr: float | None
    """Of the accuracy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One display tune and what the submission made of it; files are in hexadecimal."""

    name: str
    """Of the display tune."""
    source: str
    truth: str
    written: str
    first_different_byte: int | None
    """Offset at which truth and written part; `None` where they are equal."""
    written_midi: str | None
    """The MIDI file of a written tune in ABC; `None` where there is none, or MIDI was written."""
    fault: str | None
    """What is wrong with the written file, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The content of one report file."""

    schema_version: int
    task: TaskRef
    corpus: CorpusRef
    submission: SubmissionRef
    metrics: Mapping[str, MetricValue]
    breakdowns: Mapping[str, Sequence[PartValue]]
    """By `instruction`, `register` and `distance` from the first state, where the task has them."""
    examples: Sequence[Example]
    """Conversions of display tunes; they count in no metric. Empty where nothing was written."""
    environment: Mapping[str, str]
    """Where the predictions were made."""
    wall_seconds: float
    """What making the predictions took."""


def report_json(report: Report) -> str:
    """Return a report as JSON text; the same report gives the same text."""
    content = dataclasses.asdict(report)
    content["environment"] = dict(sorted(report.environment.items()))
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write_report(folder: Path, report: Report) -> Path:
    """Write a report into `folder` as TASK.SUBMISSION.json and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.task.name}.{report.submission.name}.json"
    write_atomically(path, [report_json(report).encode()])
    return path


def write_summary(folder: Path) -> Path:
    """Write `summary.json`, all of the folder's reports as {task: {submission: {metric: value}}}.

    That is the form of `dvc metrics show`; a metric without a value is left out.
    """
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name != SUMMARY_NAME and not path.name.endswith(EXPLAIN_SUFFIX):
            loaded: Any = parse_object(path.read_text(encoding="utf-8"), str(path))
            values = {
                name: metric["value"]
                for name, metric in loaded["metrics"].items()
                if metric["value"] is not None and math.isfinite(metric["value"])
            }
            summary.setdefault(loaded["task"]["name"], {})[loaded["submission"]["name"]] = values
    path = folder / SUMMARY_NAME
    write_atomically(path, [(json.dumps(summary, indent=1, sort_keys=True) + "\n").encode()])
    return path
