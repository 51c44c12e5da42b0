# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""A trained model as a `ByteModel`: it weighs continuations and writes them, in float32.

Scores do not depend on which requests share a batch (within float32's last digits): padding enters
nothing, and every sample's nats are summed on their own in float64.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from bgpt.checkpoint import load_model
from bgpt.config import PATCH_SIZE
from bgpt.generate import generate
from bgpt.model import Bgpt
from bgpt.patching import PatchedSample, collate, layout
from bgpt.protocol import EOP, Continuation, Prompt, Scores
from pipelines.sample import Segment

MAX_BATCH_PATCHES = 1024
"""Padded patches of 16 bytes a batch: bounds memory, and is large enough for full speed."""


@final
class TrainedByteModel:
    """A model of ours behind the two calls of `ByteModel`."""

    def __init__(self, model: Bgpt) -> None:
        self.model = model.eval()

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        """Weigh every continuation; results stand in the order of the requests.

        Raises:
            TooLong: a request does not fit the model's sequence.
        """
        samples = [self._layout(request) for request in requests]
        order = sorted(range(len(samples)), key=lambda i: len(samples[i]))
        scores: dict[int, Scores] = {}
        most = MAX_BATCH_PATCHES * PATCH_SIZE // self.model.config.patch_size
        for chosen in _batches(order, [len(sample) for sample in samples], most):
            batch = collate([samples[i] for i in chosen])
            device = next(self.model.parameters()).device
            result = self.model.score(batch.to(device))
            nats = result.nats.double().sum(dim=(1, 2)).tolist()
            byte_nats = result.nats.cpu().numpy()
            predicted = result.predicted.cpu().numpy().astype(np.uint16)
            # The last scored token is the EOP; it costs nats but is no byte.
            is_byte = (batch.loss_mask & (batch.patches != EOP)).numpy()
            for row, i in enumerate(chosen):
                scores[i] = Scores(
                    total_nats=nats[row],
                    predicted=predicted[row][is_byte[row]],
                    byte_nats=byte_nats[row][is_byte[row]],
                )
        return [scores[i] for i in range(len(requests))]

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes]:
        """Write greedily after each prompt until `EOP`, at most `max_bytes[i]` bytes."""
        return generate(self.model, prompts, max_bytes)

    def _layout(self, request: Continuation) -> PatchedSample:
        prompt = request.prompt
        target = Segment(extension=prompt.extension, data=prompt.given + request.target)
        segments = [target] if prompt.source is None else [prompt.source, target]
        config = self.model.config
        return layout(
            segments,
            scored_from=len(prompt.given),
            max_patches=config.max_patches,
            patch_size=config.patch_size,
        )


def load_byte_model(path: Path) -> TrainedByteModel:
    """Read the model in folder `path`: a MODEL, or a RUN that holds one in `model/`.

    Raises:
        CheckpointError: not a model, or a broken one.
    """
    return TrainedByteModel(load_model(path))


def _batches(order: Sequence[int], lengths: Sequence[int], most: int) -> list[list[int]]:
    """Cut `order` (by ascending length) into batches of at most `most` patches."""
    batches: list[list[int]] = []
    for i in order:
        if batches and (len(batches[-1]) + 1) * lengths[i] <= most:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches
