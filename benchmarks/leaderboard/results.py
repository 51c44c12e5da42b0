"""The results as Markdown: every metric in a file, the key ones between two marks of the README.

One table a task, in the page's order; in the README the real machines share one.

Text of a report is escaped for Markdown and HTML both, since Markdown lets HTML through.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.leaderboard.columns import Column, column
from benchmarks.leaderboard.data import Entry, LeaderboardError
from benchmarks.leaderboard.markup import printable
from benchmarks.leaderboard.number_text import (
    NOT_DEFINED,
    published_text,
    stderr_text,
    value_text,
)
from benchmarks.leaderboard.side_by_side import Machines, machines_of
from benchmarks.leaderboard.tables import REPORTED, Standing, leading, rank_text

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$])")


KEY_METRICS = (
    "teacher_forced_bits_per_byte",
    "shuffled_source_cost",
    "teacher_forced_byte_accuracy",
    "teacher_forced_state_accuracy",
    "free_running_trace_accuracy",
    "free_running_note_f1",
    "free_running_file_accuracy",
    "free_running_file_accuracy_true_lengths",
)
"""Columns of the short table."""
_SHOWN_WHOLE = {"cpu-toy"}
"""The machine whose own table stands in the short form too."""
MARKS = ("<!-- results -->", "<!-- /results -->")
"""The README's lines between which the short table stands."""


def with_results(readme: str, tasks: Sequence[Standing]) -> str:
    """Return the text of a README with the key metrics of `tasks` between its marks.

    Raises:
        LeaderboardError: the marks are not there, once each and in order.
    """
    parts = readme.split(MARKS[0])
    tail = parts[-1].split(MARKS[1])
    if len(parts) != 2 or len(tail) != 2:
        raise LeaderboardError(f"the readme must hold {MARKS[0]}, then {MARKS[1]}, once each")
    machines = machines_of(tasks)
    apart = {task.task.name for task in machines.tasks} - _SHOWN_WHOLE if machines else set[str]()
    short = [
        replace(one, columns=tuple(c for c in one.columns if c.name in KEY_METRICS))
        for one in tasks
        if one.task.name not in apart
    ]
    text = markdown(short) + (f"\n{_machines(machines)}" if machines else "")
    return f"{parts[0]}{MARKS[0]}\n\n{text}\n{MARKS[1]}{tail[1]}"


def markdown(tasks: Sequence[Standing]) -> str:
    """Return every task's table; bold marks the best value of a column and what ties with it."""
    parts = [
        "Value ± one standard error. Bold: the best, and what two combined standard errors cannot "
        "tell from it.\n"
    ]
    parts.extend(_task(one) for one in tasks)
    return "\n".join(parts)


def _machines(machines: Machines) -> str:
    """Return the machines side by side."""
    lines = [
        "### Machines side by side",
        "",
        f"Teacher-forced {column(machines.metric).full}.",
        "",
        _row(["entry", *map(markdown_text, machines.labels())]),
        "|:---|" + "---:|" * len(machines.tasks),
    ]
    for name, cells in machines.cells.items():
        lines.append(_row([markdown_text(name), *(c.replace("<", "&lt;") for c in cells)]))
    return "\n".join([*lines, ""])


def markdown_text(text: str) -> str:
    """Return `text` so that Markdown and HTML show it as it is, on one line.

    >>> markdown_text("a|b <i>")
    'a\\\\|b &lt;i&gt;'
    """
    line = " ".join(printable(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", line)


def _task(one: Standing) -> str:
    """Return one task's heading, rule and table."""
    lines = [f"### {markdown_text(one.task.name)}", "", markdown_text(one.task.rule), ""]
    if not one.entries and not one.figures and not one.reported:
        return "\n".join([*lines, "No entry has been scored yet.", ""])
    heads = ["rank", "entry", *(c.full for c in one.columns)]
    lines.append(_row([markdown_text(head) for head in heads]))
    lines.append("|---:|:---|" + "---:|" * len(one.columns))
    for entry in one.entries:
        rank = one.ranks.get(one.primary or "", {}).get(entry.name)
        name = markdown_text(entry.name)
        shown = f"**{name}** (model)" if entry.kind == "model" else name
        lines.append(_row([rank_text(rank), shown, *(_cell(one, entry, c) for c in one.columns)]))
    note = f" *({REPORTED.lower()})*"
    for entry in one.reported:
        cells = [_cell(one, entry, c) for c in one.columns]
        lines.append(_row(["–", markdown_text(entry.name) + note, *cells]))
    for name in dict.fromkeys(figure.name for figure in one.figures):
        mine = {f.metric: f.value for f in one.figures if f.name == name}
        cells = [
            published_text(mine[c.name], c.unit) if c.name in mine else NOT_DEFINED
            for c in one.columns
        ]
        lines.append(_row(["–", markdown_text(name) + note, *cells]))
    return "\n".join([*lines, ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(one: Standing, entry: Entry, shown: Column) -> str:
    """Return "59.31 ± 0.82 %", in bold where nothing is better."""
    metric = entry.metrics.get(shown.name)
    if metric is None or metric.value is None:
        return NOT_DEFINED
    number, _, sign = value_text(metric.value, shown.unit).partition(" ")
    error = stderr_text(metric.stderr, shown.unit)
    reading = " ".join(part for part in (number, f"± {error}" if error else "", sign) if part)
    reading = reading.replace("<", "&lt;")
    return f"**{reading}**" if leading(one, entry, shown) else reading
