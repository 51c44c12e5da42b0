"""Machines' programs and runs as text: what is shown, marked and said of the end."""

import dataclasses
import re

import numpy as np
import pytest

from simulators.cpu.emulation.memory_access import AccessKind, MemoryAccess
from simulators.cpu.isa.catalogue import ISAS, find_isa
from simulators.cpu.isa.table import LayoutName, state_bytes_of
from simulators.cpu.tracing.render import render_trace
from simulators.cpu.tracing.trace import (
    TracedRun,
    end_text,
    flag_letters,
    has_returned,
    instruction_at,
    trace_rows,
)
from simulators.cpu.tracing.trace_text import (
    WIDTH,
    render_data,
    render_program,
    render_run,
    render_states,
)
from simulators.protocol import EndReason
from simulators.registry import make_system

RV32 = find_isa("rv32")
# addi a0, a0, 5; sw a0, 0x408(zero); addi a1, zero, 5; ebreak
PROGRAM = bytes.fromhex("13055500 2324a040 93055000 73001000")
BASE = RV32.code_address


def states_of(layout: LayoutName, *rows: dict[str, int]) -> np.ndarray:
    """Return states out of registers by name; those that are not given are 0."""
    parts = RV32.layout(layout)
    size = -(-sum(part.num_bytes for part in parts) // 16) * 16
    packed = [
        b"".join(row.get(p.register, 0).to_bytes(p.num_bytes, "little") for p in parts)
        for row in rows
    ]
    return np.frombuffer(b"".join(row.ljust(size, b"\0") for row in packed), np.uint8).reshape(
        len(rows), size
    )


def run_of(
    layout: LayoutName = "narrow",
    end: EndReason | None = EndReason.HALTED,
    accesses: tuple[MemoryAccess, ...] = (),
) -> TracedRun:
    return TracedRun(
        isa=RV32,
        layout=layout,
        program=PROGRAM + bytes(16),
        data=bytes(range(24)),
        states=states_of(
            layout,
            {RV32.program_counter: BASE, "A0": 1},
            {RV32.program_counter: BASE + 4, "A0": 6},
            {RV32.program_counter: BASE + 8, "A0": 6},
            {RV32.program_counter: BASE + 12, "A0": 6, "A1": 5},
        ),
        end=end,
        accesses=accesses,
    )


def test_a_row_names_the_instruction_that_led_to_it_and_what_it_changed() -> None:
    rows = trace_rows(run_of())
    assert [row.instruction and row.instruction.offset for row in rows] == [None, 0, 4, 8]
    assert [sorted(row.changed - {RV32.program_counter}) for row in rows] == [
        [],
        ["A0"],
        [],
        ["A1"],
    ]
    assert rows[3].values["A0"] == 6
    assert rows[3].values["A1"] == 5


def test_changed_registers_carry_a_star_and_the_others_do_not() -> None:
    legend, heading, *lines = render_states(run_of()).splitlines()
    assert legend.endswith("changed ones are marked like this*")
    assert heading.split()[:4] == ["step", "address", "bytes", "instruction"]
    assert [re.findall(r"(\w+)\*", line) for line in lines] == [
        [],
        ["00000006"],
        [],
        ["00000005"],
    ]
    assert "(start)" in lines[0]
    assert lines[1].split()[:6] == ["1", f"{BASE:x}", "13", "05", "55", "00"]


def test_a_mark_of_the_callers_takes_the_place_of_the_star() -> None:
    text = render_states(run_of(), lambda value: f"<{value}")
    assert "<00000006" in text
    assert "*" not in text


def test_wide_states_are_shown_whole_at_both_ends_and_by_their_changes_between() -> None:
    text = render_states(run_of("full"))
    first, _, rest = text.partition("\n\n")
    steps, _, last = rest.partition("\n\n")
    assert first.count("00000001") == 1
    assert next(line.split()[-1] for line in steps.splitlines()[2:]) == "a0=00000006*"
    assert "registers at the end" in last
    assert last.count("*") == 2


@pytest.mark.parametrize("layout", ["narrow", "full"])
@pytest.mark.parametrize("name", ISAS)
def test_no_line_of_a_drawn_program_is_wider_than_the_page(name: str, layout: str) -> None:
    system = make_system(
        name, memory_bytes=512, max_instructions=24, profile="fault", layout=layout
    )
    for counter in range(5):
        drawn = system.draw(0, np.array([counter], np.uint64))
        traces = system.run(drawn)
        memory = drawn.code.tobytes().ljust(512 - system.data_bytes, b"\0")
        memory += drawn.data.tobytes()
        end = EndReason(int(traces.end_reasons[0]))
        text = render_trace(system, memory, traces.states.tobytes(), end)
        assert max(map(len, text.splitlines())) <= WIDTH
        assert text.count("\n    0 ") >= 1


def test_no_line_is_wider_than_the_page_however_much_an_instruction_writes() -> None:
    isa = find_isa("x86_64")
    size = state_bytes_of(isa.narrow)
    states = np.zeros((2, size), np.uint8)
    states[:, :4] = np.frombuffer(isa.code_address.to_bytes(4, "little"), np.uint8)
    states[1, 8:] = 0xFF
    # mov qword ptr [rsp + 0x12345678], 0x12345678
    program = bytes.fromhex("48c7842478563412 78563412 f4")
    write = MemoryAccess(row=0, kind="write", address=2**64 - 8, num_bytes=8, data=bytes(8))
    run = TracedRun(
        isa=isa,
        layout="narrow",
        program=program,
        data=b"",
        states=states,
        end=EndReason.MEMORY_FAULT,
        accesses=(write,) * 9,
    )
    text = render_run(run)
    assert text.count("[fffffffffffffff8] <- ") == 9
    assert text.count("=ffffffffffffffff*") > 5
    assert max(map(len, text.splitlines())) <= WIDTH


def test_letters_of_flags_are_explained_where_there_are_flags() -> None:
    for isa in ISAS.values():
        run = TracedRun(
            isa=isa,
            layout="full",
            program=isa.stop,
            data=b"",
            states=np.zeros((1, state_bytes_of(isa.full)), np.uint8),
        )
        text = render_states(run)
        assert text.startswith("trace: 1 state; ")
        assert ("Z zero" in text) == (isa.flags is not None)
        assert render_program(run).startswith("program: 1 instruction, ")


RETURN_CASES = [
    ("x86_16", "c3", 0, "unmapped read", True),
    ("x86_16", "2e c20400", 0, "unmapped read", True),
    ("x86_16", "cb", 0, "unmapped read", True),
    ("x86_16", "58", 0, "unmapped read", False),  # pop ax
    ("x86_16", "c3", 2, "unmapped read", False),  # not the top of the stack
    ("x86_16", "c3", 0, "unmapped write", False),
    ("x86_64", "f3 c3", 0, "unmapped read", True),
    ("x86_64", "48 c3", 0, "unmapped read", True),
    ("x86_64", "48 8b0424", 0, "unmapped read", False),  # mov rax, [rsp]
    ("aarch64", "c0035fd6", 0, "unmapped read", False),
]


@pytest.mark.parametrize(("name", "code", "above", "kind", "returned"), RETURN_CASES)
def test_a_function_has_returned_where_a_return_reads_the_empty_stack(
    name: str, code: str, above: int, kind: AccessKind, returned: bool
) -> None:
    isa = find_isa(name)
    top = isa.stack_address + isa.stack_bytes + above
    access = MemoryAccess(row=0, kind=kind, address=top, num_bytes=2)
    program = bytes.fromhex(code)
    pc, fault = isa.code_address, EndReason.MEMORY_FAULT
    assert has_returned(isa, program, pc, fault, (access,)) == returned
    assert not has_returned(isa, program, pc, EndReason.HALTED, (access,))
    assert not has_returned(isa, program, pc + 100, fault, (access,))
    assert not has_returned(isa, program, pc, fault, ())


def test_a_return_is_no_fault_in_words() -> None:
    run = dataclasses.replace(run_of(end=EndReason.MEMORY_FAULT), returned=True)
    words = "returned at 0x1000c (ebreak) after 3 instructions: the stack is empty"
    assert end_text(run) == words


def test_a_listing_has_offsets_addresses_and_bytes_and_ends_with_the_stop() -> None:
    heading, _, first, *_, last = render_program(run_of()).splitlines()
    assert heading == "program: 4 instructions, 16 of 32 bytes"
    assert first.split()[:3] == ["0", f"{BASE:x}", "13"]
    assert last.split()[:2] == ["c", f"{BASE + 12:x}"]
    assert last.endswith("ebreak")


def test_the_data_window_is_dumped_in_rows_of_sixteen() -> None:
    lines = render_data(run_of()).splitlines()
    base = RV32.data_address
    assert lines[1].split() == [f"{base:x}", *(f"{n:02x}" for n in range(16))]
    assert lines[2].split() == [f"{base + 16:x}", *(f"{n:02x}" for n in range(16, 24))]


def test_writes_to_memory_stand_beside_their_instruction() -> None:
    write = MemoryAccess(row=1, kind="write", address=0x408, num_bytes=4, data=b"\6\0\0\0")
    lines = render_states(run_of("full", accesses=(write,))).splitlines()
    (line,) = [line for line in lines if "[408] <- 06 00 00 00" in line]
    assert line.split()[0] == "2"
    # A table has no room for it on the same line.
    lines = render_states(run_of(accesses=(write,))).splitlines()
    (at,) = [i for i, line in enumerate(lines) if line.strip() == "[408] <- 06 00 00 00"]
    assert lines[at - 1].split()[0] == "2"


# How a run ended, the access that faulted, and what is said of it.
ENDS = [
    (EndReason.HALTED, None, "stopped at 0x1000c (ebreak) after 3 instructions"),
    (EndReason.STEP_LIMIT, None, "the limit of 3 steps is reached, at 0x1000c (ebreak)"),
    (EndReason.SYSTEM_CALL, None, "met a system call at 0x1000c (ebreak) after 3 instructions"),
    (EndReason.LEFT_PROGRAM, None, "left the program for 0x1000c after 3 instructions"),
    (EndReason.DIVIDE_ERROR, None, "divided by zero"),
    (EndReason.INVALID_INSTRUCTION, None, "met an instruction that is not run here at 0x1000c"),
    (
        EndReason.MEMORY_FAULT,
        MemoryAccess(row=3, kind="unmapped read", address=0x99, num_bytes=4),
        "faulted at 0x1000c (ebreak), reading 4 bytes at 0x99, where there is no memory, after 3",
    ),
    (
        EndReason.MEMORY_FAULT,
        MemoryAccess(row=3, kind="unmapped write", address=0x99, num_bytes=1),
        "writing 1 byte at 0x99",
    ),
    (
        EndReason.MEMORY_FAULT,
        MemoryAccess(
            row=3,
            kind="unmapped read",
            address=RV32.stack_address + RV32.stack_bytes,
            num_bytes=4,
        ),
        "faulted at 0x1000c (ebreak), reading 4 bytes at 0x21000: taking something from the empty "
        "stack, after 3 instructions",
    ),
    (
        EndReason.MEMORY_FAULT,
        MemoryAccess(row=3, kind="unmapped write", address=BASE + 8, num_bytes=4),
        "writing 4 bytes at 0x10008, among the code, which programs may not write, after 3",
    ),
    (EndReason.MEMORY_FAULT, None, "faulted at 0x1000c (ebreak), touching memory that is not"),
    (None, None, "after 3 instructions, at 0x1000c (ebreak)"),
]


@pytest.mark.parametrize(("end", "access", "words"), ENDS)
def test_the_end_is_said_in_words(
    end: EndReason | None, access: MemoryAccess | None, words: str
) -> None:
    assert BASE == 0x10000
    text = end_text(run_of(end=end, accesses=(access,) if access else ()))
    assert words in text
    assert render_run(run_of(end=end)).count("\nend: ") == 1


def test_every_end_reason_has_its_words() -> None:
    texts = {end_text(run_of(end=end)) for end in EndReason}
    assert len(texts) == len(EndReason)


def test_what_a_model_wrote_is_shown_even_where_it_makes_no_sense() -> None:
    run = run_of()
    states = np.full_like(run.states, 0xFF)
    wild = TracedRun(isa=RV32, layout="narrow", program=PROGRAM, data=b"", states=states)
    assert "(outside the program)" in render_run(wild)
    assert instruction_at(RV32, PROGRAM, BASE - 4).code == b""


def test_flags_are_letters_where_they_are_set() -> None:
    for isa in ISAS.values():
        assert flag_letters(isa, 0) == "-" * len(isa.flag_bits)
        letters = flag_letters(isa, isa.flags_mask)
        assert len(set(letters)) == len(letters) == len(isa.flag_bits)
        for i, (name, bit) in enumerate(isa.flag_bits.items()):
            assert flag_letters(isa, 1 << bit) == letters[:0] + "-" * i + name[0] + "-" * (
                len(letters) - i - 1
            )
