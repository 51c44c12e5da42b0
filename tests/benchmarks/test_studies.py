"""A study by its command: trained, compared, drawn; killed at any point, it goes on to the same."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.__main__ import main
from benchmarks.leaderboard.studies import study_section
from benchmarks.strict_json import JsonRefused
from benchmarks.studies import runner as runner_module
from benchmarks.studies.ablations import time_ratio
from benchmarks.studies.run_result import CurvePoint, RunResult, read_result, write_result
from benchmarks.studies.scales import law_points
from bgpt.progress import Status
from pipelines.build import build_corpus
from pipelines.sources.cpu import CpuOptions, CpuSource

TINY = {
    "patch_width": 16, "patch_layers": 1, "patch_heads": 2, "patch_ffn": 32,
    "byte_width": 16, "byte_layers": 1, "byte_heads": 2, "byte_ffn": 32, "max_patches": 40,
    "byte_embedding": 16, "patch_at_every_byte": True,
}  # fmt: skip
BATCH_BYTES = 4 * 200


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    options = CpuOptions(system="toy", memory_bytes=64, max_instructions=16)
    source = CpuSource(corpus="cpu-toy", seed=0, options=options)
    build_corpus(source, {"train": 60, "test": 6}, folder / "data/cpu-toy")
    task = {"run": "tiny", "bytes": 6 * BATCH_BYTES, "eval_samples": 4, "evaluations": 2}
    train = {"steps": 9, "batch_size": 4, "window_batches": 1, "optimizer": {"kind": "muon"}}
    params = {
        "runs": {"tiny": {"corpus": "cpu-toy", "model": TINY, "train": train}},
        "studies": {
            "ablations": {
                "kind": "ablations",
                "seeds": [0, 1, 2],
                "reduced": {"budget": 0.5, "seeds": 2, "eval_samples": 4, "evaluations": 1},
                "tasks": {"cpu-toy": task},
                "options": {
                    "prev": {"what": "with prev", "model": {"prev": True}},
                    "deep": {"what": "deeper", "model": {"patch_layers": 6}},
                    "deep-adamw": {
                        "what": "deeper, without Muon",
                        "against": "deep",
                        "model": {"patch_layers": 6},
                        "train": {"optimizer": {"kind": "adamw"}},
                    },
                    "wild": {"what": "too fast", "train": {"optimizer": {"lr": 1e38}}},
                    "odd": {"what": "cannot be", "model": {"byte_heads": 3}},
                },
            },
            "scales": {
                "kind": "scales",
                "seeds": [0, 1],
                "scales": [4, 8, 16, 60, 1000],
                "tasks": {
                    "cpu-toy": {**task, "bytes": 8 * BATCH_BYTES},
                    "cpu-rv32": {**task, "corpus": "cpu-rv32"},
                },
            },
        },
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return folder


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    omp = os.environ.get("OMP_NUM_THREADS")
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    os.environ.pop("OMP_NUM_THREADS", None)
    if omp is not None:
        os.environ["OMP_NUM_THREADS"] = omp


def study(home: Path, name: str, *arguments: str, work: str = "work") -> int:
    """Run the command in this process and return its exit code."""
    words = ["bgpt-bench", "study", name, "--params", str(home / "params.yaml")]
    words += ["--data", str(home / "data"), "--work", str(home / work)]
    words += ["--out", str(home / f"out-{name}-{work}"), *arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def written(home: Path, name: str, work: str = "work") -> dict[str, Any]:
    return json.loads((home / f"out-{name}-{work}" / f"{name}.json").read_text())


def figures(content: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return what of every training at equal bytes no clock decides."""
    budgets = {task["task"]: task["bytes"] for task in content["tasks"]}
    return sorted(
        (run["option"], run["seed"], run["steps"],
         [(p["bytes"], p["bits_per_byte"], p["byte_accuracy"]) for p in run["curve"]])
        for run in content["runs"]
        if run["bytes"] == budgets[run["task"]]
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(home: Path) -> dict[str, Any]:
    only = "prev,deep,deep-adamw,wild"
    assert study(home, "ablations", "--only", only, work="undisturbed") == 0
    return written(home, "ablations", "undisturbed")


def test_an_ablation_compares_every_option_seed_by_seed(undisturbed: dict[str, Any]) -> None:
    (table,) = undisturbed["tasks"]
    rows = {row["option"]: row for row in table["rows"]}
    assert set(rows) == {"base", "prev", "deep", "deep-adamw", "wild"}
    finals = {
        (run["option"], run["seed"]): run["curve"][-1]["bits_per_byte"]
        for run in undisturbed["runs"]
        if run["bytes"] == table["bytes"] and run["curve"]
    }
    for option, against in (("prev", "base"), ("deep-adamw", "deep")):
        differences = [finals[option, seed] - finals[against, seed] for seed in (0, 1, 2)]
        found = rows[option]["equal_bytes"]["difference"]
        assert found["mean"] == pytest.approx(sum(differences) / 3)
        assert found["n"] == 3
        assert len({finals[option, seed] for seed in (0, 1, 2)}) == 3
        assert rows[option]["against"] == against
    assert rows["deep"]["parameters"] > rows["base"]["parameters"]
    assert rows["deep"]["equal_bytes"]["bytes"] == 6 * BATCH_BYTES
    order = [row["equal_bytes"]["bits_per_byte"]["mean"] for row in table["rows"][:-1]]
    assert order == sorted(order)


def test_equal_cpu_time_is_bytes_scaled_by_the_measured_seconds(
    undisturbed: dict[str, Any],
) -> None:
    (table,) = undisturbed["tasks"]
    rows = {row["option"]: row for row in table["rows"]}
    slow = rows["deep"]
    seconds = [rows[name]["equal_bytes"]["cpu_seconds"]["mean"] for name in ("base", "deep")]
    are_alike = abs(seconds[1] / seconds[0] - 1) <= 0.05
    ratio = slow["equal_cpu"]["bytes"] / slow["equal_bytes"]["bytes"]
    expected = 1 if are_alike else min(max(seconds[0] / seconds[1], 0.1), 10)
    assert ratio == pytest.approx(expected, abs=0.006)
    assert slow["equal_cpu"]["difference"]["n"] == 3
    assert rows["base"]["equal_cpu"] == rows["base"]["equal_bytes"]


def test_a_training_that_diverges_is_told_and_ends_nothing(
    home: Path, undisturbed: dict[str, Any]
) -> None:
    (table,) = undisturbed["tasks"]
    last = table["rows"][-1]
    assert (last["option"], last["equal_bytes"]) == ("wild", None)
    assert len(last["failures"]) == 3
    page = (home / "out-ablations-undisturbed" / "ablations.md").read_text()
    assert "- wild, seed 0, 4800 bytes: step " in page


def test_the_json_says_where_and_how_it_was_measured(undisturbed: dict[str, Any]) -> None:
    (machine,) = undisturbed["machines"]
    assert set(machine["packages"]) == {"byteworld", "numpy", "torch"}
    assert (undisturbed["budget"], undisturbed["reduced"]) == (1.0, False)
    assert undisturbed["seeds"] == [0, 1, 2]


def test_weights_are_thrown_away_and_pictures_are_whole(
    home: Path, undisturbed: dict[str, Any]
) -> None:
    assert {path.suffix for path in (home / "undisturbed").iterdir()} == {".json"}
    picture = (home / "out-ablations-undisturbed" / "cpu-toy.svg").read_text()
    assert picture.startswith("<svg")
    assert all(f">{name}" in picture for name in ("prev", "deep", "deep-adamw against deep"))


def test_what_is_done_is_not_done_again(
    home: Path, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(job: runner_module.TrainingJob) -> runner_module.Ended:
        raise AssertionError(job.planned.key)

    monkeypatch.setattr(runner_module, "train_one", never)
    assert study(home, "ablations", "--only", "prev,deep,deep-adamw,wild", work="undisturbed") == 0
    again = written(home, "ablations", "undisturbed")
    assert {**again, "measured": ""} == {**undisturbed, "measured": ""}


def test_a_study_killed_in_a_training_goes_on_to_the_same_figures(
    home: Path, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    calls = 0
    stepped = runner_module._StepClock.stepped

    def stepped_and_killed(clock: runner_module._StepClock, status: Status) -> None:
        nonlocal calls
        calls += 1
        stepped(clock, status)
        if calls == 9:  # in the second training
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(runner_module._StepClock, "stepped", stepped_and_killed)
    only = ("--only", "prev")
    assert study(home, "ablations", *only, work="killed") == 128 + signal.SIGTERM
    assert "run the same command again to go on" in capfd.readouterr().err
    assert len(list((home / "killed").glob("*.json"))) == 1
    (folder,) = [path for path in (home / "killed").iterdir() if path.is_dir()]
    assert list((folder / "checkpoints").iterdir())
    assert study(home, "ablations", *only, work="killed") == 0
    content = written(home, "ablations", "killed")
    assert figures(content) == [f for f in figures(undisturbed) if f[0] in ("base", "prev")]
    assert calls == sum(run["steps"] for run in content["runs"])  # none was done twice


def test_two_trainings_side_by_side_give_the_same(home: Path, undisturbed: dict[str, Any]) -> None:
    assert study(home, "ablations", "--only", "prev", "--jobs", "2", work="two") == 0
    expected = [one for one in figures(undisturbed) if one[0] in ("base", "prev")]
    assert figures(written(home, "ablations", "two")) == expected


def test_the_reduced_study_takes_no_full_ones_place(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study(home, "ablations", "--reduced", "--only", "prev", work="small") == 0
    small = written(home, "ablations", "small")
    assert (small["reduced"], small["budget"], small["seeds"]) == (True, 0.5, [0, 1])
    assert small["tasks"][0]["bytes"] == 3 * BATCH_BYTES
    page = (home / "out-ablations-small" / "ablations.md").read_text()
    assert "Reduced: 0.5 of the budget" in page
    full = home / "out-ablations-undisturbed" / "ablations.json"
    before = full.read_bytes()
    assert study(home, "ablations", "--reduced", "--only", "prev", work="undisturbed") == 2
    assert "holds this study at 1 of its budget" in capsys.readouterr().err
    assert full.read_bytes() == before


def test_scales_are_read_as_far_as_the_budget_and_the_corpus_go(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study(home, "scales") == 0
    content = written(home, "scales")
    toy, other = content["tasks"]
    rows = {row["scale"]: row for row in toy["rows"]}
    read = rows[60]["different_samples"]
    assert [rows[n]["different_samples"] for n in (4, 8, 16)] == [4, 8, 16]
    assert 16 < read < 60
    assert rows[8]["passes"] == pytest.approx(read / 8, rel=0.2)
    assert (
        "has 60 train samples; set corpora.cpu-toy.train_samples to at least 1000"
        in (rows[1000]["missing"])
    )
    assert rows[1000]["bits_per_byte"] is None
    assert toy["floor"]["bits_per_byte"] == 0
    # 64 bytes of memory, a first state, and a state for each of 8.5 instructions on average
    assert toy["floor"]["whole_file_bits_per_byte"] == pytest.approx(164.22 / 216, rel=1e-4)
    assert toy["law"]["floor"] == 0
    assert toy["extrapolation"]["samples"] == 10 * read
    assert toy["extrapolation"]["low"] < toy["extrapolation"]["bits_per_byte"]
    (point,) = toy["paper"]
    assert (point["samples"], point["value"]) == (10**6, pytest.approx(0.9999))
    assert all("cpu-rv32 is not built" in row["missing"] for row in other["rows"])
    assert "no law: 0 scales" in other["no_law"]
    folder = home / "out-scales-work"
    page = (folder / "scales.md").read_text()
    assert "| 1,000 | – | – | not measured | – | – |" in page
    picture = (folder / "cpu-toy.svg").read_text()
    assert "paper 99.99 %" in picture
    assert "<polygon" in picture
    assert "no scale was measured" in (folder / "cpu-rv32.svg").read_text()


def test_a_law_is_drawn_from_its_first_scale_to_its_last() -> None:
    from benchmarks.studies.power_law import ScalePoint, fit_power_law

    points = [ScalePoint(samples=n, bits_per_byte=9 / n, stderr=0.1) for n in (10, 100, 1000)]
    law = fit_power_law(points, 0.0)
    assert law is not None
    drawn = law_points(law, 10, 10_000, 4)
    assert [point.samples for point in drawn] == [10, 100, 1000, 10_000]
    assert all(point.low < point.bits_per_byte < point.high for point in drawn)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("ablations", ["--budget", "0"], "--budget: 0 is no share of the budget"),
        ("ablation", [], "unknown study 'ablation': did you mean 'ablations'?"),
        ("ablations", ["--only", "prve"], "--only: unknown option 'prve': did you mean 'prev'?"),
        ("ablations", ["--only", "odd"], "studies.ablations.options.odd on cpu-toy: "),
        ("scales", ["--only", "prev"], "--only: unknown option 'prev'"),
    ],
)
def test_a_users_mistake_is_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], name: str, arguments: list[str], said: str
) -> None:
    assert study(home, name, *arguments, work="none") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (home / f"out-{name}-none").exists()


def result(seconds: float, *, failed: str | None = None) -> RunResult:
    point = CurvePoint(bytes=10, cpu_seconds=seconds, bits_per_byte=1.5, byte_accuracy=0.5)
    return RunResult(
        task="cpu-toy", option="a", seed=0, bytes=10, train_samples=4, samples_read=8,
        sha256="f" * 64, parameters=9, steps=2, cpu_seconds=seconds, wall_seconds=3.0,
        eval_samples=2, curve=() if failed else (point,), failed=failed, machine={"cores": 2},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("base", "own", "ratio"),
    [
        (100.0, 104.9, 1.0),  # within 5 %
        (100.0, 95.1, 1.0),
        (100.0, 106.0, 0.94),
        (100.0, 50.0, 2.0),
        (100.0, 1e6, 0.1),  # bounds
        (100.0, 0.01, 10.0),
        (0.0, 10.0, 1.0),  # not measured
    ],
)
def test_budgets_are_scaled_by_time(base: float, own: float, ratio: float) -> None:
    assert time_ratio([result(base)], [result(own)]) == ratio


def test_trainings_that_failed_have_no_time() -> None:
    assert time_ratio([result(100)], [result(50, failed="x"), result(200)]) == 0.5


def test_a_result_reads_back_and_another_configurations_does_not(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_result(path, result(2.5))
    assert read_result(path, "f" * 64) == result(2.5)
    assert read_result(path, "e" * 64) is None
    path.write_bytes(path.read_bytes()[:-20])
    assert read_result(path, "f" * 64) is None
    assert read_result(tmp_path / "none.json", "f" * 64) is None


def test_the_leaderboard_names_what_differed_clearly(
    home: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    for name, is_reduced in (("ablations", False), ("small", True)):
        (tmp_path / "results" / "studies" / name).mkdir(parents=True)
        content = {**undisturbed, "study": name, "reduced": is_reduced}
        path = tmp_path / "results" / "studies" / name / f"{name}.json"
        path.write_text(json.dumps(content))
    section = study_section(tmp_path / "results" / "studies", tmp_path / "results")
    assert section is not None
    assert 'href="studies/ablations/ablations.md"' in section
    assert "small" not in section
    (table,) = undisturbed["tasks"]
    differences = {
        row["option"]: row["equal_bytes"]["difference"]
        for row in table["rows"]
        if row["equal_bytes"] and row["equal_bytes"]["difference"]
    }
    clear = {
        f"{name} {found['mean']:+.3f}": found["mean"] < 0
        for name, found in differences.items()
        if abs(found["mean"]) > 2 * found["stderr"]
    }
    assert clear
    better, _, worse = section.partition("worse: ")
    assert all((shown in better) == is_better for shown, is_better in clear.items())
    assert all((shown in worse) != is_better for shown, is_better in clear.items())
    assert study_section(tmp_path / "none", tmp_path) is None


def test_a_damaged_study_is_named(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "s.json").write_text('{"study": "s", "reduced": false, "tasks": [3]}')
    with pytest.raises(JsonRefused, match=r"s\.json: .*3"):
        study_section(tmp_path, tmp_path)
