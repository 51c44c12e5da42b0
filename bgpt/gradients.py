# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The gradient of one global batch, in parts and over several ranks, as if computed at once.

The loss is the sum over the batch's scored tokens divided by their number in the whole batch, so it
does not matter how samples are dealt (`bgpt.prepared`): to ranks, then to parts. Between ranks
torch's DistributedDataParallel adds gradients up while the last part's backward still runs. It
moves no weight; that is `bgpt.optim`.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import cast, final

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from bgpt.model import Bgpt
from bgpt.patching import PatchBatch
from bgpt.prepared import Prepared
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
        self._loss: nn.Module = _Loss(model, by_sample=bool(corpora))
        if ranks.count > 1:
            # Only attention to sources can be without use: in a share that has no source.
            unused = model.config.source_attention
            self._loss = DistributedDataParallel(self._loss, find_unused_parameters=unused)

    def fill(self, share: Prepared) -> BatchSums:
        """Add the gradient of the global batch's mean loss to every parameter."""
        ranks, is_idle, parts = self._ranks, share.is_idle, share.parts
        num_tokens = 0 if is_idle else sum(part.batch.num_tokens for part in parts)
        total_tokens = int(ranks.sums(num_tokens)[0])
        nats, num_bytes = 0.0, 0
        by_corpus = dict.fromkeys(self._corpora, 0.0)
        bytes_by_corpus = dict.fromkeys(self._corpora, 0)
        for number, part in enumerate(parts):
            batch = part.batch
            sums, sample_nats = self._backward(
                batch, total_tokens, is_idle=is_idle, is_last=number == len(parts) - 1
            )
            if is_idle:
                break
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

    def _backward(
        self, batch: PatchBatch, total_tokens: int, *, is_idle: bool, is_last: bool
    ) -> tuple[float, Tensor | None]:
        """Add one part's gradient; return its nats, and those of every sample."""
        loss = self._loss
        # Ranks meet once a step, in the last part's backward.
        alone = isinstance(loss, DistributedDataParallel) and not is_last
        with cast("DistributedDataParallel", loss).no_sync() if alone else nullcontext():
            nats, sample_nats = cast("tuple[Tensor, Tensor | None]", loss(batch.to(self._device)))
            if is_idle:
                (nats * 0.0).backward()
            elif self._ranks.count == 1:
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

    def forward(self, batch: PatchBatch) -> tuple[Tensor, Tensor | None]:
        """Return the summed nats, and `[B]` nats of every sample, without gradient, if wanted."""
        if not self._by_sample:
            return self.model.loss(batch).nats, None
        nats = self.model.sample_nats(batch)
        return nats.sum(), nats.detach().to("cpu")
