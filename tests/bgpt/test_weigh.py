"""A file's figures are what FACTS says; bfloat16 moves them a little, and only when asked."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bgpt import weigh
from bgpt.config import paper
from bgpt.data import TrainingSample
from bgpt.decoding_copy import PackedLinear, has_packing
from bgpt.evaluate import evaluate
from bgpt.layers import Linear, fast_dtype
from bgpt.model import Bgpt
from bgpt.patching import TooLong, collate, layout
from bgpt.weigh import score_file, weighing_copy, weighing_dtype
from pipelines.sample import Segment

Make = Callable[[str], Bgpt]


@pytest.fixture(scope="module")
def wide() -> Bgpt:
    """A model whose layers are large enough to be laid out."""
    config = replace(
        paper(), patch_width=512, patch_layers=1, patch_heads=4, patch_ffn=1024,
        byte_width=512, byte_layers=1, byte_heads=4, byte_ffn=1024, max_patches=32,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Bgpt(config).eval()


def file(size: int) -> Segment:
    return Segment(extension="bin", data=bytes(7 * i % 256 for i in range(size)))


def nats_of(model: Bgpt, size: int, dtype: torch.dtype = torch.float32) -> float:
    return score_file(model, "x.bin", file(size), dtype).total_nats


@pytest.mark.parametrize("name", ["paper", "music-8", "cpu-32"])  # whatever the patch
def test_a_uniform_model_pays_for_every_byte_and_one_end(tiny_model: Make, name: str) -> None:
    model = tiny_model(name)
    for parameter in model.parameters():
        parameter.data.zero_()
    score = score_file(model, "x.bin", file(30))
    nats = math.log(257)
    assert score.total_nats == pytest.approx(31 * nats)
    assert score.bits_per_byte == pytest.approx(31 * nats / math.log(2) / 30)
    assert score.authors_nats_per_token == pytest.approx(nats)
    assert score.bytes == 30


def test_both_figures_of_one_pass_are_those_of_a_pass_each(
    tiny_model: Make, tiny_name: str
) -> None:
    model = tiny_model(tiny_name)
    patch = model.config.patch_size
    for size in (1, 15, 16, 100):
        score = score_file(model, "x.bin", file(size))
        num_tokens = (1 + -(-size // patch)) * patch
        target = model.score(collate([layout([file(size)], loss="target", patch_size=patch)]))
        tokens = model.score(collate([layout([file(size)], loss="tokens", patch_size=patch)]))
        assert score.total_nats == pytest.approx(float(target.nats.sum()), rel=1e-6)
        assert score.authors_nats_per_token == pytest.approx(
            float(tokens.nats.sum()) / num_tokens, rel=1e-6
        )


@pytest.mark.skipif(not has_packing(), reason="torch has no oneDNN here")
def test_the_float32_copy_moves_a_figure_in_its_last_digits_alone(wide: Bgpt) -> None:
    ready = weighing_copy(wide, torch.float32)
    assert sum(isinstance(module, PackedLinear) for module in ready.modules()) == 8
    assert nats_of(ready, 300) == pytest.approx(nats_of(wide, 300), rel=1e-6)


def test_bfloat16_stays_close_and_leaves_the_model_as_it_was(wide: Bgpt) -> None:
    if fast_dtype("cpu") != torch.bfloat16:  # a processor without its products has none to show
        with pytest.raises(ValueError, match="no bfloat16 products"):
            weighing_dtype(bf16=True)
        return
    exact = nats_of(wide, 300)
    ready = weighing_copy(wide, torch.bfloat16)
    found = nats_of(ready, 300, torch.bfloat16)
    assert found != exact
    assert found == pytest.approx(exact, rel=1e-3)
    assert nats_of(wide, 300) == exact
    assert {parameter.dtype for parameter in wide.parameters()} == {torch.float32}


def test_bfloat16_holds_for_every_architecture(tiny_model: Make, tiny_name: str) -> None:
    model = tiny_model(tiny_name)
    ready = weighing_copy(model, torch.bfloat16)
    linear = [module for module in ready.modules() if isinstance(module, Linear)]
    assert linear
    assert {module.weight.dtype for module in linear} == {torch.bfloat16}
    exact, found = nats_of(model, 200), nats_of(ready, 200, torch.bfloat16)
    assert found != exact
    assert found == pytest.approx(exact, rel=0.02)


def test_a_corpus_is_weighed_in_the_dtype_that_is_asked_for(tiny_model: Make) -> None:
    model = tiny_model("compact-cpu")
    samples = [TrainingSample(key="a", segments=(file(90),), scored_from=16)]
    exact = evaluate(model, samples)
    assert evaluate(weighing_copy(model, torch.float32), samples) == exact
    found = evaluate(weighing_copy(model, torch.bfloat16), samples, dtype=torch.bfloat16)
    assert found.bits_per_byte != exact.bits_per_byte
    assert found.bits_per_byte == pytest.approx(exact.bits_per_byte, rel=0.02)


def test_float32_is_the_default_and_emulated_bfloat16_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert weighing_dtype(bf16=False) == torch.float32
    monkeypatch.setattr(weigh, "fast_dtype", lambda device: torch.bfloat16)
    assert weighing_dtype(bf16=True) == torch.bfloat16
    monkeypatch.setattr(weigh, "fast_dtype", lambda device: torch.float32)
    assert weighing_dtype(bf16=False) == torch.float32
    with pytest.raises(ValueError, match=r"no bfloat16 products .* with --no-bf16"):
        weighing_dtype(bf16=True)


def test_what_cannot_be_weighed_is_named(tiny_model: Make) -> None:
    model = tiny_model("paper")
    with pytest.raises(ValueError, match=r"empty.bin: is empty"):
        score_file(model, "empty.bin", file(0))
    with pytest.raises(TooLong, match=r"long.bin: a sample of 800 bytes takes .* at most 40"):
        score_file(model, "long.bin", file(800))
