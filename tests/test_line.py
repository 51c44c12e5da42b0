"""`dvc.yaml` spells the whole line: every stage depends on all the code that it runs."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGES = ("simulators", "pipelines", "bgpt", "benchmarks")
LINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STUDIES: dict[str, Any] = yaml.safe_load((ROOT / "benchmarks/dvc.yaml").read_text("utf-8"))
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

# stage -> modules that its command calls
ENTRIES = {
    "corpus": ["pipelines.corpora", "pipelines.build"],
    "train": ["bgpt.launch", "bgpt.run"],
    "baselines": ["benchmarks.answering", "benchmarks.baselines.catalogue"],
    "predict": ["benchmarks.answering", "bgpt.byte_model"],
    "score": ["benchmarks.scorer", "benchmarks.submission", "benchmarks.report"],
    "compress": ["benchmarks.compression", "benchmarks.samples"],
    "leaderboard": ["benchmarks.leaderboard.site"],
}
# The model's door is reached in `predict` only; a corpus is read, not built, right of `corpus`.
NOT_RUN = {"baselines": ("bgpt/",), "score": ("bgpt/",), "leaderboard": ("pipelines/",)}


def file_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((c for c in candidates if c.exists()), None)


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in PACKAGES}


def closure(modules: list[str]) -> set[str]:
    """Return every project file that is imported, directly or not, as a path in the repository."""
    todo, files = list(modules), set[str]()
    while todo:
        path = file_of(todo.pop())
        if path is None or str(path.relative_to(ROOT)) in files:
            continue
        files.add(str(path.relative_to(ROOT)))
        todo += imports_of(path)
    return files


@pytest.mark.parametrize("stage", ENTRIES)
def test_a_stage_depends_on_all_code_that_it_runs(stage: str) -> None:
    described = LINE["stages"][stage]
    deps = described.get("do", described)["deps"]
    files = {f for f in closure(ENTRIES[stage]) if not f.endswith("__init__.py")}
    files = {f for f in files if not f.startswith(NOT_RUN.get(stage, ("-",)))}
    assert len(files) > 4
    missing = [f for f in files if not any(f == d or f.startswith(f"{d}/") for d in deps)]
    assert not missing


def test_a_study_depends_on_all_code_that_it_runs() -> None:
    described = STUDIES["stages"]["study"]["do"]
    files = {f for f in closure(["benchmarks.studies.command"]) if not f.endswith("__init__.py")}
    assert len(files) > 40
    deps = described["deps"]
    assert not [f for f in files if not any(f == d or f.startswith(f"{d}/") for d in deps)]
    assert all((ROOT / dep).exists() for dep in deps if not dep.startswith("data/"))


def test_studies_are_no_part_of_the_line() -> None:
    commands = [stage.get("do", stage)["cmd"] for stage in LINE["stages"].values()]
    assert not [command for command in commands if command.startswith("bgpt-bench study")]
    assert STUDIES["stages"]["study"]["do"]["cmd"].startswith("bgpt-bench study ${key} ")
    for about in PARAMS["studies"].values():
        assert {task["run"] for task in about["tasks"].values()} <= set(PARAMS["runs"])


def test_every_stage_of_the_line_is_checked() -> None:
    assert set(LINE["stages"]) == set(ENTRIES)


def test_every_task_has_a_run_metrics_and_curves() -> None:
    assert set(PARAMS["models"]) <= set(PARAMS["runs"]) & set(PARAMS["tasks"])
    plotted = [path for plot in LINE["plots"] for values in plot.values() for path in values["y"]]
    for task, about in PARAMS["tasks"].items():
        assert about["corpus"] in PARAMS["corpora"]
        assert f"docs/results/reports/{task}/summary.json" in LINE["metrics"]
        if task in PARAMS["models"]:
            assert sum(path.startswith(f"runs/{task}/") for path in plotted) == len(LINE["plots"])
            assert PARAMS["models"][task]["corpus"] == about["corpus"]
        if task in PARAMS["runs"]:
            assert PARAMS["runs"][task]["corpus"] == about["corpus"]
    readers = [*PARAMS["tasks"].values(), *PARAMS["runs"].values()]
    assert {about["corpus"] for about in readers} == set(PARAMS["corpora"])
