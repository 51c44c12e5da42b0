# pyright: reportUnknownMemberType=false
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

from bgpt.config import paper, preset
from bgpt.model import Bgpt, numeric_codes
from bgpt.patching import LossRegion, PatchBatch, collate, layout
from pipelines.sample import Segment

Make = Callable[[str], Bgpt]

PAIRS = [
    (b"X:1\nK:G\nABc|", b"MThd\x00\x00\x00\x06" * 5),
    (b"X:2\nK:D\n" + b"abcd|" * 9, b"MThd" * 16),
    (b"X:3", b"MT"),
]


def conversion(
    source: bytes, target: bytes, loss: LossRegion = "target", size: int = 16
) -> PatchBatch:
    segments = [Segment(extension="abc", data=source), Segment(extension="mid", data=target)]
    return collate([layout(segments, loss=loss, patch_size=size)])


def test_the_paper_preset_has_the_papers_parameters() -> None:
    with torch.device("meta"):
        num_parameters = Bgpt(paper()).num_parameters()
    # The authors' patch level also carries GPT-2's own 1 x 768 word table, which nothing reads.
    assert num_parameters + 768 == 110_084_352


@pytest.mark.parametrize("loss", ["target", "file", "tokens"])
def test_the_loss_is_the_sum_of_the_scores(
    tiny_model: Make, tiny_name: str, loss: LossRegion
) -> None:
    model = tiny_model(tiny_name)
    for source, target in PAIRS:
        batch = conversion(source, target, loss, model.config.patch_size)
        sums, scores = model.loss(batch), model.score(batch)
        assert sums.num_tokens == batch.num_tokens == int(batch.loss_mask.sum())
        assert sums.num_bytes == batch.num_bytes
        assert float(sums.nats.detach()) == pytest.approx(float(scores.nats.sum()), rel=1e-5)
        assert bool((scores.predicted[~batch.loss_mask] == -1).all())
        assert bool((scores.nats[batch.loss_mask] > 0).all())


def test_what_a_sample_costs_does_not_depend_on_its_batch(tiny_model: Make, tiny_name: str) -> None:
    model = tiny_model(tiny_name)
    size = model.config.patch_size
    segments = [
        [Segment(extension="abc", data=source), Segment(extension="mid", data=target)]
        for source, target in PAIRS
    ]
    samples = [layout(pair, patch_size=size) for pair in segments]
    file = Segment(extension="bin", data=bytes(range(90)))
    samples.append(layout([file], scored_from=30, patch_size=size))
    together = model.token_nats(collate(samples)).double().sum(dim=(1, 2))
    alone = torch.stack([model.token_nats(collate([s])).double().sum() for s in samples])
    # Single samples differ in float32's last digits; the figure over all of them does not move.
    assert torch.allclose(together, alone, rtol=1e-6, atol=0)
    num_bytes = collate(samples).num_bytes
    assert abs(float((together - alone).sum())) / num_bytes / math.log(2) < 1e-6


@pytest.mark.parametrize("changed", [0, 1, 20, 33, 47])
def test_no_token_depends_on_a_later_one(tiny_model: Make, tiny_name: str, changed: int) -> None:
    model = tiny_model(tiny_name)
    size = model.config.patch_size
    target = bytes(range(48))
    other = bytearray(target)
    other[changed] ^= 0xFF
    for loss in ("target", "file"):
        first = model.token_nats(conversion(b"X:1\nABC", target, loss, size)).flatten()
        second = model.token_nats(conversion(b"X:1\nABC", bytes(other), loss, size)).flatten()
        at = (1 + 1 + 1) * size + changed
        assert torch.allclose(first[:at], second[:at], atol=1e-6)
        assert not torch.allclose(first[at:], second[at:], atol=1e-6)


def test_no_source_byte_depends_on_a_later_one(tiny_model: Make, tiny_name: str) -> None:
    model = tiny_model(tiny_name)
    size = model.config.patch_size
    first, second = (
        model.token_nats(conversion(source, b"MThd", "file", size)).flatten()
        for source in (bytes(range(64)), bytes(range(63)) + b"~")
    )
    at = size + 63
    assert torch.allclose(first[:at], second[:at], atol=1e-6)
    assert not torch.allclose(first[at:], second[at:], atol=1e-6)


def test_every_target_byte_sees_the_source(tiny_model: Make, tiny_name: str) -> None:
    model = tiny_model(tiny_name)
    first, second = (
        conversion(source, b"MThd" * 9, size=model.config.patch_size)
        for source in (b"X:1\nABC", b"X:1\nABD")
    )
    assert int(first.loss_mask.sum()) == 37
    moved = (model.token_nats(first) - model.token_nats(second)).abs() > 1e-6
    assert torch.equal(moved, first.loss_mask)


def test_every_parameter_learns(tiny_model: Make, tiny_name: str) -> None:
    model = tiny_model(tiny_name)
    model.loss(conversion(*PAIRS[1], "file", model.config.patch_size)).nats.backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_bfloat16_stays_close_to_float32(tiny_model: Make, tiny_name: str) -> None:
    model = tiny_model(tiny_name)
    batch = conversion(*PAIRS[1], size=model.config.patch_size)
    exact = float(model.loss(batch).nats.detach())
    model.config = replace(model.config, bf16=True)
    assert float(model.loss(batch).nats.detach()) == pytest.approx(exact, rel=0.02)
    assert float(model.score(batch).nats.sum()) == pytest.approx(exact, rel=1e-5)
    narrow = model.score(batch, torch.bfloat16).nats
    assert narrow.dtype == torch.float32
    assert float(narrow.sum()) == pytest.approx(exact, rel=0.02)
    assert not torch.equal(narrow, model.score(batch).nats)


@pytest.mark.parametrize("name", ["compact-cpu", "compact-music"])
def test_an_untrained_compact_model_is_nearly_uniform(name: str) -> None:
    torch.manual_seed(0)
    model = Bgpt(preset(name))
    batch = conversion(*PAIRS[1])
    assert float(model.score(batch).nats.sum()) / batch.num_tokens == pytest.approx(
        math.log(257), rel=0.1
    )


def test_a_batch_of_another_patch_size_is_refused(tiny_model: Make) -> None:
    with pytest.raises(AssertionError, match="laid out for another patch_size"):
        tiny_model("music-8").score(conversion(*PAIRS[0]))


def test_value_embeddings_begin_as_nothing_and_then_tell_bytes_apart() -> None:
    config = replace(preset("compact-music"), bf16=False)
    plain, valued = Bgpt(config), Bgpt(replace(config, value_embeddings=True))
    odd = valued.load_state_dict(plain.state_dict(), strict=False)
    assert odd.missing_keys == ["byte_level.blocks.0.attention.value_table.weight"]
    torch.manual_seed(0)
    for parameter in plain.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    valued.load_state_dict(plain.state_dict(), strict=False)
    batch = conversion(*PAIRS[1])
    before = plain.token_nats(batch)
    assert torch.equal(valued.token_nats(batch), before)
    table = valued.byte_level.blocks[0].get_parameter("attention.value_table.weight")
    with torch.no_grad():
        table[ord("d")] = 1.0  # the target is MThdMThd...: it enters every 4th position
    moved = (valued.token_nats(batch) - before)[batch.loss_mask].abs() > 1e-6
    # In a patch, nothing before its first "d"; then all. The next patch's first byte has none.
    assert moved.tolist() == ([False] * 4 + [True] * 12) * 4 + [False]


def test_numeric_codes_tell_all_bytes_apart() -> None:
    distances = torch.cdist(numeric_codes(), numeric_codes())
    distances.fill_diagonal_(math.inf)
    assert float(distances.min()) > 1.0


# -- the paper's architecture against an independent GPT-2 ----------------------------------------


def gpt2_config(width: int, layers: int, positions: int, vocabulary: int) -> GPT2Config:
    return GPT2Config(
        n_embd=width, n_layer=layers, n_head=2, n_inner=64, n_positions=positions,
        vocab_size=vocabulary, attn_implementation="eager",
    )  # fmt: skip


def copy_blocks(ours: nn.Module, theirs: nn.Module) -> None:
    """Copy GPT-2's blocks and last norm; its Conv1D stores weights as (in, out)."""
    state = dict(theirs.named_parameters())

    def take(parameter: Tensor, name: str) -> None:
        found = state[name]
        conv = name.endswith("weight") and found.dim() == 2
        parameter.data.copy_(found.data.T if conv else found.data)

    names = {
        "norm_1": "ln_1", "attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj",
        "norm_2": "ln_2", "feed_forward.up": "mlp.c_fc", "feed_forward.down": "mlp.c_proj",
    }  # fmt: skip
    copied = 0
    for name, parameter in ours.named_parameters():
        if name.startswith("blocks."):
            _, layer, rest = name.split(".", 2)
            part, leaf = rest.rsplit(".", 1)
            take(parameter, f"h.{layer}.{names[part]}.{leaf}")
            copied += 1
        elif name.startswith("norm."):
            take(parameter, name.replace("norm.", "ln_f."))
            copied += 1
    assert copied == 2 * 12 + 2


def test_the_papers_model_equals_an_independent_gpt2(tiny_model: Make) -> None:
    model = tiny_model("paper")
    torch.manual_seed(3)
    patch_gpt2 = GPT2Model(gpt2_config(32, 2, 40, 1)).eval()
    byte_gpt2 = GPT2LMHeadModel(gpt2_config(32, 2, 17, 257)).eval()
    for parameter in (*patch_gpt2.parameters(), *byte_gpt2.parameters()):
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    copy_blocks(model.patch_level, patch_gpt2)
    copy_blocks(model.byte_level, byte_gpt2.transformer)
    model.patch_level.positions.data.copy_(patch_gpt2.wpe.weight.data)
    model.byte_level.positions.data.copy_(byte_gpt2.transformer.wpe.weight.data)
    model.byte_level.table.weight.data.copy_(byte_gpt2.transformer.wte.weight.data)

    batch = conversion(*PAIRS[1], "tokens")
    patches = batch.patches[0]
    one_hot = nn.functional.one_hot(patches, 257).flatten(1).float()
    embedded = one_hot @ model.patch_level.table + model.patch_level.table_bias
    with torch.no_grad():
        encoded = patch_gpt2(inputs_embeds=embedded[None]).last_hidden_state[0]  # [T, D]
        tokens = byte_gpt2.transformer.wte(patches[1:])  # [T - 1, 16, D]
        inputs = torch.cat((encoded[:-1, None], tokens), dim=1)  # the authors' 17 positions
        logits = byte_gpt2(inputs_embeds=inputs).logits[:, :-1]
    theirs = nn.functional.cross_entropy(logits.transpose(1, 2), patches[1:], reduction="none")
    assert torch.allclose(model.token_nats(batch)[0, 1:], theirs, atol=1e-4)
