"""An explanation as text: a table a dimension, then the worst samples as traces.

Columns that the predictions cannot fill are left out. What is marked, the caller says how: by signs
in plain text, by colour on a terminal. It prints nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from benchmarks.explaining.explanation import (
    Explanation,
    PartCounts,
    PartTable,
    TraceCell,
    WorstSample,
    around_mark,
)
from bgpt.protocol import EOP

Mark: TypeAlias = Callable[[str], str]
"""Makes the text of the first wrong byte stand out."""

_NA: Final = "-"
_LONGEST_NAME: Final = 48
MODES: Final = {"teacher_forced": "teacher-forced", "free_running": "free-running"}


def signs(text: str) -> str:
    """Mark a text by signs around it.

    >>> signs("1f")
    '>1f<'
    """
    return f">{text}<"


def explanation_text(explanation: Explanation, *, rows: int) -> str:
    """Return all but the worst samples; of each table the first `rows` parts."""
    blocks = ["\n".join(explanation_heading(explanation))]
    blocks += ["\n".join(_table(explanation, table, rows)) for table in explanation.tables]
    return "\n\n".join(blocks)


def sample_text(sample: WorstSample, mark: Mark = signs) -> str:
    """Return one of the worst samples: its first wrong byte, and the trace around it."""
    lines = [sample_heading(sample, mark)]
    if sample.trace:
        width = max(len(line.instruction) for line in sample.trace)
        lines.append(f"  state  {'instruction':<{width}}  registers that change or are wrong")
        for line in sample.trace:
            cells = "  ".join(_cell(cell, mark) for cell in line.cells) or "nothing changes"
            lines.append(f"  {line.state:5}  {line.instruction:<{width}}  {cells}")
    return "\n".join(lines)


def sample_heading(sample: WorstSample, mark: Mark = signs) -> str:
    """Return the line that names a sample and its first wrong byte."""
    said = mark(f"byte {sample.first_wrong:,}")
    place = ", ".join(f"{name} {part}" for name, part in sample.place.items())
    return (
        f"{sample.key}, {MODES[sample.mode]}: {sample.wrong_bytes:,} of {sample.bytes:,} bytes "
        f"wrong, the first is {said}: true {byte_text(sample.true)}, answered "
        f"{byte_text(sample.answered)}" + (f"\n  ({place})" if place else "")
    )


def byte_text(token: int | None) -> str:
    """Return a byte as hexadecimal, with its character where it has one.

    >>> byte_text(65), byte_text(10), byte_text(256), byte_text(None)
    ("41 'A'", '0a', 'the end', 'nothing')
    """
    if token is None:
        return "nothing"
    if token == EOP:
        return "the end"
    return f"{token:02x} {chr(token)!r}" if 0x20 <= token < 0x7F else f"{token:02x}"


def share(part: float | None, whole: float | None) -> str:
    """Return a share in percent.

    >>> share(1, 8), share(0, 8), share(1, 0), share(None, 8)
    ('12.5 %', '0 %', '-', '-')
    """
    if part is None or not whole:
        return _NA
    return f"{100 * part / whole:.1f} %" if part else "0 %"


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of figures."""

    name: str
    text: Callable[[PartCounts], str]


def columns_of(explanation: Explanation, table: PartTable) -> list[Column]:
    """Return the columns that an explanation can fill."""
    forced, written = explanation.teacher_forced, explanation.free_running
    columns = [Column(name=table.unit, text=_units)]
    if forced is not None:
        columns.append(Column(name=f"wrong {table.unit}", text=_error_rate))
        columns.append(Column(name="of all errors", text=partial(_of_errors, forced.wrong_bytes)))
        if forced.bits is not None:
            columns.append(Column(name="of all bits", text=partial(_of_bits, forced.bits)))
            columns.append(Column(name="bits/byte", text=_bits_a_byte))
    wrong_files = 0 if written is None else written.files - written.exact
    if wrong_files:
        name = "written: first error"
        columns.append(Column(name=name, text=partial(_of_first_errors, wrong_files)))
    return columns


def _units(row: PartCounts) -> str:
    return f"{row.units:,}"


def _error_rate(row: PartCounts) -> str:
    """Return the share of wrong units with its standard error."""
    if not row.units:
        return _NA
    error = "" if row.stderr is None else f" ± {100 * row.stderr:.2f}"
    return f"{100 * row.wrong_units / row.units:.2f}{error} %"


def _of_errors(all_wrong: int, row: PartCounts) -> str:
    return share(row.wrong_bytes, all_wrong)


def _of_bits(all_bits: float, row: PartCounts) -> str:
    return share(row.bits, all_bits)


def _bits_a_byte(row: PartCounts) -> str:
    """Return what a byte of a part costs."""
    return _NA if row.bits is None or not row.bytes else f"{row.bits / row.bytes:.3f}"


def _of_first_errors(wrong_files: int, row: PartCounts) -> str:
    return share(row.first_wrong, wrong_files)


def explanation_heading(explanation: Explanation) -> Iterator[str]:
    """Yield who is explained, on what, and the totals."""
    who = explanation.submission
    yield (
        f"{explanation.task.name}: {who.name} ({who.kind}), "
        f"{explanation.corpus.samples:,} test samples of {explanation.corpus.name}"
    )
    forced, written = explanation.teacher_forced, explanation.free_running
    if forced is not None:
        cost = "" if forced.bits is None else f", {forced.bits / forced.bytes:.3f} bits a byte"
        wrong = share(forced.wrong_bytes, forced.bytes)
        counts = f"{forced.wrong_bytes:,} of {forced.bytes:,} bytes wrong ({wrong})"
        yield f"teacher-forced: {counts}{cost}"
    if written is not None:
        long = f", {written.only_too_long:,} only too long" if written.only_too_long else ""
        yield f"free-running: {written.exact:,} of {written.files:,} files exact{long}"
    if forced is None and written is None:
        yield "it predicts no bytes and writes none: nothing to explain"


def _table(explanation: Explanation, table: PartTable, rows: int) -> Iterator[str]:
    """Yield one table's lines."""
    columns = columns_of(explanation, table)
    shown = table.rows[:rows]
    cells = [[row.name[:_LONGEST_NAME], *(one.text(row) for one in columns)] for row in shown]
    cells.insert(0, [table.part, *(one.name for one in columns)])
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    yield f"By {table.name}"
    for line in cells:
        first, *others = (
            f"{cell:<{width}}" if i == 0 else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join(["", first, *others]).rstrip()
    left = len(table.rows) - len(shown)
    if left:
        yield f"  ... and {left} more; --rows shows more"


def _cell(cell: TraceCell, mark: Mark) -> str:
    """Return a register's value, of a wrong one both."""
    if cell.answered is None:
        return f"{cell.field} {cell.true}"
    parts = around_mark(cell)
    answered = cell.answered if parts is None else f"{parts[0]}{mark(parts[1])}{parts[2]}"
    return f"[{cell.field} {cell.true}, answered {answered}]"
