"""A power law over a known floor: bits = floor + a * n^-b, fitted and extrapolated with its error.

A straight line through log(bits - floor) over log n by weighted least squares. A point's error is
that of its mean over seeds; where the line misses the points by more than these errors explain, the
covariance grows by as much, so that a law which does not hold says so with a wide band.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_POINTS = 3
"""Two points always lie on a line and say nothing of whether it is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalePoint:
    """One measured point."""

    samples: int
    """Different training samples."""
    bits_per_byte: float
    stderr: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerLaw:
    """A fitted law, with the covariance of (log a, b)."""

    floor: float
    log_a: float
    b: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    misfit: float
    """Chi squared by degree of freedom; 1 where errors of points are not known."""

    def at(self, samples: float) -> float:
        """Return bits per byte at `samples`."""
        return self.floor + math.exp(self.log_a - self.b * math.log(samples))

    def interval(self, samples: float) -> tuple[float, float]:
        """Return the bits per byte two standard errors below and above."""
        x = -math.log(samples)
        (aa, ab), (_, bb) = self.covariance
        margin = 2 * math.sqrt(max(aa + 2 * x * ab + x * x * bb, 0.0))
        above = self.at(samples) - self.floor
        return self.floor + above * math.exp(-margin), self.floor + above * math.exp(margin)


def fit_power_law(points: Sequence[ScalePoint], floor: float) -> PowerLaw | None:
    """Return the law through `points`; `None` with fewer than `MIN_POINTS` different scales.

    Also `None` where a point is not above the floor.
    """
    if len({point.samples for point in points}) < MIN_POINTS:
        return None
    if any(point.bits_per_byte <= floor for point in points):
        return None
    above = np.array([point.bits_per_byte - floor for point in points])
    x = np.stack([np.ones(len(points)), -np.log([point.samples for point in points])], axis=1)
    y = np.log(above)
    errors = [(point.stderr or 0.0) / height for point, height in zip(points, above, strict=True)]
    are_known = min(errors) > 0
    weights = np.array(errors) ** -2.0 if are_known else np.ones(len(points))
    normal = x.T @ (weights[:, None] * x)
    inverse = np.linalg.inv(normal)
    solution = inverse @ (x.T @ (weights * y))
    freedom = len(points) - 2
    misfit = float(weights @ (y - x @ solution) ** 2) / freedom
    covariance = inverse * (max(misfit, 1.0) if are_known else misfit)
    return PowerLaw(
        floor=floor,
        log_a=float(solution[0]),
        b=float(solution[1]),
        covariance=(
            (float(covariance[0, 0]), float(covariance[0, 1])),
            (float(covariance[1, 0]), float(covariance[1, 1])),
        ),
        misfit=misfit if are_known else 1.0,
    )
