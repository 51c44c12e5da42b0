"""The command that measures a GPU runs: on a CPU, with narrow models, for a moment."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gpu import __main__ as command
from tests.gpu import measuring


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def counts(**found: Any) -> dict[str, Any]:
    return {"tests": 1, "failures": 0, "exit_code": 0, "output": "", **found}


def test_a_dry_run_writes_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "run_tests", counts)
    out = tmp_path / "new" / "gpu.json"
    arguments = ["--device", "cpu", "--seconds", "0.2", "--peak-tflops", "0.5", "--out", str(out)]
    assert command.main(arguments) == 0
    report = json.loads(out.read_text())
    assert report["is_dry_run"] is True
    assert report["errors"] == {}
    assert report["machine"]["packages"]["torch"]
    training = {row["way"]: row for row in report["training_speed"]}
    assert list(training) == [
        measuring.BASELINE, "authors' way, autocast to bfloat16", "paper", "compact-cpu",
    ]  # fmt: skip
    for row in training.values():
        assert row["ratio"] == pytest.approx(
            row["bytes_per_second"] / training[measuring.BASELINE]["bytes_per_second"]
        )
    for name in ("paper", "compact-cpu"):
        row = training[name]
        assert row["utilisation"] == pytest.approx(row["flops_per_second"] / 0.5e12)
    decoding = [row["way"] for row in report["decoding_speed"]]
    assert decoding[0] == measuring.BASELINE
    assert len(set(decoding)) == 7
    assert all(row["bytes_per_second"] > 0 for row in report["decoding_speed"])
    assert list(report["learning"]) == ["paper", "compact-cpu"]
    for lines in report["learning"].values():
        assert [line["step"] for line in lines][:2] == [1, 2]
        assert lines[-1]["eval"]["n"] == 100
    lines = report["learning"]["compact-cpu"]
    assert lines[-1]["eval"]["bits_per_byte"] < lines[0]["train_bits_per_byte"]


def test_what_fails_is_told_and_the_rest_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(command, "run_tests", lambda: counts(output="1 failed", exit_code=1))
    monkeypatch.setattr(measuring, "authors_step", no_memory)
    monkeypatch.setattr(measuring, "decoding_speed", no_memory)
    monkeypatch.setattr(measuring, "learning", lambda *_: {})
    out = tmp_path / "gpu.json"
    assert command.main(["--device", "cpu", "--out", str(out)]) == 1
    report = json.loads(out.read_text())
    assert "out of memory" in report["errors"]["decoding_speed"]
    assert report["tests"]["output"] == "1 failed"
    rows = report["training_speed"]
    assert [row.get("error") for row in rows] == ["out of memory"] * 2 + [None] * 2
    assert rows[2]["bytes_per_second"] > 0
    assert rows[2]["ratio"] is None


def test_tests_are_counted(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.gpu\n"
        "def test_right(): pass\n"
        "def test_wrong(): assert not 'this is wrong'\n"
    )
    found = command.run_tests(tmp_path)
    assert (found["tests"], found["failures"], found["exit_code"]) == (2, 1, 1)
    assert "this is wrong" in found["output"]


def test_a_gpu_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        command.main([])
    assert "torch finds no CUDA device; --device cpu is a dry run" in capsys.readouterr().err
