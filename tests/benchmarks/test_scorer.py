"""From answers to a report: perfect and hostile submissions, refusals, order, round trip."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.config import BenchmarkConfig
from benchmarks.metrics import UNITS, Answer
from benchmarks.predict import environment
from benchmarks.predictions import TABLE_SCHEMA, Header, Predictions, write_predictions
from benchmarks.report import SubmissionRef, TaskRef, report_json, write_report, write_summary
from benchmarks.scorer import corpus_ref, score
from benchmarks.submission import SubmissionError, read_predictions
from benchmarks.task import Item, SampleSet, prepare
from benchmarks.tasks.registry import TASKS

CONFIG = BenchmarkConfig(bootstrap_resamples=200)
NATS = math.log(2)  # one bit


def predictions_of(
    task_name: str, samples: SampleSet, answer: Callable[[Item], Answer]
) -> Predictions:
    task = TASKS[task_name]
    items = prepare(task, samples)
    header = Header(
        schema_version=1,
        task=TaskRef(name=task_name, version=task.spec.version),
        corpus=corpus_ref(samples),
        submission=SubmissionRef(
            name="made-up", kind="model", description="", parameters=1, train_samples=None
        ),
        environment=environment(),
        wall_seconds=1.5,
    )
    return Predictions(
        header=header,
        keys=samples.keys,
        groups=samples.groups,
        num_bytes=tuple(len(item.continuation.target) for item in items),
        answers=tuple(answer(item) for item in items),
    )


def perfect(item: Item) -> Answer:
    target = item.continuation.target
    return Answer(
        teacher_forced_nats=0.0,
        teacher_forced_predicted=np.frombuffer(target, np.uint8).astype(np.uint16),
        free_running=target,
        shuffled_nats=None if item.shuffled is None else NATS * len(target),
    )


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_perfect_submission_gets_full_marks_in_every_metric(
    name: str, samples_of: dict[str, SampleSet]
) -> None:
    samples = samples_of[name]
    report = score(TASKS[name], samples, predictions_of(name, samples, perfect), CONFIG)
    assert set(report.metrics) == set(TASKS[name].spec.metrics) <= UNITS.keys()
    for metric, found in report.metrics.items():
        best = 1.0 if found.unit == "fraction" else 0.0
        expected = 1.0 if "shuffled" in metric else best
        assert found.value == pytest.approx(expected), metric
        assert found.stderr == pytest.approx(0, abs=1e-9)
        assert found.n == len(samples)
    assert bool(report.breakdowns) == name.startswith("cpu-")
    assert json.loads(report_json(report))["metrics"]


def test_what_is_not_answered_is_na_not_zero(cpu_samples: SampleSet) -> None:
    made = predictions_of("cpu-toy", cpu_samples, lambda _: Answer(teacher_forced_nats=1.0))
    report = score(TASKS["cpu-toy"], cpu_samples, made, CONFIG)
    assert report.metrics["teacher_forced_byte_accuracy"].value is None
    assert report.metrics["free_running_trace_accuracy"].value is None
    assert report.metrics["teacher_forced_bits_per_byte"].value is not None
    assert report.breakdowns == {}


def test_the_order_of_rows_moves_nothing(cpu_samples: SampleSet) -> None:
    made = predictions_of(
        "cpu-toy",
        cpu_samples,
        lambda item: Answer(
            teacher_forced_nats=float(len(item.key) * len(item.continuation.target) % 97),
            free_running=item.continuation.target[:-3],
        ),
    )
    backwards = dataclasses.replace(
        made,
        keys=made.keys[::-1],
        groups=made.groups[::-1],
        num_bytes=made.num_bytes[::-1],
        answers=made.answers[::-1],
    )
    task = TASKS["cpu-toy"]
    assert report_json(score(task, cpu_samples, made, CONFIG)) == report_json(
        score(task, cpu_samples, backwards, CONFIG)
    )


def test_predictions_come_back_from_disk_as_they_were(
    tmp_path: Path, tune_samples: SampleSet
) -> None:
    made = predictions_of("abc-to-midi", tune_samples, perfect)
    write_predictions(tmp_path / "mine", made)
    write_predictions(tmp_path / "mine", made)  # replaces
    read = read_predictions(tmp_path / "mine")
    assert read.header == made.header
    assert (read.keys, read.groups, read.num_bytes) == (made.keys, made.groups, made.num_bytes)
    assert all(answer.teacher_forced_byte_nats is None for answer in read.answers)
    for mine, theirs in zip(read.answers, made.answers, strict=True):
        assert np.array_equal(
            np.array(mine.teacher_forced_predicted), np.array(theirs.teacher_forced_predicted)
        )
        assert mine.free_running == theirs.free_running
        assert mine.shuffled_nats == theirs.shuffled_nats
    report = score(TASKS["abc-to-midi"], tune_samples, read, CONFIG)
    write_report(tmp_path / "reports", report)
    path = write_summary(tmp_path / "reports")
    summary = json.loads(path.read_text())
    assert summary["abc-to-midi"]["made-up"]["shuffled_source_cost"] == pytest.approx(1)


def test_the_bits_of_every_byte_come_back_in_three_digits_or_not_at_all(
    tmp_path: Path, cpu_samples: SampleSet
) -> None:
    def answer(item: Item) -> Answer:
        nats = np.linspace(1e-4, 20, len(item.continuation.target)).astype(np.float32)
        return Answer(teacher_forced_nats=float(nats.sum()), teacher_forced_byte_nats=nats)

    made = predictions_of("cpu-toy", cpu_samples, answer)
    write_predictions(tmp_path / "mine", made)
    for mine, theirs in zip(read_predictions(tmp_path / "mine").answers, made.answers, strict=True):
        assert mine.teacher_forced_byte_nats is not None
        assert theirs.teacher_forced_byte_nats is not None
        assert mine.teacher_forced_byte_nats == pytest.approx(
            theirs.teacher_forced_byte_nats, rel=1e-3
        )
    score(TASKS["cpu-toy"], cpu_samples, read_predictions(tmp_path / "mine"), CONFIG)
    # Predictions of before there was such a column are read too.
    table = pq.read_table(tmp_path / "mine" / "predictions.parquet")
    older = table.drop_columns(["teacher_forced_byte_nats"])
    pq.write_table(older, tmp_path / "mine" / "predictions.parquet")
    assert read_predictions(tmp_path / "mine").answers[0].teacher_forced_byte_nats is None


def with_answer(made: Predictions, row: int, **changes: Any) -> Predictions:
    answers = list(made.answers)
    answers[row] = dataclasses.replace(answers[row], **changes)
    return dataclasses.replace(made, answers=tuple(answers))


def with_header(made: Predictions, **changes: Any) -> Predictions:
    return dataclasses.replace(made, header=dataclasses.replace(made.header, **changes))


def with_submission(made: Predictions, **changes: Any) -> Predictions:
    return with_header(made, submission=dataclasses.replace(made.header.submission, **changes))


def without_row(made: Predictions, row: int) -> Predictions:
    def cut(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return values[:row] + values[row + 1 :]

    return dataclasses.replace(
        made,
        keys=cut(made.keys),
        groups=cut(made.groups),
        num_bytes=cut(made.num_bytes),
        answers=cut(made.answers),
    )


# What is changed in an honest submission, and what the error must say.
CASES: dict[str, tuple[Callable[[Predictions], Predictions], str]] = {
    "another task": (
        lambda made: with_header(made, task=TaskRef(name="midi-to-abc", version=1)),
        "predictions of another task: 'midi-to-abc', this one is 'cpu-toy'",
    ),
    "another version": (
        lambda made: with_header(made, task=TaskRef(name="cpu-toy", version=2)),
        "another version of the task",
    ),
    "another test set": (
        lambda made: with_header(
            made, corpus=dataclasses.replace(made.header.corpus, test_sha256="0" * 64)
        ),
        "another test_sha256: '0000",
    ),
    "a missing key": (
        lambda made: without_row(made, 4),
        "lack 1 keys that the test set has, e.g. cpu-toy-test-00000004",
    ),
    "a foreign key": (
        lambda made: dataclasses.replace(made, keys=("other", *made.keys[1:])),
        "lack 1 keys",
    ),
    "a repeated key": (
        lambda made: dataclasses.replace(made, keys=(made.keys[1], *made.keys[1:])),
        "1 keys are repeated",
    ),
    "another group": (
        lambda made: dataclasses.replace(made, groups=("mine", *made.groups[1:])),
        "group and num_bytes are",
    ),
    "NaN": (
        lambda made: with_answer(made, 3, teacher_forced_nats=float("nan")),
        "cpu-toy-test-00000003: teacher_forced_nats is nan",
    ),
    "infinity": (
        lambda made: with_answer(made, 3, teacher_forced_nats=float("inf")),
        "must be finite",
    ),
    "negative bits": (
        lambda made: with_answer(made, 3, teacher_forced_nats=-1.0),
        "must be normalised",
    ),
    "a gap in the likelihoods": (
        lambda made: with_answer(made, 3, teacher_forced_nats=None),
        "must answer every sample where the task asks it, or none",
    ),
    "chosen samples only": (
        lambda made: with_answer(made, 0, free_running=None),
        "must answer exactly the first 30 samples of the test set or none, it answers 29",
    ),
    "the first samples only": (
        lambda made: with_answer(made, 29, free_running=None),
        "must answer exactly the first 30 samples of the test set or none, it answers 29",
    ),
    "a baseline that is none": (
        lambda made: with_submission(made, kind="baseline"),
        "made-up: no baseline of cpu-toy; those are uniform, zlib",
    ),
    "another task's baseline": (
        lambda made: with_submission(made, kind="baseline", name="midi2abc"),
        "midi2abc: no baseline of cpu-toy",
    ),
    "a model by the name of a baseline": (
        lambda made: with_submission(made, name="rule"),
        "rule: a model by the name of a baseline; predict again with another --name",
    ),
    "a control that the task does not ask": (
        lambda made: with_answer(made, 0, shuffled_nats=1.0),
        "shuffled_nats must answer every sample where the task asks it",
    ),
    "too few tokens": (
        lambda made: with_answer(made, 2, teacher_forced_predicted=np.zeros(3, np.uint16)),
        "teacher_forced_predicted has 3 tokens",
    ),
    "a token that is none": (
        lambda made: with_answer(
            made, 2, teacher_forced_predicted=np.full(made.num_bytes[2], 257, np.uint16)
        ),
        "token 257 is not within 0..256",
    ),
    "too few bits": (
        lambda made: with_answer(made, 2, teacher_forced_byte_nats=np.zeros(3, np.float32)),
        "teacher_forced_byte_nats has 3 values",
    ),
    "bits by byte that are none": (
        lambda made: with_answer(
            made, 2, teacher_forced_byte_nats=np.full(made.num_bytes[2], np.nan, np.float32)
        ),
        "teacher_forced_byte_nats must be finite and not negative",
    ),
    "more bits by byte than the file has": (
        lambda made: with_answer(
            made, 2, teacher_forced_byte_nats=np.ones(made.num_bytes[2], np.float32)
        ),
        "more than teacher_forced_nats = 0.0",
    ),
    "bits by byte of chosen samples": (
        lambda made: with_answer(
            made, 2, teacher_forced_byte_nats=np.zeros(made.num_bytes[2], np.float32)
        ),
        "teacher_forced_byte_nats must answer every sample",
    ),
    "too much written": (
        lambda made: with_answer(made, 2, free_running=bytes(5000)),
        "5000 bytes written, at most 256 allowed",
    ),
}


@pytest.mark.parametrize("what", sorted(CASES))
def test_what_cannot_be_honest_is_refused(what: str, cpu_samples: SampleSet) -> None:
    change, message = CASES[what]
    made = predictions_of("cpu-toy", cpu_samples, perfect)
    score(TASKS["cpu-toy"], cpu_samples, made, CONFIG)
    with pytest.raises(SubmissionError) as caught:
        score(TASKS["cpu-toy"], cpu_samples, change(made), CONFIG)
    assert message in str(caught.value)


# configured, answered -> whether the predictions are taken
COUNTS = [(5, 5, True), (5, 0, True), (5, 4, False), (5, 6, False), (99, 30, True), (0, 1, False)]


@pytest.mark.parametrize(("configured", "answered", "taken"), COUNTS)
def test_nobody_chooses_how_many_samples_count_free_running(
    configured: int, answered: int, taken: bool, cpu_samples: SampleSet
) -> None:
    made = predictions_of("cpu-toy", cpu_samples, perfect)
    for row in range(answered, len(cpu_samples)):
        made = with_answer(made, row, free_running=None)
    config = dataclasses.replace(CONFIG, free_running_samples=configured)
    if taken:
        report = score(TASKS["cpu-toy"], cpu_samples, made, config)
        assert report.metrics["free_running_trace_accuracy"].n == answered
    else:
        with pytest.raises(SubmissionError, match=f"or none, it answers {answered}; predict and"):
            score(TASKS["cpu-toy"], cpu_samples, made, config)


def test_a_baseline_goes_by_its_own_name(cpu_samples: SampleSet) -> None:
    made = predictions_of("cpu-toy", cpu_samples, perfect)
    rule = with_submission(made, kind="baseline", name="rule")
    assert score(TASKS["cpu-toy"], cpu_samples, rule, CONFIG).submission.kind == "baseline"


def edit_header(folder: Path, change: Callable[[str], str]) -> None:
    path = folder / "predictions.json"
    path.write_text(change(path.read_text()))


def bad_table(folder: Path) -> None:
    pq.write_table(pa.table({"key": ["a"]}), folder / "predictions.parquet")


def repeat(folder: Path, rows: int, value: bytes, column: str = "free_running") -> None:
    """Write a small table of many rows, all of which point to one value of its dictionary."""
    columns = {
        field.name: pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(rows, np.int32)),
            pa.array([value if field.name == column else b"xx"], pa.binary()).view(field.type),
        )
        if field.type in (pa.string(), pa.binary())
        else pa.array(np.zeros(rows), field.type)
        for field in TABLE_SCHEMA
    }
    schema = pa.schema([f.with_type(columns[f.name].type) for f in TABLE_SCHEMA])
    path = folder / "predictions.parquet"
    options: Any = {"compression": "zstd", "dictionary_pagesize_limit": 4 << 20}
    pq.write_table(pa.table(columns, schema), path, store_schema=False, **options)
    assert path.stat().st_size < 20_000


def long_value(folder: Path) -> None:
    """Make one value two bytes too long, without a dictionary."""
    table = pq.read_table(folder / "predictions.parquet")
    rows = table.to_pylist()
    rows[3]["teacher_forced_predicted"] = bytes(16_322)
    table = pa.Table.from_pylist(rows, TABLE_SCHEMA)
    pq.write_table(table, folder / "predictions.parquet", use_dictionary=False)


def link(folder: Path) -> None:
    (folder / "predictions.json").rename(folder.parent / "real.json")
    (folder / "predictions.json").symlink_to(folder.parent / "real.json")


# What is done to an honest folder, and what the error must say.
FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "no folder of predictions"),
    "an extra file": (lambda f: (f / "model.pkl").write_bytes(b""), "model.pkl is not one of them"),
    "no table": (lambda f: (f / "predictions.parquet").unlink(), "predictions.parquet is missing"),
    "a link": (link, "not a plain file"),
    "no JSON": (lambda f: edit_header(f, lambda text: text[:-9]), "not usable as JSON"),
    "NaN": (lambda f: edit_header(f, lambda text: text.replace("1.5", "NaN")), "predictions.json"),
    "a double key": (
        lambda f: edit_header(f, lambda text: text.replace("{", '{"schema_version": 1,', 1)),
        "schema_version",
    ),
    "an unknown key": (
        lambda f: edit_header(f, lambda text: text.replace("{", '{"score": 1,', 1)),
        "unknown key 'score'",
    ),
    "reported": (
        lambda f: edit_header(f, lambda text: text.replace('"model"', '"reported"')),
        "submission.kind",
    ),
    "a path for a name": (
        lambda f: edit_header(f, lambda text: text.replace("made-up", "../up")),
        "submission.name '../up' must be",
    ),
    "a huge header": (
        lambda f: edit_header(f, lambda text: text + " " * (2 << 20)),
        "at most 1048576 are read",
    ),
    "other columns": (bad_table, "columns must be exactly key (string), group"),
    "no Parquet": (
        lambda f: (f / "predictions.parquet").write_bytes(b"PAR1" * 9),
        "not readable as Parquet",
    ),
    "a value of 1 MiB in 100 rows": (
        lambda f: repeat(f, 100, bytes(1 << 20)),
        "free_running has a value of 1048576 bytes, at most 8160 are read",
    ),
    "a long key": (
        lambda f: repeat(f, 9, b"k" * 257, "key"),
        "key has a value of 257 bytes, at most 256 are read",
    ),
    "an honest value in 140,000 rows": (
        lambda f: repeat(f, 140_000, bytes(8160)),
        "bytes, all at most 1073741824",
    ),
    "a long value without a dictionary": (
        long_value,
        "teacher_forced_predicted has a value of 16322 bytes, at most 16320 are read",
    ),
    "a key that is no text": (
        lambda f: repeat(f, 9, b"\xff", "key"),
        "not readable as Parquet",
    ),
}


@pytest.mark.parametrize("what", sorted(FOLDERS))
def test_a_folder_of_another_form_is_refused(
    what: str, tmp_path: Path, cpu_samples: SampleSet
) -> None:
    change, message = FOLDERS[what]
    folder = tmp_path / "mine"
    write_predictions(folder, predictions_of("cpu-toy", cpu_samples, perfect))
    read_predictions(folder)
    change(folder)
    with pytest.raises(SubmissionError) as caught:
        read_predictions(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
