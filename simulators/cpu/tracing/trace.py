"""A machine's run as rows for people: which instruction led to each state, and what it changed.

It reads recorded states and runs nothing, so it also reads what a model wrote, right or wrong.
`simulators.cpu.tracing.trace_text` makes text of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.emulation.memory_access import MemoryAccess
from simulators.cpu.emulation.x86_flag_reads import prefix_bytes
from simulators.cpu.isa.table import Isa, LayoutField, LayoutName
from simulators.cpu.reading.disassembly import disassemble
from simulators.cpu.states import program_counters
from simulators.cpu.tracing.counted import counted
from simulators.protocol import EndReason, InstructionLine

_LONGEST_INSTRUCTION: Final = 15
"""Bytes; x86's."""
_RETURNS: Final = frozenset({0xC2, 0xC3, 0xCA, 0xCB})
"""`ret` and `retf` of x86."""
_VERBS: Final = {
    "unmapped read": "reading",
    "unmapped write": "writing",
    "unmapped fetch": "fetching",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedRun:
    """One program with its run."""

    isa: Isa
    layout: LayoutName
    program: bytes
    """The memory block's program, padding included or not."""
    data: bytes
    """The data window at the start; empty where there is none."""
    states: NDArray[np.uint8]
    """`[k, state_bytes]`."""
    end: EndReason | None = None
    """`None` where it is not known."""
    returned: bool = False
    """A function returned to where its empty stack said: the memory fault of `end`."""
    accesses: Sequence[MemoryAccess] = ()
    """Memory writes in order, and at the end the access that faulted; none where not recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceRow:
    """One state, with the instruction that led to it."""

    step: int
    instruction: InstructionLine | None
    """`None` for the first state. Its offset is from the program's start."""
    values: dict[str, int]
    """Every register of the layout but the program counter and the flags."""
    changed: frozenset[str]
    """Names of those that differ from the state before; the flags' among them."""
    flags: str
    """Letters of the flags that are set, `-` for the others; empty where there are none."""
    writes: tuple[MemoryAccess, ...]


def trace_rows(run: TracedRun) -> list[TraceRow]:
    """Return a row for every state."""
    isa = run.isa
    fields = isa.layout(run.layout)
    columns = {part.register: _column(run.states, fields, part) for part in fields}
    writes: dict[int, list[MemoryAccess]] = {}
    for access in run.accesses:
        if access.kind == "write":
            writes.setdefault(access.row, []).append(access)
    pcs = columns.pop(isa.program_counter)
    known: dict[int, InstructionLine] = {}
    rows: list[TraceRow] = []
    for step in range(len(run.states)):
        values = {name: column[step] for name, column in columns.items()}
        instruction = None
        changed: frozenset[str] = frozenset()
        if step:
            pc = pcs[step - 1]
            if pc not in known:
                known[pc] = instruction_at(isa, run.program, pc)
            instruction = known[pc]
            changed = frozenset(n for n, value in values.items() if value != columns[n][step - 1])
        flags = values.pop(isa.flags) if isa.flags is not None else 0
        rows.append(
            TraceRow(
                step=step,
                instruction=instruction,
                values=values,
                changed=changed,
                flags=flag_letters(isa, flags),
                writes=tuple(writes.get(step - 1, ())),
            )
        )
    return rows


def last_pc(run: TracedRun) -> int:
    """Return the program counter of the last state."""
    return int(program_counters(run.isa, run.layout, run.states[-1:])[0])


def instruction_at(isa: Isa, program: bytes, pc: int) -> InstructionLine:
    """Return the instruction at an address; one without bytes where that is outside."""
    offset = pc - isa.code_address
    code = program[offset : offset + _LONGEST_INSTRUCTION] if 0 <= offset < len(program) else b""
    if not code:
        return InstructionLine(offset=offset, code=b"", text="(outside the program)")
    line = disassemble(isa, code, pc)[0]
    return InstructionLine(offset=offset, code=line.code, text=line.text)


def has_returned(
    isa: Isa, program: bytes, pc: int, end: EndReason, accesses: Sequence[MemoryAccess]
) -> bool:
    """Return whether a run ended at `pc` by returning from a function with an empty stack.

    So end functions on x86, which keeps the place to return to on the stack. Elsewhere they jump to
    a register, and leave the program.
    """
    if isa.flag_rule != "x86" or end is not EndReason.MEMORY_FAULT:
        return False
    return _took_from_empty_stack(isa, accesses) and _is_return(isa, program, pc)


def _took_from_empty_stack(isa: Isa, accesses: Sequence[MemoryAccess]) -> bool:
    top = (isa.stack_address + isa.stack_bytes) % (1 << isa.bits)
    return bool(accesses) and accesses[-1].kind == "unmapped read" and accesses[-1].address == top


def _is_return(isa: Isa, program: bytes, pc: int) -> bool:
    """Return whether an instruction of x86 is a return, whatever its prefixes."""
    offset = pc - isa.code_address
    if not 0 <= offset < len(program):
        return False
    code = program[offset : offset + _LONGEST_INSTRUCTION]
    at = prefix_bytes(code, long_mode=isa.bits == 64)
    return at < len(code) and code[at] in _RETURNS


def flag_letters(isa: Isa, value: int) -> str:
    """Return a letter for every flag that is set, in the table's order, and `-` for the others."""
    return "".join(name[0] if value >> bit & 1 else "-" for name, bit in isa.flag_bits.items())


def end_text(run: TracedRun) -> str:
    """Say in words how the run ended, and where."""
    pc = last_pc(run)
    line = instruction_at(run.isa, run.program, pc)
    where = f"at {pc:#x} ({line.text})"
    steps = len(run.states) - 1
    after = f"after {counted(steps, 'instruction')}"
    if run.end is None:
        return f"{after}, {where}"
    if run.returned:
        return f"returned {where} {after}: the stack is empty"
    if run.end is EndReason.MEMORY_FAULT:
        return f"faulted {where}, {_fault_text(run)}, {after}"
    return {
        EndReason.HALTED: f"stopped {where} {after}",
        EndReason.STEP_LIMIT: f"the limit of {counted(steps, 'step')} is reached, {where}",
        EndReason.INVALID_INSTRUCTION: f"met an instruction that is not run here {where} {after}: "
        "unknown to the machine, privileged, or one whose result would not repeat (clocks, random "
        "numbers, the kind of processor)",
        EndReason.DIVIDE_ERROR: f"divided by zero, or to a quotient too large, {where} {after}",
        EndReason.SYSTEM_CALL: f"met a system call {where} {after}; it is not carried out",
        EndReason.LEFT_PROGRAM: f"left the program for {pc:#x} {after}",
    }[run.end]


def _fault_text(run: TracedRun) -> str:
    """Say what a run did that ended with a memory fault."""
    isa = run.isa
    failed = [access for access in run.accesses if access.kind in _VERBS]
    if not failed:
        return "touching memory that is not there or may not be written"
    access = failed[-1]
    what = f"{_VERBS[access.kind]} {counted(access.num_bytes, 'byte')} at {access.address:#x}"
    if _took_from_empty_stack(isa, run.accesses):
        return f"{what}: taking something from the empty stack"
    in_code = 0 <= access.address - isa.code_address < isa.code_bytes
    if access.kind == "unmapped write" and in_code:
        return f"{what}, among the code, which programs may not write"
    return f"{what}, where there is no memory"


def _column(
    states: NDArray[np.uint8], fields: tuple[LayoutField, ...], part: LayoutField
) -> list[int]:
    """Return one field of every state."""
    start = sum(other.num_bytes for other in fields[: fields.index(part)])
    size = part.num_bytes
    raw = states[:, start : start + size].tobytes()
    return [int.from_bytes(raw[at : at + size], "little") for at in range(0, len(raw), size)]
