"""What speed the model is to reach on a CPU: floors and targets against the authors' algorithm.

One table for all benchmarks of the model, so that every row can show its floor and target beside
its ratio. A floor is to hold; a target is where looking for more ends. It measures nothing, and
what needs a GPU is not in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Work = Literal["training", "evaluation", "decoding, batch 1", "decoding, batch 32", "memory"]
Family = Literal["paper", "compact"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """Bounds of one ratio, ours over the authors' way."""

    floor: float
    target: float

    @property
    def lower_is_better(self) -> bool:
        """Return whether the ratio is one of costs: of memory, not of speed."""
        return self.target < self.floor

    def fields(self) -> dict[str, Any]:
        """Return what a row of the report says of it."""
        lower = {"lower_is_better": True} if self.lower_is_better else {}
        return {"floor": self.floor, "target": self.target, **lower}


TABLE: Mapping[tuple[Work, Family], Goal] = {
    ("training", "paper"): Goal(floor=2.5, target=4),
    ("training", "compact"): Goal(floor=8, target=15),
    ("evaluation", "paper"): Goal(floor=2.2, target=3.5),
    ("evaluation", "compact"): Goal(floor=8, target=15),
    ("decoding, batch 1", "paper"): Goal(floor=3, target=10),
    ("decoding, batch 1", "compact"): Goal(floor=10, target=30),
    ("decoding, batch 32", "paper"): Goal(floor=25, target=40),
    ("decoding, batch 32", "compact"): Goal(floor=80, target=200),
    ("memory", "paper"): Goal(floor=0.5, target=0.3),
    ("memory", "compact"): Goal(floor=0.3, target=0.15),
}
"""Work and family of models -> goal. `memory` is the peak of a process that trains."""


def goal(work: Work, preset: str) -> Goal:
    """Return the goal of a model preset at some work."""
    return TABLE[work, "paper" if preset == "paper" else "compact"]


def missed_floor(row: Mapping[str, Any]) -> str | None:
    """Return the line that says by what a row of the report misses its floor; None if it holds.

    >>> missed_floor({"name": "training", "ratio": 2.0, "floor": 2.5, "target": 4})
    'floor missed: training: 2.00x, floor 2.5x'
    """
    if "floor" not in row:
        return None
    ratio, floor = row["ratio"], row["floor"]
    holds = ratio <= floor if row.get("lower_is_better") else ratio >= floor
    return None if holds else f"floor missed: {row['name']}: {ratio:.2f}x, floor {floor:g}x"
