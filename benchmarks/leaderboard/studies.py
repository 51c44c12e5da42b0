"""What the studies found, on the page: of every task the options that differ clearly, with links.

Reads the JSON files that `bgpt-bench study` wrote, below one folder; tables and curves stand beside
them. A reduced study is left out: its figures mean nothing.
"""

import os
from pathlib import Path

from benchmarks.leaderboard.markup import Markup, join, tag
from benchmarks.leaderboard.number_text import count_text
from benchmarks.strict_json import (
    JsonObject,
    as_object,
    items,
    load_text,
    member,
    optional_count,
    optional_number,
    parse_object,
    text,
)

_MOST = 6
"""Options that are named a task and side."""


def study_section(folder: Path, page: Path) -> Markup | None:
    """Return the section of all studies below `folder`, `None` without any.

    `page` is the folder of the page, from which links go.

    Raises:
        JsonRefused: a file is damaged or of another form.
    """
    parts: list[Markup] = []
    for path in sorted(folder.glob("*/*.json")):
        found = parse_object(load_text(path), str(path))
        if path.stem != path.parent.name or found.get("reduced") is not False:
            continue
        link = Path(os.path.relpath(path.with_suffix(".md"), page)).as_posix()
        parts.append(_study(found, str(path), link))
    if not parts:
        return None
    return tag("section", tag("h2", "Studies"), *parts, id="studies")


def _study(study: JsonObject, where: str, link: str) -> Markup:
    """Return one study: its name as a link, and a line or two a task."""
    name = text(study, "study", where)
    describe = _options if study.get("kind") == "ablations" else _law
    lines = [
        tag("li", tag("strong", text(task, "task", where)), " ", describe(task, where))
        for task in (as_object(item, where) for item in items(study, "tasks", where))
    ]
    return join(tag("h3", tag("a", name, href=link)), tag("ul", *lines))


def _options(task: JsonObject, where: str) -> str:
    """Return which options differ clearly at equal bytes, the largest differences first."""
    sides: dict[str, list[tuple[float, str]]] = {"better": [], "worse": []}
    for item in items(task, "rows", where):
        row = as_object(item, where)
        if row.get("equal_bytes") is None:
            continue
        outcome = member(row, "equal_bytes", where)
        if outcome.get("difference") is None:
            continue
        difference = member(outcome, "difference", where)
        mean = optional_number(difference, "mean", where) or 0.0
        stderr = optional_number(difference, "stderr", where)
        if stderr is not None and abs(mean) > 2 * stderr:
            shown = f"{text(row, 'option', where)} {mean:+.3f}"
            sides["better" if mean < 0 else "worse"].append((-abs(mean), shown))
    said = [
        f"{side}: {', '.join(shown for _, shown in sorted(found)[:_MOST])}"
        for side, found in sides.items()
        if found
    ]
    return (
        f"bits per byte against what it is compared with, {'; '.join(said)}"
        if said
        else "no clear difference"
    )


def _law(task: JsonObject, where: str) -> str:
    """Return the law of a task's scales, or why there is none."""
    if task.get("extrapolation") is None:
        return text(task, "no_law", where, default="no law")
    further = member(task, "extrapolation", where)
    bits, low, high = (
        optional_number(further, key, where) or 0.0 for key in ("bits_per_byte", "low", "high")
    )
    exponent = optional_number(member(task, "law", where), "b", where) or 0.0
    samples = count_text(optional_count(further, "samples", where) or 0)
    return (
        f"falls as n^-{exponent:.2f}; at {samples} samples {bits:.3f} bits per byte are to be "
        f"expected, {low:.3f} to {high:.3f}"
    )
