"""What the oracles of an instruction set share: their results, and the programs that they draw.

The oracles themselves stand in `check_isa`, `check_silicon` and `check_listing`.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from simulators.cpu.isa.table import LAYOUTS, PROFILES, Isa
from simulators.cpu.machine import Machine
from simulators.cpu.oracles.trace_difference import Difference
from simulators.protocol import ProgramBatch

MAX_SHOWN: Final = 20
"""Differences that a result carries; it counts all."""

MAX_INSTRUCTIONS: Final = 40
"""Programs that mostly end within the states that fit a sample of the full layout."""
_MEMORY_BYTES: Final = 1024
BATCH: Final = 500
"""Programs that are compared at once."""
_FEWEST_STATES: Final = 15
"""A little less than the mean of a program, so that the first batch is nearly enough."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OracleResult:
    """What an oracle found."""

    name: str
    compared: int
    unit: str
    """What was counted, e.g. `states`."""
    num_differences: int
    differences: tuple[Difference, ...]
    """The first of them."""
    seconds: float
    not_applicable: str | None = None
    """Why nothing was compared."""


@dataclass(kw_only=True, slots=True)
class Tally:
    """What an oracle counts while it runs."""

    compared: int = 0
    num_differences: int = 0
    shown: list[Difference] = field(default_factory=list[Difference])

    def add(self, differences: Iterable[Difference]) -> None:
        """Count differences, and keep the first."""
        for difference in differences:
            self.num_differences += 1
            if len(self.shown) < MAX_SHOWN:
                self.shown.append(difference)


def run_oracle(name: str, unit: str, compare: Callable[[Tally], str | None]) -> OracleResult:
    """Time an oracle; `compare` counts into a tally, or returns why it does not apply.

    Raises:
        ValueError: nothing was compared, though it applies.
    """
    start = time.perf_counter()
    tally = Tally()
    reason = compare(tally)
    if reason is None and not tally.compared:
        raise ValueError(f"{name}: nothing was compared; ask for more rows")
    return OracleResult(
        name=name,
        compared=tally.compared,
        unit=unit,
        num_differences=tally.num_differences,
        differences=tuple(tally.shown),
        seconds=time.perf_counter() - start,
        not_applicable=reason,
    )


def machines_of(isa: Isa) -> Iterator[Machine]:
    """Yield a machine of every profile and layout."""
    for profile in PROFILES:
        for layout in LAYOUTS:
            yield Machine(
                isa=isa,
                profile=profile,
                layout=layout,
                memory_bytes=_MEMORY_BYTES,
                max_instructions=MAX_INSTRUCTIONS,
            )


def draw_batches(
    isa: Isa, needed: int, seed: int, tally: Tally
) -> Iterator[tuple[Machine, ProgramBatch, Callable[[int], str]]]:
    """Yield machines with batches, and what names their programs, until `needed` are compared.

    Every profile and layout gets the same share; who takes a batch counts into the tally.
    """
    machines = list(machines_of(isa))
    share = -(-needed // len(machines))
    for machine in machines:
        first, begin = 0, tally.compared
        while tally.compared < begin + share:
            count = min(BATCH, 1 + (begin + share - tally.compared) // _FEWEST_STATES)
            counters = np.arange(first, first + count, dtype=np.uint64)
            yield machine, machine.draw(seed, counters), _source_of(machine, seed, first)
            first += count


def _source_of(machine: Machine, seed: int, first: int) -> Callable[[int], str]:
    """Return what names the programs of a batch, so that each can be drawn again alone."""

    def source_of(index: int) -> str:
        return (
            f"profile {machine.profile}, {machine.layout} layout, seed {seed}, "
            f"counter {first + index}"
        )

    return source_of
