"""Packed samples share rows of attention and see nothing of each other: the loss is the same."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bgpt.layers import ragged
from bgpt.model import Bgpt
from bgpt.packing import first_fit, has_kernel, packed_rows
from bgpt.patching import LossRegion, PatchBatch, PatchedSample, collate, layout
from pipelines.sample import Segment

Make = Callable[[str], Bgpt]
SIZES = (3, 200, 16, 90, 47, 1, 130, 33, 64, 18)


def bytes_of(size: int, seed: int) -> bytes:
    return bytes((7 * i * i + 31 * seed + i) % 256 for i in range(size))


def batch(*, pairs: bool, loss: LossRegion = "target", patch_size: int = 16) -> PatchBatch:
    samples = [
        layout(
            [
                *([Segment(extension="abc", data=bytes_of(size // 2 + 1, seed))] if pairs else []),
                Segment(extension="mid", data=bytes_of(size, seed)),
            ],
            scored_from=0 if pairs else min(size, 8),
            loss=loss,
            patch_size=patch_size,
        )
        for seed, size in enumerate(SIZES)
    ]
    return collate(samples)


@pytest.mark.parametrize("loss", ["target", "tokens"])
@pytest.mark.parametrize("pairs", [False, True])
def test_packed_and_unpacked_have_one_loss_and_one_gradient(
    tiny_name: str, tiny_model: Make, pairs: bool, loss: LossRegion
) -> None:
    model = tiny_model(tiny_name)
    plain = batch(pairs=pairs, loss=loss, patch_size=model.config.patch_size)
    means: list[torch.Tensor] = []
    gradients: list[torch.Tensor] = []
    for one in (plain, replace(plain, is_packed=True)):
        model.zero_grad()
        sums = model.loss(one)
        mean = sums.nats / sums.num_tokens
        mean.backward()
        means.append(mean.detach())
        gradients.append(
            torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        )
    assert float(means[1]) == pytest.approx(float(means[0]), abs=1e-5)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-4 * float(gradients[0].abs().max()))


def test_a_packed_sample_scores_as_alone_whatever_stands_beside_it(
    tiny_name: str, tiny_model: Make
) -> None:
    model = tiny_model(tiny_name)

    def sample(size: int, seed: int) -> PatchedSample:
        segment = Segment(extension="bin", data=bytes_of(size, seed))
        return layout([segment], patch_size=model.config.patch_size)

    alone = sample(40, 1)
    expected = model.score(collate([alone])).nats.sum()
    for seed in range(3):
        others = [sample(n, seed) for n in (5, 250, 60)]
        together = replace(collate([others[0], alone, *others[1:]]), is_packed=True)
        assert float(model.score(together).nats[1].sum()) == pytest.approx(
            float(expected), rel=1e-5
        )


def test_packing_takes_fewer_rows_than_samples_and_masks_all_but_the_own_past() -> None:
    lengths = torch.tensor([2, 7, 3, 1, 4])
    rows = ragged(lengths)
    packed = packed_rows(lengths, rows)
    assert packed.rows.num_samples == 3  # places for 8 patches: 7 + 1, 4 + 3, 2
    x = torch.arange(rows.num_rows, dtype=torch.float32)[:, None] + 1
    placed = packed.rows.pad(x)[:, :, 0].long()
    owner = torch.repeat_interleave(torch.arange(5), lengths)
    num_seen = 0
    for row in range(3):
        for at in range(8):
            for seen in range(8):
                visible = bool(packed.mask[row, 0, at, seen] == 0)
                a, b = int(placed[row, at]) - 1, int(placed[row, seen]) - 1
                same = (a < 0 and b < 0) or (a >= 0 and b >= 0 and bool(owner[a] == owner[b]))
                assert visible == (same and seen <= at), (row, at, seen)
                num_seen += visible and a >= 0
    assert num_seen == sum(n * (n + 1) // 2 for n in lengths.tolist())


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=30), spare=st.integers(0, 5))
def test_no_two_samples_overlap_and_no_row_overflows(sizes: list[int], spare: int) -> None:
    capacity = max(sizes) + spare
    places, num_rows = first_fit(sizes, capacity)
    taken = [
        (row, at + i) for (row, at), size in zip(places, sizes, strict=True) for i in range(size)
    ]
    assert len(taken) == len(set(taken)) == sum(sizes)
    assert all(0 <= at < capacity and 0 <= row < num_rows for row, at in taken)
    assert {row for row, _ in taken} == set(range(num_rows))


def test_the_kernel_is_for_half_precision_on_a_gpu() -> None:
    assert not has_kernel("cpu", torch.bfloat16)
    assert not has_kernel("cuda", torch.float32)
    assert has_kernel("cuda", torch.bfloat16)
