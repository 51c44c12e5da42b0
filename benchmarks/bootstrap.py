"""Standard errors by drawing groups again, with replacement. Pure numpy, own random numbers.

Samples of one group (one tune's variants) are not independent, so groups are drawn, not samples.
The draws are SplitMix64 of a fixed seed, vectorised; numpy's streams may change between versions.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import Ratio


class GroupResamples:
    """How often each group is drawn in each resample; made once, used for every metric."""

    def __init__(self, groups: Sequence[str], resamples: int, seed: int) -> None:
        numbers = {group: i for i, group in enumerate(sorted(set(groups)))}
        self._group_of = np.array([numbers[group] for group in groups], np.int64)
        self._num_groups = len(numbers)
        draws = _splitmix64(seed, resamples * self._num_groups)
        drawn = ((draws >> np.uint64(32)) * np.uint64(self._num_groups)) >> np.uint64(32)
        cells = np.repeat(np.arange(resamples), self._num_groups) * self._num_groups
        counts = np.bincount(cells + drawn.astype(np.int64), minlength=resamples * self._num_groups)
        self._counts = counts.reshape(resamples, self._num_groups).astype(np.float64)

    def stderr(
        self, numerators: NDArray[np.float64], denominators: NDArray[np.float64]
    ) -> float | None:
        """Return the standard deviation of the ratio over the resamples.

        `[n]` both, in the order of the groups given at the start. `None` with fewer than two groups
        or where a resample has nothing to divide by more often than not.
        """
        if self._num_groups < 2:
            return None
        tops = self._counts @ np.bincount(self._group_of, numerators, self._num_groups)
        belows = self._counts @ np.bincount(self._group_of, denominators, self._num_groups)
        usable = belows > 0
        if 2 * int(usable.sum()) <= len(belows):
            return None
        return float(np.std(tops[usable] / belows[usable], ddof=1))


class Bootstrap:
    """Standard errors of ratios over one test set's groups."""

    def __init__(self, groups: Sequence[str], *, resamples: int, seed: int) -> None:
        self._groups = list(groups)
        self._resamples = resamples
        self._seed = seed
        self._made: dict[bytes, GroupResamples] = {}

    def stderr(self, measured: Ratio) -> float | None:
        """Return the standard error of `measured`, over the groups of the samples that count."""
        rows = measured.rows.tobytes()
        if rows not in self._made:
            groups = [self._groups[int(row)] for row in measured.rows]
            self._made[rows] = GroupResamples(groups, self._resamples, self._seed)
        return self._made[rows].stderr(measured.numerators, measured.denominators)


def _splitmix64(seed: int, count: int) -> NDArray[np.uint64]:
    """Return the first outputs of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
