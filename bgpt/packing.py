# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Many short samples in one row of attention, none of which sees another.

The model keeps patches flat, so packing concerns attention alone: instead of one padded row a
sample, samples share rows as long as the longest of them, and a mask lets every patch see only the
earlier patches of its own sample. Positions, the byte level and the loss go by sample as ever; a
packed batch has the loss of an unpacked one. On a GPU in half precision there are no rows at all:
torch's variable-length kernel takes the flat patches and where each sample begins. It chooses no
samples: which stand in a batch is `bgpt.data`'s.

Shapes: N patches in all, R patches in flat form, M packed rows, L places a row, H heads, K width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from bgpt.layers import Ragged, attend_plain, round_up


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedRows:
    """Where every patch of a batch stands in its packed row, and what it may see there."""

    rows: Ragged
    """Its samples are the packed rows."""
    mask: Tensor
    """`[M, 1, L, L]`, added to scores: 0 within a sample and not later, else -inf."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Causal attention inside each sample over flat `[R, H, K]`."""
        q, k, v = self.rows.pad(q), self.rows.pad(k), self.rows.pad(v)
        mask = self.mask.to(q.dtype)
        # The same boundary as in `bgpt.layers.attend_causal`.
        if q.device.type == "cpu" and q.shape[1] <= (256 if q.dtype == torch.bfloat16 else 32):
            return self.rows.flatten(attend_plain(q, k, v, mask))
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.rows.flatten(mixed.transpose(1, 2))


@dataclass(frozen=True, kw_only=True, slots=True)
class FlatSamples:
    """The flat patches of a batch as the variable-length kernel reads them."""

    starts: Tensor
    """`[B + 1]` int32, first patch of every sample, then N."""
    num_patches: int
    """N."""
    longest: int
    """Patches of the longest sample."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Causal attention inside each sample over flat `[R, H, K]`; idle rows get zero."""
        # Not at the top: a torch without the kernel still packs by mask.
        from torch.nn.attention import varlen

        kernel = cast("Any", varlen).varlen_attn
        num_rows = len(q)
        q, k, v = (x[: self.num_patches].contiguous() for x in (q, k, v))
        mixed = kernel(
            q, k, v, self.starts, self.starts, self.longest, self.longest, window_size=(-1, 0)
        )
        return F.pad(mixed, (0, 0, 0, 0, 0, num_rows - self.num_patches))


def packed(lengths: Tensor, rows: Ragged, dtype: torch.dtype) -> PackedRows | FlatSamples:
    """Return how samples of `lengths [B]` patches, flat in `rows`, attend in the batch's dtype."""
    if has_kernel(lengths.device.type, dtype):
        starts = F.pad(lengths.cumsum(0), (1, 0)).to(torch.int32)
        return FlatSamples(starts=starts, num_patches=len(rows.index), longest=int(lengths.max()))
    return packed_rows(lengths, rows)


def has_kernel(device_type: str, dtype: torch.dtype) -> bool:
    """Return whether torch's variable-length kernel takes this: CUDA, and half precision."""
    if device_type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return False
    try:
        from torch.nn.attention import varlen
    except ImportError:  # a torch that does not have it yet
        return False
    return hasattr(varlen, "varlen_attn")


def packed_rows(lengths: Tensor, rows: Ragged) -> PackedRows:
    """Return the packed rows of samples of `lengths [B]` patches that stand flat in `rows`."""
    sizes = cast("list[int]", lengths.tolist())
    longest = round_up(max(sizes), least=4)
    places, num_packed = first_fit(sizes, longest)
    device = lengths.device
    first = torch.tensor([row * longest + at for row, at in places], device=device)
    sample, within = rows.index // rows.longest, rows.index % rows.longest
    index = first[sample] + within
    owner = torch.full((num_packed * longest,), -1, device=device)
    owner[index] = sample
    owner = owner.view(num_packed, longest)
    ours = owner[:, :, None] == owner[:, None, :]
    # The padding of a row is a sample of its own, so that no place sees nothing: that is NaN.
    seen = ours & torch.ones(longest, longest, dtype=torch.bool, device=device).tril()
    mask = torch.zeros(seen.shape, device=device).masked_fill(~seen, -torch.inf)
    return PackedRows(
        rows=Ragged(index=index, num_rows=rows.num_rows, num_samples=num_packed, longest=longest),
        mask=mask[:, None],
    )


def first_fit(sizes: Sequence[int], capacity: int) -> tuple[list[tuple[int, int]], int]:
    """Return (row, place in it) of every sample, and the number of rows.

    First fit by descending size: at most 11/9 of the fewest rows possible, and one row more.

    >>> first_fit([3, 5, 2, 4], 8)
    ([(0, 5), (0, 0), (1, 4), (1, 0)], 2)
    """
    filled: list[int] = []
    places: list[tuple[int, int]] = [(0, 0)] * len(sizes)
    for i in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        row = next((r for r, used in enumerate(filled) if used + sizes[i] <= capacity), len(filled))
        if row == len(filled):
            filled.append(0)
        places[i] = (row, filled[row])
        filled[row] += sizes[i]
    return places, len(filled)
