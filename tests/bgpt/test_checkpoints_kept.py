"""The last checkpoints and the best model stay; a full disk costs the new one, never the old."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from counting import job

from bgpt.checkpoint import CheckpointError, load_model, read_config
from bgpt.job import TrainingInterrupted, make_deterministic
from bgpt.progress import Status
from bgpt.resume import checkpoints
from bgpt.telemetry import Evaluation, MetricsError, read_metrics
from bgpt.train import train


@pytest.fixture(autouse=True)
def _one_thread() -> None:  # pyright: ignore[reportUnusedFunction]
    make_deterministic(1)


def test_the_last_checkpoints_stay_after_the_end(tmp_path: Path) -> None:
    train(job(tmp_path, steps=12, checkpoint_every=2, keep_checkpoints=3))
    names = [path.name for path in checkpoints(tmp_path)]
    assert names == ["step-000006", "step-000008", "step-000010"]
    train(job(tmp_path, steps=12, checkpoint_every=2, keep_checkpoints=3))
    assert len(checkpoints(tmp_path)) == 3


def test_the_best_model_is_that_of_the_best_evaluation_resumed_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([5.0, 4.0, 3.0, 6.0, 7.0, 3.5, 8.0, 9.0])

    def scripted(*_: object) -> Evaluation:
        return Evaluation(bits_per_byte=next(figures), byte_accuracy=0.5, n=5)

    monkeypatch.setattr("bgpt.evaluate.evaluate", scripted)
    options: dict[str, Any] = {"steps": 16, "eval_every": 2}
    polls = iter(range(1, 99))
    with pytest.raises(TrainingInterrupted):
        train(job(tmp_path, **options), signal_received=lambda: 15 if next(polls) == 9 else None)
    assert read_config(tmp_path / "best")[1]["step"] == 6
    train(job(tmp_path, **options))
    _, provenance = read_config(tmp_path / "best")
    assert (provenance["step"], provenance["eval"]["bits_per_byte"]) == (6, 3.0)
    assert provenance["corpus"] == "counting"
    best, last = (load_model(tmp_path / name).state_dict() for name in ("best", "model"))
    assert any(not best[name].equal(last[name]) for name in best)
    assert next(figures, None) is None


def test_without_the_option_the_best_model_stays_and_no_checkpoint(tmp_path: Path) -> None:
    train(job(tmp_path, steps=6, checkpoint_every=2))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best", "dvclive", "metrics.jsonl", "model",
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "best").iterdir()) == [
        "config.json", "model.safetensors",
    ]  # fmt: skip


def test_without_an_evaluation_there_is_no_best(tmp_path: Path) -> None:
    train(job(tmp_path, steps=6, eval_samples=0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dvclive", "metrics.jsonl", "model"]


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """Let the system refuse to write beyond a file size, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_at_a_line_of_metrics_is_one_error_and_no_line_is_lost(
    tmp_path: Path,
) -> None:
    whole, full = tmp_path / "whole", tmp_path / "full"
    for run in (whole, full):
        run.mkdir()
    train(job(whole, log_every=1))
    limits: list[Any] = []

    def show(status: Status) -> None:
        if status.step == 7:
            limits.append(largest_file((full / "metrics.jsonl").stat().st_size + 20))
            limits[0].__enter__()

    try:
        with pytest.raises(
            MetricsError,
            match=r"^\S+/full/metrics.jsonl: cannot be written: .*File too large; make room, .* "
            r"run the same command again to go on from the last checkpoint$",
        ):
            train(job(full, log_every=1), show=show)
    finally:
        limits[0].__exit__(None, None, None)
    assert [path.name for path in checkpoints(full)] == ["step-000004"]
    assert not (full / "metrics.jsonl").read_text().endswith("\n")  # half a line is there
    train(job(full, log_every=1))
    steps = [record["step"] for record in read_metrics(full)]
    assert steps == [record["step"] for record in read_metrics(whole)] == list(range(1, 13))


def test_a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on_from_it(
    tmp_path: Path,
) -> None:
    whole, full = tmp_path / "whole", tmp_path / "full"
    for run in (whole, full):
        run.mkdir()
    train(job(whole))
    limits: list[Any] = []

    def show(status: Status) -> None:
        if status.step == 7:
            limits.append(largest_file(10_000))
            limits[0].__enter__()

    try:
        with pytest.raises(
            CheckpointError,
            match=r"the checkpoint of step 8 could not be written: .*model.safetensors: cannot be "
            r"written: .*step-000004 is untouched; make room and run the same command again",
        ):
            train(job(full), show=show)
    finally:
        limits[0].__exit__(None, None, None)
    assert [path.name for path in checkpoints(full)] == ["step-000004"]
    assert [path.name for path in (full / "checkpoints").iterdir()] == ["step-000004"]
    train(job(full))
    ours, theirs = (run / "model/model.safetensors" for run in (full, whole))
    assert ours.read_bytes() == theirs.read_bytes()
