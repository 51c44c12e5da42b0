"""A simulation as a person reads it: the program as assembly, then the trace, changes marked.

Text only, no output; colours are the caller's. It reads what a file says and runs nothing, so it
also shows what a model wrote, right or wrong. How a real machine's run looks, `trace_text` knows;
here stands the toy CPU's, whose states hold the instruction itself.
"""

from typing import Final

import numpy as np

from simulators.cpu.layout import split_file, split_memory
from simulators.cpu.machine import Machine
from simulators.cpu.tracing.counted import counted
from simulators.cpu.tracing.trace import TracedRun
from simulators.cpu.tracing.trace_text import Mark, render_run, star
from simulators.protocol import EndReason, StateField, System

_PC: Final = "PC"
_IR: Final = "IR"


def render_trace(
    system: System,
    memory: bytes,
    states: bytes,
    end: EndReason | None = None,
    *,
    returned: bool = False,
    mark: Mark = star,
) -> str:
    """Return the program and its trace as text; a register that changed carries a mark.

    `end` says how the run ended, where that is known; `returned` as in `TracedRun`.

    Raises:
        ValueError: `memory` is not a memory block, or `states` are not whole states.
    """
    if len(memory) != system.memory_bytes:
        raise ValueError(f"memory has {len(memory)} bytes, expected {system.memory_bytes}")
    _, rows = split_file(memory + states, memory_bytes=len(memory), state_bytes=system.state_bytes)
    if isinstance(system, Machine):
        program, data = split_memory(memory, system.data_bytes)
        run = TracedRun(
            isa=system.isa,
            layout=system.layout,
            program=program,
            data=data,
            states=np.asarray(rows),
            end=end,
            returned=returned,
        )
        return render_run(run, mark)
    listed = [row.tobytes() for row in rows]
    return "\n".join([*_render_program(system, memory), "", *_render_states(system, listed, mark)])


def _render_program(system: System, memory: bytes) -> list[str]:
    """Return a heading and one line per instruction, up to the first of the zeros at the end."""
    lines = system.listing(memory)
    count = counted(len(lines), "instruction")
    text = [f"program: {count} in {len(memory)} bytes of memory"]
    text += [f"{pc:5}  {line.code.hex(' ')}  {line.text}" for pc, line in enumerate(lines)]
    return text


def _render_states(system: System, rows: list[bytes], mark: Mark) -> list[str]:
    """Return a heading, column names and one line per state.

    An instruction's effect stands in the row after its own, because a state is recorded after the
    fetch and before the effect.
    """
    fetched = [_render_instruction(system, row) if i else "-" for i, row in enumerate(rows)]
    width = max(map(len, [*fetched, _IR]))
    registers = [field for field in system.fields if field.name != _IR]
    names = "".join(f"{field.name:>{_width(field)}} " for field in registers)
    sign = "*" if mark is star else mark("this").rstrip()
    text = [
        f"trace: {counted(len(rows), 'state')}; {sign} marks a register that the instruction "
        "before has changed",
        f"{'state':>5}  {_IR:{width}} {names.rstrip()}",
    ]
    for i, row in enumerate(rows):
        cells: list[str] = []
        for field in registers:
            value = row[field.offset : field.offset + field.num_bytes]
            before = rows[i - 1][field.offset : field.offset + field.num_bytes] if i else value
            number = f"{int.from_bytes(value, 'little')}"
            changed = value != before and field.name != _PC
            space = " " * (_width(field) - len(number))
            cells.append(space + (mark(number) if changed else f"{number} "))
        text.append(f"{i:5}  {fetched[i]:{width}} {''.join(cells).rstrip()}")
    return text


def _render_instruction(system: System, state: bytes) -> str:
    """Return the instruction in IR as assembly."""
    for field in system.fields:
        if field.name == _IR:
            code = state[field.offset : field.offset + field.num_bytes]
            return " ".join(line.text for line in system.listing(code))
    return "-"


def _width(field: StateField) -> int:
    """Return the characters of the largest value, or of the name if that is longer, and a space."""
    return 1 + max(len(field.name), len(str(256**field.num_bytes - 1)))
