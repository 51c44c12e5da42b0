"""The JSON of a study: what it was, where it was measured, its tables, and every training's curve.

Everything that the tables and pictures beside it show stands in it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.strict_json import JsonRefused, load_text, parse_object
from benchmarks.studies.config import Study
from benchmarks.studies.run_result import RunResult
from benchmarks.studies.runner import machines_of
from bgpt.run import code_sha256
from pipelines.config import ConfigError
from pipelines.shards import write_atomically

STUDY_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRun:
    """How a study is called: its name, its section, and how much of it is done."""

    name: str
    study: Study
    budget: float
    """Share of the budgets in the parameters."""
    is_reduced: bool


def study_json(
    about: StudyRun, tables: Sequence[Mapping[str, Any]], results: Sequence[RunResult]
) -> dict[str, Any]:
    """Return the whole content of `NAME.json`."""
    return {
        "schema_version": STUDY_SCHEMA_VERSION,
        "study": about.name,
        "kind": about.study.kind,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "budget": about.budget,
        "reduced": about.is_reduced,
        "seeds": list(about.study.seeds),
        "machines": machines_of(results),
        "code_sha256": code_sha256(),
        "tasks": list(tables),
        "runs": [
            {key: value for key, value in asdict(result).items() if key != "machine"}
            for result in results
        ],
    }


def check_out(out: Path, about: StudyRun) -> None:
    """Refuse to put a reduced study in the place of a full one.

    Raises:
        ConfigError: `out` has the study at a larger budget, or is no folder.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file; name a folder")
    path = out / f"{about.name}.json"
    if not path.exists():
        return
    try:
        found = parse_object(load_text(path), str(path))
    except JsonRefused:
        return
    there = found.get("budget")
    is_larger = isinstance(there, int | float) and there > about.budget
    if is_larger or (about.is_reduced and found.get("reduced") is False):
        raise ConfigError(
            f"{path}: holds this study at {there:g} of its budget, and {about.budget:g} would take "
            "its place; pass another --out"
        )


def write_texts(out: Path, texts: Mapping[str, str]) -> None:
    """Write files into a folder, each whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(out / name, text.encode("utf-8"))


def as_text(content: Mapping[str, Any]) -> str:
    """Return a study's JSON as text."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"
