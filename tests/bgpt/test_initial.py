"""Fine-tuning takes all of another model or says what does not fit; what is frozen stays."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from counting import TINY, job

from bgpt.checkpoint import CheckpointError, load_model, save_model
from bgpt.initial import first_weights, freeze, take_weights
from bgpt.job import TrainingInterrupted, make_deterministic
from bgpt.telemetry import read_metrics
from bgpt.train import train


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows the files a little."""
    run = tmp_path_factory.mktemp("base")
    make_deterministic(1)
    train(job(run, steps=30, eval_every=30))
    return run


def test_a_run_begins_with_the_weights_of_another(base: Path, tmp_path: Path) -> None:
    train(job(tmp_path, steps=4, log_every=1, init_from=str(base)))
    tuned, scratch = read_metrics(tmp_path), read_metrics(base)
    assert tuned[0]["train_bits_per_byte"] < scratch[0]["train_bits_per_byte"] - 1
    model = first_weights(TINY, 0)
    take_weights(model, str(base / "model"))
    expected = load_model(base).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


def test_frozen_parameters_do_not_move_and_the_others_do(base: Path, tmp_path: Path) -> None:
    train(job(tmp_path, steps=4, init_from=str(base), freeze=("patch_level.*", "embedding.weight")))
    before, after = load_model(base).state_dict(), load_model(tmp_path).state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if name.startswith("byte_level.")}


def test_a_frozen_run_resumes_to_the_same_bits(base: Path, tmp_path: Path) -> None:
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()

    def one(name: str) -> None:
        polls = iter(range(1, 99))
        options = job(tmp_path / name, steps=5, init_from=str(base), freeze=("patch_level.*",))
        stops = name == "stopped" and not (tmp_path / name / "metrics.jsonl").exists()
        train(options, signal_received=lambda: 15 if stops and next(polls) == 2 else None)

    one("whole")
    with pytest.raises(TrainingInterrupted):
        one("stopped")
    one("stopped")
    a, b = (tmp_path / name / "model/model.safetensors" for name in ("whole", "stopped"))
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"byte_ffn": 48}, r"feed_forward.up.weight is \[32, 16\], expected \[48, 16\]"),
        ({"byte_layers": 2}, r"missing byte_level.blocks.1.attention.out.weight, .*feed_forward"),
        ({"prev": False}, r"extra byte_level.from_prev.weight; give the run the model section"),
        ({"patch_layers": 8}, r"missing patch_level.blocks.1.* and 23 more"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    base: Path, changes: dict[str, int], message: str
) -> None:
    model = first_weights(replace(TINY, **changes), 0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(CheckpointError, match=rf"train.init_from: .*model.safetensors .*{message}"):
        take_weights(model, str(base))


def test_a_model_that_is_none_or_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not a model: config\.json cannot be read"):
        take_weights(first_weights(TINY, 0), str(tmp_path))
    broken = first_weights(TINY, 0)
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    save_model(tmp_path / "model", broken)
    with pytest.raises(CheckpointError, match="holds values that are not finite"):
        take_weights(first_weights(TINY, 0), str(tmp_path))


def test_patterns_that_freeze_nothing_or_all_are_refused() -> None:
    with pytest.raises(ValueError, match=r"train.freeze: unknown parameter 'patchlevel"):
        freeze(first_weights(TINY, 0), ["patchlevel.*"])
    with pytest.raises(ValueError, match=r"train.freeze: every parameter is frozen"):
        freeze(first_weights(TINY, 0), ["*"])
