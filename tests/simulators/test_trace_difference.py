"""A planted difference is found where it is and told in full; without one nothing is found."""

import dataclasses

import numpy as np
import pytest

from simulators.batches import batch_of
from simulators.cpu.isa.catalogue import find_isa
from simulators.cpu.oracles.trace_difference import (
    Difference,
    memory_differences,
    trace_differences,
)
from simulators.cpu.states import state_fields
from simulators.protocol import EndReason, ProgramBatch, TraceBatch

ISA = find_isa("rv32")
FIELDS = {field.name: field for field in state_fields(ISA, "narrow")}
STATE_BYTES = sum(field.num_bytes for field in FIELDS.values())
# addi a0, a0, 1; addi a1, a1, 2; ebreak
PROGRAM = bytes.fromhex("13051500 93852500 73001000")


def state(**registers: int) -> bytes:
    return b"".join(
        registers.get(field.name, 0).to_bytes(field.num_bytes, "little")
        for field in FIELDS.values()
    )


def batch(number: int) -> ProgramBatch:
    first = np.frombuffer(state(PC=ISA.code_address) * number, np.uint8).reshape(number, -1)
    return batch_of([PROGRAM] * number, first)


def traces(number: int) -> TraceBatch:
    rows = (
        state(PC=ISA.code_address)
        + state(PC=ISA.code_address + 4, A0=1)
        + state(PC=ISA.code_address + 8, A0=1, A1=2)
    )
    states = np.frombuffer(rows * number, np.uint8).reshape(-1, STATE_BYTES).copy()
    ends = np.full(number, EndReason.HALTED, np.uint8)
    return TraceBatch(states=states, offsets=np.arange(number + 1) * 3, end_reasons=ends)


def differences(found: TraceBatch) -> list[Difference]:
    number = len(found)
    return list(
        trace_differences(ISA, "narrow", batch(number), traces(number), found, "program {}".format)
    )


def test_the_same_runs_have_no_difference() -> None:
    assert differences(traces(3)) == []


def test_a_register_is_named_with_the_instruction_that_should_have_made_it() -> None:
    found = traces(3)
    found.states[5, FIELDS["A1"].offset + 1] = 0x10
    found.states[5, FIELDS["A2"].offset] = 1
    assert differences(found) == [
        Difference(
            source="program 1",
            step=1,
            pc=ISA.code_address + 4,
            instruction="93 85 25 00 (addi a1, a1, 2)",
            field="A1",
            expected="0x2",
            found="0x1002",
        )
    ]
    line = str(differences(found)[0])
    address = f"{ISA.code_address + 4:#x}"
    assert line == (
        f"program 1, step 1, pc {address}, 93 85 25 00 (addi a1, a1, 2): A1 is 0x1002, not 0x2"
    )


def test_every_program_with_a_difference_is_told_once() -> None:
    found = traces(4)
    found.states[1:3, FIELDS["A0"].offset] = 9
    found.states[11, FIELDS["PC"].offset] = 9
    assert [(one.source, one.step, one.field) for one in differences(found)] == [
        ("program 0", 0, "A0"),
        ("program 3", 1, "PC"),
    ]


def test_another_end_and_another_number_of_states_are_differences() -> None:
    found = traces(2)
    found.end_reasons[1] = EndReason.STEP_LIMIT
    assert [(one.field, one.expected, one.found) for one in differences(found)] == [
        ("end reason", "HALTED", "STEP_LIMIT")
    ]
    shorter = dataclasses.replace(
        traces(2), states=traces(2).states[:5], offsets=np.array([0, 3, 5], np.int64)
    )
    assert [(one.source, one.field, one.expected, one.found) for one in differences(shorter)] == [
        ("program 1", "number of states", "3", "2")
    ]


@pytest.mark.parametrize(
    ("found", "field", "values"),
    [
        (b"ab\x07d", "byte 2 of the stack at the end", ("0x63", "0x7")),
        (b"abc", "size of the stack", ("4", "3")),
    ],
)
def test_memory_is_compared_byte_by_byte(found: bytes, field: str, values: tuple[str, str]) -> None:
    both = list(memory_differences("stack", [b"same", b"abcd"], [b"same", found], str))
    assert both == [Difference(source="1", field=field, expected=values[0], found=values[1])]
