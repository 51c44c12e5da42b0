"""Teacher-forced figures of a model over files: of a corpus side, or of single files.

Sums are taken per file in float64 and added up in order, so the figure of a file does not depend
on what else is evaluated, beyond the last digits of a batch's arithmetic. The benchmark's metrics
with their standard errors are `benchmarks.metrics`; this is for watching a run, or a quick look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from bgpt.bits_per_byte import authors_nats_per_token, bits_per_byte
from bgpt.checkpoint import load_model, read_config
from bgpt.data import SampleView, TrainingSample, patch_batch
from bgpt.model import Bgpt
from bgpt.patching import LossRegion, TooLong, collate, layout, num_patches
from bgpt.protocol import EOP
from bgpt.ranks import ALONE, Ranks
from bgpt.telemetry import Evaluation
from pipelines.corpus import Corpus
from pipelines.sample import Segment

MAX_BATCH_PATCHES = 2048
"""Patches in one batch of evaluation, padding included; bounds memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileScore:
    """One file's figures, as `bgpt eval` prints them."""

    file: str
    bytes: int
    total_nats: float
    """-log p of all bytes of the file and of the `EOP` that ends it."""
    bits_per_byte: float
    authors_nats_per_token: float
    """The authors' mean over all tokens, padding included; lower by the share of padding."""


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
    model: Bgpt, samples: Sequence[TrainingSample], device: str = "cpu", ranks: Ranks = ALONE
) -> Evaluation:
    """Return the figures over the scored regions of `samples`; every rank weighs its share.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError("there is nothing to evaluate on")
    nats, num_bytes, num_right = 0.0, 0, 0
    batches = _batches(samples)
    share = ranks.share(batches)
    for batch_samples in share:
        batch = patch_batch(batch_samples, "target").to(device)
        scores = model.score(batch)
        is_byte = batch.loss_mask & (batch.patches != EOP)
        nats += float(scores.nats.double().sum())
        num_bytes += batch.num_bytes
        num_right += int((is_byte & (scores.predicted == batch.patches)).sum())
    if ranks.is_sharded and len(share) * ranks.count < len(batches):
        # Another rank has one batch more, and can gather weights with all of them alone.
        model.score(patch_batch(batches[0], "target").to(device))
    nats, all_bytes, all_right = ranks.sums(nats, num_bytes, num_right)
    return Evaluation(
        bits_per_byte=bits_per_byte(nats, int(all_bytes)),
        byte_accuracy=all_right / all_bytes,
        n=len(samples),
    )


def evaluate_corpus(model: Path, corpus: Path, limit: int) -> Evaluation:
    """Return the figures of the model in folder `model` over the first `limit` test samples.

    Conversions go in the directions that the model was trained on.

    Raises:
        CheckpointError, CorpusError: a folder that cannot be used.
        ValueError: the model was trained on another kind of corpus.
    """
    opened = Corpus.open(corpus)
    directions: object = read_config(model)[1].get("directions")
    view = SampleView(
        opened.side("test"),
        extensions=opened.extensions,
        prompt_bytes=opened.prompt_bytes,
        directions=cast("dict[str, float]", directions) if isinstance(directions, dict) else {},
    )
    loaded = load_model(model)
    view.check_lengths(loaded.config.max_patches)
    return evaluate(loaded, evaluation_samples(view, limit))


def score_file(model: Bgpt, name: str, file: Segment) -> FileScore:
    """Return the figures of one whole file.

    Raises:
        ValueError: the file is empty or too long for the model.
    """
    if not file.data:
        raise ValueError(f"{name}: is empty; there is no bits per byte of no bytes")
    nats = {region: _file_nats(model, name, file, region) for region in ("target", "tokens")}
    return FileScore(
        file=name,
        bytes=len(file.data),
        total_nats=nats["target"],
        bits_per_byte=bits_per_byte(nats["target"], len(file.data)),
        authors_nats_per_token=authors_nats_per_token(nats["tokens"], num_patches([file])),
    )


def _file_nats(model: Bgpt, name: str, file: Segment, region: LossRegion) -> float:
    """Return -log p of a file's tokens in `region`."""
    try:
        patched = layout([file], loss=region, max_patches=model.config.max_patches)
    except TooLong as error:
        raise TooLong(f"{name}: {error}") from error
    return float(model.score(collate([patched])).nats.to(torch.float64).sum())


def _batches(samples: Sequence[TrainingSample]) -> list[list[TrainingSample]]:
    """Return the samples in batches of like length."""
    ordered = sorted(samples, key=lambda sample: num_patches(sample.segments))
    batches: list[list[TrainingSample]] = [[]]
    for sample in ordered:
        if (len(batches[-1]) + 1) * num_patches(sample.segments) > MAX_BATCH_PATCHES:
            batches.append([])
        batches[-1].append(sample)
    return [batch for batch in batches if batch]
