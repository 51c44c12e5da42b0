"""What a simulated machine is to the rest of the project: programs in, traces out, in batches.

A batch is flat bytes plus offsets, because one Python object a program limits everything to about
0.4 million programs a second. Systems that are not machines (the music converter) do not fit this
protocol and have doors of their own.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class EndReason(IntEnum):
    """Why a run ended; part of the result, one per program."""

    HALTED = 0
    INVALID_INSTRUCTION = 1
    STEP_LIMIT = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class StateField:
    """One named piece of a machine's recorded state."""

    name: str
    offset: int
    """First byte within the state."""
    num_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramBatch:
    """Programs with their initial states; program `i` is `code[offsets[i]:offsets[i + 1]]`."""

    code: NDArray[np.uint8]
    """All programs' bytes, one after another, without padding."""
    offsets: NDArray[np.int64]
    """`[n + 1]` byte offsets into `code`."""
    initial_states: NDArray[np.uint8]
    """`[n, state_bytes]`."""

    def __len__(self) -> int:
        """Return the number of programs."""
        return len(self.offsets) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceBatch:
    """Recorded states; the states of program `i` are rows `offsets[i]` to `offsets[i + 1] - 1`."""

    states: NDArray[np.uint8]
    """`[total_states, state_bytes]`; the first of each program is its initial state."""
    offsets: NDArray[np.int64]
    """`[n + 1]` row offsets into `states`."""
    end_reasons: NDArray[np.uint8]
    """`[n]` values of `EndReason`."""

    def __len__(self) -> int:
        """Return the number of traces."""
        return len(self.offsets) - 1


@runtime_checkable
class System(Protocol):
    """A deterministic machine. Draw `c` depends on (name, version, seed, c) alone."""

    @property
    def name(self) -> str:
        """Registry name, e.g. `toy`."""
        ...

    @property
    def version(self) -> str:
        """Raised whenever the same inputs give other bytes."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Size of the memory block that a sample starts with; a multiple of 16."""
        ...

    @property
    def state_bytes(self) -> int:
        """Size of one recorded state; a multiple of 16."""
        ...

    @property
    def fields(self) -> tuple[StateField, ...]:
        """The recorded state's fields in order."""
        ...

    def draw(self, seed: int, counters: NDArray[np.uint64]) -> ProgramBatch:
        """Draw one random program per counter."""
        ...

    def run(self, batch: ProgramBatch) -> TraceBatch:
        """Run every program to its end and record its states."""
        ...

    def disassemble(self, code: bytes) -> list[str]:
        """Return one line of assembly per instruction."""
        ...
