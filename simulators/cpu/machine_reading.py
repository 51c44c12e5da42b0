"""What a machine's recorded states and programs say: listings, fetches, classes, stops.

It reads memory and states, which a model may have written, and runs and draws nothing.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.isa.table import Isa, LayoutName
from simulators.cpu.reading.decoder import Decoder, kept_decoder
from simulators.cpu.reading.disassembly import disassemble_program
from simulators.cpu.states import program_counters, state_fields
from simulators.protocol import InstructionLine

UNKNOWN_EFFECT: Final = "(unknown)"
"""In `effects`: the table has no instruction with the bytes at PC."""


class MachineReading:
    """The `Reading` of a machine's programs and states."""

    def __init__(self, isa: Isa, layout: LayoutName, program_bytes: int) -> None:
        self._isa = isa
        self._layout: LayoutName = layout
        self._program_bytes = program_bytes

    def listing(self, code: bytes) -> list[InstructionLine]:
        """Return the program's instructions, zeros at its end left out."""
        return disassemble_program(self._isa, code)

    def fetch(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the states with PC behind its instruction; copies where the table has none."""
        fields = state_fields(self._isa, self._layout)
        counter = next(part for part in fields if part.name == self._isa.program_counter)
        lengths = np.append(self._decoder.lengths, 0)[self._forms_at(memory, states)]
        pcs = (self._pcs(states) + lengths.astype(np.uint64)).astype("<u8")
        fetched = states.copy()
        fetched[:, counter.offset : counter.offset + counter.num_bytes] = pcs.view(
            np.uint8
        ).reshape(-1, 8)[:, : counter.num_bytes]
        return fetched

    def effects(self, memory: bytes, states: NDArray[np.uint8]) -> list[str]:
        """Return the class of the instruction at each PC, `(unknown)` where the table has none."""
        names = [*self._decoder.classes, UNKNOWN_EFFECT]
        return [names[form] for form in self._forms_at(memory, states).tolist()]

    def ended(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Say where the instruction at PC is the one that ends programs."""
        program, stop = memory[: self._program_bytes], self._isa.stop
        offsets = (self._pcs(states).astype(np.int64) - self._isa.code_address).tolist()
        return np.array([at >= 0 and program.startswith(stop, at) for at in offsets], np.bool_)

    def _forms_at(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return indices into the table's forms, -1 where there is none or PC is outside."""
        program = np.frombuffer(memory, np.uint8)[: self._program_bytes].copy()
        offsets = self._pcs(states).astype(np.int64) - self._isa.code_address
        inside = (offsets >= 0) & (offsets < len(program))
        forms = self._decoder.forms_at(program, np.where(inside, offsets, 0))
        return np.where(inside, forms, -1)

    @property
    def _decoder(self) -> Decoder:
        return kept_decoder(self._isa)

    def _pcs(self, states: NDArray[np.uint8]) -> NDArray[np.uint64]:
        return program_counters(self._isa, self._layout, states)
