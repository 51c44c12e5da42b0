# pyright: reportUnknownMemberType=false
"""The patch-level decoder: from the patches so far to a vector that foretells the next one.

It knows no single bytes beyond its patch embedding; those are `bgpt.byte_level`'s.

Shapes: B samples, T patches of the longest row, R patches in flat form, C bytes a patch, D width.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bgpt.config import ModelConfig
from bgpt.layers import Block, Blocks, Linear, Ragged, attend_causal, make_norm
from bgpt.packing import FlatSamples, PackedRows
from bgpt.protocol import NUM_TOKENS


class PatchLevel(nn.Module):
    """The decoder over patches."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.patch_width
        if config.byte_embedding is None:
            self.table = nn.Parameter(torch.empty(config.patch_size * NUM_TOKENS, width))
            self.table_bias = nn.Parameter(torch.empty(width))
        else:
            inputs = config.patch_size * config.byte_embedding
            self.join = Linear(inputs, width, bias=config.biases)
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.empty(config.max_patches, width))
        self.blocks = Blocks(
            Block(config, width, config.patch_heads, config.patch_ffn)
            for _ in range(config.patch_layers)
        )
        self.norm = make_norm(config, width)

    def embed(
        self, tokens: Tensor, at: Tensor, embedding: nn.Embedding | None, dtype: torch.dtype
    ) -> Tensor:
        """Return `[R, D]` of patches `tokens [R, C]` that stand at positions `at [R]`."""
        if embedding is None:
            # A one-hot vector times a matrix is a sum of C look-ups.
            offsets = torch.arange(tokens.shape[1], device=tokens.device) * NUM_TOKENS
            x = F.embedding_bag(tokens + offsets, self.table, mode="sum") + self.table_bias
        else:
            x = self.join(embedding(tokens).flatten(1).to(dtype))
        if self.config.positions == "learned":
            x = x + self.positions[at].to(dtype)
        return x.to(dtype)

    def rotary_positions(self, at: Tensor) -> Tensor | None:
        """Return `at` if attention rotates by position, else None."""
        return at if self.config.positions == "rotary" else None

    def forward(
        self,
        tokens: Tensor,
        rows: Ragged,
        embedding: nn.Embedding | None,
        dtype: torch.dtype,
        shared: PackedRows | FlatSamples | None = None,
    ) -> Tensor:
        """Return `[R, D]`: what each patch and all before it say of the next one.

        With `shared`, samples share rows of attention; without, each has its own.
        """
        at = rows.positions()
        x = self.embed(tokens, at, embedding, dtype)

        def attend_alone(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return rows.flatten(attend_causal(rows.pad(q), rows.pad(k), rows.pad(v)))

        attend = attend_alone if shared is None else shared.attend
        for block in self.blocks:
            x = block(x, attend, self.rotary_positions(at))
        return self.norm(x)
