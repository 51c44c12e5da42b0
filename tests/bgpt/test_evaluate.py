"""Evaluation counts what FACTS counts, whatever stands beside a sample in its batch."""

import math

import pytest
import torch

from bgpt import evaluate as evaluate_module
from bgpt.config import ModelConfig
from bgpt.data import TrainingSample
from bgpt.evaluate import evaluate
from bgpt.initial import first_weights
from bgpt.model import Bgpt
from bgpt.weigh import score_file
from pipelines.sample import Segment

TINY = ModelConfig(
    patch_width=16, patch_layers=1, patch_heads=2, patch_ffn=32,
    byte_width=16, byte_layers=1, byte_heads=2, byte_ffn=32, max_patches=16,
)  # fmt: skip


@pytest.fixture
def model() -> Bgpt:
    torch.set_num_threads(1)
    return first_weights(TINY, 0)


def file(size: int) -> Segment:
    return Segment(extension="bin", data=bytes(7 * i % 256 for i in range(size)))


def sample(size: int, scored_from: int = 0) -> TrainingSample:
    return TrainingSample(key=f"s{size}", segments=(file(size),), scored_from=scored_from)


def uniform(model: Bgpt) -> Bgpt:
    """A model that finds every token equally likely."""
    for parameter in model.parameters():
        parameter.data.zero_()
    return model


def test_a_uniform_model_pays_for_every_scored_byte_and_one_end(model: Bgpt) -> None:
    nats = math.log(257)
    assert evaluate(uniform(model), [sample(30, 16), sample(20, 16)]).bits_per_byte == (
        pytest.approx((15 + 5) * nats / math.log(2) / 18)
    )


def test_the_figure_of_a_set_is_the_sum_of_its_files(
    model: Bgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [sample(size) for size in (5, 90, 16, 33, 48, 7, 150)]
    scores = [score_file(model, s.key, s.segments[0]) for s in samples]
    whole = evaluate(model, samples)
    nats, num_bytes = sum(s.total_nats for s in scores), sum(s.bytes for s in scores)
    assert whole.bits_per_byte == pytest.approx(nats / math.log(2) / num_bytes, rel=1e-5)
    assert whole.n == 7
    monkeypatch.setattr(evaluate_module, "MAX_BATCH_PATCHES", 1)
    alone = evaluate(model, samples)
    assert alone.bits_per_byte == pytest.approx(whole.bits_per_byte, rel=1e-6)
    assert alone.byte_accuracy == whole.byte_accuracy


def test_byte_accuracy_counts_scored_bytes_and_no_end(model: Bgpt) -> None:
    zeros = TrainingSample(
        key="zeros", segments=(Segment(extension="bin", data=bytes(20)),), scored_from=4
    )
    ones = TrainingSample(
        key="ones", segments=(Segment(extension="bin", data=b"\x01" * 20),), scored_from=4
    )
    # All tokens are equally likely, and the first of them, byte 0, is named the likeliest.
    assert evaluate(uniform(model), [zeros]).byte_accuracy == 1.0
    assert evaluate(uniform(model), [zeros, ones]).byte_accuracy == 0.5


def test_no_samples_are_refused(model: Bgpt) -> None:
    with pytest.raises(ValueError, match="nothing to evaluate on"):
        evaluate(model, [])
