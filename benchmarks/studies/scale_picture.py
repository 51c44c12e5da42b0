"""One picture a task: the figure over scale, the law with its band, the floor, the paper's points.

Drawn by the leaderboard's charts. A task of simulation also gets byte accuracy, for that is what
the paper reports there.
"""

from benchmarks.leaderboard.charts import (
    CURVE_COLUMNS,
    HEIGHT,
    WIDTH,
    Band,
    Curve,
    CurveMetric,
    Mark,
    Reference,
    learning_curve,
)
from benchmarks.leaderboard.columns import column
from benchmarks.leaderboard.markup import Markup, tag
from benchmarks.leaderboard.number_text import published_text
from benchmarks.leaderboard.pictures import picture
from benchmarks.studies.estimates import Estimate
from benchmarks.studies.scales import ScaleRow, ScaleTable, law_points

_TOP = 34.0
_GAP = 24.0


def scale_picture(table: ScaleTable) -> str:
    """Return the picture of one task."""
    metrics: list[CurveMetric] = ["bits_per_byte"]
    if any(point.metric == CURVE_COLUMNS["byte_accuracy"] for point in table.paper):
        metrics.append("byte_accuracy")
    panels = [panel for metric in metrics if (panel := _panel(table, metric)) is not None]
    if not panels:
        text = f"{table.task}: no scale was measured."
        return picture(WIDTH, 60.0, tag("text", text, x=16, y=35))
    placed = [
        tag("g", panel, transform=f"translate({number * (WIDTH + _GAP):g} 0)")
        for number, panel in enumerate(panels)
    ]
    return picture(len(panels) * (WIDTH + _GAP) - _GAP, _TOP + HEIGHT + 10, *placed)


def _panel(table: ScaleTable, metric: CurveMetric) -> Markup | None:
    """Return one chart under its title; `None` where nothing was measured."""
    label = f"{table.task}: {column(CURVE_COLUMNS[metric]).full}"
    points = [
        (row.different_samples, value.mean)
        for row in table.rows
        if row.different_samples and (value := _value(row, metric)) is not None
    ]
    if not points:
        return None
    curves = [Curve(name="ours", points=tuple(points))]
    bands: list[Band] = []
    references: list[Reference] = []
    if metric == "bits_per_byte":
        if table.floor.bits_per_byte is not None:
            references.append(Reference(label="floor", value=table.floor.bits_per_byte))
        if table.law is not None and table.extrapolation is not None:
            drawn = law_points(table.law, points[0][0], table.extrapolation.samples)
            law = tuple((point.samples, point.bits_per_byte) for point in drawn)
            bands.append(Band(points=tuple((p.samples, p.low, p.high) for p in drawn)))
            curves = [Curve(name="law", points=law, is_guess=True), *curves]
    unit = "percent" if metric == "byte_accuracy" else "bits"
    marks = [
        Mark(name=f"paper {published_text(p.value, unit)}", samples=p.samples, value=p.value)
        for p in table.paper
        if p.metric == CURVE_COLUMNS[metric]
    ]
    chart = learning_curve(
        metric, curves, references, label, "different training samples read", bands=bands,
        marks=marks,
    )  # fmt: skip
    return tag(
        "g",
        tag("text", label, x=62, y=24, class_="title"),
        tag("g", chart, transform=f"translate(0 {_TOP:g})"),
    )


def _value(row: ScaleRow, metric: CurveMetric) -> Estimate | None:
    return row.bits_per_byte if metric == "bits_per_byte" else row.byte_accuracy
