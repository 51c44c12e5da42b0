"""Where accuracy comes from, as HTML: bars by instruction, by register, by distance.

A model's bar stands above the rule baseline's. The parts are what the report lists; this knows no
instruction set.
"""

from typing import Final

from benchmarks.leaderboard.data import Entry, PartScore
from benchmarks.leaderboard.markup import Markup, scrolling, tag
from benchmarks.leaderboard.number_text import value_text
from benchmarks.leaderboard.tables import Standing

_KINDS: Final = {
    "instruction": (
        "Instruction",
        "States",
        "Whole states right, 0 to 100 %",
        "The state after an instruction shows whether its effect was computed.",
    ),
    "register": (
        "Register",
        "States",
        "Register right, 0 to 100 %",
        "Share of states in which every byte of the register is right.",
    ),
    "distance": (
        "Steps from the first state",
        "States",
        "Whole states right, 0 to 100 %",
        "Errors do not add up, for the true bytes before are given: what falls off depends on the "
        "distance.",
    ),
}
"""Kind of breakdown to: what a part is, what is counted, what the bars show, what it tells."""


def breakdowns(board: Standing) -> Markup | None:
    """Return the breakdowns of a task: the best model against the rule, other models folded."""
    having = [entry for entry in board.entries if entry.breakdowns]
    models = [entry for entry in having if entry.kind == "model"]
    baselines = [entry for entry in having if entry.kind == "baseline"]
    reference = next((e for e in baselines if "rule" in e.name.lower()), None)
    reference = reference or next(iter(baselines), None)
    shown = models or ([reference] if reference else [])
    if not shown:
        return None
    beside = reference if models else None
    kinds = [kind for kind in _KINDS if shown[0].breakdowns.get(kind)]
    return tag("div", *(_kind(kind, shown, beside) for kind in kinds), class_="breakdowns")


def _kind(kind: str, entries: list[Entry], reference: Entry | None) -> Markup:
    """Return one breakdown; only the first, by instruction, stands open."""
    title = f"Accuracy by {kind}"
    folded = [
        tag("details", tag("summary", f"By {kind}: {entry.name}"), _table(kind, entry, reference))
        for entry in entries[1:]
    ]
    if kind == next(iter(_KINDS)):
        return tag("div", tag("h3", title), _table(kind, entries[0], reference), *folded)
    return tag("details", tag("summary", title), _table(kind, entries[0], reference), *folded)


def _table(kind: str, entry: Entry, reference: Entry | None) -> Markup:
    """Return an entry's accuracy by part beside a baseline's; instructions the best first."""
    part, unit, bars, tells = _KINDS[kind]
    caption = f"Teacher-forced. {tells}"
    if reference:
        caption += f" Upper bar: {entry.name}; lower bar: {reference.name}."
    beside = {} if reference is None else {s.name: s for s in reference.breakdowns.get(kind, ())}
    scores = list(entry.breakdowns.get(kind, ()))
    if kind == "instruction":
        scores.sort(key=lambda score: (-(score.accuracy or 0.0), score.name))
    head = tag(
        "tr",
        tag("th", part, scope="col"),
        tag("th", unit, scope="col", class_="num"),
        tag("th", tag("span", bars), scope="col", class_="bars"),
        tag("th", entry.name, scope="col", class_="num model"),
        tag("th", reference.name, scope="col", class_="num") if reference else None,
    )
    rows = [_row(score, beside.get(score.name), reference is not None) for score in scores]
    return scrolling(
        tag(
            "table",
            tag("caption", caption),
            tag("thead", head),
            tag("tbody", *rows),
            class_="instructions",
        ),
        f"Accuracy by {kind}, {entry.name}",
    )


def _row(score: PartScore, beside: PartScore | None, two_columns: bool) -> Markup:
    """Return one part's row with its bars."""
    mine = score.accuracy or 0.0
    other = beside.accuracy if beside else None
    bars = tag(
        "svg",
        tag("rect", x=0, y=1, width=100, height=7, class_="bar-track"),
        tag("rect", x=0, y=1, width=100 * min(mine, 1.0), height=7, class_="bar"),
        tag("rect", x=0, y=10, width=100 * min(other or 0.0, 1.0), height=3, class_="bar-beside"),
        viewbox="0 0 100 14",
        preserveaspectratio="none",
        aria_hidden="true",
    )
    return tag(
        "tr",
        tag("th", score.name, scope="row"),
        tag("td", f"{score.n:,}", class_="num"),
        tag("td", bars, class_="bars"),
        tag("td", value_text(score.accuracy, "percent"), class_="num model"),
        tag("td", value_text(other, "percent"), class_="num") if two_columns else None,
    )
