"""A simulation as text: the toy CPU's table word for word, and what is refused."""

import numpy as np
import pytest

from simulators.batches import batch_of
from simulators.cpu.tracing.render import render_trace
from simulators.protocol import EndReason
from simulators.registry import make_system

TOY = make_system("toy", memory_bytes=64, max_instructions=16)
RV32 = make_system("rv32", memory_bytes=512, max_instructions=20, profile="call")
# LOADI 7 -> ACC; ADD A (ACC = ACC + A); HLT
PROGRAM = bytes([11, 7, 0, 0, 13, 1, 0, 0]).ljust(64, b"\0")

# An effect shows in the row after its instruction's own.
TEXT = """\
program: 3 instructions in 64 bytes of memory
    0  0b 07 00 00  LOADI 7 -> ACC
    1  0d 01 00 00  ADD ACC A -> ACC
    2  00 00 00 00  HLT

trace: 4 states; * marks a register that the instruction before has changed
state  IR                 PC  ACC    A    B    C    D    E    F    G    H    I    J
    0  -                   0    0    5    0    0    0    0    0    0    0    0    0
    1  LOADI 7 -> ACC      1    0    5    0    0    0    0    0    0    0    0    0
    2  ADD ACC A -> ACC    2    7*   5    0    0    0    0    0    0    0    0    0
    3  HLT                 3   12*   5    0    0    0    0    0    0    0    0    0"""


def test_a_toy_program_is_shown_as_ever() -> None:
    state = np.zeros((1, 16), np.uint8)
    state[0, 6] = 5
    traces = TOY.run(batch_of([PROGRAM], state))
    assert render_trace(TOY, PROGRAM, traces.states.tobytes(), EndReason.HALTED) == TEXT


def test_a_machines_program_is_shown_with_data_states_and_end() -> None:
    drawn = RV32.draw(0, np.array([1], np.uint64))
    traces = RV32.run(drawn)
    memory = drawn.code.tobytes().ljust(448, b"\0") + drawn.data.tobytes()
    text = render_trace(RV32, memory, traces.states.tobytes(), EndReason.HALTED)
    program, data, *states, end = text.split("\n\n")
    assert program.startswith("program: ")
    assert data.startswith("data: 64 bytes at the start\n")
    assert states[0].startswith(f"trace: {len(traces.states)} states; ")
    assert end.startswith("end: stopped at 0x")


@pytest.mark.parametrize("system", [TOY, RV32], ids=["toy", "rv32"])
def test_bytes_that_are_no_memory_or_no_states_are_refused(system: object) -> None:
    assert isinstance(system, type(TOY) | type(RV32))
    memory = bytes(system.memory_bytes)
    with pytest.raises(ValueError, match=f"memory has 16 bytes, expected {len(memory)}"):
        render_trace(system, bytes(16), bytes(system.state_bytes))
    with pytest.raises(ValueError, match="are not a memory block"):
        render_trace(system, memory, bytes(system.state_bytes + 1))
