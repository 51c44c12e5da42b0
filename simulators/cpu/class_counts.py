"""How many instructions of each class the programs of a batch executed: for a corpus' manifest.

It counts what the laid-out files show and runs nothing.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.decoder import Decoder
from simulators.cpu.isa.table import CLASSES, Isa
from simulators.cpu.layout import FileBatch
from simulators.cpu.machine import Machine
from simulators.protocol import TraceBatch

UNKNOWN: Final = "unknown"
"""Of an instruction that the table does not have: only users' programs execute such."""

_NAMES: Final = (*CLASSES, UNKNOWN)
_decoders: Final[dict[str, Decoder]] = {}
"""One for each instruction set: it takes longer to make than a batch to count."""


def count_classes(
    machine: Machine, files: FileBatch, traces: TraceBatch, kept: NDArray[np.bool_]
) -> dict[str, int]:
    """Return executed instructions by class, over the programs `i` where `kept[i]`."""
    executed = np.diff(traces.offsets) - 1
    done = np.repeat(kept, executed + 1)
    done[traces.offsets[1:] - 1] = False  # what the last state points at was not executed
    offsets = _program_counters(machine, traces.states[done]) - machine.isa.code_address
    inside = (offsets >= 0) & (offsets < machine.program_bytes)
    starts = np.repeat(files.offsets[:-1][kept], executed[kept])
    decoder = _decoder(machine.isa)
    forms = decoder.forms_at(files.data, np.where(inside, starts + offsets, -1))
    class_of_form = np.array([_NAMES.index(name) for name in (*decoder.classes, UNKNOWN)])
    numbers = np.bincount(class_of_form[forms], minlength=len(_NAMES))
    return {name: int(number) for name, number in zip(_NAMES, numbers, strict=True) if number}


def _program_counters(machine: Machine, states: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the program counter of every state; addresses from 2**63 on come out negative."""
    field = next(part for part in machine.fields if part.name == machine.isa.program_counter)
    words = np.zeros((len(states), 8), np.uint8)
    words[:, : field.num_bytes] = states[:, field.offset : field.offset + field.num_bytes]
    return words.view("<i8").reshape(-1).astype(np.int64)


def _decoder(isa: Isa) -> Decoder:
    """Return the decoder of an instruction set, made once."""
    if isa.name not in _decoders or _decoders[isa.name].isa is not isa:
        _decoders[isa.name] = Decoder(isa)
    return _decoders[isa.name]
