# pyright: reportUnknownMemberType=false
"""Weighing files with a finished model: what `bgpt eval` prints, in float32 or in bfloat16.

A model is weighed through a copy of it whose weights are laid out for oneDNN, once for all files.
In float32 that moves a figure in its last digits. In bfloat16 it takes a quarter of the time on a
processor that multiplies it fast, and moves the fourth digit or so (docs/training.md has figures),
so it is asked for. A run's own evaluation is `bgpt.evaluate`, which this leaves alone.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from bgpt.bits_per_byte import authors_nats_per_token, bits_per_byte
from bgpt.checkpoint import load_model, read_config
from bgpt.data import DIRECTIONS, SampleView
from bgpt.decoding_copy import prepare
from bgpt.evaluate import evaluate, evaluation_samples
from bgpt.layers import Linear, fast_dtype
from bgpt.model import Bgpt
from bgpt.patching import TooLong, collate, layout, num_patches
from bgpt.telemetry import Evaluation
from pipelines.corpus import Corpus
from pipelines.sample import Segment


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


def weighing_dtype(*, bf16: bool, device: str = "cpu") -> torch.dtype:
    """Return the dtype to weigh in on a device of this machine.

    Raises:
        ValueError: `bf16`, and this processor would only emulate it.
    """
    if not bf16:
        return torch.float32
    dtype = fast_dtype(device)
    if dtype != torch.bfloat16:
        raise ValueError(
            "bf16: this processor has no bfloat16 products (AVX-512 BF16 or AMX) and would take "
            "many times as long; weigh in float32 with --no-bf16"
        )
    return dtype


def weighing_copy(model: Bgpt, dtype: torch.dtype, device: str = "cpu") -> Bgpt:
    """Return a model on a device that scores in `dtype` as `model` does; on a CPU only faster."""
    if device != "cpu":
        return model.to(device)
    if dtype != torch.float32:
        model = copy.deepcopy(model)
        for module in model.modules():
            if isinstance(module, Linear):
                module.weight = _cast(module.weight, dtype)
                module.bias = None if module.bias is None else _cast(module.bias, dtype)
    return prepare(model).model


def score_file(
    model: Bgpt, name: str, file: Segment, dtype: torch.dtype = torch.float32
) -> FileScore:
    """Return the figures of one whole file; both come out of one pass.

    Raises:
        ValueError: the file is empty or too long for the model.
    """
    if not file.data:
        raise ValueError(f"{name}: is empty; there is no bits per byte of no bytes")
    size = model.config.patch_size
    try:
        patched = layout(
            [file], loss="tokens", max_patches=model.config.max_patches, patch_size=size
        )
    except TooLong as error:
        raise TooLong(f"{name}: {error}") from error
    batch = collate([patched]).to(next(model.parameters()).device)
    nats = model.score(batch, dtype).nats[0].cpu().double()  # [T, C]
    scored = layout([file], loss="target", patch_size=size).loss_mask
    total_nats = float(nats[torch.from_numpy(scored)].sum())
    return FileScore(
        file=name,
        bytes=len(file.data),
        total_nats=total_nats,
        bits_per_byte=bits_per_byte(total_nats, len(file.data)),
        authors_nats_per_token=authors_nats_per_token(
            float(nats.sum()), num_patches([file], size), size
        ),
    )


def evaluate_corpus(
    model: Path,
    corpus: Path,
    limit: int,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Evaluation:
    """Return the figures of the model in folder `model` over the first `limit` test samples.

    Conversions go in those directions that the model was trained on and the corpus has.

    Raises:
        CheckpointError, CorpusError: a folder that cannot be used.
        ValueError: the model was trained on another kind of corpus.
    """
    opened = Corpus.open(corpus)
    config, provenance = read_config(model)
    directions: object = provenance.get("directions")
    view = SampleView(
        opened.side("test"),
        extensions=opened.extensions,
        prompt_bytes=opened.prompt_bytes,
        directions=(
            _fitting(cast("dict[str, float]", directions), opened)
            if isinstance(directions, dict)
            else {}
        ),
        patch_size=config.patch_size,
    )
    view.check_lengths(config.max_patches)
    samples = evaluation_samples(view, limit)
    ready = weighing_copy(load_model(model), dtype, device)
    return evaluate(ready, samples, device, dtype=dtype)


def _fitting(directions: Mapping[str, float], corpus: Corpus) -> dict[str, float]:
    """Return those directions that convert the pairs of `corpus`; of a mixture, not all do."""
    return {
        name: weight
        for name, weight in directions.items()
        if sorted(DIRECTIONS.get(name, ())) == sorted(corpus.extensions)
    }


def _cast(parameter: Tensor, dtype: torch.dtype) -> nn.Parameter:
    """Return a parameter of another dtype that nothing trains."""
    return nn.Parameter(parameter.detach().to(dtype), requires_grad=False)
