"""The simulated machines side by side: one row an entry, one column a machine, as HTML and numbers.

Which tasks belong together is told by their names, `cpu-...`; what is shown is their first metric.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.leaderboard.columns import column
from benchmarks.leaderboard.markup import Markup, scrolling, tag
from benchmarks.leaderboard.number_text import NOT_DEFINED, stderr_text, value_text
from benchmarks.leaderboard.tables import Standing

_PREFIX: Final = "cpu-"


@dataclass(frozen=True, kw_only=True, slots=True)
class Machines:
    """All machines with entries, and every entry's text on each of them."""

    tasks: tuple[Standing, ...]
    metric: str
    cells: dict[str, tuple[str, ...]]
    """Entry to "17.59 ± 0.39 %" by machine, best on the first machine first."""

    def labels(self) -> list[str]:
        """Return the machines' names."""
        return [task.task.name.removeprefix(_PREFIX) for task in self.tasks]


def machines_of(tasks: Sequence[Standing]) -> Machines | None:
    """Return the machines that have entries; `None` where there are fewer than two."""
    machines = [task for task in tasks if task.task.name.startswith(_PREFIX) and task.entries]
    if len(machines) < 2:
        return None
    metric = machines[0].task.primary[0]
    names = dict.fromkeys(
        entry.name for task in machines for entry in task.entries if entry.value(metric) is not None
    )
    return Machines(
        tasks=tuple(machines),
        metric=metric,
        cells={name: tuple(_text(task, name, metric) for task in machines) for name in names},
    )


def side_by_side(tasks: Sequence[Standing]) -> Markup | None:
    """Return the table of all machines that have entries; `None` where there are fewer than two."""
    found = machines_of(tasks)
    if found is None:
        return None
    head = tag(
        "tr",
        tag("th", "Entry", scope="col"),
        *(
            tag(
                "th",
                tag("a", label, href=f"#task-{task.task.name}"),
                scope="col",
                class_="num",
            )
            for task, label in zip(found.tasks, found.labels(), strict=True)
        ),
    )
    rows = [
        tag("tr", tag("th", name, scope="row"), *(tag("td", c, class_="num") for c in cells))
        for name, cells in found.cells.items()
    ]
    return tag(
        "section",
        tag("h2", "Machines side by side"),
        scrolling(
            tag(
                "table",
                tag(
                    "caption", f"Teacher-forced {column(found.metric).full}, ± one standard error."
                ),
                tag("thead", head),
                tag("tbody", *rows),
                class_="machines",
            ),
            "Machines side by side",
        ),
        id="machines",
    )


def _text(task: Standing, name: str, metric: str) -> str:
    """Return one entry's value on one machine."""
    entry = next((entry for entry in task.entries if entry.name == name), None)
    found = None if entry is None else entry.metrics.get(metric)
    if found is None or found.value is None:
        return NOT_DEFINED
    unit = column(metric).unit
    error = stderr_text(found.stderr, unit)
    number, _, sign = value_text(found.value, unit).partition(" ")
    return " ".join(part for part in (number, f"± {error}" if error else "", sign) if part)
