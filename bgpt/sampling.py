"""Which token is written, by chance: temperature, top-k, top-p, and random words without state.

The random word of a token depends on (seed, key of the prompt, position in the file) alone, so a
file does not depend on what is written beside it, in which batch, or in how many steps: what goes
on after a prefix of it is the same. Greedy decoding needs none of this. NumPy only, no torch.

Shapes: B rows, V tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.permutation import derived_seed

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How a token is drawn from the model's scores: `top_k` first, then `top_p`.

    Raises:
        ValueError: a value is out of range.
    """

    temperature: float = 1.0
    """Scores are divided by it: below 1 likely tokens are favoured, above 1 unlikely ones."""
    top_k: int | None = None
    """Only the likeliest so many tokens, of 257; None: all. 1 is greedy decoding."""
    top_p: float | None = None
    """Only the likeliest tokens that together reach this probability, at least one; None: all."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be above 0, not {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")


def stream_seeds(seed: int, keys: Sequence[int | str]) -> NDArray[np.uint64]:
    """Return `[B]`: where the random words of each prompt begin; `keys` tell prompts apart."""
    return np.array([derived_seed(seed, "sampling", key) for key in keys], np.uint64)


def random_words(seeds: NDArray[np.uint64], positions: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return `[B]` words of 64 random bits: output `positions` of SplitMix64 from `seeds`."""
    z = seeds + (positions.astype(np.uint64) + np.uint64(1)) * _GAMMA
    z = (z ^ (z >> np.uint64(30))) * _MULTIPLIERS[0]
    z = (z ^ (z >> np.uint64(27))) * _MULTIPLIERS[1]
    return z ^ (z >> np.uint64(31))


def draw(
    logits: NDArray[np.float32], words: NDArray[np.uint64], sampling: Sampling
) -> NDArray[np.int64]:
    """Return a token `[B]` for every row of `logits [B, V]`, by inversion in the order of tokens.

    That order, unlike one by probability, does not turn over when two scores differ by rounding.
    """
    cumulative = np.cumsum(probabilities(logits, sampling), axis=1)
    # 53 bits make every float in [0, 1) equally likely; the total is 1 up to rounding.
    fractions = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    targets = fractions * cumulative[:, -1]
    return (cumulative <= targets[:, None]).sum(axis=1)


def probabilities(logits: NDArray[np.float32], sampling: Sampling) -> NDArray[np.float64]:
    """Return `[B, V]` probabilities of all tokens, 0 for those that are left out."""
    scaled = logits.astype(np.float64) / sampling.temperature
    p = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    if sampling.top_k is None and sampling.top_p is None:
        return p
    order = np.argsort(-p, axis=1, kind="stable")  # of equal ones the lower token first
    descending = np.take_along_axis(p, order, axis=1)
    if sampling.top_k is not None:
        descending[:, sampling.top_k :] = 0
        descending /= descending.sum(axis=1, keepdims=True)
    if sampling.top_p is not None:
        before = np.cumsum(descending, axis=1) - descending
        descending[before >= sampling.top_p] = 0
        descending /= descending.sum(axis=1, keepdims=True)
    kept = np.zeros_like(p)
    np.put_along_axis(kept, order, descending, axis=1)
    return kept
