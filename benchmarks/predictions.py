# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
"""A predictions folder: what a model answered on a task's test samples, without the model.

`predictions.json` says who answered what, `predictions.parquet` has one row a sample. This module
writes; `benchmarks.submission` reads, and trusts nothing.
"""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.metrics import Answer
from benchmarks.report import CorpusRef, SubmissionRef, TaskRef

SCHEMA_VERSION = 1
HEADER_NAME = "predictions.json"
TABLE_NAME = "predictions.parquet"

TABLE_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("num_bytes", pa.int64(), nullable=False),
        pa.field("teacher_forced_nats", pa.float64()),
        pa.field("teacher_forced_predicted", pa.binary()),
        pa.field("free_running", pa.binary()),
        pa.field("shuffled_nats", pa.float64()),
        pa.field("teacher_forced_byte_nats", pa.binary()),
    ]
)
"""`teacher_forced_predicted` holds one uint16, little-endian, a target byte, and
`teacher_forced_byte_nats` one float16: three digits, of which no score is made."""
REQUIRED_SCHEMA = TABLE_SCHEMA.remove(TABLE_SCHEMA.get_field_index("teacher_forced_byte_nats"))
"""The last column may be left out: it only tells where the bits go."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleAnswer:
    """What was written of one display tune."""

    name: str
    written: str
    """The file in hexadecimal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """The content of `predictions.json`."""

    schema_version: int
    task: TaskRef
    corpus: CorpusRef
    submission: SubmissionRef
    environment: dict[str, str]
    wall_seconds: float
    examples: tuple[ExampleAnswer, ...] = ()
    """Of all display tunes or none, see `benchmarks.examples`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """Answers, one a sample, with what they claim to be answers to."""

    header: Header
    keys: tuple[str, ...]
    groups: tuple[str, ...]
    num_bytes: tuple[int, ...]
    """Length of each target."""
    answers: tuple[Answer, ...]


def write_predictions(folder: Path, predictions: Predictions) -> None:
    """Write a predictions folder; one that is there is replaced once the new one is whole."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    text = json.dumps(dataclasses.asdict(predictions.header), indent=1, allow_nan=False)
    (part / HEADER_NAME).write_text(text + "\n", encoding="utf-8")
    pq.write_table(_table(predictions), part / TABLE_NAME, compression="zstd")
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)


def _table(predictions: Predictions) -> pa.Table:
    """Return the answers as rows of `TABLE_SCHEMA`."""
    answers: Sequence[Answer] = predictions.answers
    columns = [
        list(predictions.keys),
        list(predictions.groups),
        list(predictions.num_bytes),
        [answer.teacher_forced_nats for answer in answers],
        [
            None
            if answer.teacher_forced_predicted is None
            else answer.teacher_forced_predicted.astype(np.dtype("<u2")).tobytes()
            for answer in answers
        ],
        [answer.free_running for answer in answers],
        [answer.shuffled_nats for answer in answers],
        [
            None
            if answer.teacher_forced_byte_nats is None
            else answer.teacher_forced_byte_nats.astype(np.dtype("<f2")).tobytes()
            for answer in answers
        ],
    ]
    return pa.Table.from_arrays(
        [
            pa.array(column, type=field.type)
            for column, field in zip(columns, TABLE_SCHEMA, strict=True)
        ],
        schema=TABLE_SCHEMA,
    )
