# pyright: reportUnknownMemberType=false
"""The byte-level decoder: the 16 bytes of a patch, each from those before it and the patch vector.

Besides the paper's form (the patch vector as a prefix) it has parts that let single bytes through:
the bytes of the previous patch, a window of raw bytes, and attention to a source's bytes.

Shapes: B samples, P scored patches, C bytes a patch (`patch_size`), D patch width, W byte width,
E width of the shared byte embedding, L bytes of the longest source, H heads, K width a head.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bgpt.config import ADDRESS_BITS, ModelConfig
from bgpt.layers import (
    Block,
    Blocks,
    FeedForward,
    Linear,
    attend_plain,
    causal_mask,
    make_norm,
    ragged,
    rms_norm,
    slide,
)
from bgpt.protocol import EOP, NUM_TOKENS

NEVER = -1e9
"""Added to a score that must not count. Not -inf: a row of nothing but -inf would be NaN."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceMemory:
    """Keys and values of the source's bytes, one row a sample."""

    keys: Tensor
    """`[B, L, H, K]`, L = C times the longest source's patches, or more."""
    values: Tensor
    mask: Tensor
    """`[B, 1, 1, L]`: 0 at a byte of the source, `NEVER` at padding."""
    num_patches: Tensor
    """`[B]` patches of each source; 0 without one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ByteContext:
    """Raw tokens around a scored patch."""

    tokens: Tensor
    """`[P, C]` the patch itself; its last token is never read."""
    earlier: Tensor
    """`[P, C * ceil(window / C)]` (at least C with `prev`) tokens right before it."""


class ByteLevel(nn.Module):
    """The decoder over the bytes of a patch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width, size = config.byte_width, config.patch_size
        self.num_earlier = max(-(-config.window // size), 1 if config.prev else 0)
        if config.byte_embedding is None:
            self.table = nn.Embedding(NUM_TOKENS, width)
        if config.patch_at_every_byte:
            self.from_patch = Linear(config.patch_width, size * width)
        else:
            # The last row would belong to the last byte, which nothing follows; the paper keeps it.
            self.positions = nn.Parameter(torch.empty(size + 1, width))
        if config.byte_embedding is not None:
            if not config.window:
                self.from_byte = Linear(config.byte_embedding, width, bias=False)
            else:
                self.to_window = Linear(config.byte_embedding, config.window_width, bias=False)
                self.from_window = Linear(config.window * config.window_width, width, bias=False)
            if config.prev:
                self.from_prev = Linear(config.byte_embedding, width, bias=False)
        if config.prev_layers:
            self.prev_patch = Linear(config.patch_width, size * width)
            self.prev_blocks = Blocks(
                Block(config, width, config.byte_heads, config.byte_ffn)
                for _ in range(config.prev_layers)
            )
            self.prev_out = Linear(width, width, bias=False)
        self.blocks = Blocks(
            Block(
                config,
                width,
                config.byte_heads,
                config.byte_ffn,
                has_value_table=config.value_embeddings,
            )
            for _ in range(config.byte_layers)
        )
        if config.source_attention:
            assert config.byte_embedding is not None
            self.to_source = Linear(config.byte_embedding, config.window_width, bias=False)
            self.source_byte = Linear(config.source_window * config.window_width, width, bias=False)
            self.source_address = Linear(ADDRESS_BITS, width, bias=False)
            self.source_feed_forward = FeedForward(config, width, config.byte_ffn)
            self.source_patch = Linear(config.patch_width, size * width)
            self.source_kv = Linear(width, 2 * width, bias=config.biases)
            self.source_q = Linear(width, width, bias=config.biases)
            self.source_sharpness = nn.Parameter(torch.empty(config.source_heads))
            self.source_out = Linear(width, width, bias=config.biases)
        self.norm = make_norm(config, width)
        if not config.tied_head:
            self.head = Linear(width, NUM_TOKENS, bias=False)

    def source_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that only samples with a source use."""
        for name, parameter in self.named_parameters():
            if name.startswith(("source_", "to_source")):
                yield parameter

    def earlier(self, patches: Tensor, sample: Tensor, at: Tensor) -> Tensor:
        """Return the tokens `[P, C * n]` right before patches `at [P]` of samples `sample [P]`."""
        parts = [
            torch.where((at >= back)[:, None], patches[sample, (at - back).clamp(min=0)], EOP)
            for back in range(self.num_earlier, 0, -1)
        ]
        return torch.cat(parts, dim=1) if parts else patches.new_zeros(len(at), 0)

    def known_inputs(
        self, hidden: Tensor, earlier: Tensor, embedding: nn.Embedding | None
    ) -> Tensor:
        """Return `[P, C, W]`: what enters every position and is known before the patch begins."""
        config, dtype, size = self.config, hidden.dtype, self.config.patch_size
        if config.patch_at_every_byte:
            x = self.from_patch(hidden).view(-1, size, config.byte_width)
        else:
            x = F.pad(hidden[:, None], (0, 0, 0, size - 1))
            x = x + self.positions[:size].to(dtype)
        if not config.prev:
            return x
        assert embedding is not None
        prev = self.from_prev(embedding(earlier[:, -size:]).to(dtype))
        x = x + prev
        if config.prev_layers:
            prev = prev + self.prev_patch(hidden).view(-1, size, config.byte_width)
            for block in self.prev_blocks:
                prev = block(prev, partial(attend_plain, mask=None))
            x = x + self.prev_out(self.norm(prev))
        return x

    def byte_inputs(
        self, stream: Tensor, num_positions: int, embedding: nn.Embedding | None, dtype: torch.dtype
    ) -> Tensor:
        """Return `[P, num_positions, W]`: what enters the last positions of a stream of tokens.

        `stream [P, L]` ends with the token right before the last position. With a window,
        L = window + num_positions - 1; without one, L = num_positions.
        """
        if embedding is None:
            return self.table(stream).to(dtype)
        if not self.config.window:
            return self.from_byte(embedding(stream).to(dtype))
        # The table is projected rather than every byte: 257 rows.
        table = self.to_window(embedding.weight.to(dtype))
        return slide(F.embedding(stream, table), self.from_window.weight.to(dtype), num_positions)

    def inputs(
        self, hidden: Tensor, context: ByteContext, embedding: nn.Embedding | None
    ) -> Tensor:
        """Return `[P, C, W]`, what enters the first block at every byte position."""
        x = self.known_inputs(hidden, context.earlier, embedding)
        stream, size = context.tokens[:, :-1], self.config.patch_size
        if self.config.window:
            stream = torch.cat((context.earlier, stream), dim=1)
            stream = stream[:, -(self.config.window + size - 1) :]
            return x + self.byte_inputs(stream, size, embedding, x.dtype)
        # Nothing of the patch is known yet at position 0.
        bytes_before = self.byte_inputs(stream, size - 1, embedding, x.dtype)
        return x + F.pad(bytes_before, (0, 0, 1, 0))

    def source_memory(
        self,
        hidden: Tensor,
        tokens: Tensor,
        num_patches: Tensor,
        embedding: nn.Embedding,
    ) -> SourceMemory:
        """Return keys and values of source patches `tokens [B, S, C]` with `hidden [B, S, D]`.

        `num_patches [B]` of them are the source's, the rest is padding.
        """
        is_source = torch.arange(tokens.shape[1], device=tokens.device) < num_patches[:, None]
        tokens = torch.where(is_source[:, :, None], tokens, EOP)
        valid = (tokens != EOP).flatten(1)
        width, num_heads = self.config.byte_width, self.config.source_heads
        num_samples, num_bytes = valid.shape
        window = self.config.source_window
        table = self.to_source(embedding.weight.to(hidden.dtype))
        stream = F.pad(tokens.flatten(1), (window // 2, window // 2 - 1), value=EOP)
        x = slide(F.embedding(stream, table), self.source_byte.weight.to(hidden.dtype), num_bytes)
        x = x + self.source_patch(hidden).view(num_samples, num_bytes, width)
        x = x + self.source_address(address_bits(num_bytes, x.dtype, x.device))
        x = x + self.source_feed_forward(rms_norm(x))
        k, v = self.source_kv(rms_norm(x)).view(num_samples, num_bytes, 2, num_heads, -1).unbind(2)
        mask = torch.where(valid, 0.0, NEVER).to(hidden.dtype)[:, None, None]
        return SourceMemory(keys=rms_norm(k), values=v, mask=mask, num_patches=num_patches)

    def forward(
        self,
        hidden: Tensor,
        context: ByteContext,
        embedding: nn.Embedding | None,
        source: SourceMemory | None,
        places: Tensor,
        longest: int,
    ) -> Tensor:
        """Return `[P, C, W]` before the head, of patches that follow `hidden [P, D]`.

        `places` (ascending) says which patch of the padded batch `[B * longest]` each one is;
        further rows are idle.
        """
        x = self.inputs(hidden, context, embedding)
        mask = causal_mask(x.shape[1], x.dtype, x.device)
        entered = context.tokens[:, :-1] if self.config.value_embeddings else None
        if source is not None:
            counts = torch.bincount(places // longest, minlength=len(source.num_patches))
            rows = replace(ragged(counts), num_rows=len(x))
            x = x + rows.flatten(self.read_source(rows.pad(x), source, rows.pad(places % longest)))
        for block in self.blocks:
            x = block(x, partial(attend_plain, mask=mask), entered=entered)
        return self.norm(x)

    def logits(self, x: Tensor, embedding: nn.Embedding | None) -> Tensor:
        """Return `[..., 257]` of `x [..., W]`."""
        if not self.config.tied_head:
            return self.head(x)
        table = self.table if embedding is None else embedding
        return F.linear(x, table.weight.to(x.dtype))

    def read_source(self, x: Tensor, source: SourceMemory, at: Tensor) -> Tensor:
        """Attend from byte positions `x [B, Q, C, W]` of patches `at [B, Q]` to the source's bytes.

        C positions a patch. Only patches behind the source read it, the others get zero: a source
        byte is read together with its neighbours, later ones too.
        """
        num_samples, num_queries, num_positions, width = x.shape
        q = self.source_q(rms_norm(x)).view(
            num_samples, num_queries * num_positions, self.config.source_heads, -1
        )
        # Twice as sharp as usual at first: one byte is to be picked among hundreds.
        sharpness = 2 * (2 * (self.source_sharpness - 1)).exp()[:, None].to(q.dtype)
        mixed = attend_plain(sharpness * rms_norm(q), source.keys, source.values, source.mask)
        mixed = self.source_out(mixed.reshape(num_samples, num_queries, num_positions, width))
        num_patches = source.num_patches[:, None]
        return mixed * ((num_patches > 0) & (at > num_patches))[:, :, None, None]


def address_bits(num_bytes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return `[num_bytes, ADDRESS_BITS]`: the bits of every place, 1 and -1, lowest first.

    >>> address_bits(3, torch.float32, torch.device("cpu"))[:, :2].int().tolist()
    [[-1, -1], [1, -1], [-1, 1]]
    """
    places = torch.arange(num_bytes, device=device)[:, None]
    bits = (places >> torch.arange(ADDRESS_BITS, device=device)) & 1
    return (2 * bits - 1).to(dtype)
