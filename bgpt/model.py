"""bGPT: patches of 16 bytes through a patch-level decoder, then a byte-level decoder.

One class for the paper's architecture and for the compact relative; `ModelConfig` says which parts
are in. It holds no training loop, no decoding loop and no files. Only patches that carry loss go
through the byte level, and padding goes through nothing but attention.

Shapes: B samples, T patches of the longest, N patches in all, P scored patches, 16 bytes a patch,
D patch width, W byte width, E width of the shared byte embedding.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bgpt.config import PATCH_SIZE, ModelConfig
from bgpt.layers import (
    Block,
    Linear,
    Ragged,
    attend_causal,
    attend_plain,
    causal_mask,
    make_norm,
    ragged,
    rms_norm,
    round_up,
    slide,
    take_rows,
)
from bgpt.patching import PatchBatch
from bgpt.protocol import EOP, NUM_TOKENS


@dataclass(frozen=True, kw_only=True, slots=True)
class LossSums:
    """A batch's loss as a sum, so that batches of any size add up rightly."""

    nats: Tensor
    """Scalar float32: sum of -log p over the scored tokens; differentiable."""
    num_tokens: int
    """Scored tokens."""
    num_bytes: int
    """Scored tokens that are bytes; what bits per byte is divided by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenScores:
    """What the model says of every scored token, teacher forced."""

    nats: Tensor
    """`[B, T, 16]` float32, -log p; 0 where nothing is scored."""
    predicted: Tensor
    """`[B, T, 16]` int64, the likeliest token; -1 where nothing is scored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceMemory:
    """Keys and values of the source's bytes, one row a sample."""

    keys: Tensor
    """`[B, L, H, K]`, L = 16 times the longest source's patches."""
    values: Tensor
    valid: Tensor
    """`[B, L]` bool: a byte of the source, not padding."""


class Bgpt(nn.Module):
    """The model that `config` describes."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = (
            nn.Embedding(NUM_TOKENS, config.byte_embedding) if config.byte_embedding else None
        )
        self.patch_level = PatchLevel(config)
        self.byte_level = ByteLevel(config)
        initialise(self)

    def loss(self, batch: PatchBatch) -> LossSums:
        """Return the summed loss of the scored tokens; in bfloat16 if the configuration says so."""
        dtype = torch.bfloat16 if self.config.bf16 else torch.float32
        logits, targets, _ = self._scored_logits(batch, dtype)
        nats = F.cross_entropy(logits.float(), targets, reduction="sum")
        return LossSums(nats=nats, num_tokens=len(targets), num_bytes=batch.num_bytes)

    @torch.no_grad()
    def score(self, batch: PatchBatch) -> TokenScores:
        """Return nats and the likeliest token of every scored token; always in float32."""
        logits, targets, where = self._scored_logits(batch, torch.float32)
        nats = batch.patches.new_zeros(batch.patches.shape, dtype=torch.float32)
        predicted = torch.full_like(batch.patches, -1)
        nats.view(-1)[where] = F.cross_entropy(logits, targets, reduction="none")
        predicted.view(-1)[where] = logits.argmax(dim=-1)
        return TokenScores(nats=nats, predicted=predicted)

    def token_nats(self, batch: PatchBatch) -> Tensor:
        """Return -log p `[B, T, 16]` of every scored token, 0 elsewhere."""
        return self.score(batch).nats

    def num_parameters(self) -> int:
        """Return how many numbers the model holds."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _scored_logits(
        self, batch: PatchBatch, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits `[S, 257]` and targets `[S]` of the scored tokens, and their places."""
        longest = batch.patches.shape[1]
        places = batch.loss_mask.any(dim=2).flatten().nonzero()[:, 0]  # [P] in B * T
        # Nothing is predicted from a row's last patch, so the patch level stops one before.
        rows = ragged((batch.num_patches - 1).clamp(min=1))
        tokens = take_rows(batch.patches, rows)  # [R, 16]
        hidden = rows.pad(self.patch_level(tokens, rows, self.embedding, dtype))  # [B, T', D]
        source = self.source_memory(batch, hidden)
        idle = round_up(len(places)) - len(places)
        sample, at = places // longest, places % longest
        sample, at = F.pad(sample, (0, idle)), F.pad(at, (0, idle), value=1)
        before = sample * rows.longest + at - 1
        context = ByteContext(
            tokens=batch.patches[sample, at],
            earlier=self.byte_level.earlier(batch.patches, sample, at),
        )
        x = self.byte_level(
            hidden.flatten(0, 1).index_select(0, before),
            context,
            self.embedding,
            source,
            places,
            longest,
        )  # [P + idle, 16, W]
        mask = batch.loss_mask.view(-1, PATCH_SIZE)[places]  # [P, 16]
        within = mask.flatten().nonzero()[:, 0]
        where = (places[:, None] * PATCH_SIZE + torch.arange(16, device=places.device))[mask]
        padded = F.pad(within, (0, round_up(len(within)) - len(within)))
        x = x.reshape(-1, x.shape[-1]).index_select(0, padded)
        logits = self.byte_level.logits(x, self.embedding)[: len(within)]
        return logits, batch.patches.view(-1)[where], where

    def source_memory(self, batch: PatchBatch, hidden: Tensor) -> SourceMemory | None:
        """Return what byte positions may read of the sources; `hidden [B, T, D]`, padded.

        None if the model does not attend to sources, or the batch has none.
        """
        most = int(batch.source_patches.max())
        if not self.config.source_attention or not most:
            return None
        most = min(round_up(most, least=2), hidden.shape[1] - 1, batch.patches.shape[1] - 1)
        assert self.embedding is not None
        tokens = batch.patches[:, 1 : 1 + most]  # [B, most, 16]
        is_source = torch.arange(most, device=tokens.device) < batch.source_patches[:, None]
        valid = (is_source[:, :, None] & (tokens != EOP)).flatten(1)
        return self.byte_level.source_memory(hidden[:, 1 : 1 + most], tokens, valid, self.embedding)


class PatchLevel(nn.Module):
    """The decoder over patches."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.patch_width
        if config.byte_embedding is None:
            self.table = nn.Parameter(torch.empty(PATCH_SIZE * NUM_TOKENS, width))
            self.table_bias = nn.Parameter(torch.zeros(width))
        else:
            self.join = Linear(PATCH_SIZE * config.byte_embedding, width, bias=config.biases)
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.empty(config.max_patches, width))
        self.blocks = nn.ModuleList(
            Block(config, width, config.patch_heads, config.patch_ffn)
            for _ in range(config.patch_layers)
        )
        self.norm = make_norm(config, width)

    def embed(
        self, tokens: Tensor, at: Tensor, embedding: nn.Embedding | None, dtype: torch.dtype
    ) -> Tensor:
        """Return `[N, D]` of patches `tokens [N, 16]` that stand at positions `at [N]`."""
        if embedding is None:
            # A one-hot vector times a matrix is a sum of 16 look-ups.
            offsets = torch.arange(PATCH_SIZE, device=tokens.device) * NUM_TOKENS
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
        self, tokens: Tensor, rows: Ragged, embedding: nn.Embedding | None, dtype: torch.dtype
    ) -> Tensor:
        """Return `[N, D]`: what each patch and all before it say of the next one."""
        at = rows.positions()
        x = self.embed(tokens, at, embedding, dtype)
        for block in self.blocks:
            q, k, v = block.attention.heads(block.norm_1(x), self.rotary_positions(at))
            mixed = attend_causal(rows.pad(q), rows.pad(k), rows.pad(v))
            x = x + block.attention.out(rows.flatten(mixed).flatten(1))
            x = x + block.feed_forward(block.norm_2(x))
        return self.norm(x)


@dataclass(frozen=True, kw_only=True, slots=True)
class ByteContext:
    """Raw tokens around a scored patch."""

    tokens: Tensor
    """`[P, 16]` the patch itself; its last token is never read."""
    earlier: Tensor
    """`[P, 16 * ceil(window / 16)]` (at least 16 with `prev`) tokens right before it."""


class ByteLevel(nn.Module):
    """The decoder over the 16 bytes of a patch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.byte_width
        self.num_earlier = max(-(-config.window // PATCH_SIZE), 1 if config.prev else 0)
        if config.byte_embedding is None:
            self.table = nn.Embedding(NUM_TOKENS, width)
        if config.patch_at_every_byte:
            self.from_patch = Linear(config.patch_width, PATCH_SIZE * width)
        else:
            # Row 16 would belong to the 16th byte, which nothing follows; the paper keeps it.
            self.positions = nn.Parameter(torch.empty(PATCH_SIZE + 1, width))
        if config.byte_embedding is not None:
            if not config.window:
                self.from_byte = Linear(config.byte_embedding, width, bias=False)
            else:
                self.to_window = Linear(config.byte_embedding, config.window_width, bias=False)
                self.from_window = Linear(config.window * config.window_width, width, bias=False)
            if config.prev:
                self.from_prev = Linear(config.byte_embedding, width, bias=False)
        if config.prev_layers:
            self.prev_patch = Linear(config.patch_width, PATCH_SIZE * width)
            self.prev_blocks = nn.ModuleList(
                Block(config, width, config.byte_heads, config.byte_ffn)
                for _ in range(config.prev_layers)
            )
            self.prev_out = Linear(width, width, bias=False)
        self.blocks = nn.ModuleList(
            Block(config, width, config.byte_heads, config.byte_ffn)
            for _ in range(config.byte_layers)
        )
        if config.source_attention:
            assert config.byte_embedding is not None
            self.source_byte = Linear(config.byte_embedding, width, bias=False)
            self.source_patch = Linear(config.patch_width, PATCH_SIZE * width)
            self.source_kv = Linear(width, 2 * width, bias=config.biases)
            self.source_q = Linear(width, width, bias=config.biases)
            self.source_out = Linear(width, width, bias=config.biases)
        self.norm = make_norm(config, width)
        if not config.tied_head:
            self.head = Linear(width, NUM_TOKENS, bias=False)

    def earlier(self, patches: Tensor, sample: Tensor, at: Tensor) -> Tensor:
        """Return the tokens `[P, 16 * n]` right before patches `at [P]` of samples `sample [P]`."""
        parts = [
            torch.where((at >= back)[:, None], patches[sample, (at - back).clamp(min=0)], EOP)
            for back in range(self.num_earlier, 0, -1)
        ]
        return torch.cat(parts, dim=1) if parts else patches.new_zeros(len(at), 0)

    def known_inputs(
        self, hidden: Tensor, earlier: Tensor, embedding: nn.Embedding | None
    ) -> Tensor:
        """Return `[P, 16, W]`: what enters every position and is known before the patch begins."""
        config, dtype = self.config, hidden.dtype
        if config.patch_at_every_byte:
            x = self.from_patch(hidden).view(-1, PATCH_SIZE, config.byte_width)
        else:
            x = F.pad(hidden[:, None], (0, 0, 0, PATCH_SIZE - 1))
            x = x + self.positions[:PATCH_SIZE].to(dtype)
        if not config.prev:
            return x
        assert embedding is not None
        prev = self.from_prev(embedding(earlier[:, -PATCH_SIZE:]).to(dtype))
        x = x + prev
        if config.prev_layers:
            prev = prev + self.prev_patch(hidden).view(-1, PATCH_SIZE, config.byte_width)
            for block in self.prev_blocks:
                q, k, v = block.attention.heads(block.norm_1(prev))
                prev = prev + block.attention.out(attend_plain(q, k, v, None).flatten(2))
                prev = prev + block.feed_forward(block.norm_2(prev))
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
        """Return `[P, 16, W]`, what enters the first block at every byte position."""
        x = self.known_inputs(hidden, context.earlier, embedding)
        stream = context.tokens[:, :-1]
        if self.config.window:
            stream = torch.cat((context.earlier, stream), dim=1)
            stream = stream[:, -(self.config.window + PATCH_SIZE - 1) :]
            return x + self.byte_inputs(stream, PATCH_SIZE, embedding, x.dtype)
        # Nothing of the patch is known yet at position 0.
        bytes_before = self.byte_inputs(stream, PATCH_SIZE - 1, embedding, x.dtype)
        return x + F.pad(bytes_before, (0, 0, 1, 0))

    def source_memory(
        self, hidden: Tensor, tokens: Tensor, valid: Tensor, embedding: nn.Embedding
    ) -> SourceMemory:
        """Return keys and values of source patches `tokens [B, S, 16]` with `hidden [B, S, D]`."""
        width, num_heads = self.config.byte_width, self.config.source_heads
        x = self.source_byte(embedding(tokens).to(hidden.dtype))
        x = x + self.source_patch(hidden).view(*tokens.shape, width)
        kv = self.source_kv(rms_norm(x)).view(len(tokens), -1, 2, num_heads, width // num_heads)
        k, v = kv.unbind(2)
        return SourceMemory(keys=rms_norm(k), values=v, valid=valid)

    def forward(
        self,
        hidden: Tensor,
        context: ByteContext,
        embedding: nn.Embedding | None,
        source: SourceMemory | None,
        places: Tensor,
        longest: int,
    ) -> Tensor:
        """Return `[P, 16, W]` before the head, of patches that follow `hidden [P, D]`.

        `places` (ascending) says which patch of the padded batch `[B * longest]` each one is;
        further rows are idle.
        """
        x = self.inputs(hidden, context, embedding)
        mask = causal_mask(PATCH_SIZE, x.dtype, x.device)
        if source is not None:
            counts = torch.bincount(places // longest, minlength=len(source.valid))
            rows = replace(ragged(counts), num_rows=len(x))
            patch_of_byte = 1 + torch.arange(source.valid.shape[1], device=x.device) // PATCH_SIZE
            at = rows.pad((places % longest)[:, None])  # [B, Pmax, 1]
            visible = source.valid[:, None] & (patch_of_byte < at)
            x = x + rows.flatten(self.read_source(rows.pad(x), source, visible))
        for block in self.blocks:
            q, k, v = block.attention.heads(block.norm_1(x))
            x = x + block.attention.out(attend_plain(q, k, v, mask).flatten(2))
            x = x + block.feed_forward(block.norm_2(x))
        return self.norm(x)

    def logits(self, x: Tensor, embedding: nn.Embedding | None) -> Tensor:
        """Return `[..., 257]` of `x [..., W]`."""
        if not self.config.tied_head:
            return self.head(x)
        table = self.table if embedding is None else embedding
        return F.linear(x, table.weight.to(x.dtype))

    def read_source(self, x: Tensor, source: SourceMemory, visible: Tensor) -> Tensor:
        """Attend from byte positions `x [B, Q, C, W]` to source bytes `visible [B, Q, L]`.

        Q patches with C positions each. A patch that sees no byte reads zero.
        """
        num_samples, num_queries, num_positions, width = x.shape
        q = self.source_q(rms_norm(x)).view(num_samples, num_queries * num_positions, self.config.source_heads, -1)
        some = visible.any(dim=2)
        # All of -inf would be NaN: a patch that sees nothing looks at byte 0 and is zeroed after.
        mask = torch.where(visible, 0.0, -1e9).to(x.dtype)  # [B, Q, L]
        mask = mask.repeat_interleave(num_positions, dim=1)[:, None]  # [B, 1, Q * C, L]
        mixed = attend_plain(rms_norm(q), source.keys, source.values, mask)
        mixed = mixed.reshape(num_samples, num_queries, num_positions, width)
        return self.source_out(mixed * some[..., None, None])


@torch.no_grad()
def initialise(model: Bgpt) -> None:
    """Draw all weights from torch's global generator: GPT-2's way, or the compact one's."""
    config = model.config
    gpt2 = config.byte_embedding is None
    for name, parameter in model.named_parameters():
        leaf = name.rsplit(".", 1)[-1]
        if leaf in ("bias", "table_bias"):
            parameter.zero_()
        elif parameter.dim() == 1:
            parameter.fill_(1.0)
        elif config.zero_init_outputs and (
            name.endswith(("attention.out.weight", "down.weight", "source_out.weight"))
        ):
            parameter.zero_()
        elif gpt2 or leaf == "positions":
            parameter.normal_(0.0, 0.02)
        elif name == "embedding.weight":
            parameter.normal_(0.0, 0.5)
            if config.numeric_bytes:
                codes = numeric_codes()
                parameter[:256, : codes.shape[1]] = codes * 0.7
        elif name == "byte_level.head.weight":
            parameter.normal_(0.0, 0.3 * parameter.shape[1] ** -0.5)
            if config.numeric_bytes:
                codes = numeric_codes()
                parameter[:256, : codes.shape[1]] = codes * 0.5 * parameter.shape[1] ** -0.5
        else:
            parameter.normal_(0.0, parameter[0].numel() ** -0.5)


def numeric_codes() -> Tensor:
    """Return `[256, 40]` codes of every byte value: its bits, waves of its size, and ramps."""
    value = torch.arange(256, dtype=torch.float32)
    bits = (value[:, None].long() >> torch.arange(8)) % 2 * 2.0 - 1.0
    periods = 2.0 ** torch.arange(2, 10)
    angles = 2 * torch.pi * value[:, None] / periods
    ramps = torch.tanh((value[:, None] - torch.linspace(0, 255, 16)) / 24)
    return torch.cat((bits, angles.sin(), angles.cos(), ramps), dim=1)
