"""Rows of the emulator, a number per register, and the states of a layout that they stand for."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.isa.table import Isa, LayoutName, state_bytes_of
from simulators.cpu.states import state_fields

_SHIFT_COUNTS: Final = ("UC_X86_REG_CX", "UC_X86_REG_ECX", "UC_X86_REG_RCX")
"""What may hold a shift's count, which decides whether flags are defined after it."""


class Columns:
    """Which registers a row has, in which order, and how states are packed from them."""

    def __init__(self, isa: Isa, layout: LayoutName) -> None:
        fields = state_fields(isa, layout)
        recorded = {part.register for part in isa.layout(layout)}
        self.state_bytes: Final = state_bytes_of(isa.layout(layout))
        names = [part.register for part in isa.layout(layout)]
        for name in (isa.program_counter, isa.flags):
            if name is not None and name not in names:
                names.append(name)
        count = next((r.name for r in isa.registers if r.emulator in _SHIFT_COUNTS), None)
        if count is not None and count not in names:
            names.append(count)
        self.read: Final = [isa.register(name).emulator for name in names]
        """The library's names of a row's registers."""
        self.write: Final = [
            isa.register(part.register).emulator
            for part in isa.layout(layout)
            if part.register != isa.program_counter
        ]
        """Those of the registers that a state sets before a program starts."""
        self.pc: Final = names.index(isa.program_counter)
        self.flags: Final = -1 if isa.flags is None else names.index(isa.flags)
        self.shift_count: Final = -1 if count is None else names.index(count)
        self._flags_mask: Final = np.uint64(isa.flags_mask)
        self._fields: Final = [field for field in fields if field.name in recorded]
        self._program_counter: Final = isa.program_counter

    def pack(self, rows: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return rows as states; flags that are not recorded are left out."""
        if self.flags >= 0:
            rows[:, self.flags] &= self._flags_mask
        as_bytes = rows.astype("<u8", copy=False).view(np.uint8).reshape(len(rows), -1, 8)
        states = np.zeros((len(rows), self.state_bytes), np.uint8)
        for column, field in enumerate(self._fields):
            part = as_bytes[:, column, : field.num_bytes]
            states[:, field.offset : field.offset + field.num_bytes] = part
        return states

    def unpack(self, states: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """Return `[n, len(write)]` values of registers."""
        fields = [field for field in self._fields if field.name != self._program_counter]
        as_bytes = np.zeros((len(states), len(fields), 8), np.uint8)
        for column, field in enumerate(fields):
            part = states[:, field.offset : field.offset + field.num_bytes]
            as_bytes[:, column, : field.num_bytes] = part
        return as_bytes.view("<u8").reshape(len(states), len(fields)).astype(np.uint64, copy=False)
