"""The page: summary, one section a task, provenance, and the inlined style, script and data.

Nothing is fetched when it is opened, and its content security policy forbids it: only the one
script whose hash the page carries may run. It decides no number; `tables` and `ranking` do.
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files

from benchmarks.leaderboard.breakdowns import breakdowns
from benchmarks.leaderboard.charts import (
    CURVE_COLUMNS,
    HEIGHT,
    NUM_COLOURS,
    WIDTH,
    Curve,
    charts_of,
    learning_curve,
)
from benchmarks.leaderboard.columns import Unit, column, task_text
from benchmarks.leaderboard.compression import compression_table
from benchmarks.leaderboard.data import Board, merged
from benchmarks.leaderboard.listen import listen, notes_of
from benchmarks.leaderboard.markup import Markup, join, json_block, tag
from benchmarks.leaderboard.number_text import count_text, value_text
from benchmarks.leaderboard.provenance import provenance
from benchmarks.leaderboard.ranking import combined_error
from benchmarks.leaderboard.scale_charts import scale_charts
from benchmarks.leaderboard.side_by_side import side_by_side
from benchmarks.leaderboard.tables import Standing, result_table, standing
from benchmarks.leaderboard.where_it_errs import where_it_errs

_SLOT = re.compile(r"\{\{([a-z_]+)\}\}")


def standings(board: Board) -> list[Standing]:
    """Return the standing of every task of the board, in the page's order."""
    return [
        standing(
            task_text(name),
            [entry for entry in board.entries if entry.task == name],
            [figure for figure in board.figures if figure.task == name],
        )
        for name in board.tasks()
    ]


def render(board: Board, studies: Markup | None = None) -> str:
    """Return the whole page as HTML text; `studies` stands below the tasks."""
    package = files("benchmarks.leaderboard")
    style, script = (
        "".join(
            package.joinpath(f"{name}.{kind}").read_text(encoding="utf-8")
            for name in ("page", "listen")
        )
        for kind in ("css", "js")
    )
    tasks = standings(board)
    slots = {
        "policy": f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
        "style": style,
        "script": script,
        "data": json_block(merged(board, with_examples=False)),
        "notes": json_block(notes_of(board)),
        "navigation": join(*(tag("a", t.task.name, href=f"#task-{t.task.name}") for t in tasks)),
        "summary": tag("ul", *(_summary(t) for t in tasks), class_="summary"),
        "side_by_side": side_by_side(tasks) or "",
        "sections": join(*(_section(board, t) for t in tasks), studies),
        "foot": _foot(board),
    }
    template = package.joinpath("page.html").read_text(encoding="utf-8")
    # One pass: what a slot brings in is never searched for slots itself.
    return _SLOT.sub(lambda match: slots[match[1]], template)


def _hash(content: str) -> str:
    """Return a content security policy's source for an inline style or script."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _summary(board: Standing) -> Markup:
    """Return one task's leader and how far the best baseline is behind it."""
    best = board.best()
    parts = [tag("span", board.task.name, class_="task")]
    if best is None or board.primary is None:
        parts.append(tag("span", "no entry yet", class_="who"))
    else:
        shown = column(board.primary)
        parts.append(tag("span", value_text(best.value(shown.name), shown.unit), class_="figure"))
        parts.append(tag("span", shown.full, class_="what"))
        tie = board.ranks[shown.name][best.name].tied
        parts.append(tag("span", f"{best.name}{' (tie)' if tie else ''}", class_="who"))
        baseline = board.best("baseline")
        if baseline is not None and best.kind != "baseline":
            there = value_text(baseline.value(shown.name), shown.unit)
            parts.append(tag("span", f"best baseline: {baseline.name}, {there}", class_="behind"))
    return tag("li", tag("a", *parts, href=f"#task-{board.task.name}"))


def _section(board: Board, one: Standing) -> Markup:
    """Return everything about one task."""
    name = one.task.name
    return tag(
        "section",
        tag("h2", one.task.title, tag("code", name)),
        tag("p", one.task.rule, class_="rule"),
        result_table(one),
        _source_control(one),
        _curves(board, one),
        scale_charts(one),
        breakdowns(one),
        where_it_errs(one),
        compression_table([found for found in board.compression if found.task == name]),
        listen(one),
        _meanings(one),
        provenance(one),
        id=f"task-{name}",
    )


def _source_control(board: Standing) -> Markup | None:
    """Return the shuffled-source control in plain words, for tasks that have one."""
    wrong = "teacher_forced_bits_per_byte_shuffled_source"
    right = "teacher_forced_bits_per_byte"
    models = [e for e in board.entries if e.kind == "model" and e.value(wrong) is not None]
    if not models:
        return None
    lines: list[Markup] = []
    for entry in models:
        true, false = entry.metrics.get(right), entry.metrics[wrong]
        if true is None or true.value is None or false.value is None:
            continue
        cost = entry.metrics.get("shuffled_source_cost")
        value = false.value - true.value if cost is None or cost.value is None else cost.value
        error = combined_error(true, false)
        if cost is not None and cost.stderr is not None:
            error = cost.stderr
        verdict = _verdict(value, error, true.value)
        lines.append(
            tag(
                "li",
                tag("strong", entry.name),
                f" needs {value_text(true.value, 'bits')} bits per byte with the right source and "
                f"{value_text(false.value, 'bits')} with a wrong one, {value_text(value, 'bits')} "
                "more. ",
                tag("em", verdict),
            )
        )
    return tag(
        "div",
        tag("h3", "Does it read its source?"),
        tag(
            "p",
            "A model can score well here by knowing what such files look like and never looking at "
            "the one it was given. So each target is scored a second time with another sample’s "
            "source in front: who reads the source gets worse.",
        ),
        tag("ul", *lines),
        class_="control",
    )


def _verdict(cost: float, error: float, right: float) -> str:
    """Say in words what a wrong source changes; under 2 % of the bits it is next to nothing."""
    if cost <= 2 * error:
        return "It does not read its source."
    return "It barely reads its source." if cost < 0.02 * right else "It reads its source."


def _curves(board: Board, one: Standing) -> Markup | None:
    """Return the learning curves of the runs on one task."""
    charts = charts_of(board, one.task.name)
    if not charts:
        return None
    figures: list[Markup] = []
    for metric, curves, references in charts:
        shown = column(CURVE_COLUMNS[metric])
        label = f"{shown.full} over training samples, {one.task.name}"
        drawing = tag(
            "svg",
            learning_curve(metric, curves, references, label),
            viewbox=f"0 0 {WIDTH:g} {HEIGHT:g}",
            role="img",
            aria_label=label,
        )
        better = f"{shown.better} is better"
        scale = "; on a log scale of the errors" if metric == "byte_accuracy" else ""
        figures.append(
            tag(
                "figure",
                tag("figcaption", tag("strong", shown.full.capitalize()), f" {better}{scale}"),
                drawing,
                _legend(curves, shown.unit),
                class_="chart",
            )
        )
    checked = {p.n for r in board.runs if r.task == one.task.name for p in r.points if p.n}
    counted = " and ".join(f"{n:,}" for n in sorted(checked))
    note = (
        f"Measured during training on the first {counted} test samples; the table above is over "
        "all of them. Dashed: what baselines reach."
        if checked
        else "Measured during training. Dashed: what baselines reach."
    )
    return tag(
        "div",
        tag("h3", "Learning curves"),
        tag("p", note),
        tag("div", *figures, class_="charts"),
        class_="curves",
    )


def _legend(curves: Iterable[Curve], unit: Unit) -> Markup:
    """Return the names of the lines with where each one ends."""
    entries: list[Markup] = []
    for number, curve in enumerate(curves):
        samples, value = curve.points[-1]
        end = f" {value_text(value, unit)} after {count_text(samples)} samples"
        colour = f"key colour-{number % NUM_COLOURS}{' dashed' if number >= NUM_COLOURS else ''}"
        entries.append(tag("li", tag("span", class_=colour), tag("strong", curve.name), end))
    return tag("ul", *entries, class_="legend")


def _meanings(board: Standing) -> Markup | None:
    """Return what each column means."""
    if not board.columns:
        return None
    pairs = [
        join(tag("dt", shown.full.capitalize()), tag("dd", shown.meaning))
        for shown in board.columns
    ]
    return tag("details", tag("summary", "What the columns mean"), tag("dl", *pairs))


def _foot(board: Board) -> Markup:
    """Return what the page was made from, and runs that fit no task."""
    lost = [run.name for run in board.runs if run.task is None]
    return join(
        tag(
            "p",
            f"Made from {len(board.entries)} reports, {len(board.figures)} published figures and "
            f"{len(board.runs)} training runs by ",
            tag("code", "bgpt-bench leaderboard"),
            ". Nothing on this page is fetched from elsewhere.",
        ),
        tag("p", f"Runs whose name fits no task, not drawn: {', '.join(lost)}.") if lost else None,
    )
