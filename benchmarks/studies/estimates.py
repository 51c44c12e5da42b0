"""Means over seeds with their standard errors, and differences of two options seed by seed.

Two options trained with one seed read the same samples in the same order, so their difference is
taken seed by seed, and its error is of those differences. Plain arithmetic; it knows no study.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean over seeds."""

    mean: float
    stderr: float | None
    """Standard error of the mean; None with fewer than two seeds."""
    n: int

    @property
    def is_clear(self) -> bool:
        """Say whether it is more than two standard errors away from 0."""
        return self.stderr is not None and abs(self.mean) > 2 * self.stderr


def estimate(values: Sequence[float]) -> Estimate | None:
    """Return the mean of `values`, `None` without any.

    >>> estimate([1.0, 2.0, 3.0])
    Estimate(mean=2.0, stderr=0.5773502691896257, n=3)
    """
    n = len(values)
    if not n:
        return None
    mean = math.fsum(values) / n
    if n < 2:
        return Estimate(mean=mean, stderr=None, n=n)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return Estimate(mean=mean, stderr=math.sqrt(variance / n), n=n)


def paired_difference(own: Mapping[int, float], other: Mapping[int, float]) -> Estimate | None:
    """Return the mean of own - other over the seeds that both have.

    >>> paired_difference({0: 3.0, 1: 5.0}, {0: 1.0, 1: 3.0, 2: 9.0})
    Estimate(mean=2.0, stderr=0.0, n=2)
    """
    return estimate([own[seed] - other[seed] for seed in sorted(own) if seed in other])
