"""How long a run is and how its learning rate goes: warm-up, hold, linear decay.

Everything is a function of progress, the done share of the budget, so a budget in steps and one in
bytes follow the same curve. A budget is never in seconds: the same run must do the same work on any
machine. It touches no optimizer.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Learning rate over a run, as a share of its peak.

    >>> Schedule(warmup=0.1, hold_until=0.5).scale(0.05), Schedule().scale(0.2)
    (0.5, 1.0)
    """

    warmup: float = 0.03
    """Share of the budget over which the rate rises linearly from 0."""
    hold_until: float = 0.4
    """Share of the budget at which the linear decay begins."""
    final: float = 0.0
    """Share of the peak that is left at the end."""

    def __post_init__(self) -> None:
        if not 0 <= self.warmup <= self.hold_until <= 1:
            raise ValueError(
                f"warmup {self.warmup} and hold_until {self.hold_until} must satisfy "
                "0 <= warmup <= hold_until <= 1"
            )
        if not 0 <= self.final <= 1:
            raise ValueError(f"final must be in 0..1, not {self.final}")

    def scale(self, progress: float) -> float:
        """Return the factor on the peak learning rate at `progress` (0 at the start, 1 done)."""
        progress = min(max(progress, 0.0), 1.0)
        if progress < self.warmup:
            return progress / self.warmup
        if progress <= self.hold_until:
            return 1.0
        left = (1.0 - progress) / (1.0 - self.hold_until)
        return self.final + (1.0 - self.final) * left


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How much a run trains: a number of steps, or of true bytes read. Exactly one is given."""

    steps: int | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.steps, self.bytes) if value is not None]
        if len(given) != 1 or given[0] < 1:
            raise ValueError(
                f"give exactly one of steps and bytes, at least 1; found steps={self.steps} and "
                f"bytes={self.bytes}"
            )

    def progress(self, *, num_steps: float, num_bytes: float) -> float:
        """Return the done share of the budget, 1 or more when it is used up."""
        if self.steps is not None:
            return num_steps / self.steps
        assert self.bytes is not None
        return num_bytes / self.bytes
