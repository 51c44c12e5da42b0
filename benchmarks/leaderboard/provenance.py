"""Where a task's numbers come from, as HTML: test set, hashes, sample counts and environments.

What all entries share is said once, and the rest entry by entry.
"""

from collections.abc import Mapping
from typing import cast

from benchmarks.leaderboard.data import Entry
from benchmarks.leaderboard.markup import Markup, join, scrolling, tag
from benchmarks.leaderboard.tables import Standing


def provenance(board: Standing) -> Markup | None:
    """Return where the numbers come from, folded."""
    if not board.entries:
        return None
    first = board.entries[0]
    samples = sorted({e.samples for e in board.entries if e.samples is not None})
    pairs = (
        ("Task version", first.task_version),
        ("Corpus", first.corpus),
        ("Corpus configuration, sha256", first.config_sha256),
        ("Test set, sha256", first.test_sha256),
        ("Test samples", ", ".join(f"{n:,}" for n in samples)),
    )
    flat = {entry.name: flat_environment(entry.environment) for entry in board.entries}
    common = dict(flat[first.name])
    for values in flat.values():
        common = {key: value for key, value in common.items() if values.get(key) == value}
    rows = [_provenance_row(entry, flat[entry.name], common) for entry in board.entries]
    heads = ("Entry", "n", "Predicted in", "Its own environment")
    return tag(
        "details",
        tag("summary", "Environment and provenance"),
        tag("dl", *(join(tag("dt", k), tag("dd", tag("code", v))) for k, v in pairs if v)),
        tag("h4", "Environment of every entry") if common else None,
        tag("dl", *(join(tag("dt", k), tag("dd", tag("code", v))) for k, v in common.items()))
        if common
        else None,
        scrolling(
            tag(
                "table",
                tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
                tag("tbody", *rows),
                class_="provenance",
            ),
            f"Provenance of the entries, {board.task.name}",
        ),
    )


def _provenance_row(entry: Entry, flat: dict[str, str], common: dict[str, str]) -> Markup:
    """Return one entry's sample counts, time and what only its environment says."""
    counts = sorted({m.n for m in entry.metrics.values() if m.value is not None and m.n})
    own = ", ".join(f"{key} {value}" for key, value in flat.items() if key not in common)
    seconds = "–" if entry.wall_seconds is None else f"{entry.wall_seconds:,.1f} s"
    return tag(
        "tr",
        tag("th", entry.name, scope="row"),
        tag("td", ", ".join(f"{n:,}" for n in counts)),
        tag("td", seconds),
        tag("td", own or "–"),
    )


def flat_environment(values: Mapping[str, object]) -> dict[str, str]:
    """Return an environment as one level of dotted names and short texts, sorted."""
    flat: dict[str, str] = {}

    def add(prefix: str, value: object, depth: int) -> None:
        if isinstance(value, Mapping) and depth < 4:
            for key, inner in cast("Mapping[str, object]", value).items():
                add(f"{prefix}.{key}" if prefix else key, inner, depth + 1)
        elif value is not None:
            shown = str(cast("object", value))
            flat[prefix] = shown if len(shown) <= 200 else shown[:197] + "..."

    add("", values, 0)
    return dict(sorted(flat.items()))
