# pyright: reportUnknownMemberType=false
"""Counts by formula against what torch holds and what its profiler sees."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bgpt.config import PRESETS, ModelConfig, compact_cpu, compact_music, paper
from bgpt.counts import Parameters, count_flops, count_parameters
from bgpt.model import Bgpt
from bgpt.patching import PatchBatch, collate, layout
from pipelines.sample import Segment

VARIANTS: dict[str, ModelConfig] = {
    **{name: make() for name, make in PRESETS.items()},
    "other sizes": replace(
        paper(), patch_width=96, byte_width=96, patch_heads=3, byte_heads=4, patch_ffn=100,
        byte_ffn=200, patch_layers=2, byte_layers=2, max_patches=77,
    ),
    "no learned positions": replace(compact_cpu(), positions="rotary"),
    "biases": replace(compact_cpu(), biases=True, norm="layer"),
    "window and prev": replace(compact_music(), prev=True, prev_layers=1, window=5, biases=True),
    "patches of 8": replace(compact_cpu(), patch_size=8, value_embeddings=True),
    "patches of 12": replace(compact_music(), patch_size=12, prev=True),
    "patches of 32": replace(paper(), patch_size=32, value_embeddings=True, patch_layers=1),
    "untied paper": replace(paper(), tied_head=False, patch_layers=1),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_by_formula_are_those_of_the_model(name: str) -> None:
    with torch.device("meta"):
        model = Bgpt(VARIANTS[name])
    counted = count_parameters(VARIANTS[name])
    assert counted.total == sum(p.numel() for p in model.parameters())
    assert counted.patch_level == sum(p.numel() for p in model.patch_level.parameters())
    assert counted.byte_level == sum(p.numel() for p in model.byte_level.parameters())
    assert counted.total == counted.patch_level + counted.byte_level + counted.shared


def test_the_papers_parameters_are_the_published_ones() -> None:
    # The authors' patch level counts GPT-2's never used word table of 1 x 768 with it.
    assert count_parameters(paper()) == Parameters(
        total=110_084_352 - 768, patch_level=88_608_768 - 768, byte_level=21_475_584, shared=0
    )


def test_the_table_in_the_docs_is_the_formulas() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "model.md").read_text(encoding="utf-8")
    for name, make in PRESETS.items():
        counted, flops = count_parameters(make()), count_flops(make(), 512).forward
        assert (
            f"| `{name}` | {counted.total:,} | {counted.patch_level:,} | {counted.byte_level:,} "
            f"| {flops / 1e9:.1f} |"
        ) in page


def sequence(patches: int, source: int, size: int) -> PatchBatch:
    """A file, or a conversion, of `patches` patches; every token after the first patch scored."""
    segments = [Segment(extension="bin", data=bytes(size * (patches - 2)))]
    if source:
        segments = [
            Segment(extension="abc", data=bytes(size * source)),
            Segment(extension="mid", data=bytes(size * (patches - source - 3))),
        ]
    return collate([layout(segments, loss="tokens", patch_size=size)])


def counted(work: Callable[[], object]) -> int:
    """Return the profiler's count; it does not know the CPU's fused attention, so that is off."""
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        work()
    return counter.get_total_flops()


SMALL = {
    name: replace(config, patch_layers=2, byte_layers=2, bf16=False, max_patches=200)
    for name, config in VARIANTS.items()
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("patches", "source"), [(17, 0), (33, 0), (33, 8), (129, 32)])
def test_forward_and_training_flops_by_formula_are_the_profilers(
    name: str, patches: int, source: int
) -> None:
    # Sizes that `round_up` leaves as they are: 16, 32 and 128 rows, 8 and 32 source patches.
    # "meta" would be quicker, but what is scored is looked up in the data.
    config = replace(SMALL[name], patch_width=64, byte_width=64, patch_ffn=96, byte_ffn=80,
                     patch_heads=2, byte_heads=4)  # fmt: skip
    model, batch = Bgpt(config), sequence(patches, source, config.patch_size)
    assert batch.patches.shape[1] == patches
    assert int(batch.source_patches[0]) == source
    flops = count_flops(config, patches, source)

    def train() -> None:
        model.loss(batch).nats.backward()

    assert counted(lambda: model.score(batch)) == flops.forward
    assert counted(train) == flops.training


def test_the_paper_preset_costs_what_its_layers_cost() -> None:
    """By hand: 24 D^2 a row and block, 4 T D of attention, and the head."""
    width, rows = 768, 511
    patch_block = rows * (24 * width**2 + 4 * rows * width)
    byte_block = 16 * rows * (24 * width**2 + 4 * 16 * width)
    head = 2 * 16 * rows * width * 257
    assert count_flops(paper(), 512).forward == 12 * patch_block + 3 * byte_block + head


@pytest.mark.parametrize(
    ("patches", "source", "message"),
    [
        (1, 0, r"patches must be in 2\.\.512, not 1"),
        (513, 0, r"patches must be in 2\.\.512, not 513"),
        (10, 9, r"source_patches must be in 0\.\.8, not 9"),
        (10, -1, r"source_patches must be in 0\.\.8, not -1"),
    ],
)
def test_a_sequence_that_cannot_be_is_refused(patches: int, source: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        count_flops(compact_music(), patches, source)
