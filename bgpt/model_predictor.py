# pyright: reportUnknownMemberType=false
"""A trained model as a predictor for compression: its distributions along the decoder's own path.

Every byte is foretold by `bgpt.decoder` as if it were being written, with the caches of both levels
and the same pieces in the batch, so compressing and decompressing run the very same products. They
run on one thread on the CPU, whatever torch is set to: how a sum is split moves its last bits.
Weights are read when they are first needed, and only if they fit into memory.
"""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final, final

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from bgpt.checkpoint import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    load_model,
    model_folder,
    read_config,
)
from bgpt.config import ModelConfig
from bgpt.counts import count_parameters
from bgpt.decoder import Batch, Decoder
from bgpt.decoding_copy import DecodingModel, decoding_threads, prepare
from bgpt.entropy_coding import ChooseBytes, Context
from bgpt.patching import TooLong, num_patches
from bgpt.protocol import EOP, Prompt
from pipelines.sample import Segment

_STEERING: Final = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")
"""Variables of the environment that choose another kernel for a product."""
_FLOAT_BYTES: Final = 4


class TooLargeForMemory(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """A model that cannot be run here; the message says how much it needs."""


def available_memory() -> int:
    """Return how many bytes can be had without swapping."""
    return psutil.virtual_memory().available


@final
class ModelPredictor:
    """The model in a folder, as a `Predictor`."""

    def __init__(self, path: Path, available: Callable[[], int] | None = None) -> None:
        """Read what the model is, and hash it.

        Raises:
            CheckpointError: `path` is no model.
        """
        self.path = path
        self.config, _ = read_config(path)
        self.identity = model_identity(path)
        self.build = numerical_build()
        self._available = available or available_memory
        self._ready: DecodingModel | None = None

    def piece_bytes(self, context: Context) -> int:
        """Return what fits between all that is given and the end patch.

        Raises:
            TooLong: what is given leaves no room.
        """
        size = self.config.patch_size
        used = num_patches(_segments(context), size)
        room = (self.config.max_patches - used) * size + -len(context.begin) % size
        if room < 1:
            raise TooLong(
                f"what is given takes {used} of the {self.config.max_patches} patches that the "
                f"model {self.path} reads; nothing can follow it"
            )
        return room

    def predict(self, context: Context, lengths: Sequence[int], choose: ChooseBytes) -> None:
        """Ask for every byte of pieces of such lengths; see `Predictor`.

        Raises:
            CheckpointError: the weights cannot be read.
            TooLargeForMemory: model and caches do not fit.
            ValueError: the model gives no probabilities.
        """
        if self._ready is None:
            first = num_patches(_segments(context), self.config.patch_size)
            self._require_memory(len(lengths), first)
            # In evaluation, one thread: see above.
            self._ready = replace(prepare(load_model(self.path)), threads=1)

        def answer(
            rows: NDArray[np.int64],
            positions: NDArray[np.int64],  # noqa: ARG001
            logits: Tensor,
        ) -> NDArray[np.int64]:
            return choose(rows, self._weights(logits))

        prompt = Prompt(source=context.given, extension=context.extension, given=context.begin)
        batch = Batch(
            numbers=range(len(lengths)), prompts=[prompt] * len(lengths), max_bytes=lengths
        )
        with decoding_threads(self._ready):
            Decoder(self._ready.model, batch, answer, _nothing).run()

    def _weights(self, logits: Tensor) -> NDArray[np.float32]:
        """Return `[B, 256]` of `logits [B, 257]`: every byte beside the likeliest, which is 1.

        The end mark is left out: where a file ends, its length says.
        """
        scores = logits[:, :EOP].numpy()
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        if not np.isfinite(weights).all():
            raise ValueError(f"{self.path}: gives a byte no probability; its numbers overflow")
        return weights

    def _require_memory(self, pieces: int, first_patches: int) -> None:
        needed = needed_memory(self.config, pieces, first_patches)
        available = self._available()
        if needed > available:
            raise TooLargeForMemory(
                f"{self.path}: needs about {_size(needed)} of memory, and {_size(available)} are "
                "free here; close other programs, or take a smaller model"
            )


def model_identity(path: Path) -> bytes:
    """Return the sha256 of a model's sizes and weights; where it lies and its history do not count.

    Raises:
        CheckpointError: a file cannot be read.
    """
    folder = model_folder(path)
    try:
        sizes = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["model"]
        with (folder / WEIGHTS_FILE).open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise CheckpointError(f"{path}: not a whole model: {error}") from error
    return hashlib.sha256(json.dumps(sizes, sort_keys=True).encode() + weights).digest()


def numerical_build() -> str:
    """Return what decides about the last bits of a product, in words."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "constriction"))
    steering = "".join(f", {name}={os.environ[name]}" for name in _STEERING if name in os.environ)
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{packages}, {capability} on {_processor()}, {platform.system()}{steering}"


def needed_memory(config: ModelConfig, pieces: int, first_patches: int) -> int:
    """Return about how many bytes a model takes that foretells so many pieces, by formula.

    Weights count twice: as read beside as loaded, then as loaded beside as laid out for oneDNN.
    Keys and values of a full sequence count with the half that the cache grows by, and one more
    layer that is being copied. `first_patches` are read at once, one row.
    """
    weights = 2 * count_parameters(config).total
    cached = pieces * (config.max_patches * 3 // 2 + 8) * 2 * config.patch_width
    caches = cached * config.patch_layers + cached // 2
    reading = first_patches * (config.patch_ffn + 6 * config.patch_width)
    if config.source_attention:
        reading += 2 * pieces * first_patches * config.patch_size * 2 * config.byte_width
    writing = pieces * (2 * config.patch_size * config.byte_width * (config.byte_layers + 2))
    return _FLOAT_BYTES * (weights + caches + reading + writing)


def _segments(context: Context) -> list[Segment]:
    file = Segment(extension=context.extension, data=context.begin)
    return [file] if context.given is None else [context.given, file]


def _processor() -> str:
    """Return the processor's name, as far as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} ({platform.machine()})"


def _size(num_bytes: int) -> str:
    """Return a size for people.

    >>> _size(1_234_000), _size(5_100_000_000)
    ('1 MB', '5.1 GB')
    """
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{max(num_bytes / 1e6, 1):.0f} MB"


def _nothing(number: int, data: bytes) -> None:
    """Show nothing."""
