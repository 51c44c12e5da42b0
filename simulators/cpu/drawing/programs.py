"""Random programs of an instruction set: one per counter, with initial state and data window.

A draw depends on (key, counter), the table, the profile with its weights, and the program's size
alone; the layout only says which bytes of the same registers are recorded. What a program looks
like, docs/data-format.md says; nothing is run here.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.drawing.initial_kernel import fill_data, fill_states
from simulators.cpu.drawing.program_choice import class_weights_of
from simulators.cpu.drawing.program_columns import Words
from simulators.cpu.drawing.program_tables import compile_tables
from simulators.cpu.drawing.programs_kernel import draw_programs
from simulators.cpu.isa.table import Isa, LayoutName, state_bytes_of
from simulators.protocol import ProgramBatch

_FIXED: Final = 0
_FLAGS: Final = 1
_FIRST_REGISTER: Final = 2


class ProgramGenerator:
    """Draws of one instruction set under one profile.

    Raises:
        ValueError: a profile, class or weight that does not exist or fit, or a size too small.
    """

    def __init__(
        self,
        isa: Isa,
        *,
        profile: str,
        weights: Mapping[str, int] | None,
        program_bytes: int,
        data_bytes: int,
        max_instructions: int,
        layout: LayoutName,
    ) -> None:
        if max_instructions < 1:
            raise ValueError(f"max_instructions = {max_instructions} must be at least 1")
        if data_bytes < 0 or data_bytes % 8:
            raise ValueError(f"data_bytes = {data_bytes} must be a multiple of 8, or 0")
        self.isa: Final = isa
        self.program_bytes: Final = program_bytes
        self.data_bytes: Final = data_bytes
        self.class_weights: Final = class_weights_of(isa, profile, weights)
        """Class to weight, as drawn."""
        self._tables: Final = compile_tables(
            isa,
            self.class_weights,
            program_bytes=program_bytes,
            max_instructions=max_instructions,
        )
        self._state_bytes: Final = state_bytes_of(isa.layout(layout))
        self._fields: Final = _state_fields(isa, layout)
        self._num_widths: Final = np.uint64(isa.bits.bit_length() - 2)  # 4, 8, ... bits

    def draw(self, key: np.uint64, counters: NDArray[np.uint64]) -> ProgramBatch:
        """Draw one program per counter; `key` comes from `stream_key(name, version, seed)`.

        The length is uniform in 1..`max_instructions`: entries are drawn until so many
        instructions stand before the stop. What was begun is finished, so the main part may be a
        few longer, and functions come on top; never more than `program_bytes`.
        """
        counters = np.ascontiguousarray(counters, np.uint64)
        code = np.empty(len(counters) * self.program_bytes, np.uint8)
        offsets = np.zeros(len(counters) + 1, np.int64)
        draw_programs(key, counters, self._tables, code, offsets)
        states = np.zeros((len(counters), self._state_bytes), np.uint8)
        fill_states(key, counters, self._fields, self._num_widths, states)
        data = np.zeros((len(counters), self.data_bytes // 8), np.uint64)
        fill_data(key, counters, data)
        return ProgramBatch(
            code=code[: int(offsets[-1])].copy(),
            offsets=offsets,
            initial_states=states,
            # `view` refuses an array without columns.
            data=data.view(np.uint8) if self.data_bytes else np.zeros((len(counters), 0), np.uint8),
        )


def _state_fields(isa: Isa, layout: LayoutName) -> Words:
    """Return how each field of a state begins, for `fill_states`."""
    fixed = {
        isa.program_counter: isa.code_address,
        isa.stack_pointer: isa.stack_address + isa.stack_bytes,
    }
    rows: list[tuple[int, int, int, int]] = []
    offset = 0
    for part in isa.layout(layout):
        kind, value = _FIXED, fixed.get(part.register, 0)
        if part.register == isa.flags:
            kind, value = _FLAGS, isa.flags_mask
        elif part.register in isa.program_registers:
            kind = _FIRST_REGISTER + isa.program_registers.index(part.register)
        rows.append((offset, part.num_bytes, kind, value))
        offset += part.num_bytes
    return np.array(rows, np.uint64)
