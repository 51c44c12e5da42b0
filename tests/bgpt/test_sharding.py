"""Two ranks that hold parts of the weights train as one that holds all, and share its files.

Run as a program by `torchrun`, this file is one of the ranks: it trains every scenario in turn and
leaves what only that rank knows. The tests read it.
"""

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

from counting import TINY, job
from two_ranks import (
    SOURCES,
    assert_same_curve,
    into,
    noisy,
    scenarios,
    some_samples,
    stop_after,
    torchrun,
)

from bgpt.checkpoint import read_tensors, save_tensors
from bgpt.config import ModelConfig
from bgpt.gradients import Gradients
from bgpt.initial import first_weights
from bgpt.job import Job, TrainingDiverged, TrainingInterrupted, make_deterministic
from bgpt.launch import launch
from bgpt.model import Bgpt
from bgpt.optim import OptimConfig, make_optimizers
from bgpt.prepared import prepare
from bgpt.progress import Status
from bgpt.ranks import ALONE, OtherRankFailed, Ranks, open_ranks
from bgpt.resume import checkpoints
from bgpt.run import parse_run
from bgpt.sharding import own_part, place, whole_model, whole_tensors
from bgpt.train import train
from bgpt.train_config import TrainConfig

PAPER = ModelConfig(
    patch_width=12, patch_layers=2, patch_heads=2, patch_ffn=20,
    byte_width=12, byte_layers=2, byte_heads=2, byte_ffn=20, max_patches=15, value_embeddings=True,
)  # fmt: skip
"""The paper's parts, with tables of 15, 17 and 257 rows, which two ranks cannot halve."""
CLIPPED = OptimConfig(lr=4e-3, clip_norm=0.05, weight_decay=0.1)


def jobs(home: Path, ranks: Ranks) -> dict[str, Job]:
    """Jobs that parts and wholes must agree on."""
    paper = into(home, "paper", ranks=ranks, model=PAPER, optimizer=CLIPPED, keep_checkpoints=2)
    return {
        **scenarios(home, ranks),
        "paper": replace(paper, write_samples=Sizes(home)),
        "helped": into(home, "helped", ranks=ranks, batch_size=3, accumulate=2, steps=6, workers=2),
        "written": replace(
            into(home, "written", ranks=ranks, steps=4, samples_every=2), write_samples=Sizes(home)
        ),
    }


class Sizes:
    """Writes how many numbers the model holds that it is given."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __call__(self, model: nn.Module, step: int) -> None:
        sizes = [len(parameter.flatten()) for parameter in model.parameters()]
        (self._home / f"sizes-{step}.json").write_text(json.dumps([model.training, sum(sizes)]))


def moved(config: OptimConfig, num_samples: int, ranks: Ranks) -> tuple[float, Any, Any]:
    """Norm of the gradient, weights and state after one step from noisy weights."""
    model = noisy(SOURCES)
    place(model, "cpu", ranks)
    optimizers = make_optimizers(model, config)
    share = prepare(some_samples(num_samples), TrainConfig(steps=1, accumulate=2), ranks)
    Gradients(model, ranks=ranks).fill(share)
    norm = optimizers.step()
    whole = whole_model(model, ranks).state_dict()
    return norm, whole, whole_tensors(optimizers.state_dict(), ranks)


SCENARIOS = ["plain", "uneven", "idle", "mixed", "frozen", "paper", "helped", "written"]
OPTIMIZERS = {
    "adamw": replace(CLIPPED, eps=1e-3),
    "muon": replace(CLIPPED, kind="muon", eps=1e-3),
}


def rank_main(home: Path) -> None:
    with open_ranks("cpu", is_sharded=True) as ranks:
        found: dict[str, Any] = {}
        for one in jobs(home, ranks).values():
            train(one)
        for name, config in OPTIMIZERS.items():
            for number in (1, 3, 8):
                norm, weights, state = moved(config, number, ranks)
                found[f"{name}-{number}"] = norm
                if ranks.is_first:
                    save_tensors(home / f"{name}-{number}-weights.safetensors", weights)
                    save_tensors(home / f"{name}-{number}-state.safetensors", state)
        model = noisy(TINY)
        place(model, "cpu", ranks)
        found["held"] = sum(own_part(p).numel() for p in model.parameters())
        # Runs that one process, parts and wholes began; see the fixture for the first.
        train(into(home, "alone-then-parts", ranks=ranks))
        wholes = replace(ranks, is_sharded=False)
        stop(into(home, "parts-then-alone", ranks=ranks), ranks)
        stop(into(home, "parts-then-wholes", ranks=ranks), ranks)
        train(into(home, "parts-then-wholes", ranks=wholes))
        stop(into(home, "wholes-then-parts", ranks=wholes), ranks)
        train(into(home, "wholes-then-parts", ranks=ranks))
        found["spoilt"] = spoilt(into(home, "spoilt", ranks=ranks), ranks)
        (home / f"rank-{ranks.rank}.json").write_text(json.dumps(found))


def spoilt(job: Job, ranks: Ranks) -> str:
    """How a run ends in which a row that the second rank holds is not finite after 8 steps."""
    models: list[Bgpt] = []

    def made(*args: Any) -> Bgpt:
        models.append(first_weights(*args))
        return models[0]

    def show(status: Status) -> None:
        if (status.step, ranks.rank) == (8, 1):
            with torch.no_grad():
                own_part(models[0].patch_level.positions)[-1, 0] = float("nan")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bgpt.train.first_weights", made)
        try:
            train(job, show=show)
        except (TrainingDiverged, OtherRankFailed) as error:
            return f"{type(error).__name__}: {error}"
    raise AssertionError("a checkpoint took what is not finite")


def stop(stopping: Job, ranks: Ranks) -> None:
    """Train until the second rank receives a signal after the 5th step."""
    polls = iter(range(1, 99))

    def signal_received() -> int | None:
        return signal.SIGTERM if next(polls) == 5 and ranks.rank == 1 else None

    try:
        train(stopping, signal_received=signal_received)
    except TrainingInterrupted:
        return
    raise AssertionError("the signal stopped nothing")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two ranks with parts trained everything."""
    home = tmp_path_factory.mktemp("two")
    make_deterministic(1)
    stop_after(into(home, "alone-then-parts"), 5)
    done = torchrun(__file__, str(home))
    assert done.returncode == 0, done.stderr[-4000:]
    return home


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, trained by one process."""
    home = tmp_path_factory.mktemp("one")
    for alone in jobs(home, ALONE).values():
        train(alone)
    return home


@pytest.mark.parametrize("name", SCENARIOS)
def test_two_ranks_with_parts_have_the_curve_of_one(one: Path, two: Path, name: str) -> None:
    assert_same_curve(one / name, two / name)


def test_each_rank_holds_half_of_the_weights(two: Path) -> None:
    held = [json.loads((two / f"rank-{rank}.json").read_text())["held"] for rank in (0, 1)]
    assert sum(held) == noisy(TINY).num_parameters()
    assert held[0] == pytest.approx(held[1], rel=0.02)


@pytest.mark.parametrize("num_samples", [1, 3, 8])
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_step_in_parts_is_the_step_of_the_whole(two: Path, name: str, num_samples: int) -> None:
    norm, weights, state = moved(OPTIMIZERS[name], num_samples, ALONE)
    assert norm > CLIPPED.clip_norm
    for rank in (0, 1):
        found = json.loads((two / f"rank-{rank}.json").read_text())
        assert found[f"{name}-{num_samples}"] == pytest.approx(norm, rel=1e-5)
    # Muon's products may run in bfloat16.
    tolerance = 1e-6 if name == "adamw" else 2e-3
    for what, whole in (("weights", weights), ("state", state)):
        parts = read_tensors(two / f"{name}-{num_samples}-{what}.safetensors")
        assert parts.keys() == whole.keys()
        for key, tensor in whole.items():
            assert torch.allclose(tensor, parts[key], rtol=1e-4, atol=tolerance), (what, key)


@pytest.mark.parametrize("name", ["alone-then-parts", "parts-then-wholes", "wholes-then-parts"])
def test_a_run_goes_on_however_its_weights_are_held(one: Path, two: Path, name: str) -> None:
    assert_same_curve(one / "plain", two / name)


def test_a_run_begun_with_parts_goes_on_with_one_process(one: Path, two: Path) -> None:
    train(job(two / "parts-then-alone"))
    assert_same_curve(one / "plain", two / "parts-then-alone")


def test_files_hold_whole_tensors(one: Path, two: Path) -> None:
    for file in ("model/model.safetensors", "best/model.safetensors"):
        ours, parts = (read_tensors(home / "paper" / file) for home in (one, two))
        assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in parts.items()}
        for name, tensor in ours.items():
            assert torch.allclose(tensor, parts[name], atol=1e-3), name
    steps = [[path.name for path in checkpoints(home / "paper")] for home in (one, two)]
    assert steps == [["step-000004", "step-000008"]] * 2
    for path in checkpoints(two / "paper"):
        same = checkpoints(one / "paper")[0].with_name(path.name)
        ours, parts = (read_tensors(p / "optimizer.safetensors") for p in (same, path))
        assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in parts.items()}


def test_what_writes_samples_sees_a_whole_model_in_evaluation_mode(two: Path) -> None:
    sizes = [json.loads((two / f"sizes-{step}.json").read_text()) for step in (2, 4)]
    assert sizes == [[False, noisy(TINY).num_parameters()]] * 2


def test_rows_that_are_not_finite_on_one_rank_reach_no_checkpoint(two: Path) -> None:
    ends = [json.loads((two / f"rank-{rank}.json").read_text())["spoilt"] for rank in (0, 1)]
    assert ends[0] == "OtherRankFailed: rank 0: stopped, because another rank failed"
    assert ends[1].startswith(
        "TrainingDiverged: step 8: patch_level.positions holds values that are not finite; "
    )
    assert [path.name for path in checkpoints(two / "spoilt")] == ["step-000004"]


def test_one_process_has_no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with (
        pytest.raises(ValueError, match="--shard: one process holds all weights in any case; "),
        open_ranks("cpu", is_sharded=True),
    ):
        pass


def test_compiled_levels_are_not_held_in_parts(tmp_path: Path) -> None:
    run = parse_run(
        {
            "corpus": "x",
            "model": {"preset": "compact-cpu"},
            "train": {"steps": 1, "device": "cuda", "compile": True},
        },
        "r",
    )
    with pytest.raises(ValueError, match=r"--shard: train\.compile is true"):
        launch(run, data=tmp_path, run=tmp_path / "r", shard=True)


if __name__ == "__main__":
    make_deterministic(1)
    rank_main(Path(sys.argv[1]))
