"""One picture a task: every option's difference with its error, and the curves of a few options.

The drawings of curves, axes and dots are the leaderboard's; it draws what it is given.
"""

import statistics
from collections.abc import Sequence

from benchmarks.leaderboard.charts import HEIGHT, NUM_COLOURS, Curve, learning_curve
from benchmarks.leaderboard.markup import Markup, tag
from benchmarks.leaderboard.pictures import picture
from benchmarks.leaderboard.scales import Scale, linear_ticks
from benchmarks.studies.ablations import OptionRow, TaskTable
from benchmarks.studies.config import BASE
from benchmarks.studies.estimates import Estimate
from benchmarks.studies.run_result import RunResult

_WIDTH = 820.0
_LINE = 22.0
_TOP = 66.0
_FAR = 6.0
"""The axis ends at this many times the median difference; what lies beyond is put at its end."""


def ablation_picture(table: TaskTable, results: Sequence[RunResult]) -> str:
    """Return the picture of one task; `results` are its trainings at equal bytes."""
    compared = [row for row in table.rows if row.equal_bytes and row.equal_bytes.difference]
    curves = option_curves(table, results)
    dots_height = _TOP + _LINE * len(compared) + 30
    chart_top = dots_height + 34
    legend_top = chart_top + HEIGHT + 16
    parts = [
        tag("text", f"{table.task}: bits per byte, option minus what it is compared with",
            x=16, y=24, class_="title"),
        tag("text", "lower is better; filled: equal bytes, open: equal CPU time; whiskers: two "
            "standard errors", x=16, y=44),
        *(_dots(compared) if compared else []),
    ]  # fmt: skip
    if not curves:
        return picture(_WIDTH, dots_height, *parts)
    label = f"{table.task}: bits per byte over bytes of training samples"
    chart = learning_curve("bits_per_byte", curves, (), label, "bytes of samples read", "bytes")
    parts += [
        tag("text", label, x=16, y=dots_height + 20, class_="title"),
        tag("g", chart, transform=f"translate(0 {chart_top:g})"),
    ]
    for number, curve in enumerate(curves):
        parts.append(
            tag(
                "g",
                tag("circle", cx=66, cy=-4, r=4),
                tag("text", curve.name, x=78, class_="strong"),
                class_=f"colour-{number % NUM_COLOURS}",
                transform=f"translate({180 * number:g} {legend_top:g})",
            )
        )
    return picture(_WIDTH, legend_top + 18, *parts)


def option_curves(table: TaskTable, results: Sequence[RunResult]) -> list[Curve]:
    """Return the mean curves of the base, of the two best options and of the worst."""
    others = [row.option for row in table.rows if row.equal_bytes and row.option != BASE]
    chosen = [BASE, *dict.fromkeys([*others[:2], *others[-1:]])]
    curves = [
        Curve(name=name, points=mean_points([r for r in results if r.option == name]))
        for name in chosen
    ]
    return [curve for curve in curves if curve.points]


def mean_points(results: Sequence[RunResult]) -> tuple[tuple[int, float], ...]:
    """Return (bytes, bits per byte) of every evaluation, the means over the trainings given."""
    curves = [result.curve for result in results if result.curve]
    points: list[tuple[int, float]] = []
    for at_once in zip(*curves, strict=False):
        num_bytes = round(statistics.fmean(point.bytes for point in at_once))
        points.append((num_bytes, statistics.fmean(point.bits_per_byte for point in at_once)))
    return tuple(points)


def _dots(rows: Sequence[OptionRow]) -> list[Markup]:
    """Draw every option's line: name, dots, reading."""
    ordered = sorted(rows, key=lambda row: _first(row).mean)
    spans = [abs(value.mean) for row in rows for value in _both(row)]
    reach = max(min(max(spans), _FAR * statistics.median(spans)), 1e-6)
    low = -min(reach, max([1e-6, *(2 * -v.mean for row in rows for v in _both(row))]))
    scale = Scale("linear", low, reach, 270.0, 660.0)
    bottom = _TOP + _LINE * len(rows)
    parts: list[Markup] = []
    for tick in linear_ticks(low, reach):
        at = scale.at(tick)
        parts.append(
            tag("line", x1=at, x2=at, y1=_TOP - 10, y2=bottom,
                class_="axis" if tick == 0 else "grid")
        )  # fmt: skip
        parts.append(tag("text", f"{tick:+g}" if tick else "0", x=at, y=bottom + 16,
                         class_="tick-x"))  # fmt: skip
    for number, row in enumerate(ordered):
        parts.append(_dot_row(row, scale, _TOP + _LINE * (number + 0.5)))
    return parts


def _dot_row(row: OptionRow, scale: Scale, y: float) -> Markup:
    """Draw one option."""
    first, *second = _both(row)
    margin = 2 * (first.stderr or 0.0)
    emphasis = "strong" if first.is_clear else None
    name = row.option if row.against == BASE else f"{row.option} against {row.against}"
    parts = [tag("text", name, x=256, y=y + 4, class_=f"end {emphasis or ''}".strip())]
    ends = (scale.at(first.mean - margin), scale.at(first.mean + margin))
    parts.append(tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y, class_="whisker"))
    parts += [tag("circle", cx=scale.at(v.mean), cy=y, r=4.5, class_="mark") for v in second]
    parts.append(tag("circle", cx=scale.at(first.mean), cy=y, r=4.0))
    parts.append(tag("text", f"{first.mean:+.4f}", x=672, y=y + 4, class_=emphasis))
    return tag("g", *parts, class_="model" if first.is_clear else "baseline")


def _first(row: OptionRow) -> Estimate:
    return _both(row)[0]


def _both(row: OptionRow) -> list[Estimate]:
    """Return the difference at equal bytes, and the one at equal CPU time where there is one."""
    outcomes = (row.equal_bytes, row.equal_cpu)
    return [o.difference for o in outcomes if o is not None and o.difference is not None]
