"""Trackers get the curves of metrics.jsonl, and one that is missing is named before training."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from counting import job

from bgpt.job import TrainingInterrupted, make_deterministic
from bgpt.telemetry import read_metrics, scalars
from bgpt.trackers import TrackerMissing, check_trackers, open_trackers
from bgpt.train import train


class FakeWriter:
    """Stands in for TensorBoard's writer."""

    written: list[tuple[str, float, int]]

    def __init__(self, folder: str) -> None:
        Path(folder).mkdir()
        type(self).written = []

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.written.append((name, value, step))

    def close(self) -> None:
        self.written.append(("closed", 0, 0))


class FakeRun:
    """Stands in for a run of wandb."""

    def __init__(self) -> None:
        self.step = 0
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.is_finished = False

    def log(self, values: dict[str, float], step: int) -> None:
        self.logged.append((step, values))
        self.step = step + 1

    def finish(self) -> None:
        self.is_finished = True


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRun]:
    """Both packages, as far as they are used."""
    board, wandb, run = ModuleType("torch.utils.tensorboard"), ModuleType("wandb"), FakeRun()
    board.SummaryWriter = FakeWriter  # pyright: ignore[reportAttributeAccessIssue]

    def init(**options: Any) -> FakeRun:
        assert options["name"] == "r"
        assert options["resume"] == "allow"
        return run

    wandb.init = init  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setattr("bgpt.trackers.importlib.util.find_spec", lambda name: name)
    return run  # pyright: ignore[reportReturnType]


def test_trackers_get_each_scalar_of_each_line_once(tmp_path: Path, fakes: FakeRun) -> None:
    make_deterministic(1)

    def one() -> Any:
        names = ["tensorboard", "wandb"]
        return replace(job(tmp_path), trackers=open_trackers(names, tmp_path, "r"))

    polls = iter(range(1, 99))
    with pytest.raises(TrainingInterrupted):
        train(one(), signal_received=lambda: 15 if next(polls) == 5 else None)
    assert fakes.is_finished
    train(one())
    expected = [(record["step"], scalars(record)) for record in read_metrics(tmp_path)]
    assert len(expected) == 6
    assert fakes.logged == expected
    assert FakeWriter.written == [
        *((name, value, step) for step, found in expected for name, value in found.items()),
        ("closed", 0, 0),
    ]


def test_a_tracker_that_is_missing_or_unknown_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bgpt.trackers.importlib.util.find_spec", lambda _: None)
    check_trackers([])
    with pytest.raises(TrackerMissing, match="--track wandb: the package wandb is not installed"):
        check_trackers(["wandb"])
    with pytest.raises(TrackerMissing, match="unknown tracker 'tensorbord': did you mean"):
        check_trackers(["tensorbord"])
