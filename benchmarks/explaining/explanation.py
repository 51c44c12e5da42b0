"""An explanation: where one submission errs on one task, as a JSON file beside its report.

Tables hold counts, from which every rate and share follows; the worst samples hold no more of a
tune than the place of its first wrong byte, because test tunes may not be published. The form is
fixed in docs/benchmark.md. Reading is strict: the page shows what stands here.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from benchmarks.report import EXPLAIN_SUFFIX, CorpusRef, SubmissionRef, TaskRef
from benchmarks.strict_json import JsonRefused, load_text, parse_object
from pipelines.config import ConfigError, parse
from pipelines.shards import write_atomically

SCHEMA_VERSION: Final = 1
MAX_TABLES: Final = 32
MAX_ROWS: Final = 1_000
MAX_WORST: Final = 64
MAX_TEXT: Final = 400
_LONGEST_LINE: Final = 240

Mode = Literal["teacher_forced", "free_running"]


class ExplanationError(ValueError):
    """What is to be explained, or was, is not of its form; the message says where."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartCounts:
    """One part of the files; counts are teacher-forced but for `first_wrong`."""

    name: str
    units: int
    wrong_units: int
    """Units of which not every byte was predicted."""
    stderr: float | None
    """Of the share of wrong units, by bootstrap over groups."""
    bytes: int
    wrong_bytes: int
    bits: float | None
    """What its bytes cost; `None` where the predictions do not say."""
    first_wrong: int
    """Written files whose first wrong byte stands in this part."""

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        if not 0 <= self.wrong_units <= self.units or not 0 <= self.wrong_bytes <= self.bytes:
            raise ValueError("more is wrong than there is, or less than nothing")
        if min(self.bits or 0, self.stderr or 0, self.first_wrong) < 0:
            raise ValueError("bits, stderr and first_wrong cannot be negative")
        _check_text(self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartTable:
    """The parts along one dimension."""

    name: str
    part: str
    """What a part is."""
    unit: str
    ranked: bool
    """Whether rows stand by their share of the wrong bytes."""
    rows: tuple[PartCounts, ...]

    def __post_init__(self) -> None:
        """Refuse what no page should hold."""
        if len(self.rows) > MAX_ROWS:
            raise ValueError(f"{len(self.rows)} rows, at most {MAX_ROWS} are read")
        _check_text(self.name, self.part, self.unit)


@dataclass(frozen=True, kw_only=True, slots=True)
class ForcedTotals:
    """All teacher-forced bytes."""

    bytes: int
    wrong_bytes: int
    bits: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenTotals:
    """All written files."""

    files: int
    exact: int
    only_too_long: int
    """Files that are right to the true end and go on behind it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceCell:
    """One register that changes or is wrong."""

    field: str
    true: str
    """In hexadecimal, the most significant byte first."""
    answered: str | None
    """What was answered where that is wrong."""
    first_wrong: int | None
    """Which byte of it is the sample's first wrong one, 0 the least significant; else `None`."""

    def __post_init__(self) -> None:
        """Refuse what is too long, and a mark that marks nothing."""
        if self.first_wrong is not None and not (
            self.answered and 0 <= self.first_wrong < len(self.answered) // 2
        ):
            raise ValueError(f"first_wrong {self.first_wrong} marks no byte of {self.answered!r}")
        _check_text(self.field, self.true, self.answered or "")


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceLine:
    """One state."""

    state: int
    """From 0, the one that is given."""
    instruction: str
    """The one whose effect it shows."""
    cells: tuple[TraceCell, ...]

    def __post_init__(self) -> None:
        """Refuse what is too long."""
        if len(self.cells) > MAX_ROWS:
            raise ValueError(f"{len(self.cells)} registers, at most {MAX_ROWS} are read")
        _check_text(self.instruction)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorstSample:
    """A sample with many wrong bytes."""

    key: str
    mode: Mode
    bytes: int
    """Of the truth, or of what was written where that is longer."""
    wrong_bytes: int
    first_wrong: int
    """Offset of the first wrong byte in what is scored."""
    true: int | None
    """That byte; `None` behind the true end."""
    answered: int | None
    """What stands there instead: a byte, 256 for an end, `None` behind the written end."""
    place: dict[str, str]
    """Dimension to the part in which it stands."""
    trace: tuple[TraceLine, ...]
    """Of a machine: the states around it; empty for anything else."""

    def __post_init__(self) -> None:
        """Refuse what no page should hold."""
        if len(self.trace) > MAX_ROWS:
            raise ValueError(f"{len(self.trace)} states, at most {MAX_ROWS} are read")
        _check_text(self.key, *self.place, *self.place.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """The content of one file."""

    schema_version: int
    task: TaskRef
    corpus: CorpusRef
    submission: SubmissionRef
    teacher_forced: ForcedTotals | None
    """`None` where nothing was predicted."""
    free_running: WrittenTotals | None
    tables: tuple[PartTable, ...]
    worst: tuple[WorstSample, ...]

    def __post_init__(self) -> None:
        """Refuse another version, and what no page should hold."""
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(
                f"schema_version {self.schema_version}, this version reads {SCHEMA_VERSION}; "
                'score again with "bgpt-bench score"'
            )
        if len(self.tables) > MAX_TABLES or len(self.worst) > MAX_WORST:
            raise ValueError(f"more than {MAX_TABLES} tables or {MAX_WORST} worst samples")
        _check_text(self.task.name, self.corpus.name, self.submission.name)


def around_mark(cell: TraceCell) -> tuple[str, str, str] | None:
    """Return what was answered before, at and behind the sample's first wrong byte.

    >>> around_mark(TraceCell(field="IR", true="0a0b", answered="0a0c", first_wrong=0))
    ('0a', '0c', '')
    """
    if cell.answered is None or cell.first_wrong is None:
        return None
    at = len(cell.answered) - 2 * (cell.first_wrong + 1)
    return cell.answered[:at], cell.answered[at : at + 2], cell.answered[at + 2 :]


def _check_text(*texts: str) -> None:
    if any(len(text) > MAX_TEXT for text in texts):
        raise ValueError(f"a text of more than {MAX_TEXT} characters")
    if not all(text.isprintable() for text in texts):
        raise ValueError("a text with characters that do not print")


def explanation_json(explanation: Explanation) -> str:
    """Return an explanation as JSON, one line a row of its tables and a line of its traces."""
    content = dataclasses.asdict(explanation)
    return _folded(content) + "\n"


def _folded(value: object) -> str:
    """Write the outer levels over several lines, and what they hold on one line each."""
    short = json.dumps(value, allow_nan=False)
    if len(short) <= _LONGEST_LINE or not isinstance(value, dict | list | tuple):
        return short
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        parts = [f"{json.dumps(key)}: {_folded(inner)}" for key, inner in members.items()]
        return "{\n" + ",\n".join(parts) + "\n}"
    elements = cast("Sequence[object]", value)
    return "[\n" + ",\n".join(map(_folded, elements)) + "\n]"


def write_explanation(folder: Path, explanation: Explanation) -> Path:
    """Write an explanation into `folder` as TASK.SUBMISSION.explain.json and return its path.

    Where there is nothing to explain, an older file of this name goes away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{explanation.task.name}.{explanation.submission.name}{EXPLAIN_SUFFIX}"
    if explanation.tables:
        write_atomically(path, [explanation_json(explanation).encode()])
    else:
        path.unlink(missing_ok=True)
    return path


def read_explanation(path: Path) -> Explanation:
    """Read an explanation strictly.

    Raises:
        ExplanationError: not JSON, another form or version, or more than a page should hold.
    """
    try:
        return parse(Explanation, parse_object(load_text(path), str(path)), str(path))
    except (JsonRefused, ConfigError) as error:
        raise ExplanationError(" ".join(str(error).split())) from error
