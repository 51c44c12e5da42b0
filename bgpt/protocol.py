"""What a byte model is to the benchmark: it weighs given bytes, and it writes bytes. No torch.

A model of ours, an n-gram, a compressor and a fixed rule all answer the same two calls. What a
model cannot say (a rule has no probabilities, a compressor no best byte) is `None`, and the
benchmark shows "n/a" for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipelines.sample import Segment

EOP = 256
"""Token that ends a file; 0..255 are the byte values."""
NUM_TOKENS = 257


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """What is given before the bytes in question."""

    source: Segment | None
    """A whole file that comes first (conversion), or none (simulation)."""
    extension: str
    """Extension of the file to be written; given, never scored."""
    given: bytes
    """The first bytes of that file that are given; empty in conversion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Continuation:
    """A teacher-forced request: how likely is exactly this continuation, then the end?"""

    prompt: Prompt
    target: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """The answer to one `Continuation` of `n` target bytes."""

    total_nats: float | None
    """-log p of all target bytes and of the first `EOP` after them, in nats."""
    predicted: NDArray[np.uint16] | None
    """`[n]` likeliest token at each target byte (0..256), every earlier byte given as it is."""
    byte_nats: NDArray[np.float32] | None = None
    """`[n]` -log p of each target byte, in nats; with that of the `EOP` they are `total_nats`."""


@runtime_checkable
class ByteModel(Protocol):
    """Anything that the benchmark can score."""

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        """Weigh every continuation; results stand in the order of the requests."""
        ...

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:
        """Write greedily after each prompt until `EOP`, at most `max_bytes[i]` bytes; or `None`."""
        ...
