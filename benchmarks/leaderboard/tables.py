"""The sortable table of one task, as HTML.

Every cell carries its value and its rank, so the page's script sorts without knowing any metric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.leaderboard.charts import error_strip, strip_scale
from benchmarks.leaderboard.columns import Column, TaskText, column, column_order
from benchmarks.leaderboard.data import Entry, Figure, Metric
from benchmarks.leaderboard.markup import Markup, join, tag
from benchmarks.leaderboard.number_text import (
    NOT_DEFINED,
    count_text,
    published_text,
    stderr_text,
    value_text,
)
from benchmarks.leaderboard.ranking import Rank, in_order, primary_metric, rank_entries
from benchmarks.leaderboard.scales import Scale

REPORTED = "Reported, not measured here"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One task's entries in order, with their ranks by every metric."""

    task: TaskText
    entries: tuple[Entry, ...]
    """Measured entries, the best by `primary` first."""
    reported: tuple[Entry, ...]
    figures: tuple[Figure, ...]
    columns: tuple[Column, ...]
    primary: str | None
    ranks: Mapping[str, Mapping[str, Rank]]
    """By metric, then by entry."""

    def best(self, kind: str | None = None) -> Entry | None:
        """Return the best entry by the primary metric, of one kind if asked; None without one."""
        if self.primary is None:
            return None
        fits = [entry for entry in self.entries if kind in (None, entry.kind)]
        return next((entry for entry in fits if entry.value(self.primary) is not None), None)


def standing(task: TaskText, entries: Sequence[Entry], figures: Sequence[Figure]) -> Standing:
    """Order and rank the entries of `task`; columns that nobody has a value for are left out."""
    measured = [entry for entry in entries if entry.kind != "reported"]
    primary = primary_metric(task, measured)
    names = {figure.metric for figure in figures}
    for entry in entries:
        names |= {name for name, metric in entry.metrics.items() if metric.value is not None}
    columns = tuple(column(name) for name in sorted(names, key=column_order))
    return Standing(
        task=task,
        entries=tuple(in_order(measured, primary)),
        reported=tuple(in_order([e for e in entries if e.kind == "reported"], primary)),
        figures=tuple(figures),
        columns=columns,
        primary=primary,
        ranks={c.name: rank_entries(measured, c.name) for c in columns},
    )


def result_table(board: Standing) -> Markup:
    """Return the sortable table of one task in its scroll box."""
    caption = f"caption-{board.task.name}"
    primary = column(board.primary) if board.primary else None
    scales = {c.name: _column_scale(board, c) for c in board.columns}
    rows = [_entry_row(board, entry, scales) for entry in board.entries]
    if not rows:
        rows = [
            tag("tr", tag("td", "No entry has been scored yet.", colspan=len(board.columns) + 2))
        ]
    reported = _reported_rows(board)
    table = tag(
        "table",
        tag(
            "caption",
            tag(
                "span",
                join("Ranked by ", tag("span", primary.label, class_="rank-by"), ". ")
                if primary
                else None,
                "Value ± one standard error; the bar spans two to each side, on the column’s own "
                "axis. Entries that two combined standard errors cannot tell from the best of "
                "their group share its rank.",
                class_="note",
            ),
            id=caption,
        ),
        tag("thead", *_head(board)),
        tag("tbody", *rows, class_="measured"),
        tag("tbody", *reported, class_="reported") if reported else None,
        class_="results",
        data_task=board.task.name,
        data_primary=board.primary or "",
    )
    return tag("div", table, class_="scroll", role="region", aria_labelledby=caption, tabindex="0")


def _column_scale(board: Standing, shown: Column) -> Scale:
    """Return the axis of one column's bars; right and wrong source share one, to be compared."""
    pair = ("teacher_forced_bits_per_byte", "teacher_forced_bits_per_byte_shuffled_source")
    names = pair if shown.name in pair else (shown.name,)
    return strip_scale(
        shown.unit, [e.metrics[name] for e in board.entries for name in names if name in e.metrics]
    )


def _head(board: Standing) -> list[Markup]:
    """Return the two rows of the table's head: groups, then sortable columns."""
    spans: list[tuple[str, int]] = []
    for shown in board.columns:
        if spans and spans[-1][0] == shown.group:
            spans[-1] = (shown.group, spans[-1][1] + 1)
        else:
            spans.append((shown.group, 1))
    groups = [tag("th", name, scope="colgroup", colspan=width) for name, width in spans]
    heads = [
        tag("th", tag("span", "Rank"), scope="col", class_="rank"),
        _sort_head("entry", "Entry", None, board.primary),
    ]
    heads.extend(_sort_head(c.name, c.label, c, board.primary) for c in board.columns)
    return [
        tag("tr", tag("td", colspan=2), *groups, class_="groups"),
        tag("tr", *heads),
    ]


def _sort_head(name: str, label: str, shown: Column | None, primary: str | None) -> Markup:
    """Return a column's head: a button, so that the keyboard reaches it."""
    better = shown.better if shown else None
    note = f"{better} is better" if better else ("control" if shown else None)
    first = "descending" if better == "higher" else "ascending"
    return tag(
        "th",
        tag(
            "button",
            tag("span", label, class_="label"),
            tag("span", class_="arrow", aria_hidden="true"),
            type="button",
        ),
        tag("small", note) if note else None,
        scope="col",
        class_="entry" if shown is None else "metric",
        data_column=name,
        data_first=first,
        aria_sort=first if name == primary else None,
    )


def _entry_row(board: Standing, entry: Entry, scales: Mapping[str, Scale]) -> Markup:
    """Return the row of one measured entry."""
    primary = board.ranks.get(board.primary or "", {}).get(entry.name)
    cells = [_cell(board, entry, shown, scales[shown.name]) for shown in board.columns]
    return tag(
        "tr",
        tag("td", rank_text(primary), class_="rank"),
        _name_cell(entry),
        *cells,
        class_=entry.kind,
        data_entry=entry.name,
    )


def rank_text(rank: Rank | None) -> str:
    """Return a rank as the table shows it: "1", "2 tie", or a dash."""
    if rank is None:
        return "–"
    return f"{rank.place} tie" if rank.tied else str(rank.place)


def leading(board: Standing, entry: Entry, shown: Column) -> bool:
    """Say whether nothing is better in a column, unless that holds for all of several entries."""
    ranks = board.ranks[shown.name]
    if entry.name not in ranks or ranks[entry.name].place != 1:
        return False
    return len(ranks) == 1 or any(rank.place > 1 for rank in ranks.values())


def _name_cell(entry: Entry) -> Markup:
    """Return an entry's name, kind and size."""
    facts = [tag("span", entry.kind, class_=f"chip {entry.kind}")]
    if entry.parameters is not None:
        facts.append(tag("span", f"{count_text(entry.parameters)} parameters"))
    if entry.train_samples is not None:
        facts.append(tag("span", f"{count_text(entry.train_samples)} samples"))
    return tag(
        "th",
        tag("span", entry.name, class_="name"),
        tag("span", *facts, class_="facts"),
        " " if entry.description else None,
        tag("span", entry.description, class_="about") if entry.description else None,
        scope="row",
        class_="entry",
    )


def _cell(board: Standing, entry: Entry, shown: Column, scale: Scale) -> Markup:
    """Return one metric of one entry."""
    metric = entry.metrics.get(shown.name)
    if metric is None or metric.value is None:
        return tag("td", tag("span", NOT_DEFINED, class_="absent"), class_="metric")
    rank = board.ranks[shown.name].get(entry.name)
    leads = leading(board, entry, shown)
    mark = tag("span", "tie" if rank and rank.tied else "best", class_="mark") if leads else None
    return tag(
        "td",
        tag("span", _value(metric, shown), class_="reading"),
        tag("span", error_strip(metric, scale), mark, class_="drawn"),
        class_="metric best" if leads else "metric",
        data_value=repr(metric.value),
        data_rank=rank_text(rank) if rank else None,
        title=None if metric.n is None else f"n = {metric.n:,}",
    )


def _value(metric: Metric, shown: Column) -> Markup:
    """Return "59.31 ± 0.82 %" with the error set back."""
    text = value_text(metric.value, shown.unit)
    number, _, sign = text.partition(" ")
    error = stderr_text(metric.stderr, shown.unit)
    return join(
        tag("span", number, class_="value"),
        tag("span", f" ± {error}", class_="error") if error else None,
        tag("span", f" {sign}", class_="error") if sign else None,
    )


def _reported_rows(board: Standing) -> list[Markup]:
    """Return the rows that others published, under a line that says so; empty without any."""
    rows: list[Markup] = []
    for entry in board.reported:
        cells: list[Markup] = []
        for shown in board.columns:
            metric = entry.metrics.get(shown.name, Metric(value=None, stderr=None, n=None))
            cells.append(_reported_cell(None if metric.value is None else _value(metric, shown)))
        rows.append(tag("tr", tag("td", "–", class_="rank"), _name_cell(entry), *cells))
    for name in dict.fromkeys(figure.name for figure in board.figures):
        mine = {f.metric: f for f in board.figures if f.name == name}
        about = dict.fromkeys(t for f in mine.values() for t in (f.source, f.note) if t)
        cells = []
        for shown in board.columns:
            figure = mine.get(shown.name)
            cells.append(
                _reported_cell(published_text(figure.value, shown.unit) if figure else None)
            )
        title = tag(
            "th",
            tag("span", name, class_="name"),
            tag("span", " · ".join(about), class_="about"),
            scope="row",
            class_="entry",
        )
        rows.append(tag("tr", tag("td", "–", class_="rank"), title, *cells))
    if not rows:
        return []
    banner = tag("th", tag("span", REPORTED), scope="rowgroup", colspan=len(board.columns) + 2)
    return [tag("tr", banner, class_="banner"), *rows]


def _reported_cell(shown: str | None) -> Markup:
    inner = tag("span", NOT_DEFINED, class_="absent") if shown is None else tag("span", shown)
    return tag("td", inner, class_="metric")
