"""Recorded states of real machines: their fields, and the check of a batch before it is run.

Sizes and positions only, out of the table. How a state's values come to be is the emulator's and
the interpreter's business.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.isa.table import Isa, LayoutName, state_bytes_of
from simulators.protocol import ProgramBatch, StateField

PAD: Final = "pad"


def state_fields(isa: Isa, layout: LayoutName) -> tuple[StateField, ...]:
    """Return a layout's fields with their offsets, and `pad` where zeros fill the state up."""
    parts = isa.layout(layout)
    fields: list[StateField] = []
    end = 0
    for part in parts:
        fields.append(StateField(name=part.register, offset=end, num_bytes=part.num_bytes))
        end += part.num_bytes
    if end < state_bytes_of(parts):
        fields.append(StateField(name=PAD, offset=end, num_bytes=state_bytes_of(parts) - end))
    return tuple(fields)


def program_counters(isa: Isa, layout: LayoutName, states: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the program counter of every state `[k, state_bytes]`, as far as the layout has it."""
    counter = next(part for part in state_fields(isa, layout) if part.name == isa.program_counter)
    words = np.zeros((len(states), 8), np.uint8)
    end = counter.offset + counter.num_bytes
    words[:, : counter.num_bytes] = states[:, counter.offset : end]
    return words.view("<u8").reshape(-1).astype(np.uint64)


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array that numba takes for a plain one; for others it would compile anew."""
    return np.require(array, requirements=["C", "ALIGNED", "WRITEABLE"])


def check_batch(
    isa: Isa,
    layout: LayoutName,
    *,
    program_bytes: int,
    data_bytes: int,
    batch: ProgramBatch,
    entry: int = 0,
) -> None:
    """Refuse a batch that is not one of programs of this machine.

    Raises:
        ValueError: offsets, sizes, windows or initial states are wrong; names program and value.
    """
    offsets, count = batch.offsets, len(batch)
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(batch.code):
        raise ValueError(f"offsets must run from 0 to the {len(batch.code)} bytes of code")
    sizes = np.diff(offsets)
    wrong = np.flatnonzero((sizes < 0) | (sizes > program_bytes))
    if len(wrong):
        raise ValueError(
            f"program {wrong[0]} has {sizes[wrong[0]]} bytes; "
            f"the memory has room for {program_bytes}"
        )
    expected = (count, state_bytes_of(isa.layout(layout)))
    if batch.initial_states.shape != expected:
        raise ValueError(
            f"initial_states has shape {batch.initial_states.shape}, expected {expected}"
        )
    if batch.data.shape != (count, data_bytes):
        raise ValueError(f"data has shape {batch.data.shape}, expected {(count, data_bytes)}")
    fields = {field.name: field for field in state_fields(isa, layout)}
    for name, field in fields.items():
        if name not in (isa.program_counter, isa.flags, PAD):
            continue
        given = batch.initial_states[:, field.offset : field.offset + field.num_bytes]
        if name == PAD:
            bad = np.flatnonzero(given.any(axis=1))
            rule = "must be 0"
        elif name == isa.flags:
            mask = isa.flags_mask.to_bytes(8, "little")[: field.num_bytes]
            bad = np.flatnonzero((given & ~np.frombuffer(mask, np.uint8)).any(axis=1))
            rule = f"has bits outside the recorded flags {isa.flags_mask:#x}"
        else:
            start = (isa.code_address + entry).to_bytes(8, "little")[: field.num_bytes]
            bad = np.flatnonzero((given != np.frombuffer(start, np.uint8)).any(axis=1))
            rule = f"must be {isa.code_address + entry:#x}, where programs start"
        if len(bad):
            value = int.from_bytes(given[bad[0]].tobytes(), "little")
            raise ValueError(f"program {bad[0]}: {name} = {value:#x} {rule}")
