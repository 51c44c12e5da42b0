"""Ranks with ties: entries that the standard errors cannot tell apart share one.

The best entry opens a rank; every entry within two combined standard errors of it shares that
rank, the best of the rest opens the next one, and so on. All entries answer the same test samples,
so the combined error of independent estimates is, as a rule, on the careful side. What was measured
on fewer samples than another entry is not comparable with it: it has no rank and stands below the
ranked ones. Published figures are never ranked.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.leaderboard.columns import Better, TaskText, column, column_order
from benchmarks.leaderboard.data import Entry, Metric

TIE_ERRORS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Rank:
    """A place from 1; `tied` says that another entry has it too."""

    place: int
    tied: bool


def combined_error(a: Metric, b: Metric) -> float:
    """Return the standard error of the difference of two independent estimates."""
    return math.hypot(a.stderr or 0.0, b.stderr or 0.0)


def rank(metrics: dict[str, Metric], better: Better | None) -> dict[str, Rank]:
    """Rank named metrics; those without a value have no rank, nor has anything if `better` is None.

    >>> close = Metric(value=0.50, stderr=0.01, n=9)
    >>> ranks = rank({"a": close, "b": Metric(value=0.49, stderr=0.01, n=9)}, "higher")
    >>> ranks["b"]
    Rank(place=1, tied=True)
    """
    if better is None:
        return {}
    sign = -1.0 if better == "higher" else 1.0
    values = {name: m.value for name, m in metrics.items() if m.value is not None}
    waiting = sorted(values, key=lambda name: (sign * values[name], name))
    ranks: dict[str, Rank] = {}
    while waiting:
        head = waiting[0]
        sharing = [
            name
            for name in waiting
            if abs(values[name] - values[head])
            <= TIE_ERRORS * combined_error(metrics[name], metrics[head])
        ]
        place = len(ranks) + 1
        ranks.update({name: Rank(place=place, tied=len(sharing) > 1) for name in sharing})
        waiting = [name for name in waiting if name not in ranks]
    return ranks


def rank_entries(entries: Iterable[Entry], metric: str) -> dict[str, Rank]:
    """Rank entries of one task by `metric`, without reported ones and those on fewer samples."""
    measured = [entry for entry in entries if entry.kind != "reported"]
    most = max((_samples(entry, metric) for entry in measured), default=0)
    comparable = {
        entry.name: entry.metrics[metric]
        for entry in measured
        if entry.value(metric) is not None and _samples(entry, metric) == most
    }
    return rank(comparable, column(metric).better)


def primary_metric(task: TaskText, entries: Iterable[Entry]) -> str | None:
    """Return the metric a task is ranked by at first: the first of its list that an entry has."""
    present = {
        name for entry in entries for name, metric in entry.metrics.items()
        if metric.value is not None
    }  # fmt: skip
    ranked = sorted((n for n in present if column(n).better is not None), key=column_order)
    return next((name for name in (*task.primary, *ranked) if name in present), None)


def in_order(entries: Iterable[Entry], metric: str | None) -> list[Entry]:
    """Return entries with the best value of `metric` first.

    Those measured on fewer samples stand below, those without a value last, by name.
    """
    kept = list(entries)
    if metric is None:
        return sorted(kept, key=lambda entry: entry.name)
    sign = -1.0 if column(metric).better == "higher" else 1.0

    most = max((_samples(entry, metric) for entry in kept), default=0)

    def key(entry: Entry) -> tuple[bool, bool, float, str]:
        value = entry.value(metric)
        if value is None:
            return (True, True, 0.0, entry.name)
        return (False, _samples(entry, metric) < most, sign * value, entry.name)

    return sorted(kept, key=key)


def _samples(entry: Entry, metric: str) -> int:
    """Return how many samples an entry's value of `metric` is a mean of, 0 where it has none."""
    found = entry.metrics.get(metric)
    return 0 if found is None or found.value is None else found.n or 0
