"""Teacher-forced figures of a model over samples of a corpus.

Sums are taken per batch in float64 and added up in order, so a figure does not depend on how
samples are batched, beyond the last digits of a batch's arithmetic. The benchmark's metrics with
their standard errors are `benchmarks.metrics`; this is for watching a run. `bgpt.weigh` weighs
files.
"""

from collections.abc import Sequence

import torch

from bgpt.bits_per_byte import bits_per_byte
from bgpt.data import SampleView, TrainingSample, patch_batch
from bgpt.model import Bgpt
from bgpt.patching import TooLong, num_patches
from bgpt.protocol import EOP
from bgpt.ranks import ALONE, Ranks
from bgpt.telemetry import Evaluation

MAX_BATCH_PATCHES = 2048
"""Patches in one batch of evaluation, padding included; bounds memory."""


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
        length = num_patches(sample.segments)
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
    """
    if not samples:
        raise ValueError("there is nothing to evaluate on")
    nats, num_bytes, num_right = 0.0, 0, 0
    for batch_samples in ranks.share(_batches(samples)):
        batch = patch_batch(batch_samples, "target").to(device)
        scores = model.score(batch, dtype)
        is_byte = batch.loss_mask & (batch.patches != EOP)
        nats += float(scores.nats.double().sum())
        num_bytes += batch.num_bytes
        num_right += int((is_byte & (scores.predicted == batch.patches)).sum())
    nats, all_bytes, all_right = ranks.sums(nats, num_bytes, num_right)
    return Evaluation(
        bits_per_byte=bits_per_byte(nats, int(all_bytes)),
        byte_accuracy=all_right / all_bytes,
        n=len(samples),
    )


def _batches(samples: Sequence[TrainingSample]) -> list[list[TrainingSample]]:
    """Return the samples in batches of like length."""
    ordered = sorted(samples, key=lambda sample: num_patches(sample.segments))
    batches: list[list[TrainingSample]] = [[]]
    for sample in ordered:
        if (len(batches[-1]) + 1) * num_patches(sample.segments) > MAX_BATCH_PATCHES:
            batches.append([])
        batches[-1].append(sample)
    return [batch for batch in batches if batch]
