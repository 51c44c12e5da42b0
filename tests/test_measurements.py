"""What `make bench` reports, as far as it can be known without measuring."""

import importlib
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.perf import decode_bench, model_bench
from tests.perf.speed_table import TABLE, Family, Goal, Work, goal, missed_floor

BENCHES = sorted((Path(__file__).parent / "perf").glob("*_bench.py"))
GOALS = {**model_bench.goals(), **decode_bench.goals()}


@pytest.mark.parametrize("path", BENCHES, ids=lambda path: path.stem)
def test_every_benchmark_can_be_imported_and_run_by_name(path: Path) -> None:
    assert callable(importlib.import_module(f"tests.perf.{path.stem}").bench)


def test_the_table_has_a_cell_for_every_work_and_family() -> None:
    assert set(TABLE) == {(work, family) for work in get_args(Work) for family in get_args(Family)}
    for cell in TABLE.values():
        lower = cell.target < cell.floor
        assert (cell.lower_is_better, "lower_is_better" in cell.fields()) == (lower, lower)


def test_every_cell_of_the_table_has_a_row_that_shows_its_floor_and_target() -> None:
    for cell, expected in TABLE.items():  # two cells may have equal goals, so: the very same one
        assert any(found is expected for found in GOALS.values()), f"no row for {cell}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("training, paper's model, bfloat16", (2.5, 4)),
        ("training, compact-cpu", (8, 15)),
        ("evaluation, paper's model, float32", (2.2, 3.5)),
        ("evaluation, compact-music, bfloat16", (8, 15)),
        ("decoding, paper's model, batch 1, int8", (3, 10)),
        ("decoding, compact-cpu, batch 1", (10, 30)),
        ("decoding, paper's model, batch 32, float32", (25, 40)),
        ("decoding, compact-cpu, batch 32, sampling", (80, 200)),
        ("peak training memory, paper's model, bfloat16", (0.5, 0.3)),
        ("peak training memory, compact-music", (0.3, 0.15)),
    ],
)
def test_a_row_shows_the_floor_and_target_of_its_own_cell(
    name: str, expected: tuple[float, float]
) -> None:
    assert (GOALS[name].floor, GOALS[name].target) == expected


def test_a_row_of_the_report_holds_ratio_floor_and_target() -> None:
    name = "evaluation, paper's model, float32"
    row = model_bench.row(name, model_bench.SPEED_UNIT, [30.0, 50.0], [10.0, 30.0])
    assert (row["ratio"], row["floor"], row["target"], row["n"]) == (2.0, 2.2, 3.5, 2)
    assert missed_floor(row) == f"floor missed: {name}: 2.00x, floor 2.2x"


@pytest.mark.parametrize(
    ("cell", "ratio", "missed"),
    [
        (goal("training", "paper"), 2.49, True),
        (goal("training", "paper"), 2.5, False),
        (goal("memory", "compact-cpu"), 0.31, True),
        (goal("memory", "compact-cpu"), 0.3, False),
    ],
)
def test_a_missed_floor_is_a_line_and_one_that_holds_is_none(
    cell: Goal, ratio: float, *, missed: bool
) -> None:
    row: dict[str, Any] = {"name": "x", "ratio": ratio, **cell.fields()}
    assert (missed_floor(row) is not None) == missed


def test_a_row_without_a_floor_misses_none() -> None:
    assert missed_floor({"name": "shards", "ratio": 0.1}) is None
