"""Accuracy by instruction, as HTML: horizontal bars, a model's above the rule baseline's.

The instructions are what the report lists; this knows no instruction set.
"""

from benchmarks.leaderboard.data import Entry, InstructionScore
from benchmarks.leaderboard.markup import Markup, tag
from benchmarks.leaderboard.number_text import value_text
from benchmarks.leaderboard.tables import Standing


def instructions(board: Standing) -> Markup | None:
    """Return accuracy by instruction: the best model against the rule, other models folded."""
    having = [e for e in board.entries if e.by_instruction]
    models = [e for e in having if e.kind == "model"]
    baselines = [e for e in having if e.kind == "baseline"]
    reference = next((e for e in baselines if "rule" in e.name.lower()), None)
    reference = reference or next(iter(baselines), None)
    if not models:
        return None
    caption = (
        "Teacher-forced. The state after an instruction shows whether its effect was computed."
    )
    if reference:
        caption += f" Upper bar: the model; lower bar: {reference.name}."
    folded = [
        tag(
            "details",
            tag("summary", f"By instruction: {e.name}"),
            _table(e, reference, caption),
        )
        for e in models[1:]
    ]
    return tag(
        "div",
        tag("h3", "Accuracy by instruction"),
        _table(models[0], reference, caption),
        *folded,
        class_="by-instruction",
    )


def _table(entry: Entry, reference: Entry | None, caption: str) -> Markup:
    """Return an entry's whole-state accuracy by instruction beside a baseline's, best first."""
    beside: dict[str, InstructionScore] = {}
    if reference is not None:
        beside = {score.name: score for score in reference.by_instruction}
    scores = sorted(entry.by_instruction, key=lambda s: (-(s.state_accuracy or 0.0), s.name))
    rows = [_instruction_row(score, beside.get(score.name)) for score in scores]
    head = tag(
        "tr",
        tag("th", "Instruction", scope="col"),
        tag("th", "States", scope="col", class_="num"),
        tag("th", tag("span", "Whole states right, 0 to 100 %"), scope="col", class_="bars"),
        tag("th", entry.name, scope="col", class_="num model"),
        tag("th", reference.name, scope="col", class_="num") if reference else None,
    )
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", head),
            tag("tbody", *rows),
            class_="instructions",
        ),
        class_="scroll",
        role="region",
        aria_label=f"Accuracy by instruction, {entry.name}",
        tabindex="0",
    )


def _instruction_row(score: InstructionScore, beside: InstructionScore | None) -> Markup:
    """Return one instruction's row with its two bars."""
    mine = score.state_accuracy or 0.0
    other = beside.state_accuracy if beside else None
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
        tag("td", value_text(score.state_accuracy, "percent"), class_="num model"),
        tag("td", value_text(other, "percent"), class_="num") if beside else None,
    )
