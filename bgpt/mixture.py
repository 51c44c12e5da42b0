"""Several corpora as one endless stream of samples, each with its share.

The stream is cut into blocks of `BLOCK` positions. Every block holds each corpus exactly as often
as its weight says, and which position is whose is a permutation computed from (seed, block). So the
corpus of a position, and the position in that corpus' own stream, follow from the position alone:
no draw is remembered, and resuming needs one integer, as with a single corpus. Every corpus comes
whole, in an order of its own, before it comes again.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from bgpt.data import DrawnSample, SampleView
from simulators.permutation import Permutation, derived_seed

BLOCK = 1000
"""Positions within which shares are exact; weights are rounded to thousandths of their sum."""


@final
class Mixture:
    """Views of several corpora, by name, and how often each comes.

    Raises:
        ValueError: a weight is not positive, or too small to come once in `BLOCK` samples.
    """

    def __init__(self, views: Mapping[str, SampleView], weights: Mapping[str, float]) -> None:
        self.parts: dict[str, SampleView] = {name: views[name] for name in weights}
        shares = counts(weights)
        self._weights = dict(weights)
        self._stops = np.cumsum([shares[name] for name in self.parts])

    def __len__(self) -> int:
        """Return the number of samples of all corpora."""
        return sum(map(len, self.parts.values()))

    def drawn(self, positions: NDArray[np.int64], seed: int) -> list[DrawnSample]:
        """Return the samples at positions of the stream."""
        blocks, within = np.divmod(positions, BLOCK)
        owners, own = np.empty_like(within), np.empty_like(within)
        for block in np.unique(blocks).tolist():
            here = blocks == block
            every, before = self._block(block, seed)
            owners[here], own[here] = every[within[here]], before[within[here]]
        samples: dict[int, DrawnSample] = {}
        for number, (name, view) in enumerate(self.parts.items()):
            places = np.flatnonzero(owners == number)
            drawn = view.drawn(own[places], derived_seed(seed, "corpus", name))
            samples |= {
                place: replace(sample, corpus=name)
                for place, sample in zip(places.tolist(), drawn, strict=True)
            }
        return [samples[i] for i in range(len(positions))]

    def shortest(self, share: float) -> "Mixture":
        """Return the mixture of the shortest samples of each corpus; see `SampleStream`."""
        views = {name: view.shortest(share) for name, view in self.parts.items()}
        return Mixture(views, self._weights)

    def _block(self, block: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return, of every position of a block, its corpus and its place in that one's stream."""
        slots = Permutation(BLOCK, seed, "mixture", block)(np.arange(BLOCK, dtype=np.int64))
        owners = np.searchsorted(self._stops, slots, side="right").astype(np.int64)
        own = np.empty_like(owners)
        for number, size in enumerate(np.diff(self._stops, prepend=0).tolist()):
            places = np.flatnonzero(owners == number)
            own[places] = block * size + np.arange(size)
        return owners, own

    def check_lengths(self, max_patches: int) -> None:
        """Raise `TooLong`, naming the sample, if one does not fit `max_patches` patches."""
        for view in self.parts.values():
            view.check_lengths(max_patches)


def counts(weights: Mapping[str, float]) -> dict[str, int]:
    """Return how many of `BLOCK` samples are of each corpus: largest remainders.

    >>> counts({"a": 2, "b": 1})
    {'a': 667, 'b': 333}

    Raises:
        ValueError: see `Mixture`.
    """
    for name, weight in weights.items():
        if not 0 < weight < float("inf"):
            raise ValueError(f"the weight of corpus '{name}' must be above 0, not {weight}")
    total = sum(weights.values())
    exact = {name: BLOCK * weight / total for name, weight in weights.items()}
    shares = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: shares[name] - exact[name])
    for name in by_remainder[: BLOCK - sum(shares.values())]:
        shares[name] += 1
    for name, share in shares.items():
        if not share:
            raise ValueError(
                f"the weight of corpus '{name}', {weights[name]} of {total}, is less than one "
                f"sample in {BLOCK}; raise it or leave the corpus out"
            )
    return shares
