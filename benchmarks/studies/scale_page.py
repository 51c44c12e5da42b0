"""The scale tables as Markdown: every scale, the floor, the law and the paper's points."""

import math
from collections.abc import Sequence

from benchmarks.leaderboard.number_text import count_text, published_text
from benchmarks.studies.ablation_page import estimate_text
from benchmarks.studies.page_head import head_lines
from benchmarks.studies.report import StudyRun
from benchmarks.studies.scales import ScaleRow, ScaleTable


def scale_page(about: StudyRun, tables: Sequence[ScaleTable], machines: Sequence[str]) -> str:
    """Return the whole page."""
    lines = head_lines(about, machines)
    lines += [
        "Bits per byte of the scored bytes of the first test samples, teacher-forced: mean over "
        "seeds ± standard error. All scales of a task have one budget of bytes, so *passes* says "
        "how often each sample was read; below 1, a larger scale changes nothing but which samples "
        "are read. The law is fitted over the different samples read; its ranges are two standard "
        "errors wide to both sides.",
    ]
    for table in tables:
        lines += _task_lines(table)
    return "\n".join(lines) + "\n"


def _task_lines(table: ScaleTable) -> list[str]:
    """Return one task's heading, table and text."""
    model = f"{count_text(table.parameters)} parameters, " if table.parameters else ""
    lines = [
        "",
        f"## {table.task}",
        "",
        f"Run `{table.run}` ({model}{table.bytes:,} bytes of samples) on prefixes of corpus "
        f"`{table.corpus}`; evaluated on the first {table.eval_samples:,} test samples.",
        "",
        f"![{table.task}]({table.task}.svg)",
        "",
        "| train samples | different ones read | passes | bits per byte | byte accuracy | CPU s |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in table.rows]
    lines += ["", f"- Floor: {table.floor.why}."]
    lines += [f"- {_law_text(table)}"]
    for point in table.paper:
        unit = "percent" if point.metric.endswith("accuracy") else "bits"
        lines.append(
            f"- Paper, {count_text(point.samples)} samples: {published_text(point.value, unit)} "
            f"{point.metric.removeprefix('teacher_forced_').replace('_', ' ')}; {point.note}."
        )
    lines += [f"- {row.scale:,}: {row.missing}." for row in table.rows if row.missing]
    lines += [f"- {row.scale:,}, {text}" for row in table.rows for text in row.failures]
    return lines


def _cells(row: ScaleRow) -> list[str]:
    """Return one line's cells."""
    scale = f"{row.scale:,}"
    if row.bits_per_byte is None or row.byte_accuracy is None or row.cpu_seconds is None:
        return [scale, "–", "–", "failed" if row.failures else "not measured", "–", "–"]
    return [
        scale,
        f"{row.different_samples:,}",
        f"{row.passes:.3g}",
        estimate_text(row.bits_per_byte),
        f"{100 * row.byte_accuracy.mean:.2f} %",
        f"{row.cpu_seconds.mean:.1f}",
    ]


def _law_text(table: ScaleTable) -> str:
    """Return the law in one sentence, or why there is none."""
    law, further = table.law, table.extrapolation
    if law is None or further is None:
        return f"{(table.no_law or 'no law').capitalize()}."
    error = law.covariance[1][1] ** 0.5
    floor = "" if table.floor.bits_per_byte is not None else ", as if the floor were 0"
    return (
        f"Law{floor}: bits per byte = {law.floor:g} + {math.exp(law.log_a):.4g} · "
        f"n^-{law.b:.3f}, exponent ± {error:.3f} (chi squared by degree of freedom "
        f"{law.misfit:.2g}). One decade on, at {further.samples:,} different samples and as many "
        f"passes: {further.bits_per_byte:.4f}, {further.low:.4f} to {further.high:.4f}."
    )
