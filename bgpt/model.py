# pyright: reportUnknownMemberType=false
"""bGPT: patches of 16 bytes through a patch-level decoder, then a byte-level decoder.

One class for the paper's architecture and for the compact relative; `ModelConfig` says which parts
are in. It holds no training loop, no decoding loop and no files. Only patches that carry loss go
through the byte level, and padding goes through nothing but attention.

Shapes: B samples, T patches of the longest, N patches in all, P scored patches, C bytes a patch
(`patch_size`), D patch width, W byte width, E width of the shared byte embedding.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bgpt.byte_level import ByteContext, ByteLevel, SourceMemory
from bgpt.config import ModelConfig
from bgpt.layers import fast_dtype, ragged, round_up, take_rows
from bgpt.packing import packed
from bgpt.patch_level import PatchLevel
from bgpt.patching import PatchBatch
from bgpt.protocol import NUM_TOKENS


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
    """`[B, T, C]` float32, -log p; 0 where nothing is scored."""
    predicted: Tensor
    """`[B, T, C]` int64, the likeliest token; -1 where nothing is scored."""


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
        dtype = fast_dtype(batch.patches.device.type) if self.config.bf16 else torch.float32
        logits, targets, _ = self._scored_logits(batch, dtype)
        nats = F.cross_entropy(logits.float(), targets, reduction="sum")
        return LossSums(nats=nats, num_tokens=len(targets), num_bytes=batch.num_bytes)

    def sample_nats(self, batch: PatchBatch) -> Tensor:
        """Return `[B]` the loss of every sample in nats; its sum is that of `loss`."""
        dtype = fast_dtype(batch.patches.device.type) if self.config.bf16 else torch.float32
        logits, targets, where = self._scored_logits(batch, dtype)
        nats = F.cross_entropy(logits.float(), targets, reduction="none")
        sample = where // batch.patches[0].numel()
        return nats.new_zeros(len(batch.patches)).index_add(0, sample, nats)

    @torch.no_grad()
    def score(self, batch: PatchBatch, dtype: torch.dtype = torch.float32) -> TokenScores:
        """Return nats and the likeliest token of every scored token, computed in `dtype`."""
        logits, targets, where = self._scored_logits(batch, dtype)
        logits = logits.float()
        nats = batch.patches.new_zeros(batch.patches.shape, dtype=torch.float32)
        predicted = torch.full_like(batch.patches, -1)
        nats.view(-1)[where] = F.cross_entropy(logits, targets, reduction="none")
        predicted.view(-1)[where] = logits.argmax(dim=-1)
        return TokenScores(nats=nats, predicted=predicted)

    def token_nats(self, batch: PatchBatch) -> Tensor:
        """Return -log p `[B, T, C]` of every scored token, 0 elsewhere."""
        return self.score(batch).nats

    def num_parameters(self) -> int:
        """Return how many numbers the model holds."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _scored_logits(
        self, batch: PatchBatch, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits `[S, 257]` and targets `[S]` of the scored tokens, and their places."""
        longest, size = batch.patches.shape[1:]
        assert size == self.config.patch_size, "samples were laid out for another patch_size"
        places = batch.loss_mask.any(dim=2).flatten().nonzero()[:, 0]  # [P] in B * T
        # Nothing is predicted from a row's last patch, so the patch level stops one before.
        lengths = (batch.num_patches - 1).clamp(min=1)
        rows = ragged(lengths)
        shared = packed(lengths, rows, dtype) if batch.is_packed else None
        tokens = take_rows(batch.patches, rows)  # [R, C]
        hidden = rows.pad(self.patch_level(tokens, rows, self.embedding, dtype, shared))
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
        )  # [P + idle, C, W]
        mask = batch.loss_mask.flatten(0, 1)[places]  # [P, C]
        within = mask.flatten().nonzero()[:, 0]
        where = (places[:, None] * size + torch.arange(size, device=places.device))[mask]
        padded = F.pad(within, (0, round_up(len(within)) - len(within)))
        x = x.reshape(-1, x.shape[-1]).index_select(0, padded)
        logits = self.byte_level.logits(x, self.embedding)[: len(within)]
        return logits, batch.patches.flatten()[where], where

    def source_memory(self, batch: PatchBatch, hidden: Tensor) -> SourceMemory | None:
        """Return what byte positions may read of the sources; `hidden [B, T, D]`, padded.

        None if the model does not attend to sources, or the batch has none.
        """
        most = int(batch.source_patches.max())
        if not self.config.source_attention or not most:
            return None
        most = min(round_up(most, least=2), hidden.shape[1] - 1, batch.patches.shape[1] - 1)
        assert self.embedding is not None
        tokens = batch.patches[:, 1 : 1 + most]
        return self.byte_level.source_memory(
            hidden[:, 1 : 1 + most], tokens, batch.source_patches, self.embedding
        )


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
        elif name.endswith("value_table.weight") or (
            config.zero_init_outputs
            and name.endswith(("attention.out.weight", "down.weight", "source_out.weight"))
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
