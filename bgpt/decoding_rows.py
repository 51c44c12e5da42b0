# pyright: reportUnknownMemberType=false
"""The rows of a batch that is being decoded: what is cached of each, and how rows are dropped.

It runs no part of the model; `bgpt.decoder` does.

Shapes: B rows still in the batch, T cached patches, C bytes a patch, H heads, K width a head,
D patch width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bgpt.byte_level import SourceMemory


@dataclass(slots=True)
class Rows:
    """State of the rows still in the batch."""

    number: NDArray[np.int64]
    """`[B]` which prompt of the batch."""
    length: Tensor
    """`[B]` patches in the cache."""
    hidden: Tensor
    """`[B, D]` what the patch level says of the next patch."""
    earlier: Tensor
    """`[B, C * n]` tokens right before the next patch."""
    keys: list[Tensor]
    """Per layer `[B, T, H, K]`, in memory as `[B, H, T, K]`: attention reads it without a copy."""
    values: list[Tensor]
    source: SourceMemory | None

    def keep(self, kept: NDArray[np.int64]) -> None:
        """Make rows `kept` the batch, in that order; a row may be kept several times."""
        if np.array_equal(kept, np.arange(len(self.number))):
            return
        index = torch.from_numpy(kept).to(self.length.device)
        self.number = self.number[kept]
        self.length, self.hidden = self.length[index], self.hidden[index]
        self.earlier = self.earlier[index]
        for caches in (self.keys, self.values):
            caches[:] = [by_head(cache, index) for cache in caches]
        if self.source is not None:
            self.source = SourceMemory(
                keys=by_head(self.source.keys, index),
                values=by_head(self.source.values, index),
                mask=self.source.mask[index],
                num_patches=self.source.num_patches[index],
            )


def by_head(cache: Tensor, index: Tensor | None = None) -> Tensor:
    """Return rows `index` of `cache [B, T, H, K]` (None: all), in memory as `[B, H, T, K]`."""
    heads = cache.transpose(1, 2)
    return (heads.contiguous() if index is None else heads[index]).transpose(1, 2)


def with_room(cache: Tensor, length: int) -> Tensor:
    """Return `cache [B, T, H, K]` with room for `length` patches, grown by half when it must."""
    missing = length - cache.shape[1]
    if missing <= 0:
        return cache
    size = max(length, cache.shape[1] + cache.shape[1] // 2 + 8)
    num_rows, num_cached, num_heads, width = cache.shape
    grown = cache.new_zeros((num_rows, num_heads, size, width)).transpose(1, 2)
    grown[:, :num_cached] = cache
    return grown
