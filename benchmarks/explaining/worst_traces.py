"""A machine's trace around the first wrong byte: states, instructions, what was answered instead.

Lines hold the registers that change and those that are wrong, true against answered. Everything
else is as in the state before.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.explaining.cpu_parts import states_before
from benchmarks.explaining.explanation import TraceCell, TraceLine
from bgpt.protocol import Continuation
from simulators.cpu.machine import Machine
from simulators.cpu.states import program_counters
from simulators.cpu.toy.isa import INSTRUCTION_BYTES, disassemble_instruction
from simulators.cpu.tracing.trace import instruction_at
from simulators.protocol import System

BEFORE: Final = 4
AFTER: Final = 7
"""States that are shown around the one with the first wrong byte."""
_NOTHING: Final = 257
"""Behind the end of what was answered: no byte, and no end token."""


def trace_lines(
    machine: System, continuation: Continuation, answered: Sequence[int], first: int
) -> tuple[TraceLine, ...]:
    """Return the states around the wrong byte at offset `first` of the target.

    `answered` holds a token a byte, 256 for an end; it may be shorter or longer than the target.
    """
    size = machine.state_bytes
    before = states_before(continuation, size)
    after = np.frombuffer(continuation.target, np.uint8).reshape(-1, size)
    tokens = np.full(after.size, _NOTHING, np.uint16)
    same = min(len(answered), after.size)
    tokens[:same] = answered[:same]
    given = tokens.reshape(-1, size)
    around = first // size
    shown = range(max(around - BEFORE, 0), min(around + AFTER + 1, len(after)))
    memory = continuation.prompt.given[: machine.memory_bytes]
    texts = _instructions(machine, memory, before[shown.start : shown.stop])
    return tuple(
        TraceLine(
            state=number + 1,
            instruction=text,
            cells=_cells(
                machine, before[number], after[number], given[number], first - number * size
            ),
        )
        for number, text in zip(shown, texts, strict=True)
    )


def _instructions(machine: System, memory: bytes, before: NDArray[np.uint8]) -> list[str]:
    """Return as text the instruction whose effect the state after each of `before` shows."""
    if isinstance(machine, Machine):
        program = memory[: machine.program_bytes]
        counters = program_counters(machine.isa, machine.layout, before).tolist()
        return [instruction_at(machine.isa, program, pc).text for pc in counters]
    effects = machine.effects(memory, before)
    return [
        effect
        if effect.startswith("(")
        else disassemble_instruction(state[2 : 2 + INSTRUCTION_BYTES].tobytes())
        for effect, state in zip(effects, before, strict=True)
    ]


def _cells(
    machine: System,
    before: NDArray[np.uint8],
    true: NDArray[np.uint8],
    given: NDArray[np.uint16],
    first: int,
) -> tuple[TraceCell, ...]:
    """Return the registers of one state that change or are wrong."""
    cells: list[TraceCell] = []
    for field in machine.fields:
        place = slice(field.offset, field.offset + field.num_bytes)
        is_wrong = bool((given[place] != true[place]).any())
        if is_wrong or bool((before[place] != true[place]).any()):
            at = first - field.offset
            cells.append(
                TraceCell(
                    field=field.name,
                    true=_number(true[place].tolist()),
                    answered=_number(given[place].tolist()) if is_wrong else None,
                    first_wrong=at if 0 <= at < field.num_bytes else None,
                )
            )
    return tuple(cells)


def _number(tokens: list[int]) -> str:
    """Return bytes as hexadecimal, the last first; `..` for an end and for nothing.

    >>> _number([0x34, 0x12]), _number([256])
    ('1234', '..')
    """
    return "".join(f"{token:02x}" if token < 256 else ".." for token in reversed(tokens))
