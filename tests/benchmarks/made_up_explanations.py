"""Explanations beside made-up reports, for the tests of the page only."""

import json
from pathlib import Path

from benchmarks.explaining.explanation import (
    Explanation,
    ForcedTotals,
    PartCounts,
    PartTable,
    TraceCell,
    TraceLine,
    WorstSample,
    WrittenTotals,
    explanation_json,
)
from benchmarks.report import CorpusRef, SubmissionRef, TaskRef


def explain_beside(path: Path, words: str, rows: int = 14) -> Path:
    """Write an explanation of the report at `path`, in which every name is `words`."""
    report = json.loads(path.read_text(encoding="utf-8"))
    who = report["submission"]
    part = PartCounts(
        name=words,
        units=40,
        wrong_units=10,
        stderr=0.0625,
        bytes=640,
        wrong_bytes=16,
        bits=320.0,
        first_wrong=1,
    )
    cells = (
        TraceCell(field=words, true="0a0b", answered="0a0c", first_wrong=0),
        TraceCell(field="PC", true="01", answered=None, first_wrong=None),
    )
    made = Explanation(
        schema_version=1,
        task=TaskRef(name=report["task"]["name"], version=int(report["task"]["version"])),
        corpus=CorpusRef(
            name=words,
            config_sha256="",
            test_sha256=report["corpus"]["test_sha256"],
            samples=1000,
        ),
        submission=SubmissionRef(
            name=who["name"], kind="model", description=words, parameters=None, train_samples=None
        ),
        teacher_forced=ForcedTotals(bytes=640 * rows, wrong_bytes=16 * rows, bits=320.0 * rows),
        free_running=WrittenTotals(files=200, exact=180, only_too_long=1),
        tables=(
            PartTable(name=words, part=words, unit="states", ranked=True, rows=(part,) * rows),
        ),
        worst=(
            WorstSample(
                key=words,
                mode="teacher_forced",
                bytes=64,
                wrong_bytes=3,
                first_wrong=17,
                true=0x0B,
                answered=0x0C,
                place={"register": words},
                trace=(TraceLine(state=2, instruction=words, cells=cells),),
            ),
        ),
    )
    beside = path.with_name(path.name.removesuffix(".json") + ".explain.json")
    beside.write_text(explanation_json(made), encoding="utf-8")
    return beside
