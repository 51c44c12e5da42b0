"""The drawings: learning curves and the small error bar of a table's cell, as SVG.

Colours and type come from classes, so the page and the standalone pictures dress one drawing
differently. It draws what it is given and reads nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.leaderboard.columns import Unit
from benchmarks.leaderboard.data import Board, Entry, Metric
from benchmarks.leaderboard.markup import Markup, join, tag
from benchmarks.leaderboard.number_text import count_text, value_text
from benchmarks.leaderboard.ranking import in_order
from benchmarks.leaderboard.runs import Point, Run
from benchmarks.leaderboard.scales import (
    SMALLEST_ERROR,
    Scale,
    accuracy_label,
    accuracy_ticks,
    linear_ticks,
    log_range,
    log_ticks,
    samples_label,
)

WIDTH, HEIGHT = 560.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 16.0, 14.0, 54.0
_LABEL_GAP = 17.0
NUM_COLOURS = 4
"""Lines beyond this many repeat a colour with another dash."""

CurveMetric = Literal["bits_per_byte", "byte_accuracy"]
CURVE_COLUMNS: dict[CurveMetric, str] = {
    "bits_per_byte": "teacher_forced_bits_per_byte",
    "byte_accuracy": "teacher_forced_byte_accuracy",
}
_COMPRESSORS = ("zlib", "gzip", "xz", "lzma", "bz2", "zstd", "brotli")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A horizontal line: what a baseline reaches."""

    label: str
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One line: (samples, value) in order of samples."""

    name: str
    points: tuple[tuple[int, float], ...]
    is_guess: bool = False
    """Nothing of it was measured: dashed, and without dots."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """What a value may be, along an axis: (samples, lowest, highest), in order of samples."""

    points: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A single point that is no curve's: what somebody else reports."""

    name: str
    samples: int
    value: float


def curves_of(runs: Sequence[Run], metric: CurveMetric) -> list[Curve]:
    """Return a curve for every run that was evaluated by `metric` at least once."""
    curves: list[Curve] = []
    for run in runs:
        points = [(p.samples, v) for p in run.points if (v := _score(p, metric)) is not None]
        seen = tuple((samples, value) for samples, value in points if samples > 0)
        if seen:
            curves.append(Curve(name=run.name, points=seen))
    return curves


def references_of(entries: Sequence[Entry], metric: CurveMetric) -> list[Reference]:
    """Return the lines to beat: the rule, copying, the best n-gram and the best compressor."""
    name = CURVE_COLUMNS[metric]
    baselines = in_order((e for e in entries if e.kind == "baseline"), name)
    families = {
        "rule": [e for e in baselines if "rule" in e.name.lower()],
        "copy": [e for e in baselines if "copy" in e.name.lower()],
        "best n-gram": [e for e in baselines if "gram" in e.name.lower()],
        "best compressor": [e for e in baselines if e.name.lower().startswith(_COMPRESSORS)],
    }
    return [
        Reference(label=label, value=value)
        for label, family in families.items()
        if family and (value := family[0].value(name)) is not None
    ]


def charts_of(board: Board, task: str) -> list[tuple[CurveMetric, list[Curve], list[Reference]]]:
    """Return what to draw for a task: one chart a metric that its runs were evaluated by."""
    runs = [run for run in board.runs if run.task == task]
    entries = [entry for entry in board.entries if entry.task == task]
    order: tuple[CurveMetric, ...] = ("bits_per_byte", "byte_accuracy")
    if task.startswith("cpu"):
        order = ("byte_accuracy", "bits_per_byte")
    charts: list[tuple[CurveMetric, list[Curve], list[Reference]]] = []
    for metric in order:
        curves = curves_of(runs, metric)
        if curves:
            charts.append((metric, curves, references_of(entries, metric)))
    return charts


def learning_curve(
    metric: CurveMetric,
    curves: Sequence[Curve],
    references: Sequence[Reference],
    label: str,
    axis: str = "training samples seen",
    counted: str = "samples",
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
) -> Markup:
    """Draw curves over samples (log scale) with the baselines as horizontal lines.

    Returns a `<g>` of `WIDTH` x `HEIGHT` units; `label` is its text for a screen reader. `axis`
    stands below, `counted` behind a point's number of samples. A band lies below the curve of its
    number.
    """
    samples = [float(x) for curve in curves for x, _ in curve.points]
    samples += [float(x) for band in bands for x, _, _ in band.points]
    samples += [float(mark.samples) for mark in marks]
    values = [y for curve in curves for _, y in curve.points] + [r.value for r in references]
    values += [mark.value for mark in marks]
    x_low, x_high = log_range(samples)
    x = Scale("log", x_low, x_high, _LEFT, WIDTH - _RIGHT)
    y = _value_scale(metric, values)
    parts = [tag("title", label), *_axes(metric, x, y, axis)]
    parts.extend(_reference_lines(references, y, metric))
    parts.extend(_band(band, number, x, y) for number, band in enumerate(bands))
    for number, curve in enumerate(curves):
        parts.append(_line(curve, number, x, y, metric, counted))
    parts.extend(_mark(mark, x, y, metric, counted) for mark in marks)
    return tag("g", *parts, class_="plot")


def error_strip(metric: Metric, scale: Scale) -> Markup:
    """Draw one value as a tick with a band of two standard errors to both sides."""
    value = metric.value or 0.0
    margin = 2 * (metric.stderr or 0.0)
    left, middle, right = scale.at(value - margin), scale.at(value), scale.at(value + margin)
    return tag(
        "svg",
        tag("line", x1=scale.start - 1, x2=scale.end + 1, y1=5.0, y2=5.0, class_="track"),
        tag("rect", x=left, y=2.0, width=right - left, height=6.0, rx=1.0, class_="band"),
        tag("rect", x=middle - 0.75, y=0.0, width=1.5, height=10.0, class_="tick"),
        viewbox=f"0 0 {round(scale.end + 1)} 10",
        class_="strip",
        aria_hidden="true",
    )


def strip_scale(unit: Unit, metrics: Sequence[Metric]) -> Scale:
    """Return the axis that all cells of a column share, from its lowest to its highest bar.

    Bits per byte get a log axis, as they go from 8 down to thousandths.
    """
    start, end = 1.0, 77.0
    values = [metric.value for metric in metrics if metric.value is not None]
    if not values:
        return Scale("linear", 0.0, 1.0, start, end)
    spans = [(m.value, 2 * (m.stderr or 0.0)) for m in metrics if m.value is not None]
    low = min(value - margin for value, margin in spans)
    high = max(value + margin for value, margin in spans)
    if unit == "bits" and low > 0:
        return Scale("log", low, high, start, end)
    return Scale("linear", low, high, start, end)


def _score(point: Point, metric: CurveMetric) -> float | None:
    return point.bits_per_byte if metric == "bits_per_byte" else point.byte_accuracy


def _value_scale(metric: CurveMetric, values: Sequence[float]) -> Scale:
    """Return the vertical axis, its start at the bottom."""
    bottom, top = HEIGHT - _BOTTOM, _TOP
    if metric == "byte_accuracy":
        error = max(1 - max(values), SMALLEST_ERROR)
        return Scale("accuracy", min(0.5, *values), max(1 - error / 1.4, 0.9), bottom, top)
    high = max(values) * 1.06 or 1.0
    return Scale("linear", 0.0, high, bottom, top)


def _axes(metric: CurveMetric, x: Scale, y: Scale, axis: str) -> list[Markup]:
    """Draw grid, ticks and axis titles."""
    accuracy = metric == "byte_accuracy"
    ticks = accuracy_ticks(y.low, y.high) if accuracy else linear_ticks(y.low, y.high)
    parts: list[Markup] = []
    for tick in ticks:
        at = y.at(tick)
        shown = accuracy_label(tick) if accuracy else f"{tick:g}"
        parts.append(tag("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="grid"))
        parts.append(tag("text", shown, x=x.start - 8, y=at + 4, class_="tick-y"))
    floor = y.start
    parts.append(tag("line", x1=x.start, x2=x.end, y1=floor, y2=floor, class_="axis"))
    last_label = -100.0
    for tick in log_ticks(x.low, x.high):
        at = x.at(tick)
        parts.append(tag("line", x1=at, x2=at, y1=floor, y2=floor + 5, class_="axis"))
        if at - last_label >= 46:
            parts.append(tag("text", samples_label(tick), x=at, y=floor + 20, class_="tick-x"))
            last_label = at
    middle = (x.start + x.end) / 2
    parts.append(tag("text", f"{axis} (log scale)", x=middle, y=HEIGHT - 8, class_="name-x"))
    return parts


def _reference_lines(
    references: Sequence[Reference], y: Scale, metric: CurveMetric
) -> list[Markup]:
    """Draw the baselines' lines; labels stand where curves start far away, and never overlap."""
    column = "percent" if metric == "byte_accuracy" else "bits"
    parts: list[Markup] = []
    above = metric == "byte_accuracy"
    last = -100.0
    for reference in sorted(references, key=lambda r: y.at(r.value)):
        at = y.at(reference.value)
        parts.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=at, y2=at, class_="reference"))
        stands_above = above or at + 14 > y.start  # below the axis are its labels
        text_at = max(at - 5 if stands_above else at + 14, last + _LABEL_GAP, _TOP + 10)
        last = text_at
        shown = f"{reference.label} {value_text(reference.value, column)}"
        parts.append(tag("text", shown, x=_LEFT + 8, y=text_at, class_="reference-name"))
    return parts


def _line(
    curve: Curve, number: int, x: Scale, y: Scale, metric: CurveMetric, counted: str
) -> Markup:
    """Draw one run's line with a dot for every evaluation."""
    unit: Unit = "percent" if metric == "byte_accuracy" else "bits"
    at = [(x.at(float(samples)), y.at(value)) for samples, value in curve.points]
    path = " ".join(f"{left:.1f},{top:.1f}" for left, top in at)
    dots = [
        tag(
            "circle",
            tag(
                "title",
                f"{curve.name}: {value_text(value, unit)} at {count_text(samples)} {counted}",
            ),
            cx=left,
            cy=top,
            r=4.0 if position == len(at) - 1 else 2.4,
        )
        for position, ((left, top), (samples, value)) in enumerate(
            zip(at, curve.points, strict=True)
        )
        if not curve.is_guess
    ]
    dash = "3 4" if curve.is_guess else "6 4" if number >= NUM_COLOURS else None
    return tag(
        "g",
        tag("polyline", points=path, stroke_dasharray=dash),
        join(*dots),
        class_=f"curve colour-{number % NUM_COLOURS}",
    )


def _band(band: Band, number: int, x: Scale, y: Scale) -> Markup:
    """Draw what the values of one curve may be."""
    edge = [(samples, high) for samples, _, high in band.points]
    edge += [(samples, low) for samples, low, _ in reversed(band.points)]
    path = " ".join(f"{x.at(float(samples)):.1f},{y.at(value):.1f}" for samples, value in edge)
    return tag(
        "g", tag("polygon", points=path, class_="band"), class_=f"colour-{number % NUM_COLOURS}"
    )


def _mark(mark: Mark, x: Scale, y: Scale, metric: CurveMetric, counted: str) -> Markup:
    """Draw a point with its name beside it, on the side that has room."""
    unit: Unit = "percent" if metric == "byte_accuracy" else "bits"
    at, top = x.at(float(mark.samples)), y.at(mark.value)
    is_right = at > (x.start + x.end) / 2
    title = f"{mark.name}: {value_text(mark.value, unit)} at {count_text(mark.samples)} {counted}"
    return tag(
        "g",
        tag("circle", tag("title", title), cx=at, cy=top, r=4.5, class_="mark"),
        tag("text", mark.name, x=at + (-9 if is_right else 9), y=top - 8,
            class_="reference-name end" if is_right else "reference-name"),
    )  # fmt: skip
