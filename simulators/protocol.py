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
    DIVIDE_ERROR = 3
    MEMORY_FAULT = 4
    SYSTEM_CALL = 5
    LEFT_PROGRAM = 6
    """The program counter went outside the memory block's program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StateField:
    """One named piece of a machine's recorded state."""

    name: str
    offset: int
    """First byte within the state."""
    num_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class InstructionLine:
    """One instruction of a listing."""

    offset: int
    """First byte within the program."""
    code: bytes
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramBatch:
    """Programs with their initial states; program `i` is `code[offsets[i]:offsets[i + 1]]`."""

    code: NDArray[np.uint8]
    """All programs' bytes, one after another, without padding."""
    offsets: NDArray[np.int64]
    """`[n + 1]` byte offsets into `code`."""
    initial_states: NDArray[np.uint8]
    """`[n, state_bytes]`."""
    data: NDArray[np.uint8]
    """`[n, data_bytes]`: the data window at the start; no columns where the machine has none."""

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
class Reading(Protocol):
    """What a machine's programs and recorded states say, without running anything."""

    def listing(self, code: bytes) -> list[InstructionLine]:
        """Return the instructions of a program one after another, zeros at its end left out."""
        ...

    def fetch(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return `[k, state_bytes]`: what a fetch alone says of the state after each of `states`.

        The program counter moves to the next instruction in memory and all else is copied.
        """
        ...

    def effects(self, memory: bytes, states: NDArray[np.uint8]) -> list[str]:
        """Name, for each of `states`, the kind of instruction whose effect the next one shows."""
        ...

    def ended(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Say of which of `states` the memory tells that none follows: the machine has stopped."""
        ...


@runtime_checkable
class System(Reading, Protocol):
    """A deterministic machine.

    Draw `c` depends on its name and version, its configuration (sizes; profile and class weights
    where there are such), the seed and `c` alone.
    """

    @property
    def name(self) -> str:
        """Registry name, e.g. `toy.machine.machine`."""
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
    def data_bytes(self) -> int:
        """Size of the data window that ends the memory block; 0 where there is none."""
        ...

    @property
    def state_bytes(self) -> int:
        """Size of one recorded state; a multiple of 16."""
        ...

    @property
    def fields(self) -> tuple[StateField, ...]:
        """The recorded state's fields in order."""
        ...

    @property
    def allowed_ends(self) -> frozenset[EndReason]:
        """How a drawn program may end, other than at the step limit (it is then drawn again)."""
        ...

    def draw(self, seed: int, counters: NDArray[np.uint64]) -> ProgramBatch:
        """Draw one random program per counter."""
        ...

    def run(self, batch: ProgramBatch) -> TraceBatch:
        """Run every program to its end and record its states."""
        ...
