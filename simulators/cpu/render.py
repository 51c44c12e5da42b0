"""A simulation as a person reads it: the program as assembly, then the trace, changes marked.

Text only, no colours and no output. It reads what a file says and runs nothing, so it also shows
what a model wrote, right or wrong.
"""

from typing import Final

from simulators.cpu.layout import split_file
from simulators.protocol import StateField, System

_PC: Final = "PC"
_IR: Final = "IR"


def render_trace(system: System, memory: bytes, states: bytes) -> str:
    """Return the program and its trace as text; a register that changed carries a `*`.

    An instruction's effect stands in the row after its own, because a state is recorded after the
    fetch and before the effect.

    Raises:
        ValueError: `memory` is not a memory block, or `states` are not whole states.
    """
    if len(memory) != system.memory_bytes:
        raise ValueError(f"memory has {len(memory)} bytes, expected {system.memory_bytes}")
    split_file(memory + states, memory_bytes=len(memory), state_bytes=system.state_bytes)
    size = system.state_bytes
    rows = [states[at : at + size] for at in range(0, len(states), size)]
    return "\n".join([*_render_program(system, memory), "", *_render_states(system, rows)])


def _render_program(system: System, memory: bytes) -> list[str]:
    """Return a heading and one line per instruction, up to the first of the zeros at the end."""
    lines = system.disassemble(memory)
    num_bytes = len(memory) // len(lines)
    num_used = -(-len(memory.rstrip(b"\0")) // num_bytes)
    shown = lines[: num_used + 1]
    text = [f"program: {len(shown)} instructions in {len(memory)} bytes of memory"]
    for pc, line in enumerate(shown):
        text.append(f"{pc:5}  {memory[pc * num_bytes : (pc + 1) * num_bytes].hex(' ')}  {line}")
    return text


def _render_states(system: System, rows: list[bytes]) -> list[str]:
    """Return a heading, column names and one line per state."""
    fetched = [_render_instruction(system, row) if i else "-" for i, row in enumerate(rows)]
    width = max(map(len, [*fetched, _IR]))
    registers = [field for field in system.fields if field.name != _IR]
    names = "".join(f"{field.name:>{_width(field)}} " for field in registers)
    text = [
        f"trace: {len(rows)} states; * marks a register that the instruction before has changed",
        f"{'state':>5}  {_IR:{width}} {names.rstrip()}",
    ]
    for i, row in enumerate(rows):
        cells: list[str] = []
        for field in registers:
            value = row[field.offset : field.offset + field.num_bytes]
            before = rows[i - 1][field.offset : field.offset + field.num_bytes] if i else value
            mark = "*" if value != before and field.name != _PC else " "
            cells.append(f"{int.from_bytes(value, 'little'):{_width(field)}}{mark}")
        text.append(f"{i:5}  {fetched[i]:{width}} {''.join(cells).rstrip()}")
    return text


def _render_instruction(system: System, state: bytes) -> str:
    """Return the instruction in IR as assembly."""
    for field in system.fields:
        if field.name == _IR:
            code = state[field.offset : field.offset + field.num_bytes]
            return " ".join(system.disassemble(code))
    return "-"


def _width(field: StateField) -> int:
    """Return the characters of the largest value, or of the name if that is longer, and a space."""
    return 1 + max(len(field.name), len(str(256**field.num_bytes - 1)))
