# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
"""The only door for strangers' predictions: size limits, strict forms, and the right test set.

A folder holds exactly two plain files, JSON and Parquet; nothing is ever unpickled or executed.
Two steps: `read_predictions` checks the form, `match` checks it against the task's samples and
returns the answers in their order. Neither measures anything. No torch.
"""

import math
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.baselines.catalogue import BASELINES, baselines_of
from benchmarks.metrics import Answer
from benchmarks.predictions import (
    HEADER_NAME,
    REQUIRED_SCHEMA,
    SCHEMA_VERSION,
    TABLE_NAME,
    TABLE_SCHEMA,
    Header,
    Predictions,
)
from benchmarks.strict_json import JsonRefused, parse_object
from benchmarks.task import MAX_PATCHES, PATCH_BYTES, Item, SampleSet, TaskSpec
from bgpt.protocol import NUM_TOKENS
from pipelines.config import ConfigError, parse

MAX_HEADER_BYTES = 1 << 20
MAX_TABLE_BYTES = 256 << 20
MAX_UNPACKED_BYTES = 1 << 30
MAX_ROWS = 1_000_000
MAX_TARGET_BYTES = (MAX_PATCHES - 2) * PATCH_BYTES
"""A sequence without the target's extension and its end; no honest value is longer."""
MAX_VALUE_BYTES = {
    "key": 256,
    "group": 256,
    "teacher_forced_predicted": 2 * MAX_TARGET_BYTES,
    "teacher_forced_byte_nats": 2 * MAX_TARGET_BYTES,
    "free_running": MAX_TARGET_BYTES,
}
MAX_EXAMPLES = 32
_ROUNDED = 1e-2
"""By how much a sum of numbers of three digits may be off, of itself and at least."""
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class SubmissionError(ValueError):
    """Predictions that cannot be scored; the message names the file, the row and the cure."""


def read_predictions(folder: Path) -> Predictions:
    """Read a predictions folder strictly.

    Raises:
        SubmissionError: another file or a link is there, something is too large, or the form is
            not that of docs/benchmark.md.
    """
    _check_files(folder)
    header = _read_header(folder / HEADER_NAME)
    path = folder / TABLE_NAME
    try:
        with pq.ParquetFile(path) as file:
            _check_table(file, path)
            _check_values(path)
            columns: dict[str, list[Any]] = file.read().to_pydict()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SubmissionError(f"{path}: not readable as Parquet: {_one_line(error)}") from error
    return Predictions(
        header=header,
        keys=tuple(columns["key"]),
        groups=tuple(columns["group"]),
        num_bytes=tuple(columns["num_bytes"]),
        answers=tuple(_answer(columns, row, path) for row in range(len(columns["key"]))),
    )


def match(
    predictions: Predictions,
    spec: TaskSpec,
    samples: SampleSet,
    items: Sequence[Item],
    *,
    free_running_samples: int,
) -> list[Answer]:
    """Return the answers in the order of `items`, after checking that they answer exactly these.

    Who writes free-running has written the first `free_running_samples` items, neither more nor
    fewer.

    Raises:
        SubmissionError: another task, version or test set; a baseline's name that is not its own;
            missing, extra or repeated keys; values that no honest answer has.
    """
    header = predictions.header
    name = header.submission.name
    for what, found, wanted in (
        ("task", header.task.name, spec.name),
        ("version of the task", header.task.version, spec.version),
        ("number of samples", header.corpus.samples, len(samples)),
        ("test_sha256", header.corpus.test_sha256, samples.sha256),
    ):
        if found != wanted:
            raise SubmissionError(
                f"{name}: predictions of another {what}: {found!r}, this one is {wanted!r}; "
                f'predict again with "bgpt-bench predict {spec.name}" on this corpus'
            )
    _check_kind(header, spec)
    rows = {key: row for row, key in enumerate(predictions.keys)}
    if len(rows) != len(predictions.keys):
        raise SubmissionError(f"{name}: {len(predictions.keys) - len(rows)} keys are repeated")
    wanted_keys = {item.key for item in items}
    for what, odd in (("lack", wanted_keys - rows.keys()), ("hold", rows.keys() - wanted_keys)):
        if odd:
            raise SubmissionError(
                f"{name}: the predictions {what} {len(odd)} keys that the test set "
                f"{'has' if what == 'lack' else 'does not have'}, e.g. {min(odd)}"
            )
    answers: list[Answer] = []
    for item in items:
        row = rows[item.key]
        found = (predictions.groups[row], predictions.num_bytes[row])
        if found != (item.group, len(item.continuation.target)):
            raise SubmissionError(
                f"{name}: {item.key}: group and num_bytes are {found}, the test set has "
                f"{(item.group, len(item.continuation.target))}"
            )
        _check_answer(predictions.answers[row], item, f"{name}: {item.key}")
        answers.append(predictions.answers[row])
    _check_coverage(answers, items, free_running_samples, name)
    return answers


def _check_files(folder: Path) -> None:
    """Refuse everything but the two plain files within their limits."""
    if folder.is_symlink() or not folder.is_dir():
        raise SubmissionError(f"{folder}: no folder of predictions")
    limits = {HEADER_NAME: MAX_HEADER_BYTES, TABLE_NAME: MAX_TABLE_BYTES}
    found = {path.name for path in folder.iterdir()}
    if found != limits.keys():
        odd = min(found ^ limits.keys())
        raise SubmissionError(
            f"{folder}: must hold exactly {HEADER_NAME} and {TABLE_NAME}; "
            f"{odd} is {'missing' if odd in limits else 'not one of them'}"
        )
    for name, limit in limits.items():
        status = (folder / name).lstat()
        if not stat.S_ISREG(status.st_mode):
            raise SubmissionError(f"{folder / name}: not a plain file")
        if status.st_size > limit:
            raise SubmissionError(
                f"{folder / name}: {status.st_size} bytes, at most {limit} are read"
            )


def _read_header(path: Path) -> Header:
    try:
        loaded = parse_object(path.read_text(encoding="utf-8"), str(path))
        header = parse(Header, loaded, str(path))
    except (JsonRefused, ConfigError) as error:
        raise SubmissionError(_one_line(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SubmissionError(f"{path}: not readable: {_one_line(error)}") from error
    if header.schema_version != SCHEMA_VERSION:
        raise SubmissionError(f"{path}: schema_version {header.schema_version}, not 1")
    name = header.submission.name
    if NAME_PATTERN.fullmatch(name) is None:
        raise SubmissionError(
            f"{path}: submission.name {name!r} must be 1 to 64 of a-z, 0-9, - and _"
        )
    for what, count in (
        ("parameters", header.submission.parameters),
        ("train_samples", header.submission.train_samples),
        ("base_tunes", header.submission.base_tunes),
        ("wall_seconds", header.wall_seconds),
    ):
        if count is not None and count < 0:
            raise SubmissionError(f"{path}: {what} = {count} is negative")
    _check_examples(header, path)
    return header


def _check_examples(header: Header, path: Path) -> None:
    """Refuse examples that are no files in hexadecimal; whose they are, the scorer knows."""
    for example in header.examples[: MAX_EXAMPLES + 1]:
        where = f"{path}: example {example.name!r}"
        if len(example.written) > 2 * MAX_TARGET_BYTES:
            what = f"{len(example.written) // 2} bytes, at most {MAX_TARGET_BYTES} are read"
            raise SubmissionError(f"{where}: {what}")
        if re.fullmatch("(?:[0-9a-f]{2})*", example.written) is None:
            raise SubmissionError(f"{where}: written is not whole bytes in lower-case hexadecimal")
    if len(header.examples) > MAX_EXAMPLES:
        raise SubmissionError(f"{path}: {len(header.examples)} examples, at most {MAX_EXAMPLES}")


def _check_table(file: pq.ParquetFile, path: Path) -> None:
    """Refuse other columns and more than fits, by the file's own word before reading it."""
    if not any(file.schema_arrow.equals(schema) for schema in (TABLE_SCHEMA, REQUIRED_SCHEMA)):
        raise SubmissionError(
            f"{path}: columns must be exactly "
            + ", ".join(f"{field.name} ({field.type})" for field in TABLE_SCHEMA)
            + "; the last may be left out"
        )
    if file.metadata.num_rows > MAX_ROWS:
        raise SubmissionError(f"{path}: {file.metadata.num_rows} rows, at most {MAX_ROWS}")
    unpacked = sum(
        file.metadata.row_group(group).total_byte_size
        for group in range(file.metadata.num_row_groups)
    )
    if unpacked > MAX_UNPACKED_BYTES:
        raise SubmissionError(f"{path}: unpacks to {unpacked} bytes, at most {MAX_UNPACKED_BYTES}")


def _check_values(path: Path) -> None:
    """Refuse values that are too long, and too many of them, before any of them is copied to a row.

    What Parquet itself counts says nothing: a dictionary keeps a value once that stands in every
    row. So texts and bytes are read as dictionaries first, where rows are numbers.
    """
    unpacked = 0
    found: list[str] = pq.read_schema(path).names
    limits = {name: limit for name, limit in MAX_VALUE_BYTES.items() if name in found}
    with pq.ParquetFile(path, read_dictionary=list(limits)) as file:
        for batch in file.iter_batches(columns=list(limits)):
            for name, limit in limits.items():
                column = batch.column(name)
                sizes = pc.binary_length(column.dictionary)
                longest = pc.max(sizes).as_py() or 0
                if longest > limit:
                    what = f"{name} has a value of {longest} bytes, at most {limit} are read"
                    raise SubmissionError(f"{path}: {what}")
                unpacked += pc.sum(sizes.take(column.indices)).as_py() or 0
            if unpacked > MAX_UNPACKED_BYTES:
                what = f"its first values take {unpacked} bytes, all at most {MAX_UNPACKED_BYTES}"
                raise SubmissionError(f"{path}: {what}")


def _answer(columns: dict[str, list[Any]], row: int, path: Path) -> Answer:
    predicted: bytes | None = columns["teacher_forced_predicted"][row]
    nats: bytes | None = columns.get("teacher_forced_byte_nats", {row: None})[row]
    for name, packed, what in (
        ("teacher_forced_predicted", predicted, "uint16"),
        ("teacher_forced_byte_nats", nats, "float16"),
    ):
        if packed is not None and len(packed) % 2:
            raise SubmissionError(f"{path}: row {row}: {name} is not whole {what}")
    return Answer(
        teacher_forced_nats=columns["teacher_forced_nats"][row],
        teacher_forced_predicted=None
        if predicted is None
        else np.frombuffer(predicted, np.dtype("<u2")).astype(np.uint16),
        teacher_forced_byte_nats=None
        if nats is None
        else np.frombuffer(nats, np.dtype("<f2")).astype(np.float32),
        free_running=columns["free_running"][row],
        shuffled_nats=columns["shuffled_nats"][row],
    )


def _check_kind(header: Header, spec: TaskSpec) -> None:
    """Refuse a baseline that we do not have, and a model by the name of one."""
    name, known = header.submission.name, baselines_of(spec.name)
    if header.submission.kind == "baseline" and name not in known:
        raise SubmissionError(
            f"{name}: no baseline of {spec.name}; those are {', '.join(known)}. "
            'Anything else has submission.kind "model"'
        )
    if header.submission.kind == "model" and name in {one.name for one in BASELINES}:
        raise SubmissionError(
            f"{name}: a model by the name of a baseline; predict again with another --name"
        )


def _check_answer(answer: Answer, item: Item, where: str) -> None:
    """Refuse values that would poison a sum or that no model may claim."""
    for what, nats in (
        ("teacher_forced_nats", answer.teacher_forced_nats),
        ("shuffled_nats", answer.shuffled_nats),
    ):
        if nats is not None and not (math.isfinite(nats) and nats >= 0):
            raise SubmissionError(
                f"{where}: {what} is {nats}; it must be finite and not negative "
                "(log-probabilities must be normalised)"
            )
    predicted = answer.teacher_forced_predicted
    target = item.continuation.target
    if predicted is not None and len(predicted) != len(target):
        raise SubmissionError(
            f"{where}: teacher_forced_predicted has {len(predicted)} tokens, "
            f"the target {len(target)} bytes"
        )
    if predicted is not None and int(predicted.max(initial=0)) >= NUM_TOKENS:
        raise SubmissionError(f"{where}: token {predicted.max()} is not within 0..{NUM_TOKENS - 1}")
    _check_byte_nats(answer, target, where)
    if answer.free_running is not None and len(answer.free_running) > item.max_bytes:
        raise SubmissionError(
            f"{where}: {len(answer.free_running)} bytes written, at most {item.max_bytes} allowed"
        )


def _check_byte_nats(answer: Answer, target: bytes, where: str) -> None:
    """Refuse bits by byte that are impossible, or more than the file's."""
    nats = answer.teacher_forced_byte_nats
    if nats is None:
        return
    if len(nats) != len(target):
        raise SubmissionError(
            f"{where}: teacher_forced_byte_nats has {len(nats)} values, "
            f"the target {len(target)} bytes"
        )
    if not (np.isfinite(nats).all() and (nats >= 0).all()):
        raise SubmissionError(
            f"{where}: teacher_forced_byte_nats must be finite and not negative, of every byte"
        )
    total = answer.teacher_forced_nats
    added = float(nats.sum(dtype=np.float64))
    if total is None or added > total * (1 + _ROUNDED) + _ROUNDED:
        raise SubmissionError(
            f"{where}: teacher_forced_byte_nats add up to {added:.6g}, "
            f"more than teacher_forced_nats = {total}"
        )


def _check_coverage(
    answers: Sequence[Answer], items: Sequence[Item], free_running_samples: int, name: str
) -> None:
    """Refuse answers for chosen samples only: all (free-running, the first so many) or none."""
    forced = [answer.teacher_forced_nats is not None for answer in answers]
    predicted = [answer.teacher_forced_predicted is not None for answer in answers]
    byte_nats = [answer.teacher_forced_byte_nats is not None for answer in answers]
    shuffled = [answer.shuffled_nats is not None for answer in answers]
    possible = [item.shuffled is not None for item in items]
    written = [answer.free_running is not None for answer in answers]
    for what, found, wanted in (
        ("teacher_forced_nats", forced, [True] * len(items)),
        ("teacher_forced_predicted", predicted, [True] * len(items)),
        ("teacher_forced_byte_nats", byte_nats, [True] * len(items)),
        ("shuffled_nats", shuffled, possible),
        ("free_running", written, [row < free_running_samples for row in range(len(items))]),
    ):
        if any(found) and found != wanted:
            row = next(row for row in range(len(items)) if found[row] != wanted[row])
            rule = (
                f"must answer exactly the first {min(free_running_samples, len(items))} samples "
                f"of the test set or none, it answers {sum(written)}; predict and score with the "
                "same --params and --free-running-limit"
                if what == "free_running"
                else "must answer every sample where the task asks it, or none"
            )
            raise SubmissionError(f"{name}: {what} {rule}; see {items[row].key}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
