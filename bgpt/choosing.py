# pyright: reportUnknownMemberType=false
"""Who says which token comes next in a batch that is being decoded: the likeliest, or chance.

The decoder computes scores and asks; whoever answers may write them down as well, which is how a
file is compressed along the same path (`bgpt.model_predictor`).

Shapes: B rows, V tokens.
"""

from collections.abc import Sequence
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bgpt.sampling import Sampling, draw, random_words, stream_seeds


class Choose(Protocol):
    """Answers the decoder."""

    def __call__(
        self, rows: NDArray[np.int64], positions: NDArray[np.int64], logits: Tensor
    ) -> NDArray[np.int64]:
        """Return the next token `[B]` of prompts `rows [B]`, given its scores `logits [B, V]`.

        `positions [B]` is where in its file each token will stand. Only rows that still write are
        asked for, in ascending order, each once a position.
        """
        ...


def likeliest(
    rows: NDArray[np.int64],  # noqa: ARG001
    positions: NDArray[np.int64],  # noqa: ARG001
    logits: Tensor,
) -> NDArray[np.int64]:
    """Return the likeliest token of every row; of equal ones the lowest."""
    return logits.argmax(dim=-1).cpu().numpy()


@final
class ByChance:
    """Draws every token with random words that depend on seed, key and place alone."""

    def __init__(self, sampling: Sampling, keys: Sequence[int | str]) -> None:
        self._sampling = sampling
        self._seeds = stream_seeds(sampling.seed, keys)

    def __call__(
        self, rows: NDArray[np.int64], positions: NDArray[np.int64], logits: Tensor
    ) -> NDArray[np.int64]:
        """Return the token that is drawn for every row."""
        words = random_words(self._seeds[rows], positions)
        return draw(logits.cpu().numpy(), words, self._sampling)
