"""The RISC-V interpreter against Python's numbers, the manual's special cases, and the emulator."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.batches import batch_of
from simulators.counter_rng import stream_key
from simulators.cpu.drawing.programs import ProgramGenerator
from simulators.cpu.interpreter import riscv, riscv_kernel
from simulators.cpu.interpreter.riscv import RiscvInterpreter
from simulators.cpu.isa import rv32, rv64
from simulators.cpu.isa.table import PROFILES, Isa, LayoutField, LayoutName, state_bytes_of
from simulators.cpu.oracles.form_samples import encode
from simulators.protocol import EndReason, ProgramBatch, TraceBatch

ISAS = pytest.mark.parametrize("isa", [rv32.ISA, rv64.ISA], ids=["rv32", "rv64"])
PROGRAM_BYTES, DATA_BYTES = 448, 64
A0, A1, A2, SP = 10, 11, 12, 2
CODE, STACK_TOP = 0x10000, 0x21000
FORMS = {isa.bits: {form.name: form for form in isa.forms} for isa in (rv32.ISA, rv64.ISA)}


def machine(isa: Isa, layout: LayoutName = "full", max_states: int = 60) -> RiscvInterpreter:
    return RiscvInterpreter(
        isa,
        layout=layout,
        program_bytes=PROGRAM_BYTES,
        data_bytes=DATA_BYTES,
        max_states=max_states,
    )


MACHINES = {isa.bits: machine(isa) for isa in (rv32.ISA, rv64.ISA)}


def assemble(isa: Isa, text: str) -> bytes:
    """Return the code of lines such as `addi 10 0 -5`: registers and numbers as they stand in the
    table, hexadecimal bytes in brackets; `stop` as the last line is added."""
    code = b""
    for line in [part.strip() for part in text.split(";") if part.strip()]:
        if line.startswith("["):
            code += bytes.fromhex(line.strip("[]"))
            continue
        name, *operands = line.split()
        code += encode(FORMS[isa.bits][name], tuple(int(operand, 0) for operand in operands))
    return code + isa.stop


def state_of(isa: Isa, registers: dict[int, int] | None = None) -> NDArray[np.uint8]:
    """Return a state of the full layout: the stack pointer at its place, else zero or as given."""
    given = {0: CODE, SP: STACK_TOP, **(registers or {})}
    values = [given.get(place, 0) % (1 << isa.bits) for place in range(32)]
    return np.array(values, f"<u{isa.bits // 8}").view(np.uint8).reshape(1, -1)


def run(
    isa: Isa, text: str, registers: dict[int, int] | None = None, data: bytes = bytes(DATA_BYTES)
) -> tuple[list[list[int]], str]:
    """Return the states, each PC and x1 to x31, and the name of the end."""
    window = np.frombuffer(data, np.uint8).reshape(1, DATA_BYTES)
    batch = batch_of([assemble(isa, text)], state_of(isa, registers), window)
    traces = MACHINES[isa.bits].run(batch)
    rows = traces.states.view(f"<u{isa.bits // 8}").tolist()
    return rows, EndReason(int(traces.end_reasons[0])).name


# --- what instructions compute -------------------------------------------------------------------


def signed(value: int, bits: int) -> int:
    half = 1 << bits - 1
    return (value % (2 * half) ^ half) - half


def quotient(a: int, b: int) -> int:
    return -1 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a: int, b: int) -> int:
    return a if b == 0 else abs(a) % abs(b) * (-1 if a < 0 else 1)


# By name: the result out of both operands, unsigned (a, b) and signed (x, y), of n bits.
FORMULAS: dict[str, Callable[[int, int, int, int, int], int]] = {
    "add": lambda a, b, x, y, n: a + b,
    "sub": lambda a, b, x, y, n: a - b,
    "sll": lambda a, b, x, y, n: a << b % n,
    "slt": lambda a, b, x, y, n: int(x < y),
    "sltu": lambda a, b, x, y, n: int(a < b),
    "xor": lambda a, b, x, y, n: a ^ b,
    "srl": lambda a, b, x, y, n: a >> b % n,
    "sra": lambda a, b, x, y, n: x >> b % n,
    "or": lambda a, b, x, y, n: a | b,
    "and": lambda a, b, x, y, n: a & b,
    "mul": lambda a, b, x, y, n: a * b,
    "mulh": lambda a, b, x, y, n: x * y >> n,
    "mulhsu": lambda a, b, x, y, n: x * b >> n,
    "mulhu": lambda a, b, x, y, n: a * b >> n,
    "div": lambda a, b, x, y, n: quotient(x, y),
    "divu": lambda a, b, x, y, n: quotient(a, b),
    "rem": lambda a, b, x, y, n: remainder(x, y),
    "remu": lambda a, b, x, y, n: remainder(a, b),
}
BRANCHES: dict[str, Callable[[int, int, int, int], bool]] = {
    "beq": lambda a, b, x, y: a == b,
    "bne": lambda a, b, x, y: a != b,
    "blt": lambda a, b, x, y: x < y,
    "bge": lambda a, b, x, y: x >= y,
    "bltu": lambda a, b, x, y: a < b,
    "bgeu": lambda a, b, x, y: a >= b,
}


def values_of(bits: int) -> list[int]:
    edges = {0, 1, 2, 5, 31, 32, 63, 64, -1, -2, -7, 1 << 31, (1 << 31) - 1, 0xFFFF_FFFF}
    edges |= {1 << bits - 1, (1 << bits - 1) - 1, 0x1234_5678_9ABC_DEF0, 0xFEDC_BA98_7654_3211}
    return sorted({edge % (1 << bits) for edge in edges})


def results_of(isa: Isa, line: str, pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Return the last state of `line` for every pair of values in a0 and a1."""
    states = np.concatenate([state_of(isa, {A0: a, A1: b}) for a, b in pairs])
    data = np.zeros((len(pairs), DATA_BYTES), np.uint8)
    traces = MACHINES[isa.bits].run(batch_of([assemble(isa, line)] * len(pairs), states, data))
    assert set(np.diff(traces.offsets).tolist()) == {2}
    return traces.states[1::2].view(f"<u{isa.bits // 8}").tolist()


@ISAS
def test_operations_on_registers_agree_with_pythons_numbers(isa: Isa) -> None:
    pairs = [(a, b) for a in values_of(isa.bits) for b in values_of(isa.bits)]
    names = [(name, isa.bits) for name in FORMULAS]
    names += [(name, 32) for name in FORMULAS if f"{name}w" in FORMS[isa.bits]]
    assert len(names) == (18 if isa.bits == 32 else 28)
    for i, (name, n) in enumerate(names):
        text = f"{name}w 12 10 11" if i >= 18 else f"{name} 12 10 11"
        for (a, b), row in zip(pairs, results_of(isa, text, pairs), strict=True):
            a, b = a % (1 << n), b % (1 << n)
            wanted = FORMULAS[name](a, b, signed(a, n), signed(b, n), n)
            assert row[A2] == signed(wanted, n) % (1 << isa.bits), (text, a, b)


@ISAS
def test_operations_on_numbers_agree_with_pythons_numbers(isa: Isa) -> None:
    names = [(name, isa.bits, "") for name in ("add", "slt", "sltu", "xor", "or", "and")]
    names += [(name, isa.bits, "") for name in ("sll", "srl", "sra")]
    names += [(name, 32, "w") for name in ("add", "sll", "srl", "sra") if isa.bits == 64]
    pairs = [(a, 0) for a in values_of(isa.bits)]
    for name, n, w in names:
        is_shift = name in ("sll", "srl", "sra")
        for number in (0, 1, 31, n - 1) if is_shift else (0, 1, -1, 7, -2048, 2047):
            form = f"{name.removesuffix('u')}i{'u' if name == 'sltu' else ''}{w}"
            rows = results_of(isa, f"{form} 12 10 {number}", pairs)
            for (a, _), row in zip(pairs, rows, strict=True):
                a, b = a % (1 << n), number % (1 << n)
                wanted = FORMULAS[name](a, b, signed(a, n), signed(b, n), n)
                assert row[A2] == signed(wanted, n) % (1 << isa.bits), (form, a, number)


@ISAS
def test_branches_are_taken_as_pythons_numbers_say(isa: Isa) -> None:
    pairs = [(a, b) for a in values_of(isa.bits) for b in values_of(isa.bits)]
    for name, is_taken in BRANCHES.items():
        for (a, b), row in zip(pairs, results_of_branch(isa, name, pairs), strict=True):
            taken = is_taken(a, b, signed(a, isa.bits), signed(b, isa.bits))
            assert row == CODE + (8 if taken else 4), (name, a, b)


def results_of_branch(isa: Isa, name: str, pairs: list[tuple[int, int]]) -> list[int]:
    """Return the program counter after a branch over a second stop."""
    states = np.concatenate([state_of(isa, {A0: a, A1: b}) for a, b in pairs])
    code = assemble(isa, f"{name} 10 11 8") + isa.stop
    data = np.zeros((len(pairs), DATA_BYTES), np.uint8)
    traces = MACHINES[isa.bits].run(batch_of([code] * len(pairs), states, data))
    return traces.states[1::2].view(f"<u{isa.bits // 8}")[:, 0].tolist()


M = 1 << 64
CASES = (
    # Width, program, registers, expected registers at the end: the manual's special cases.
    (32, "div 12 10 11", {A0: 1 << 31, A1: -1}, {A2: 1 << 31}),
    (32, "rem 12 10 11", {A0: 1 << 31, A1: -1}, {A2: 0}),
    (32, "divu 12 10 0", {A0: 5}, {A2: 0xFFFF_FFFF}),
    (32, "remu 12 10 0", {A0: 5}, {A2: 5}),
    (32, "mulhsu 12 10 11", {A0: -1, A1: 0xFFFF_FFFF}, {A2: 0xFFFF_FFFF}),
    (32, "lui 10 0xfffff", {}, {A0: 0xFFFF_F000}),
    (32, "auipc 10 0xffff0", {}, {A0: 0}),
    (32, "auipc 10 0x80000", {}, {A0: 0x8001_0000}),
    (64, "div 12 10 11", {A0: 1 << 63, A1: -1}, {A2: 1 << 63}),
    (64, "rem 12 10 11", {A0: 1 << 63, A1: -1}, {A2: 0}),
    (64, "divw 12 10 11", {A0: 1 << 31, A1: -1}, {A2: M - (1 << 31)}),
    (64, "divuw 12 10 0", {A0: 7}, {A2: M - 1}),
    (64, "remuw 12 10 0", {A0: 0x1_8000_0000}, {A2: M - (1 << 31)}),
    (64, "mulhsu 12 10 11", {A0: -1, A1: -1}, {A2: M - 1}),
    (64, "mulhu 12 10 11", {A0: -1, A1: -1}, {A2: M - 2}),
    (64, "srai 12 10 63", {A0: 1 << 63}, {A2: M - 1}),
    (64, "sll 12 10 11", {A0: 1, A1: 127}, {A2: 1 << 63}),
    (64, "sraiw 12 10 31", {A0: 1 << 31}, {A2: M - 1}),
    (64, "srliw 12 10 0", {A0: 1 << 31}, {A2: M - (1 << 31)}),
    (64, "lui 10 0x80000", {}, {A0: M - (1 << 31)}),
    (64, "auipc 10 0x80000", {}, {A0: M - (1 << 31) + CODE}),
    (64, "addiw 12 10 0", {A0: 0x1234_8765_4321}, {A2: M - 0x789A_BCDF}),
    # x0 reads as 0, whatever is written to it; also by loads, jumps and `lui`.
    (32, "addi 0 0 5; lui 0 1; lw 0 0x400 0; jal 0 4; add 10 0 0", {A0: 9}, {A0: 0}),
    # `jalr` clears bit 0 of the sum, and reads its base before it writes the link.
    (32, "jalr 1 11 4; [00000000]", {A1: CODE + 5}, {1: CODE + 4}),
    (64, "jalr 11 11 3; [00000000]", {A1: CODE + 6}, {A1: CODE + 4}),
    (64, "jal 5 8; [00000000]", {}, {5: CODE + 4}),
)


@pytest.mark.parametrize(("bits", "text", "registers", "expected"), CASES)
def test_special_cases_are_the_manuals(
    bits: int, text: str, registers: dict[int, int], expected: dict[int, int]
) -> None:
    rows, end = run(rv32.ISA if bits == 32 else rv64.ISA, text, registers)
    assert end == "HALTED"
    assert {place: rows[-1][place] for place in expected} == expected


# --- memory --------------------------------------------------------------------------------------

PATTERN = bytes(range(0x80, 0xC0))


@ISAS
def test_loads_take_any_width_at_any_place_and_extend_it(isa: Isa) -> None:
    loads = {"lb": (1, True), "lh": (2, True), "lw": (4, True), "lbu": (1, False)}
    loads |= {"lhu": (2, False)}
    if isa.bits == 64:
        loads |= {"ld": (8, True), "lwu": (4, False)}
    for name, (size, sign) in loads.items():
        for at in (0, 1, 2, 3, 5, DATA_BYTES - size):
            rows, _ = run(isa, f"{name} 10 {0x400 + at} 0", data=PATTERN)
            wanted = int.from_bytes(PATTERN[at : at + size], "little", signed=sign)
            assert rows[-1][A0] == wanted % (1 << isa.bits), (name, at)


@ISAS
def test_stores_write_their_bytes_and_no_others(isa: Isa) -> None:
    stores = {"sb": 1, "sh": 2, "sw": 4} | ({"sd": 8} if isa.bits == 64 else {})
    value = 0x1122_3344_5566_7788 % (1 << isa.bits)
    for name, size in stores.items():
        for at in (8, 9, 11, 13):
            text = f"{name} 10 {0x400 + at} 0; " + "; ".join(
                f"lbu 11 {0x404 + i} 0" for i in range(24)
            )
            rows, _ = run(isa, text, {A0: value}, PATTERN)
            memory = bytearray(PATTERN)
            memory[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
            assert bytes(row[A1] for row in rows[2:]) == memory[4:28], (name, at)


@ISAS
def test_all_of_both_pages_is_memory_and_the_code_can_be_read_only(isa: Isa) -> None:
    cases = (
        ("lw 10 0 11", 0xFFC, "HALTED", 0),
        ("lw 10 0 11", 0xFFD, "MEMORY_FAULT", None),
        ("sw 10 0 11", 0xFFD, "MEMORY_FAULT", None),
        ("lb 10 0 11", 0x1000, "MEMORY_FAULT", None),
        ("lb 10 0 11", -1, "MEMORY_FAULT", None),
        ("lw 10 0 11", -2, "MEMORY_FAULT", None),
        ("lw 10 4 11", -4, "HALTED", 0),  # an address wraps around
        ("lw 10 0 11", 0x1FFFF, "MEMORY_FAULT", None),
        ("lw 10 0 11", 0x20000, "HALTED", 0),
        ("lw 10 -4 2", 0, "HALTED", 0),
        ("lw 10 -3 2", 0, "MEMORY_FAULT", None),
        ("sw 10 -4 2", 0, "HALTED", 7),
        ("lw 10 0 11", CODE + 4, "HALTED", 0x0010_0073),
        ("lh 10 0 11", CODE + 6, "HALTED", 0x0010),
        ("lw 10 0 11", CODE + 6, "HALTED", 0x0010),  # zeros behind the program
        ("lw 10 0 11", CODE + 8, "HALTED", 0),
        ("lw 10 0 11", CODE + 8188, "HALTED", 0),
        ("lw 10 0 11", CODE + 8190, "MEMORY_FAULT", None),
        ("sb 10 0 11", CODE, "MEMORY_FAULT", None),
        ("sw 10 0 11", CODE - 2, "MEMORY_FAULT", None),
    )
    for text, address, end, value in cases:
        rows, ended = run(isa, text, {A0: 7, A1: address})
        assert (ended, len(rows)) == (end, 2 if end == "HALTED" else 1), (text, hex(address))
        if value is not None:
            assert rows[-1][A0] == value, (text, hex(address))


@ISAS
def test_every_program_starts_on_a_fresh_machine(isa: Isa) -> None:
    dirty = assemble(isa, "sw 10 0x500 0; sw 10 0x404 0; sw 10 -8 2; addi 3 0 9; addi 2 2 -16")
    look = assemble(isa, "lw 10 0x500 0; lw 11 0x404 0; lw 12 -8 2; add 13 3 0; add 14 2 0")
    # The narrow layout records neither x3 nor the stack pointer: both start afresh as well.
    narrow = machine(isa, "narrow")
    word = f"<u{isa.bits // 8}"
    state = np.array([[CODE, *range(1, 8)]] * 4, word).view(np.uint8)
    window = np.zeros((4, DATA_BYTES), np.uint8)
    traces = narrow.run(batch_of([look, dirty, dirty, look], state, window))
    first, last = (
        traces.states[traces.offsets[i] : traces.offsets[i + 1]].view(word)[-1].tolist()
        for i in (0, 3)
    )
    assert first == last == [CODE + 20, 1, 0, 0, 0, 0, STACK_TOP, 7]


# --- ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address", "num_states", "end"),
    [
        ("", 0, 1, "HALTED"),
        ("addi 10 0 1", 0, 2, "HALTED"),
        ("[73000000]", 0, 1, "SYSTEM_CALL"),  # ecall
        ("[0f00f00f]; addi 10 0 1", 0, 3, "HALTED"),  # fence
        ("[0f10000f]", 0, 1, "INVALID_INSTRUCTION"),  # fence.i
        ("[00000000]", 0, 1, "INVALID_INSTRUCTION"),
        ("[ffffffff]", 0, 1, "INVALID_INSTRUCTION"),
        ("[15450100]", 0, 1, "INVALID_INSTRUCTION"),  # c.li a0, 5
        ("[2f25b500]", 0, 1, "INVALID_INSTRUCTION"),  # amoadd.w
        ("[732500c0]", 0, 1, "INVALID_INSTRUCTION"),  # rdcycle
        ("[73002000]", 0, 1, "INVALID_INSTRUCTION"),  # uret
        ("[33050504]", 0, 1, "INVALID_INSTRUCTION"),  # `add` with a funct7 that is none
        ("[67150500]", 0, 1, "INVALID_INSTRUCTION"),  # `jalr` with a funct3 that is none
        ("jalr 1 11 0", CODE - 4, 2, "LEFT_PROGRAM"),
        ("jalr 1 11 0", 0x400, 2, "LEFT_PROGRAM"),
        ("jalr 1 11 0", CODE + PROGRAM_BYTES - 4, 2, "INVALID_INSTRUCTION"),
        ("jalr 1 11 0", CODE + PROGRAM_BYTES, 2, "LEFT_PROGRAM"),
        ("jalr 1 11 0", CODE + PROGRAM_BYTES + 2, 2, "LEFT_PROGRAM"),
        ("jalr 1 11 0", CODE + 6, 2, "INVALID_INSTRUCTION"),  # no multiple of four
        ("jalr 1 11 0", CODE, 60, "STEP_LIMIT"),
        ("jal 1 -4", 0, 2, "LEFT_PROGRAM"),
        ("beq 0 0 6", 0, 2, "INVALID_INSTRUCTION"),
        ("; ".join(["addi 10 10 1"] * 59), 0, 60, "HALTED"),
        ("; ".join(["addi 10 10 1"] * 60), 0, 60, "STEP_LIMIT"),
    ],
)
@ISAS
def test_runs_end_for_a_reason(
    isa: Isa, text: str, address: int, num_states: int, end: str
) -> None:
    rows, ended = run(isa, text, {A1: address})
    assert (len(rows), ended) == (num_states, end)


def test_shifts_by_more_than_31_and_words_are_of_rv64_only() -> None:
    for code in ("13150502", "1b050500", "3b05b500", "0335 0500".replace(" ", "")):
        assert run(rv32.ISA, f"[{code}]", {A0: 0x400})[1] == "INVALID_INSTRUCTION"
        assert run(rv64.ISA, f"[{code}]", {A0: 0x400})[1] == "HALTED"


@ISAS
def test_a_program_without_a_stop_or_in_part_of_an_instruction_runs_into_zeros(isa: Isa) -> None:
    for code, num_states in ((b"", 1), (bytes.fromhex("13051500"), 2), (b"\x13\x05\x15", 2)):
        batch = batch_of([code], state_of(isa), np.zeros((1, DATA_BYTES), np.uint8))
        traces = MACHINES[isa.bits].run(batch)
        assert (len(traces.states), int(traces.end_reasons[0])) == (num_states, 1)


# --- batches -------------------------------------------------------------------------------------


def drawn(isa: Isa, layout: LayoutName, profile: str, count: int) -> ProgramBatch:
    generator = ProgramGenerator(
        isa,
        profile=profile,
        weights=None,
        program_bytes=PROGRAM_BYTES,
        data_bytes=DATA_BYTES,
        max_instructions=60,
        layout=layout,
    )
    return generator.draw(stream_key(isa.name, isa.version, 5), np.arange(count, dtype=np.uint64))


def same(ours: TraceBatch, theirs: TraceBatch) -> bool:
    return (
        np.array_equal(ours.offsets, theirs.offsets)
        and np.array_equal(ours.states, theirs.states)
        and np.array_equal(ours.end_reasons, theirs.end_reasons)
    )


@ISAS
def test_drawn_programs_end_as_their_profile_allows(isa: Isa) -> None:
    for profile in PROFILES:
        traces = machine(isa, "narrow", 120).run(drawn(isa, "narrow", profile, 300))
        ends = {EndReason(end).name for end in traces.end_reasons.tolist()} - {"STEP_LIMIT"}
        assert ends == ({"HALTED", "MEMORY_FAULT"} if profile == "fault" else {"HALTED"})


@ISAS
def test_chunks_and_read_only_arrays_change_nothing(
    isa: Isa, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = drawn(isa, "narrow", "fault", 50)
    whole = machine(isa, "narrow").run(batch)
    for array in (batch.code, batch.offsets, batch.initial_states, batch.data):
        array.flags.writeable = False
    monkeypatch.setattr(riscv, "_CHUNK_BYTES", 7 * 60 * state_bytes_of(isa.narrow))
    assert same(machine(isa, "narrow").run(batch), whole)
    monkeypatch.setattr(riscv, "_CHUNK_BYTES", 1)
    assert same(machine(isa, "narrow").run(batch), whole)


@ISAS
def test_both_layouts_show_the_same_run(isa: Isa) -> None:
    word = f"<u{isa.bits // 8}"
    narrow = machine(isa, "narrow").run(drawn(isa, "narrow", "call", 40))
    full = machine(isa, "full").run(drawn(isa, "full", "call", 40))
    assert np.array_equal(narrow.offsets, full.offsets)
    columns = [0, 1, *range(10, 16)]
    assert np.array_equal(narrow.states.view(word), full.states.view(word)[:, columns])


def test_a_batch_of_no_programs_has_no_states() -> None:
    empty = batch_of([], np.zeros((0, 128), np.uint8), np.zeros((0, DATA_BYTES), np.uint8))
    traces = MACHINES[32].run(empty)
    assert traces.states.shape == (0, 128)
    assert traces.offsets.tolist() == [0]


def test_programs_that_are_not_of_this_machine_are_refused() -> None:
    window = np.zeros((1, DATA_BYTES), np.uint8)
    state = state_of(rv32.ISA)
    with pytest.raises(ValueError, match="program 0 has 452 bytes; the memory has room for 448"):
        MACHINES[32].run(batch_of([bytes(452)], state, window))
    with pytest.raises(ValueError, match="must be 0x10000, where programs start"):
        MACHINES[32].run(batch_of([b""], np.zeros_like(state), window))
    with pytest.raises(ValueError, match="data has shape"):
        MACHINES[32].run(batch_of([b""], state))


def test_tables_of_other_machines_are_refused() -> None:
    with pytest.raises(ValueError, match="'rv32' is no RISC-V of 32 or 64 bits"):
        machine(replace(rv32.ISA, emulator_arch="UC_ARCH_ARM"))
    with pytest.raises(ValueError, match="'rv64' needs a stack and a data window of one page"):
        machine(replace(rv64.ISA, stack_bytes=8192))
    narrow = (*rv32.ISA.narrow[:-1], LayoutField(register="A5", num_bytes=2))
    with pytest.raises(ValueError, match="'rv32' records parts of registers"):
        machine(replace(rv32.ISA, narrow=narrow))


# --- the emulator --------------------------------------------------------------------------------


def assert_same(isa: Isa, layout: LayoutName, batch: ProgramBatch, max_states: int) -> int:
    """Compare with the emulator and return the number of rows."""
    pytest.importorskip("unicorn")
    from simulators.cpu.emulation.emulator import Emulator

    sizes = {"program_bytes": PROGRAM_BYTES, "data_bytes": DATA_BYTES, "max_states": max_states}
    emulator = Emulator(isa, layout=layout, **sizes)
    theirs = emulator.run(batch)
    emulator.close()
    ours = RiscvInterpreter(isa, layout=layout, **sizes).run(batch)
    assert np.array_equal(ours.offsets, theirs.offsets)
    assert np.array_equal(ours.states, theirs.states)
    assert np.array_equal(ours.end_reasons, theirs.end_reasons)
    return len(ours.states)


@ISAS
@pytest.mark.parametrize("layout", ["narrow", "full"])
def test_drawn_programs_run_as_in_the_emulator(isa: Isa, layout: LayoutName) -> None:
    max_states = 7600 // state_bytes_of(isa.layout(layout))
    batches = [drawn(isa, layout, profile, 32) for profile in PROFILES]
    num_rows = sum(assert_same(isa, layout, batch, max_states) for batch in batches)
    assert num_rows > 3500


def odd_program(isa: Isa, random: Random) -> bytes:
    """Return instructions of any forms, any registers and any numbers, not all with a stop."""
    code = b""
    for form in random.choices(isa.forms, k=25):
        operands: list[int] = []
        for i, operand in enumerate(form.operands):
            width = max(piece.source + piece.bits for piece in operand.pieces)
            if form.target is not None and i == form.target.operand:
                operands.append(random.choice((-100, -8, -4, 2, 4, 6, 8, 12, 16, 1000)))
            elif operand.names is not None:
                operands.append(random.choice((0, 1, SP, 5, 6, A0, A1, A2, 31)))
            else:
                operands.append(random.choice((0, 1, 7, random.getrandbits(width))))
        code += encode(form, tuple(operands))
    return code + random.choice((isa.stop, isa.stop, b"", random.randbytes(3)))


@ISAS
def test_odd_programs_run_as_in_the_emulator(isa: Isa) -> None:
    random = Random(isa.bits)
    programs, states = [], []
    for _ in range(500):
        programs.append(odd_program(isa, random))
        near = (0, -1, 0x3FD, 0x41E, 0xFFD, CODE + 16, CODE + 30, CODE + 8190, STACK_TOP - 3)
        registers = {
            place: random.choice((*near, random.getrandbits(isa.bits))) for place in range(1, 32)
        }
        states.append(state_of(isa, {**registers, SP: STACK_TOP}))
    window = np.frombuffer(random.randbytes(500 * DATA_BYTES), np.uint8).reshape(500, DATA_BYTES)
    assert assert_same(isa, "full", batch_of(programs, np.concatenate(states), window), 40) > 3000


def test_the_kernels_numbers_are_those_of_its_operations() -> None:
    for number, name in enumerate(riscv.OPERATIONS):
        assert getattr(riscv_kernel, f"_{name.upper().replace(' ', '_')}") == number
