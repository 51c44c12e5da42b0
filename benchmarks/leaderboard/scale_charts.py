"""One model trained at several scales of a corpus: its figure over pairs, and over base tunes.

A larger tier of a conversion corpus holds more pairs out of hardly more tunes (other keys, phrases
put together anew), so both axes are drawn. Shown only where there are at least two scales. A line
joins models of one number of parameters; whether they were trained alike is for the reader to ask.
"""

from collections.abc import Callable

from benchmarks.leaderboard.charts import (
    HEIGHT,
    NUM_COLOURS,
    WIDTH,
    Curve,
    learning_curve,
    references_of,
)
from benchmarks.leaderboard.columns import column
from benchmarks.leaderboard.data import Entry
from benchmarks.leaderboard.markup import Markup, tag
from benchmarks.leaderboard.number_text import count_text
from benchmarks.leaderboard.tables import Standing

_METRIC = "bits_per_byte"
_AXES: tuple[tuple[str, str, Callable[[Entry], int | None]], ...] = (
    ("training pairs", "pairs", lambda entry: entry.train_samples),
    ("base tunes", "base tunes", lambda entry: entry.base_tunes),
)


def scale_charts(board: Standing) -> Markup | None:
    """Return the charts of a conversion task; `None` with fewer than two scales of any model."""
    if not any(entry.base_tunes for entry in board.entries):
        return None
    shown = column(f"teacher_forced_{_METRIC}")
    references = references_of(board.entries, _METRIC)
    figures: list[Markup] = []
    for axis, counted, count in _AXES:
        curves = scale_curves(board, count)
        if not curves:
            continue
        label = f"{shown.full} over {axis}, {board.task.name}"
        figures.append(
            tag(
                "figure",
                tag("figcaption", tag("strong", f"Over {axis}"), f" {shown.better} is better"),
                tag(
                    "svg",
                    learning_curve(_METRIC, curves, references, label, axis, counted),
                    viewbox=f"0 0 {WIDTH:g} {HEIGHT:g}",
                    role="img",
                    aria_label=label,
                ),
                tag("ul", *map(_legend, range(len(curves)), curves), class_="legend"),
                class_="chart",
            )
        )
    if not figures:
        return None
    return tag(
        "div",
        tag("h3", "Scale"),
        tag(
            "p",
            f"{shown.full.capitalize()} of a model trained on more and more of the corpus. Pairs "
            "grow faster than the tunes behind them: beyond the real ones come other keys, then "
            "tunes put together from phrases. Dashed: what baselines reach.",
        ),
        tag("div", *figures, class_="charts"),
        class_="curves",
    )


def scale_curves(board: Standing, count: Callable[[Entry], int | None]) -> list[Curve]:
    """Return a line for every number of parameters with models at two scales or more."""
    points: dict[int, list[tuple[int, float]]] = {}
    for entry in board.entries:
        value, scale = entry.value(f"teacher_forced_{_METRIC}"), count(entry)
        if entry.kind == "model" and entry.parameters and value is not None and scale:
            points.setdefault(entry.parameters, []).append((scale, value))
    return [
        Curve(name=f"{count_text(parameters)} parameters", points=tuple(sorted(found)))
        for parameters, found in sorted(points.items())
        if len({scale for scale, _ in found}) > 1
    ]


def _legend(number: int, curve: Curve) -> Markup:
    """Return the name of a line."""
    return tag(
        "li", tag("span", class_=f"key colour-{number % NUM_COLOURS}"), tag("strong", curve.name)
    )
