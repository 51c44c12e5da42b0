from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bgpt.config import paper
from bgpt.decoding_copy import (
    Int8Linear,
    PackedLinear,
    decoding_threads,
    has_packing,
    prepare,
)
from bgpt.generate import Decoding, decode
from bgpt.layers import Linear
from bgpt.model import Bgpt
from bgpt.patching import PatchBatch, collate, layout
from bgpt.protocol import Prompt
from pipelines.sample import Segment

Make = Callable[[str], Bgpt]


@pytest.fixture(scope="module")
def wide() -> Bgpt:
    """A model whose layers are large enough to be packed."""
    config = replace(
        paper(), patch_width=512, patch_layers=1, patch_heads=4, patch_ffn=1024,
        byte_width=512, byte_layers=1, byte_heads=4, byte_ffn=1024, max_patches=16,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Bgpt(config).eval()


def batch() -> PatchBatch:
    segment = Segment(extension="bin", data=bytes(range(100)))
    return collate([layout([segment], scored_from=16)])


@pytest.mark.skipif(not has_packing(), reason="torch has no oneDNN here")
def test_packed_layers_say_the_same(wide: Bgpt) -> None:
    twin = prepare(wide)
    assert sum(isinstance(m, PackedLinear) for m in twin.model.modules()) == 8
    assert (twin.int8, twin.threads) == (False, None)
    torch.testing.assert_close(
        twin.model.token_nats(batch()), wide.token_nats(batch()), atol=1e-4, rtol=1e-5
    )


@pytest.mark.skipif(not has_packing(), reason="torch has no oneDNN here")
def test_a_packed_row_does_not_depend_on_the_others() -> None:
    to_the_bit = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 13)
    linear = Linear(512, 768)
    with torch.no_grad():
        linear.weight.normal_()
        linear.bias.zero_() if linear.bias is not None else None
        packed, x = PackedLinear(linear), torch.randn(40, 512)
        whole = packed(x)
        for size in (1, 2, 7, 32):
            alone = packed(x[:size].contiguous())
            assert torch.allclose(alone, whole[:size], rtol=1e-5, atol=1e-4)
            assert torch.equal(alone, whole[:size]) or not to_the_bit


def test_small_models_stay_as_they_are_and_get_one_thread(tiny_model: Make) -> None:
    model = tiny_model("compact-music")
    twin = prepare(model)
    assert not any(isinstance(m, PackedLinear) for m in twin.model.modules())
    assert torch.equal(twin.model.token_nats(batch()), model.token_nats(batch()))
    before = torch.get_num_threads()
    with decoding_threads(twin):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_the_model_itself_is_left_alone(wide: Bgpt, tiny_model: Make) -> None:
    for model in (wide, tiny_model("compact-cpu")):
        kinds = [type(m) for m in model.modules()]
        twin = prepare(model, int8=True)
        assert [type(m) for m in model.modules()] == kinds
        assert any(isinstance(m, Int8Linear) for m in twin.model.modules())


def test_int8_predictions_differ_a_little(tiny_model: Make, tiny_name: str) -> None:
    model = tiny_model(tiny_name)
    prompt = Prompt(source=None, extension="bin", given=bytes(range(33)))
    exact, rounded = model, prepare(model, int8=True).model
    with torch.no_grad():
        hidden = torch.randn(1, model.config.patch_width)
        num_earlier = model.config.patch_size * max(1, model.byte_level.num_earlier)
        earlier = torch.arange(num_earlier)[None] % 256
        known = [m.byte_level.known_inputs(hidden, earlier, m.embedding) for m in (exact, rounded)]
    assert (known[0] - known[1]).abs().max() < 0.05 * known[0].abs().max()
    written = decode(prepare(model, int8=True), [prompt] * 3, [30] * 3, Decoding(batch_size=3))
    # One by one, so that no file depends on the others.
    assert written[0] == written[1] == written[2]
    assert written == decode(prepare(model, int8=True), [prompt] * 3, [30] * 3, Decoding())


def test_int8_is_within_the_stated_bound(wide: Bgpt) -> None:
    """A row through every layer of a block: at most 2 % of the largest output."""
    twin = prepare(wide, int8=True).model
    torch.manual_seed(0)
    for exact, rounded in zip(wide.byte_level.blocks, twin.byte_level.blocks, strict=True):
        with torch.no_grad():
            x = torch.randn(1, 1, 512)
            assert type(rounded.attention.qkv) is Int8Linear
            for one, other in (
                (exact.attention.qkv(x), rounded.attention.qkv(x)),
                (exact.feed_forward(x), rounded.feed_forward(x)),
            ):
                difference = (one - other).abs().max() / one.abs().max()
                assert 0 < difference < 0.02


def test_int8_is_refused_off_the_cpu(tiny_model: Make) -> None:
    with pytest.raises(ValueError, match="8-bit weights are for the CPU; the model is on meta"):
        prepare(tiny_model("paper").to("meta"), int8=True)
