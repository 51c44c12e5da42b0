# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The gradient of one global batch, in parts and over several ranks, as if computed at once.

The loss is the sum over the batch's scored tokens divided by their number in the whole batch, so it
does not matter how samples are dealt (`bgpt.prepared`): to ranks, then to parts. Between ranks
torch's DistributedDataParallel adds gradients up while the last part's backward still runs; where
ranks hold parts of the weights (`bgpt.sharding`), FSDP2 adds up every part's. It moves no weight;
that is `bgpt.optim`.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import cast, final

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from bgpt.model import Bgpt
from bgpt.patching import PatchBatch
from bgpt.prepared import Part, Prepared
from bgpt.protocol import EOP
from bgpt.ranks import ALONE, Ranks


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSums:
    """Loss of one global batch, over all ranks."""

    nats: float
    num_bytes: int
    """Scored tokens that are bytes."""
    nats_by_corpus: dict[str, float]
    """Of mixed corpora; empty otherwise."""
    bytes_by_corpus: dict[str, int]


@final
class Gradients:
    """Fills the gradients of one model. `corpora` are the names of mixed corpora, or none."""

    def __init__(
        self,
        model: Bgpt,
        *,
        device: str = "cpu",
        ranks: Ranks = ALONE,
        corpora: Sequence[str] = (),
    ) -> None:
        self._device, self._ranks, self._corpora = device, ranks, tuple(corpora)
        self._reads_sources = model.config.source_attention
        self._loss: nn.Module = _Loss(model, by_sample=bool(corpora))
        if ranks.count > 1 and not ranks.is_sharded:
            # Only attention to sources can be without use: in a share that has no source.
            unused = model.config.source_attention
            self._loss = DistributedDataParallel(self._loss, find_unused_parameters=unused)

    def close(self) -> None:
        """Let go of what the ranks share, even where an error's traceback holds this object."""
        self._loss = nn.Module()

    def fill(self, share: Prepared) -> BatchSums:
        """Add the gradient of the global batch's mean loss to every parameter."""
        ranks, parts = self._ranks, share.parts
        num_busy = 0 if share.is_idle else len(parts)
        if ranks.is_sharded:
            # Weights are gathered by all ranks, so each goes through the model as often as others.
            parts += parts[-1:] * (ranks.largest(len(parts)) - len(parts))
        total_tokens = int(ranks.sums(sum(part.batch.num_tokens for part in parts[:num_busy]))[0])
        uses_sources = ranks.is_sharded and self._has_sources(parts)
        nats, num_bytes = 0.0, 0
        by_corpus = dict.fromkeys(self._corpora, 0.0)
        bytes_by_corpus = dict.fromkeys(self._corpora, 0)
        for number, part in enumerate(parts):
            batch, is_idle = part.batch, number >= num_busy
            sums, sample_nats = self._backward(
                batch,
                total_tokens,
                is_idle=is_idle,
                is_last=number == len(parts) - 1,
                uses_sources=uses_sources,
            )
            if is_idle:
                continue
            nats += sums
            num_bytes += batch.num_bytes
            if sample_nats is not None:
                sizes = (batch.loss_mask & (batch.patches != EOP)).sum(dim=(1, 2))
                for row, corpus in enumerate(part.corpora):
                    by_corpus[corpus] += float(sample_nats[row])
                    bytes_by_corpus[corpus] += int(sizes[row])
        names = self._corpora
        reduced = ranks.sums(
            nats,
            num_bytes,
            *(by_corpus[name] for name in names),
            *(bytes_by_corpus[name] for name in names),
        )
        return BatchSums(
            nats=reduced[0],
            num_bytes=int(reduced[1]),
            nats_by_corpus=dict(zip(names, reduced[2:], strict=False)),
            bytes_by_corpus=dict(zip(names, map(int, reduced[2 + len(names) :]), strict=True)),
        )

    def _has_sources(self, parts: Sequence[Part]) -> bool:
        """Return whether any rank's parts have a source that the model reads."""
        if not self._reads_sources:
            return False
        most = max(int(part.batch.source_patches.max()) for part in parts)
        return self._ranks.largest(most) > 0

    def _backward(
        self,
        batch: PatchBatch,
        total_tokens: int,
        *,
        is_idle: bool,
        is_last: bool,
        uses_sources: bool,
    ) -> tuple[float, Tensor | None]:
        """Add one part's gradient; return its nats, and those of every sample."""
        loss = self._loss
        # Ranks meet once a step, in the last part's backward.
        alone = isinstance(loss, DistributedDataParallel) and not is_last
        with cast("DistributedDataParallel", loss).no_sync() if alone else nullcontext():
            nats, sample_nats = cast(
                "tuple[Tensor, Tensor | None]",
                loss(batch.to(self._device), uses_sources=uses_sources),
            )
            if is_idle:
                (nats * 0.0).backward()
            elif self._ranks.count == 1 or self._ranks.is_sharded:
                (nats / total_tokens).backward()
            else:
                # DistributedDataParallel takes the mean over ranks; wanted is the sum.
                (nats * (self._ranks.count / total_tokens)).backward()
        return float(nats.detach()), sample_nats


class _Loss(nn.Module):
    """The model's loss as a module's forward, which is what torch wraps."""

    def __init__(self, model: Bgpt, *, by_sample: bool) -> None:
        super().__init__()
        self.model = model
        self._by_sample = by_sample

    def forward(
        self, batch: PatchBatch, *, uses_sources: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Return the summed nats, and `[B]` nats of every sample, without gradient, if wanted.

        `uses_sources` gives what reads sources a gradient, of 0 without one: FSDP2 adds up what
        has a gradient, and hangs where that differs between ranks.
        """
        if self._by_sample:
            nats = self.model.sample_nats(batch)
            total, sample_nats = nats.sum(), nats.detach().to("cpu")
        else:
            total, sample_nats = self.model.loss(batch).nats, None
        if uses_sources:
            for parameter in self.model.byte_level.source_parameters():
                total = total + 0.0 * parameter.sum()
        return total, sample_nats
