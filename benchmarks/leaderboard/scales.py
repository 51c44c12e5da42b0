"""Axes: from values to positions, and which ticks to draw. Plain arithmetic, no drawing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.leaderboard.number_text import count_text

SMALLEST_ERROR = 1e-4
"""Where an accuracy axis ends: 99.99 %, beyond which 1,000 samples say little."""

_ACCURACY_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999)


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`, drawn between the positions `start` and `end`.

    `log` takes positive values; `accuracy` takes fractions and gives every halving of the error the
    same length, so that 97 % and 99 % do not look alike.
    """

    kind: Literal["linear", "log", "accuracy"]
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the position of `value`, kept inside the axis."""
        low, high = self._measure(self.low), self._measure(self.high)
        share = (self._measure(value) - low) / (high - low) if high > low else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def _measure(self, value: float) -> float:
        if self.kind == "log":
            return math.log10(max(value, 1e-12))
        if self.kind == "accuracy":
            return -math.log10(max(1 - value, SMALLEST_ERROR))
        return value


def linear_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round values from `low` to `high`, about `wanted` of them.

    >>> linear_ticks(0.41, 1.3)
    [0.6, 0.8, 1.0, 1.2]
    """
    if not high > low:
        return [low]
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the powers of ten from `low` to `high`, and 2 and 5 times them where few fit.

    >>> log_ticks(300, 40_000)
    [500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    multiples = (1, 2, 5) if math.log10(high / low) < 3 else (1,)
    ticks = [m * 10.0**d for d in decades for m in multiples]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def accuracy_ticks(low: float, high: float) -> list[float]:
    """Return the usual accuracies from `low` to `high`, thinned where they would touch."""
    inside = [tick for tick in _ACCURACY_TICKS if low - 1e-9 <= tick <= high + 1e-9]
    scale = Scale("accuracy", low, high, 0.0, 1.0)
    kept: list[float] = []
    for tick in inside:
        if not kept or scale.at(tick) - scale.at(kept[-1]) >= 0.09:
            kept.append(tick)
    return kept


def accuracy_label(value: float) -> str:
    """Return a tick's text: 0.995 is "99.5 %"."""
    return f"{round(100 * value, 4):g} %"


def samples_label(value: float) -> str:
    """Return a tick's text: 20000.0 is "20k"."""
    return count_text(round(value))


def log_range(values: Sequence[float]) -> tuple[float, float]:
    """Return an axis' ends for positive `values`, with some air; a single value gets a decade."""
    low, high = min(values), max(values)
    if high / low < 1.5:
        return low / 3, high * 3
    air = (high / low) ** 0.03
    return low / air, high * air
