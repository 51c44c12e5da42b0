"""The ablation tables as Markdown: one a task, the best option first."""

from collections.abc import Sequence

from benchmarks.leaderboard.number_text import count_text
from benchmarks.studies.ablations import OptionRow, Outcome, TaskTable
from benchmarks.studies.estimates import Estimate
from benchmarks.studies.page_head import head_lines
from benchmarks.studies.report import StudyRun

_HEADS = (
    *("option", "what is other", "bits per byte", "against", "difference", "", "byte accuracy"),
    *("CPU s", "parameters", "bytes at equal CPU", "bits per byte", "difference", ""),
)


def ablation_page(about: StudyRun, tables: Sequence[TaskTable], machines: Sequence[str]) -> str:
    """Return the whole page."""
    lines = head_lines(about, machines)
    lines += [
        "Bits per byte of the scored bytes of the first test samples, teacher-forced: mean over "
        "seeds ± standard error. A difference is taken seed by seed, own minus that of the option "
        "in column *against*; below 0 is better. **better** and **worse** stand where it is more "
        "than two standard errors away from 0, which with three seeds is a hint and no proof. CPU "
        "seconds are of training alone. At equal CPU: the bytes are scaled so that the training "
        "takes the base's CPU time; a dash in *bytes* says that it does so at equal bytes.",
    ]
    for table in tables:
        lines += _task_lines(table)
    return "\n".join(lines) + "\n"


def _task_lines(table: TaskTable) -> list[str]:
    """Return one task's heading and table."""
    lines = [
        "",
        f"## {table.task}",
        "",
        f"Base: run `{table.run}` on the first {table.train_samples:,} samples of corpus "
        f"`{table.corpus}`, {table.bytes:,} bytes of samples; evaluated on the first "
        f"{table.eval_samples:,} test samples.",
        "",
        f"![{table.task}]({table.task}.svg)",
        "",
        "| " + " | ".join(_HEADS) + " |",
        "|---|---|--:|---|--:|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in table.rows]
    failures = [f"- {row.option}, {text}" for row in table.rows for text in row.failures]
    return lines + (
        ["", "Trainings that did not reach their end:", "", *failures] if failures else []
    )


def _cells(row: OptionRow) -> list[str]:
    """Return one line's cells."""
    first, second = row.equal_bytes, row.equal_cpu
    cells = [f"`{row.option}`", row.what]
    if first is None:
        return cells + ["failed"] + ["–"] * (len(_HEADS) - 3)
    cells += [estimate_text(first.bits_per_byte), row.against or "–", *_difference(first)]
    cells += [
        f"{100 * first.byte_accuracy.mean:.2f} %",
        f"{first.cpu_seconds.mean:.1f}",
        count_text(row.parameters),
    ]
    if second is None:
        return [*cells, "failed", "–", "–", ""]
    scaled = "–" if second.bytes == first.bytes else f"{second.bytes:,}"
    return [*cells, scaled, estimate_text(second.bits_per_byte), *_difference(second)]


def _difference(outcome: Outcome) -> tuple[str, str]:
    """Return a difference and its verdict."""
    if outcome.difference is None:
        return "–", ""
    return estimate_text(outcome.difference, signed=True), verdict(outcome.difference)


def verdict(difference: Estimate) -> str:
    """Return what a difference in bits per byte says, nothing where it is not clear."""
    if not difference.is_clear:
        return ""
    return "**better**" if difference.mean < 0 else "**worse**"


def estimate_text(value: Estimate, *, signed: bool = False) -> str:
    """Return a mean with its standard error.

    >>> estimate_text(Estimate(mean=0.59312, stderr=0.00123, n=3), signed=True)
    '+0.5931 ± 0.0012'
    """
    shown = f"{value.mean:+.4f}" if signed else f"{value.mean:.4f}"
    return shown if value.stderr is None else f"{shown} ± {value.stderr:.4f}"
