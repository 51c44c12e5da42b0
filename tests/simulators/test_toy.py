"""The toy CPU against a second implementation, golden bytes, and its own table."""

import hashlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.batches import batch_of, programs_of
from simulators.cpu.layout import lay_out, split_file
from simulators.cpu.toy.isa import (
    FORMULAS,
    INSTRUCTIONS,
    SLOTS,
    Function,
    disassemble_instruction,
    find_form,
    instruction_table,
)
from simulators.cpu.toy.machine import ToyCpu
from simulators.cpu.tracing.render import render_trace
from simulators.protocol import EndReason

ROOT = Path(__file__).parents[2]


def load_reference() -> ModuleType:
    path = Path(__file__).with_name("toy_reference.py")
    spec = importlib.util.spec_from_file_location("toy_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = load_reference()
SMALL = ToyCpu(memory_bytes=64, max_instructions=16)
PAPER = ToyCpu(memory_bytes=1024, max_instructions=255)


def golden_bytes() -> bytes:
    text = (ROOT / "tests/golden/toy-file.hex").read_text()
    return bytes.fromhex(re.sub(r"#.*", "", text))


def run_one(cpu: ToyCpu, program: bytes, state: bytes) -> tuple[list[bytes], str]:
    traces = cpu.run(batch_of([program], np.frombuffer(state, np.uint8).reshape(1, 16)))
    return [row.tobytes() for row in traces.states], EndReason(int(traces.end_reasons[0])).name


def cpu_docs() -> str:
    """The part on CPU files, wherever in docs/ it stands."""
    texts = [path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))]
    return next(text for text in texts if "How programs are drawn" in text)


# --- draws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cpu", "count"), [(SMALL, 300), (PAPER, 40)])
def test_draws_are_those_of_a_second_implementation(cpu: ToyCpu, count: int) -> None:
    counters = [*range(count), 2**40 + 5, 2**64 - 1]
    drawn = cpu.draw(-3, np.array(counters, np.uint64))
    programs = programs_of(drawn)
    for i, counter in enumerate(counters):
        program, state = REFERENCE.draw(-3, counter, cpu.max_instructions)
        assert (programs[i], drawn.initial_states[i].tobytes()) == (program, state)


def test_the_same_version_draws_and_runs_to_the_same_bytes() -> None:
    # A change of these needs a new ToyCpu.version.
    golden = {
        SMALL: "c5844efd89d9e143e18e593b1d546c0e141ce511af27e7737eb60d3bc3dacafd",
        PAPER: "d98c07b7cf251782722e447cfc91702f0b01e3ef8cfa0842d12c8a254b4240c5",
    }
    for cpu, expected in golden.items():
        drawn = cpu.draw(0, np.arange(1000, dtype=np.uint64))
        files = lay_out(drawn, cpu.run(drawn), memory_bytes=cpu.memory_bytes)
        assert hashlib.sha256(files.data.tobytes()).hexdigest() == expected
    assert {cpu.version for cpu in golden} == {"1"}


def test_the_docs_example_is_what_is_drawn() -> None:
    docs = cpu_docs()
    drawn = SMALL.draw(0, np.array([17], np.uint64))
    lines = [line.text for line in SMALL.listing(drawn.code.tobytes())]
    assert lines == ["INC F", "CLR D", "HLT"]
    digest = hashlib.blake2b(b"toy/1/0", digest_size=8).digest()
    key = int.from_bytes(digest, "little")
    start = REFERENCE.splitmix64(key, 17)
    values = [key, start, *(REFERENCE.splitmix64(start, i) for i in range(5))]
    for value in values:
        assert f"`0x{value:016x}`" in docs
    for line in lines[:2]:
        assert f"`{line}`" in docs


def test_draws_do_not_depend_on_their_order() -> None:
    ahead = SMALL.draw(0, np.array([5, 3], np.uint64))
    back = SMALL.draw(0, np.array([3, 5], np.uint64))
    assert programs_of(ahead) == programs_of(back)[::-1]
    assert np.array_equal(ahead.initial_states, back.initial_states[::-1])


def test_lengths_ops_and_forms_are_drawn_evenly() -> None:
    drawn = SMALL.draw(1, np.arange(20_000, dtype=np.uint64))
    lengths = np.bincount(np.diff(drawn.offsets) // 4, minlength=17)
    # 20,000 / 16 = 1,250 each; five standard deviations are 171.
    assert lengths[0] == 0
    assert np.abs(lengths[1:] - 1250).max() < 171
    words = drawn.code.reshape(-1, 4)
    ops = np.bincount(words[:, 0], minlength=21)
    assert ops[0] == 20_000
    expected = ops[1:].mean()
    assert np.abs(ops[1:] - expected).max() < 5 * expected**0.5
    adds = words[words[:, 0] == 13]
    num_operands = np.bincount((adds[:, 1:] != 0).sum(axis=1), minlength=4)
    assert num_operands[0] == 0
    assert np.abs(num_operands[1:] - len(adds) / 3).max() < 5 * (len(adds) / 3) ** 0.5
    states = drawn.initial_states
    assert not states[:, [0, 2, 3, 4, 5]].any()
    assert all(len(np.unique(states[:, at])) == 256 for at in (1, *range(6, 16)))


# --- runs ----------------------------------------------------------------------------------------


def test_the_golden_file_is_what_its_program_runs_to() -> None:
    golden = golden_bytes()
    cpu = ToyCpu(memory_bytes=16, max_instructions=4)
    memory, states = split_file(golden, memory_bytes=16, state_bytes=16)
    programs = batch_of([memory], states[:1])
    traces = cpu.run(programs)
    assert lay_out(programs, traces, memory_bytes=16).data.tobytes() == golden
    assert traces.end_reasons.tolist() == [EndReason.HALTED]


REGISTER = st.integers(1, 10)
VALID = st.sampled_from([(row, form) for row in INSTRUCTIONS[1:] for form in row.forms]).flatmap(
    lambda pair: st.lists(
        st.integers(0, 255) if pair[0].immediate else REGISTER,
        min_size=pair[1].num_operands,
        max_size=pair[1].num_operands,
    ).map(lambda operands: bytes([pair[0].op, *operands, 0, 0, 0][:4]))
)
ODD = st.tuples(st.integers(0, 24), *[st.integers(0, 12)] * 3).map(bytes)
STATE = st.tuples(st.integers(0, 15), st.binary(min_size=15, max_size=15)).map(
    lambda parts: bytes([parts[0]]) + parts[1]
)


@given(st.lists(VALID, max_size=16), STATE.map(lambda state: b"\0" + state[1:]))
@settings(max_examples=300, deadline=None)
def test_valid_programs_run_as_in_a_second_implementation(code: list[bytes], state: bytes) -> None:
    program = b"".join(code)
    assert run_one(SMALL, program, state) == REFERENCE.run(program, state, 64)


@given(st.lists(st.one_of(VALID, VALID, ODD), max_size=16), STATE)
@settings(max_examples=200, deadline=None)
def test_odd_programs_end_as_in_a_second_implementation(code: list[bytes], state: bytes) -> None:
    program = b"".join(code)
    assert run_one(SMALL, program, state) == REFERENCE.run(program, state, 64)


def test_drawn_paper_programs_run_as_in_a_second_implementation() -> None:
    drawn = PAPER.draw(2, np.arange(60, dtype=np.uint64))
    traces = PAPER.run(drawn)
    for i, program in enumerate(programs_of(drawn)):
        states = traces.states[traces.offsets[i] : traces.offsets[i + 1]]
        expected = REFERENCE.run(program, drawn.initial_states[i].tobytes(), 1024)
        assert ([row.tobytes() for row in states], "HALTED") == expected


@pytest.mark.parametrize("function", [f for f in Function if f not in (0, 10)])
def test_every_function_agrees_with_its_formula_on_all_bytes(function: Function) -> None:
    row = next(row for row in INSTRUCTIONS if row.function is function)
    form = row.forms[-1]
    two_inputs = form.num_operands >= 2
    code = bytes([row.op, *(1, 2, 3)[: form.num_operands], 0, 0, 0][:4]) + bytes(4)
    ys = range(256) if two_inputs else (9,)
    pairs = [(x, y) for x in range(256) for y in ys]
    states = np.zeros((len(pairs), 16), np.uint8)
    states[:, 1], states[:, 6], states[:, 7] = 77, *np.array(pairs, np.uint8).T
    after = SMALL.run(batch_of([code] * len(pairs), states)).states[2::3]
    formula = FORMULAS[function].format(x=form.x, y=form.y, target=form.target)
    compiled = compile(formula, "formula", "exec")
    for (x, y), seen in zip(pairs, after[:, [1, 6, 7, 8]].tolist(), strict=True):
        places = {"ACC": 77, "R": x, "S": y, "T": 0}
        exec(compiled, {"min": min, "max": max}, places)
        assert seen == [places[slot] for slot in SLOTS], (formula, x, y)


@pytest.mark.parametrize(
    ("code", "num_fetched", "reason"),
    [
        # What ends a run, in a memory of four instructions.
        ("", 1, "HALTED"),  # nothing but zeros
        ("02000000", 2, "HALTED"),  # zeros after a program are HLT
        ("02000000 02000000 02000000 00000000", 4, "HALTED"),
        ("02000000 02000000 02000000 02000000", 4, "STEP_LIMIT"),  # no HLT in the last slot
        ("02000000 15000000", 2, "INVALID_INSTRUCTION"),  # opcode 21
        ("020b0000", 1, "INVALID_INSTRUCTION"),  # register 11
        ("0d000200", 1, "INVALID_INSTRUCTION"),  # second operand without a first
        ("0d000000", 1, "INVALID_INSTRUCTION"),  # ADD has no form without operands
        ("00010000", 1, "INVALID_INSTRUCTION"),  # HLT has none with
        ("0bff0100", 1, "INVALID_INSTRUCTION"),  # LOADI has one operand
        ("0b000000", 2, "HALTED"),  # and it may be 0
    ],
)
def test_runs_end_for_a_reason(code: str, num_fetched: int, reason: str) -> None:
    cpu = ToyCpu(memory_bytes=16, max_instructions=4)
    states, ended = run_one(cpu, bytes.fromhex(code), bytes(16))
    assert (len(states) - 1, ended) == (num_fetched, reason)


def test_a_program_that_fills_the_memory_fetches_hlt_at_its_last_slot() -> None:
    states, ended = run_one(SMALL, bytes([2, 0, 0, 0]) * 15 + bytes(4), bytes(16))
    assert ended == "HALTED"
    assert [state[0] for state in states] == [*range(16), 15]
    assert states[-1][1] == 15


def test_read_only_and_strided_programs_run_too() -> None:
    state = np.zeros((2, 32), np.uint8)[:, ::2]
    traces = SMALL.run(batch_of([bytes([2, 0, 0, 0]), b""], state))
    assert traces.offsets.tolist() == [0, 3, 5]


@pytest.mark.parametrize(
    ("memory_bytes", "max_instructions", "message"),
    [
        (60, 4, "memory_bytes = 60 must be a multiple of 16"),
        (0, 1, "memory_bytes = 0 must be a multiple of 16 from 16 to 1024"),
        (2048, 16, "memory_bytes = 2048 must be"),
        (64, 17, "memory_bytes = 64 holds 16 instructions, fewer than max_instructions = 17"),
        (64, 0, "max_instructions = 0 must be at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    memory_bytes: int, max_instructions: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ToyCpu(memory_bytes=memory_bytes, max_instructions=max_instructions)


@pytest.mark.parametrize(
    ("program", "state", "message"),
    [
        (bytes(6), bytes(16), "program 0 has 6 bytes; it must be whole instructions"),
        (bytes(68), bytes(16), "program 0 has 68 bytes"),
        (bytes(4), bytes([16, *bytes(15)]), "program 0 starts at PC 16, outside a memory of 16"),
        (bytes(4), bytes(8), r"initial_states has shape \(1, 8\), expected \(1, 16\)"),
    ],
)
def test_programs_that_are_not_of_this_machine_are_refused(
    program: bytes, state: bytes, message: str
) -> None:
    batch = batch_of([program], np.frombuffer(state, np.uint8).reshape(1, -1))
    with pytest.raises(ValueError, match=message):
        SMALL.run(batch)


# --- table, assembly, text, files ----------------------------------------------------------------


def test_the_table_has_the_machines_names_and_forms() -> None:
    assert [row.op for row in INSTRUCTIONS] == list(range(21))
    table = {row.name: [form.num_operands for form in row.forms] for row in INSTRUCTIONS}
    assert table == REFERENCE.FORMS
    assert [row.name for row in INSTRUCTIONS] == REFERENCE.NAMES


@given(ODD)
@settings(max_examples=300, deadline=None)
def test_assembly_says_invalid_exactly_where_the_machine_does(instruction: bytes) -> None:
    valid = REFERENCE.is_valid(instruction[0], list(instruction[1:]))
    assert (find_form(instruction) is not None) == valid
    name = REFERENCE.NAMES[instruction[0]] if valid else "INVALID"
    assert disassemble_instruction(instruction).split()[0] == name


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("00000000", "HLT"),
        ("01000000", "CLR ACC"),
        ("07030000", "ROR C"),
        ("09040000", "PUSH D -> ACC"),
        ("0a0a0000", "POP ACC -> J"),
        ("0bff0000", "LOADI 255 -> ACC"),
        ("0c020000", "SWAP ACC B"),
        ("0c020500", "SWAP B E"),
        ("0d010000", "ADD ACC A -> ACC"),
        ("0e010200", "SUB A B -> A"),
        ("13010203", "XOR A B -> C"),
        ("14010200", "MOV B -> A"),
    ],
)
def test_assembly_names_inputs_and_target(code: str, line: str) -> None:
    assert disassemble_instruction(bytes.fromhex(code)) == line


def test_code_in_parts_of_instructions_is_refused() -> None:
    with pytest.raises(ValueError, match="5 bytes of code are not whole instructions of 4 bytes"):
        SMALL.listing(bytes(5))


def test_the_docs_show_the_table_and_the_golden_file() -> None:
    docs = cpu_docs()
    assert instruction_table() in docs
    assert (ROOT / "tests/golden/toy-file.hex").read_text() in docs


def test_files_are_memory_then_states() -> None:
    drawn = SMALL.draw(4, np.arange(50, dtype=np.uint64))
    traces = SMALL.run(drawn)
    files = lay_out(drawn, traces, memory_bytes=64)
    assert len(files) == 50
    for i, program in enumerate(programs_of(drawn)):
        file = files.data[files.offsets[i] : files.offsets[i + 1]].tobytes()
        states = traces.states[traces.offsets[i] : traces.offsets[i + 1]]
        assert file == program + bytes(64 - len(program)) + states.tobytes()


def test_a_layout_of_other_sizes_is_refused() -> None:
    drawn = SMALL.draw(4, np.arange(50, dtype=np.uint64))
    traces = SMALL.run(drawn)
    with pytest.raises(ValueError, match="bytes, more than memory_bytes = 32"):
        lay_out(drawn, traces, memory_bytes=32)
    with pytest.raises(ValueError, match="49 programs but 50 traces"):
        lay_out(SMALL.draw(4, np.arange(49, dtype=np.uint64)), traces, memory_bytes=64)
    with pytest.raises(ValueError, match="70 bytes are not a memory block of 64 bytes"):
        split_file(bytes(70), memory_bytes=64, state_bytes=16)


def test_a_trace_is_rendered_with_its_changes_marked() -> None:
    golden = golden_bytes()
    cpu = ToyCpu(memory_bytes=16, max_instructions=4)
    lines = render_trace(cpu, golden[:16], golden[16:]).splitlines()
    assert lines[1] == "    0  0b c8 00 00  LOADI 200 -> ACC"
    assert lines[4] == "    3  00 00 00 00  HLT"
    marked = [re.findall(r"(\d+)\*", line) for line in lines[8:]]
    assert marked == [[], [], ["200"], ["255"], ["255"]]
    assert [line.split()[1] for line in lines[9:]] == ["LOADI", "ADD", "DIV", "HLT"]


def test_rendering_refuses_what_is_no_trace() -> None:
    with pytest.raises(ValueError, match="memory has 63 bytes, expected 64"):
        render_trace(SMALL, bytes(63), bytes(16))
    with pytest.raises(ValueError, match="87 bytes are not a memory block of 64"):
        render_trace(SMALL, bytes(64), bytes(23))
