"""Where two runs of the same programs part: the first difference of every program that has one.

For the oracles, which run the same batch on two machines. It knows states and listings, and runs
nothing itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.isa.table import Isa, LayoutName
from simulators.cpu.reading.disassembly import disassemble
from simulators.cpu.states import program_counters, state_fields
from simulators.protocol import EndReason, ProgramBatch, StateField, TraceBatch


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One finding: everything that is needed to see it again alone."""

    source: str
    """How to draw the program or instruction again."""
    field: str
    """The register, or what else differs."""
    expected: str
    found: str
    step: int | None = None
    """Completed instructions before the one that differs, in a run."""
    pc: int | None = None
    """That instruction's address."""
    instruction: str = ""
    """That instruction as a disassembler shows it."""

    def __str__(self) -> str:
        """Return it as one line."""
        place = "" if self.step is None else f", step {self.step}"
        place += "" if self.pc is None else f", pc {self.pc:#x}"
        shown = f", {self.instruction}" if self.instruction else ""
        return f"{self.source}{place}{shown}: {self.field} is {self.found}, not {self.expected}"


def trace_differences(
    isa: Isa,
    layout: LayoutName,
    batch: ProgramBatch,
    expected: TraceBatch,
    found: TraceBatch,
    source_of: Callable[[int], str],
) -> Iterator[Difference]:
    """Yield the first difference of every program whose rows or ends are not the same.

    `source_of` names the program of an index within the batch.
    """
    if (
        np.array_equal(expected.offsets, found.offsets)
        and np.array_equal(expected.states, found.states)
        and np.array_equal(expected.end_reasons, found.end_reasons)
    ):
        return
    fields = state_fields(isa, layout)
    for i in range(len(batch)):
        one = expected.states[expected.offsets[i] : expected.offsets[i + 1]]
        other = found.states[found.offsets[i] : found.offsets[i + 1]]
        ends = EndReason(expected.end_reasons[i]).name, EndReason(found.end_reasons[i]).name
        shared = min(len(one), len(other))
        rows = np.flatnonzero((one[:shared] != other[:shared]).any(axis=1))
        if len(rows):
            row = int(rows[0])
            field = _first_field(fields, one[row], other[row])
            what = (field.name, _value(field, one[row]), _value(field, other[row]))
        elif ends[0] != ends[1]:
            row, what = shared, ("end reason", *ends)
        elif len(one) != len(other):
            row, what = shared, ("number of states", str(len(one)), str(len(other)))
        else:
            continue
        step = max(row - 1, 0)
        pc = _address(isa, layout, one[step])
        code = batch.code[batch.offsets[i] : batch.offsets[i + 1]].tobytes()
        yield Difference(
            source=source_of(i),
            step=step,
            pc=pc,
            instruction=instruction_text(isa, code, pc),
            field=what[0],
            expected=what[1],
            found=what[2],
        )


def memory_differences(
    kind: str, expected: Sequence[bytes], found: Sequence[bytes], source_of: Callable[[int], str]
) -> Iterator[Difference]:
    """Yield the first byte that differs of every program's memory of one kind."""
    for i, (one, other) in enumerate(zip(expected, found, strict=True)):
        if one != other:
            at = next((j for j, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), -1)
            yield Difference(
                source=source_of(i),
                field=f"byte {at} of the {kind} at the end" if at >= 0 else f"size of the {kind}",
                expected=hex(one[at]) if at >= 0 else str(len(one)),
                found=hex(other[at]) if at >= 0 else str(len(other)),
            )


def instruction_text(isa: Isa, code: bytes, pc: int) -> str:
    """Return the instruction at an address, empty where the program has none."""
    offset = pc - isa.code_address
    if not 0 <= offset < len(code):
        return ""
    lines = disassemble(isa, code[offset : offset + 16], pc)
    return f"{lines[0].code.hex(' ')} ({lines[0].text})"


def _first_field(
    fields: tuple[StateField, ...], one: NDArray[np.uint8], other: NDArray[np.uint8]
) -> StateField:
    at = int(np.flatnonzero(one != other)[0])
    return next(field for field in fields if at < field.offset + field.num_bytes)


def _value(field: StateField, state: NDArray[np.uint8]) -> str:
    part = state[field.offset : field.offset + field.num_bytes]
    return hex(int.from_bytes(part.tobytes(), "little"))


def _address(isa: Isa, layout: LayoutName, state: NDArray[np.uint8]) -> int:
    """Return a state's address; a short field holds the low bytes of one in the code area."""
    low = int(program_counters(isa, layout, state[np.newaxis])[0])
    field = next(part for part in isa.layout(layout) if part.register == isa.program_counter)
    return isa.code_address + (low - isa.code_address) % (1 << 8 * field.num_bytes)
