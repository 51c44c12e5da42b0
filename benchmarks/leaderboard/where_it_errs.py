"""Where entries err, as HTML: a table a dimension, the costliest part first, and the worst traces.

It shows what an explanation says and decides no number. Tunes of the test set are never in one.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.explaining.explanation import (
    Explanation,
    PartTable,
    TraceCell,
    TraceLine,
    WorstSample,
    around_mark,
)
from benchmarks.explaining.text import MODES, byte_text, columns_of, share
from benchmarks.leaderboard.markup import Markup, join, scrolling, tag
from benchmarks.leaderboard.tables import Standing

ROWS: Final = 12
"""Parts of a table that are shown; the others are summed in one row."""


def where_it_errs(board: Standing) -> Markup | None:
    """Return the section of one task: its models, or its first baseline that predicts bytes."""
    having = [entry for entry in board.entries if entry.explanation is not None]
    models = [entry for entry in having if entry.kind == "model"]
    shown = [entry.explanation for entry in models or having[:1] if entry.explanation is not None]
    if not shown:
        return None
    return tag(
        "div",
        tag("h3", "Where it errs"),
        tag(
            "p",
            "Which parts of the files hold the wrong bytes, and the bits. The bar is a part’s "
            "share of all wrong bytes. Every byte is predicted with the true ones before it "
            "given; the last column says where a file that is written goes wrong first.",
        ),
        *(
            tag(
                "details",
                tag("summary", tag("span", one.submission.name, class_="name"), " ", _totals(one)),
                explained(one),
                open=number == 0,
            )
            for number, one in enumerate(shown)
        ),
        class_="errs",
    )


def explained(
    explanation: Explanation, texts: Mapping[tuple[str, str], str] | None = None
) -> Markup:
    """Return one entry's tables, the first open, and its worst samples.

    `texts` says of a (key, mode) what else is shown there, as it stands.
    """
    also = texts or {}
    tables = explanation.tables
    worst = explanation.worst
    return join(
        *(
            tag(
                "details",
                tag("summary", f"By {table.name}"),
                _table(explanation, table),
                open=number == 0,
            )
            for number, table in enumerate(tables)
        ),
        tag(
            "details",
            tag("summary", "The worst samples"),
            *(_sample(sample, also.get((sample.key, sample.mode))) for sample in worst),
            class_="worst",
        )
        if worst
        else None,
    )


def _totals(explanation: Explanation) -> Markup:
    """Return what an entry gets wrong, in one line."""
    forced, written = explanation.teacher_forced, explanation.free_running
    said: list[str] = []
    if forced is not None:
        said.append(
            f"{forced.wrong_bytes:,} of {forced.bytes:,} bytes wrong "
            f"({share(forced.wrong_bytes, forced.bytes)})"
        )
    if written is not None:
        said.append(f"{written.exact:,} of {written.files:,} written files exact")
    return tag("span", "; ".join(said), class_="about")


def _table(explanation: Explanation, table: PartTable) -> Markup:
    """Return one dimension's parts."""
    forced = explanation.teacher_forced
    wrong_bytes = 0 if forced is None else forced.wrong_bytes
    columns = columns_of(explanation, table)
    head = tag(
        "tr",
        tag("th", table.part, scope="col"),
        tag("th", tag("span", "Share of all wrong bytes"), scope="col", class_="bars"),
        *(tag("th", one.name.capitalize(), scope="col", class_="num") for one in columns),
    )
    rows = [
        tag(
            "tr",
            tag("th", row.name, scope="row"),
            tag("td", _bar(row.wrong_bytes, wrong_bytes), class_="bars"),
            *(tag("td", one.text(row), class_="num") for one in columns),
        )
        for row in table.rows[:ROWS]
    ]
    left = table.rows[ROWS:]
    caption = f"Over {explanation.corpus.samples:,} test samples, ± one standard error."
    if left:
        rest = share(sum(row.wrong_bytes for row in left), wrong_bytes)
        caption += f" {len(left)} further parts hold {rest} of the errors."
    return scrolling(
        tag(
            "table",
            tag("caption", caption),
            tag("thead", head),
            tag("tbody", *rows),
            class_="instructions parts",
        ),
        f"Errors by {table.name}, {explanation.submission.name}",
    )


def _bar(part: int, whole: int) -> Markup:
    width = 100 * part / whole if whole else 0.0
    return tag(
        "svg",
        tag("rect", x=0, y=2, width=100, height=8, class_="bar-track"),
        tag("rect", x=0, y=2, width=width, height=8, class_="bar"),
        viewbox="0 0 100 12",
        preserveaspectratio="none",
        aria_hidden="true",
    )


def _sample(sample: WorstSample, text: str | None) -> Markup:
    """Return a sample's first wrong byte, and the trace around it."""
    place = ", ".join(f"{name} {part}" for name, part in sample.place.items())
    return tag(
        "figure",
        tag(
            "figcaption",
            tag("strong", sample.key),
            f"{MODES[sample.mode].capitalize()}: {sample.wrong_bytes:,} of {sample.bytes:,} bytes "
            f"wrong. The first is byte {sample.first_wrong:,}: true {byte_text(sample.true)}, "
            f"answered {byte_text(sample.answered)}",
            f"; {place}." if place else ".",
        ),
        _trace(sample.key, sample.trace) if sample.trace else None,
        None if text is None else tag("pre", text, tabindex="0"),
        class_="worst-sample",
    )


def _trace(key: str, lines: Sequence[TraceLine]) -> Markup:
    head = tag(
        "tr",
        tag("th", "State", scope="col", class_="num"),
        tag("th", "Instruction", scope="col"),
        tag("th", "Registers that change or are wrong", scope="col"),
    )
    rows = [
        tag(
            "tr",
            tag("td", str(line.state), class_="num"),
            tag("th", line.instruction, scope="row"),
            tag("td", *(join(_cell(cell), " ") for cell in line.cells)),
        )
        for line in lines
    ]
    return scrolling(
        tag("table", tag("thead", head), tag("tbody", *rows), class_="instructions trace"),
        f"Trace of {key} around its first wrong byte",
    )


def _cell(cell: TraceCell) -> Markup:
    """Return a register; of a wrong one true and answered, the first of a sample marked."""
    if cell.answered is None:
        return tag("span", f"{cell.field} {cell.true}", class_="register")
    parts = around_mark(cell)
    answered = (
        join(cell.answered) if parts is None else join(parts[0], tag("mark", parts[1]), parts[2])
    )
    said = join(f"{cell.field} {cell.true}, answered ", answered)
    return tag("span", said, class_="register wrong")
