"""Standalone pictures for the README: the learning curves, and the standings as dots with errors.

SVG text with its own light background, so that it reads on any page; no fonts and no script in it.
The same drawings as on the page, in other clothes.
"""

from collections.abc import Sequence

from benchmarks.leaderboard.charts import (
    CURVE_COLUMNS,
    HEIGHT,
    NUM_COLOURS,
    WIDTH,
    charts_of,
    learning_curve,
)
from benchmarks.leaderboard.columns import Column, column
from benchmarks.leaderboard.data import Board, Entry
from benchmarks.leaderboard.markup import Markup, escape, join, tag
from benchmarks.leaderboard.number_text import stderr_text, value_text
from benchmarks.leaderboard.scales import Scale, linear_ticks, log_ticks
from benchmarks.leaderboard.tables import Standing

_STYLE = """
text{fill:#585e69;
font:12.5px Inter,"Segoe UI",Roboto,"Helvetica Neue","Liberation Sans",Arial,sans-serif}
.title{font-size:15px;font-weight:600;fill:#17191e}.strong{font-weight:600;fill:#17191e}
.tick-y,.end{text-anchor:end}.tick-x,.name-x{text-anchor:middle}
.grid{stroke:#ecece7}.axis{stroke:#585e69}.reference{stroke:#585e69;stroke-dasharray:2 4}
.reference-name{paint-order:stroke;stroke:#fff;stroke-width:4px}
polyline{fill:none;stroke:currentcolor;stroke-width:2.25;stroke-linejoin:round}
circle{fill:currentcolor}.colour-0{color:#1d4ed8}.colour-1{color:#b45309}
.colour-2{color:#0f766e}.colour-3{color:#a21caf}
.model{color:#1d4ed8}.baseline{color:#585e69}.whisker{stroke:currentcolor;stroke-width:2}.band{fill:currentcolor;fill-opacity:.14}
.mark{fill:#fff;stroke:#17191e;stroke-width:2}
""".replace("\n", "")
_PANEL_TOP = 34.0
_LEGEND_LINE = 19.0
_GAP = 24.0


def learning_curve_picture(board: Board) -> str:
    """Return one panel a task that has runs: its curves and the baselines they have to pass."""
    drawn = [(task, charts[0]) for task in board.tasks() if (charts := charts_of(board, task))]
    if not drawn:
        return picture(
            WIDTH, 60.0, tag("text", "No training run has been evaluated yet.", x=16, y=35)
        )
    panels: list[Markup] = []
    lines = max(len(curves) for _, (_, curves, _) in drawn)
    for number, (task, (metric, curves, references)) in enumerate(drawn):
        full = column(CURVE_COLUMNS[metric]).full
        legend = [
            tag(
                "g",
                tag("circle", cx=66, cy=-4, r=4),
                tag("text", curve.name, x=78, class_="strong"),
                class_=f"colour-{i % NUM_COLOURS}",
                transform=f"translate(0 {_PANEL_TOP + HEIGHT + _LEGEND_LINE * (i + 1):g})",
            )
            for i, curve in enumerate(curves)
        ]
        panels.append(
            tag(
                "g",
                tag("text", f"{task}: {full}", x=62, y=24, class_="title"),
                tag(
                    "g",
                    learning_curve(metric, curves, references, f"{task}: {full}"),
                    transform=f"translate(0 {_PANEL_TOP:g})",
                ),
                *legend,
                transform=f"translate({number * (WIDTH + _GAP):g} 0)",
            )
        )
    width = len(drawn) * (WIDTH + _GAP) - _GAP
    return picture(width, _PANEL_TOP + HEIGHT + _LEGEND_LINE * lines + 18, *panels)


def standings_picture(tasks: Sequence[Standing]) -> str:
    """Return every task's entries in order, each a dot with two standard errors to both sides."""
    parts: list[Markup] = []
    top = 0.0
    for one in tasks:
        if one.primary is None:
            continue
        shown = column(one.primary)
        entries = [entry for entry in one.entries if entry.value(shown.name) is not None]
        parts.append(_standing_panel(one, shown, entries, top))
        top += 78.0 + 24.0 * len(entries)
    if not parts:
        return picture(820.0, 60.0, tag("text", "No entry has been scored yet.", x=16, y=35))
    return picture(820.0, top, *parts)


def _standing_panel(one: Standing, shown: Column, entries: Sequence[Entry], top: float) -> Markup:
    """Draw one task's entries, the best on top."""
    values = [entry.value(shown.name) or 0.0 for entry in entries]
    percent = shown.unit in ("percent", "score")
    low = 0.0 if percent or min(values) <= 0 else min(values) / 1.15
    high = 1.0 if percent else max(values) * 1.05 or 1.0
    scale = Scale("linear" if low == 0 else "log", low, high, 330.0, 690.0)
    ticks = log_ticks(low, high) if scale.kind == "log" else linear_ticks(low, high)
    bottom = 44.0 + 24.0 * len(entries)
    parts = [
        tag("text", f"{one.task.name}: {shown.full}", x=16, y=24, class_="title"),
        tag("text", f"{shown.better} is better", x=804, y=24, class_="end"),
    ]
    for tick in ticks:
        at = scale.at(tick)
        parts.append(tag("line", x1=at, x2=at, y1=38.0, y2=bottom, class_="grid"))
        text = f"{100 * tick:g} %" if shown.unit == "percent" else f"{tick:g}"
        parts.append(tag("text", text, x=at, y=bottom + 16, class_="tick-x"))
    for number, entry in enumerate(entries):
        parts.append(_standing_row(one, shown, entry, scale, 56.0 + 24.0 * number))
    return tag("g", *parts, transform=f"translate(0 {top:g})")


def _standing_row(one: Standing, shown: Column, entry: Entry, scale: Scale, y: float) -> Markup:
    """Draw one entry: rank, name, dot, whisker, value."""
    metric = entry.metrics[shown.name]
    value, margin = metric.value or 0.0, 2 * (metric.stderr or 0.0)
    rank = one.ranks[shown.name].get(entry.name)
    error = stderr_text(metric.stderr, shown.unit)
    number, _, sign = value_text(value, shown.unit).partition(" ")
    reading = " ".join(part for part in (number, f"± {error}" if error else "", sign) if part)
    name = entry.name if len(entry.name) <= 36 else entry.name[:35] + "…"
    place = "–" if rank is None else f"{rank.place}{'=' if rank.tied else ''}"
    emphasis = "strong" if entry.kind == "model" else None
    ends = (scale.at(value - margin), scale.at(value + margin))
    return tag(
        "g",
        tag("text", place, x=40, y=y + 4, class_="end"),
        tag("text", name, x=52, y=y + 4, class_=emphasis),
        tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y, class_="whisker"),
        tag("circle", cx=scale.at(value), cy=y, r=4.5),
        tag("text", reading, x=804, y=y + 4, class_=f"end {emphasis or ''}".strip()),
        class_=entry.kind,
    )


def picture(width: float, height: float, *parts: Markup) -> str:
    """Return a whole SVG file: `parts`, `width` x `height` units, on a white background."""
    background = tag("rect", width=width, height=height, rx=8.0, fill="#fff")
    drawing = tag(
        "svg",
        tag("style", Markup(escape(_STYLE).replace("&quot;", '"'))),
        background,
        join(*parts),
        xmlns="http://www.w3.org/2000/svg",
        viewbox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
    )
    return f"{drawing}\n"
