"""What every page of a study begins with: the command that wrote it, the budget, the machine."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.studies.report import StudyRun


def head_lines(about: StudyRun, machines: Sequence[str]) -> list[str]:
    """Return the lines of heading and origin."""
    lines = [
        f"# Study: {about.name}",
        "",
        f"Written by `bgpt-bench study {about.name}`; do not edit. Method and commands: "
        "[studies.md](../../../studies.md).",
        "",
    ]
    if about.is_reduced:
        lines += [
            f"**Reduced: {about.budget:g} of the budget. It shows that the way works; its figures "
            "mean nothing.**",
            "",
        ]
    elif about.budget != 1:
        lines += [f"Budgets are {about.budget:g} of those in the parameters.", ""]
    seeds = ", ".join(map(str, about.study.seeds))
    return [*lines, f"Seeds {seeds}; one CPU thread a training; on {'; '.join(machines)}.", ""]


def machine_text(machine: Mapping[str, Any]) -> str:
    """Return one machine in words.

    >>> machine_text({"processor": "A", "cores": 2, "python": "3.11.2", "packages": {"torch": "2"}})
    'A with 2 cores, Python 3.11.2, torch 2'
    """
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    python = f"Python {machine['python']}"
    return f"{machine['processor']} with {machine['cores']} cores, {python}, {versions}"
