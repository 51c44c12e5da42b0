"""How many instructions of each class the programs of a batch executed: for a corpus' manifest.

It counts what the laid-out files show and runs nothing.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.isa.table import CLASSES
from simulators.cpu.layout import FileBatch
from simulators.cpu.machine import Machine
from simulators.cpu.reading.decoder import kept_decoder
from simulators.cpu.states import program_counters
from simulators.protocol import TraceBatch

UNKNOWN: Final = "unknown"
"""Of an instruction that the table does not have: only users' programs execute such."""

_NAMES: Final = (*CLASSES, UNKNOWN)


def count_classes(
    machine: Machine, files: FileBatch, traces: TraceBatch, kept: NDArray[np.bool_]
) -> dict[str, int]:
    """Return executed instructions by class, over the programs `i` where `kept[i]`."""
    executed = np.diff(traces.offsets) - 1
    done = np.repeat(kept, executed + 1)
    done[traces.offsets[1:] - 1] = False  # what the last state points at was not executed
    pcs = program_counters(machine.isa, machine.layout, traces.states[done])
    offsets = pcs.astype(np.int64) - machine.isa.code_address
    inside = (offsets >= 0) & (offsets < machine.program_bytes)
    starts = np.repeat(files.offsets[:-1][kept], executed[kept])
    decoder = kept_decoder(machine.isa)
    forms = decoder.forms_at(files.data, np.where(inside, starts + offsets, -1))
    class_of_form = np.array([_NAMES.index(name) for name in (*decoder.classes, UNKNOWN)])
    numbers = np.bincount(class_of_form[forms], minlength=len(_NAMES))
    return {name: int(number) for name, number in zip(_NAMES, numbers, strict=True) if number}
