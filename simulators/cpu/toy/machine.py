"""The toy CPU of the paper (arXiv 2402.19155, CPU states) as a `System`; its draws and its checks.

State: 16 bytes `[PC, ACC, IR(4), A..J]`. A step fetches the instruction at PC into IR, moves PC one
on (it stays at the memory's last instruction), **records the state**, and only then executes, so
an effect shows in the next state. No branches, no flags, no data memory.

The instruction set stands in `toy.isa`, the compiled loops in `toy.kernel`, the generator's words
in `simulators.counter_rng`; docs/data-format.md describes the draw in full.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulators.counter_rng import stream_key
from simulators.cpu.toy.isa import INSTRUCTION_BYTES, REGISTER_NAMES, disassemble_instruction
from simulators.cpu.toy.kernel import (
    count_steps,
    draw_lengths,
    draw_programs,
    fill_states,
)
from simulators.protocol import (
    EndReason,
    InstructionLine,
    ProgramBatch,
    StateField,
    TraceBatch,
)

STATE_BYTES: Final = 16
LARGEST_MEMORY_BYTES: Final = 1024
"""PC is one byte and counts instructions of four bytes."""
FIRST_FETCH: Final = "(first fetch)"
"""What the state after the initial one shows instead of an instruction's effect."""

_FIELDS: Final = (
    StateField(name="PC", offset=0, num_bytes=1),
    StateField(name="ACC", offset=1, num_bytes=1),
    StateField(name="IR", offset=2, num_bytes=INSTRUCTION_BYTES),
    *(
        StateField(name=name, offset=6 + i, num_bytes=1)
        for i, name in enumerate(REGISTER_NAMES[1:])
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyCpu:
    """The machine with one size of memory. The paper's: 1,024 bytes, up to 255 instructions.

    Raises:
        ValueError: `memory_bytes` or `max_instructions` does not fit the machine.
    """

    memory_bytes: int
    """A multiple of 16 up to 1,024, and at least `4 * max_instructions`."""
    max_instructions: int
    """The longest program that `draw` makes, HLT included."""

    def __post_init__(self) -> None:
        if self.max_instructions < 1:
            raise ValueError(f"max_instructions = {self.max_instructions} must be at least 1")
        if self.memory_bytes % 16 or not 16 <= self.memory_bytes <= LARGEST_MEMORY_BYTES:
            raise ValueError(
                f"memory_bytes = {self.memory_bytes} must be a multiple of 16 "
                f"from 16 to {LARGEST_MEMORY_BYTES}"
            )
        if self.memory_bytes < INSTRUCTION_BYTES * self.max_instructions:
            raise ValueError(
                f"memory_bytes = {self.memory_bytes} holds {self.memory_bytes // 4} instructions, "
                f"fewer than max_instructions = {self.max_instructions}"
            )

    @property
    def name(self) -> str:
        """Return `toy.machine.machine`."""
        return "toy"

    @property
    def version(self) -> str:
        """Return the version of draw and run together; part of every draw's key."""
        return "1"

    @property
    def data_bytes(self) -> int:
        """Return 0: there is no data memory."""
        return 0

    @property
    def state_bytes(self) -> int:
        """Return 16."""
        return STATE_BYTES

    @property
    def fields(self) -> tuple[StateField, ...]:
        """Return PC, ACC, IR, A..J."""
        return _FIELDS

    @property
    def allowed_ends(self) -> frozenset[EndReason]:
        """Return HALTED alone."""
        return frozenset({EndReason.HALTED})

    def draw(self, seed: int, counters: NDArray[np.uint64]) -> ProgramBatch:
        """Draw one random program per counter, each ending in HLT, with random registers."""
        key = stream_key(self.name, self.version, seed)
        counters = np.ascontiguousarray(counters, np.uint64)
        offsets = draw_lengths(key, counters, np.uint64(self.max_instructions))
        code = np.zeros(int(offsets[-1]), np.uint32)
        initial_states = np.zeros((len(counters), 2), np.uint64)
        draw_programs(key, counters, offsets, code, initial_states)
        return ProgramBatch(
            code=code.view(np.uint8),
            offsets=offsets * INSTRUCTION_BYTES,
            initial_states=initial_states.view(np.uint8),
            data=np.zeros((len(counters), 0), np.uint8),
        )

    def run(self, batch: ProgramBatch) -> TraceBatch:
        """Run every program to its end: one state per fetched instruction after the initial one.

        A program ends with HLT (also in the zeros after it), with an instruction that the table
        does not have, which is fetched and recorded but does nothing, or at the step limit: when
        the memory's last instruction is not HLT, it would be fetched for ever; it is fetched once.

        Raises:
            ValueError: offsets, sizes or initial states are not those of programs of this machine.
        """
        self._check(batch)
        code = _words(batch.code, np.dtype(np.uint32))
        offsets = np.ascontiguousarray(batch.offsets // INSTRUCTION_BYTES, np.int64)
        initial_states = _words(batch.initial_states, np.dtype(np.uint64))
        num_slots = np.uint64(self.memory_bytes // INSTRUCTION_BYTES)
        end_reasons = np.zeros(len(batch), np.uint8)
        rows = count_steps(code, offsets, initial_states, num_slots, end_reasons)
        states = np.empty((int(rows[-1]), 2), np.uint64)
        fill_states(code, offsets, initial_states, num_slots, rows, states)
        return TraceBatch(states=states.view(np.uint8), offsets=rows, end_reasons=end_reasons)

    def listing(self, code: bytes) -> list[InstructionLine]:
        """Return the instructions, the name first; of the zeros at the end the first is the HLT.

        >>> cpu = ToyCpu(memory_bytes=64, max_instructions=16)
        >>> [line.text for line in cpu.listing(bytes([11, 7, 0, 0, *bytes(60)]))]
        ['LOADI 7 -> ACC', 'HLT']

        Raises:
            ValueError: the code is not whole instructions.
        """
        if len(code) % INSTRUCTION_BYTES:
            raise ValueError(
                f"{len(code)} bytes of code are not whole instructions of {INSTRUCTION_BYTES} bytes"
            )
        num_used = -(-len(code.rstrip(b"\0")) // INSTRUCTION_BYTES)
        end = min(len(code), (num_used + 1) * INSTRUCTION_BYTES)
        lines: list[InstructionLine] = []
        for at in range(0, end, INSTRUCTION_BYTES):
            one = code[at : at + INSTRUCTION_BYTES]
            lines.append(InstructionLine(offset=at, code=one, text=disassemble_instruction(one)))
        return lines

    def fetch(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the states with PC moved on and the instruction at PC in IR."""
        slots = np.frombuffer(memory, np.uint8).reshape(-1, INSTRUCTION_BYTES)
        last = len(slots) - 1
        pcs = np.minimum(states[:, 0], last)
        fetched = states.copy()
        fetched[:, 2 : 2 + INSTRUCTION_BYTES] = slots[pcs]
        fetched[:, 0] = np.minimum(pcs.astype(np.int64) + 1, last)
        return fetched

    def effects(
        self,
        memory: bytes,  # noqa: ARG002 - the instruction register holds what counts
        states: NDArray[np.uint8],
    ) -> list[str]:
        """Name the instruction in IR, `ADD` for example.

        `(first fetch)` where PC and IR are both zero: nothing has been fetched there yet.
        """
        names: dict[bytes, str] = {bytes(1 + INSTRUCTION_BYTES): FIRST_FETCH}
        effects: list[str] = []
        for state in states[:, :6].tolist():
            pc, _, *instruction = state
            key = bytes([pc, *instruction])
            if key not in names:
                names[key] = disassemble_instruction(bytes(instruction)).split()[0]
            effects.append(names[key])
        return effects

    def ended(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Say where the instruction in IR, once fetched, is HLT."""
        return np.array([name == "HLT" for name in self.effects(memory, states)], np.bool_)

    def _check(self, batch: ProgramBatch) -> None:
        """Refuse what the compiled loops would read out of bounds."""
        offsets = batch.offsets
        if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(batch.code):
            raise ValueError(f"offsets must run from 0 to the {len(batch.code)} bytes of code")
        sizes = np.diff(offsets)
        wrong = np.flatnonzero(
            (sizes < 0) | (sizes > self.memory_bytes) | (sizes % INSTRUCTION_BYTES != 0)
        )
        if len(wrong):
            raise ValueError(
                f"program {wrong[0]} has {sizes[wrong[0]]} bytes; it must be whole instructions of "
                f"{INSTRUCTION_BYTES} bytes within memory_bytes = {self.memory_bytes}"
            )
        if batch.initial_states.shape != (len(batch), STATE_BYTES):
            raise ValueError(
                f"initial_states has shape {batch.initial_states.shape}, "
                f"expected {(len(batch), STATE_BYTES)}"
            )
        if batch.data.shape != (len(batch), 0):
            raise ValueError(
                f"data has shape {batch.data.shape}, expected {(len(batch), 0)}: the toy CPU has "
                "no data window"
            )
        far = np.flatnonzero(batch.initial_states[:, 0] >= self.memory_bytes // INSTRUCTION_BYTES)
        if len(far):
            raise ValueError(
                f"program {far[0]} starts at PC {batch.initial_states[far[0], 0]}, outside a "
                f"memory of {self.memory_bytes // INSTRUCTION_BYTES} instructions"
            )


def _words(
    array: NDArray[np.uint8], dtype: np.dtype[np.uint32] | np.dtype[np.uint64]
) -> NDArray[Any]:
    """Return the bytes of the last axis as aligned, writable words; copied only where needed."""
    words = np.ascontiguousarray(array).view(dtype)
    # A read-only or unaligned array (`np.frombuffer`) would be another type to numba, and another
    # compilation.
    return np.require(words, requirements=["ALIGNED", "WRITEABLE"])
