"""Teacher-forced figures of a model over samples of a corpus.

Sums are taken per batch in float64 and added up in order, so a figure does not depend on how
samples are batched, beyond the last digits of a batch's arithmetic. The benchmark's metrics with
their standard errors are `benchmarks.metrics`; this is for watching a run. `bgpt.weigh` weighs
files.
"""

import math
from collections.abc import Sequence
from typing import final

import torch

from bgpt.bits_per_byte import bits_per_byte
from bgpt.config import PATCH_SIZE
from bgpt.data import SampleStream, SampleView, TrainingSample, patch_batch
from bgpt.model import Bgpt
from bgpt.patching import TooLong, num_patches
from bgpt.protocol import EOP
from bgpt.ranks import ALONE, Ranks
from bgpt.telemetry import Evaluation

MAX_BATCH_PATCHES = 2048
"""Patches of 16 bytes in one batch of evaluation, padding included; bounds memory."""


class NotFinite(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """Samples to which a model gives no probability; the message has their keys."""


def evaluation_samples(
    view: SampleView, limit: int, max_patches: int | None = None
) -> list[TrainingSample]:
    """Return the first `limit` samples, each once in every direction that is trained.

    Raises:
        TooLong: one of them takes more than `max_patches` patches.
    """
    count = min(limit, len(view))
    directions = view.directions or (None,)
    samples = [view.sample(index, direction) for index in range(count) for direction in directions]
    for sample in samples:
        length = num_patches(sample.segments, view.patch_size)
        if max_patches is not None and length > max_patches:
            raise TooLong(
                f"test sample {sample.key} takes {length} patches, and the model reads at most "
                f"{max_patches}; raise model.max_patches, or set train.too_long: drop"
            )
    return samples


def evaluate(
    model: Bgpt,
    samples: Sequence[TrainingSample],
    device: str = "cpu",
    ranks: Ranks = ALONE,
    dtype: torch.dtype = torch.float32,
) -> Evaluation:
    """Return the figures over the scored regions of `samples`; every rank weighs its share.

    The model computes in `dtype`; a run's own evaluation is always in float32.

    Raises:
        ValueError: there are no samples.
        NotFinite: on every rank, if the loss of a sample is not finite.
    """
    if not samples:
        raise ValueError("there is nothing to evaluate on")
    odd: list[str] = []
    nats, num_bytes, num_right = 0.0, 0, 0
    patch_size = model.config.patch_size
    batches = _batches(samples, patch_size)
    share = ranks.share(batches)
    for batch_samples in share:
        batch = patch_batch(batch_samples, "target", patch_size=patch_size).to(device)
        scores = model.score(batch, dtype)
        is_byte = batch.loss_mask & (batch.patches != EOP)
        nats += float(scores.nats.double().sum())
        is_finite = scores.nats.isfinite().flatten(1).all(dim=1)  # [B]
        odd += [sample.key for i, sample in enumerate(batch_samples) if not bool(is_finite[i])]
        num_bytes += batch.num_bytes
        num_right += int((is_byte & (scores.predicted == batch.patches)).sum())
    if ranks.is_sharded and len(share) * ranks.count < len(batches):
        # Another rank has one batch more, and can gather weights with all of them alone.
        model.score(patch_batch(batches[0], "target", patch_size=patch_size).to(device), dtype)
    nats, all_bytes, all_right = ranks.sums(nats, num_bytes, num_right)
    if not math.isfinite(nats):
        shown = ", ".join(odd[:8]) + (", ..." if len(odd) > 8 else "")
        raise NotFinite(
            f"the loss is not finite on {len(odd)} samples of evaluation: {shown}"
            if odd
            else "the loss is not finite on samples of evaluation that another rank weighs"
        )
    return Evaluation(
        bits_per_byte=bits_per_byte(nats, int(all_bytes)),
        byte_accuracy=all_right / all_bytes,
        n=len(samples),
    )


@final
class Evaluations:
    """Figures of a model over the first `limit` samples of every corpus of a side; 0: none."""

    def __init__(self, side: SampleStream, limit: int, max_patches: int, ranks: Ranks) -> None:
        self._limit, self._ranks = limit, ranks
        self._samples = {
            name: evaluation_samples(view, limit, max_patches) for name, view in side.parts.items()
        }

    def of(self, model: Bgpt) -> tuple[Evaluation | None, dict[str, Evaluation]]:
        """Return those over all samples, and by corpus where several are mixed.

        Raises:
            ValueError: there are no samples, though some are asked for.
        NotFinite: the loss of a sample is not finite.
        """
        if not self._limit:
            return None, {}
        every = [sample for samples in self._samples.values() for sample in samples]
        device = str(next(model.parameters()).device)
        model.eval()
        by_corpus = {
            name: evaluate(model, samples, device, self._ranks)
            for name, samples in self._samples.items()
            if name
        }
        whole = evaluate(model, every, device, self._ranks)
        model.train()
        return whole, by_corpus


def _batches(samples: Sequence[TrainingSample], patch_size: int) -> list[list[TrainingSample]]:
    """Return the samples in batches of like length."""
    most = MAX_BATCH_PATCHES * PATCH_SIZE // patch_size
    ordered = sorted(samples, key=lambda sample: num_patches(sample.segments, patch_size))
    batches: list[list[TrainingSample]] = [[]]
    for sample in ordered:
        if (len(batches[-1]) + 1) * num_patches(sample.segments, patch_size) > most:
            batches.append([])
        batches[-1].append(sample)
    return [batch for batch in batches if batch]
