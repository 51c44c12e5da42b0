"""The tables of RV32IM and RV64IM against capstone, the manual's list, and what entries promise."""

import re
from collections import defaultdict
from random import Random

import capstone
import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.batches import batch_of
from simulators.cpu.interpreter.riscv import RiscvInterpreter
from simulators.cpu.isa import rv32, rv64
from simulators.cpu.isa.checks.consistency import check_isa_table
from simulators.cpu.isa.table import TARGET, Entry, Form, Isa, Use, state_bytes_of
from simulators.cpu.oracles.form_samples import draw_variables, encode
from simulators.cpu.reading.decoder import Decoder
from simulators.protocol import EndReason

ISAS = pytest.mark.parametrize("isa", [rv32.ISA, rv64.ISA], ids=["rv32", "rv64"])
NOP = bytes.fromhex("13000000")
LISTERS = {
    "rv32": capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32),
    "rv64": capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64),
}
MACHINES = {
    isa.name: RiscvInterpreter(isa, layout="full", program_bytes=64, data_bytes=64, max_states=100)
    for isa in (rv32.ISA, rv64.ISA)
}
NUMBER = re.compile(r"-?\b(0x[0-9a-f]+|\d+)\b")
RV32IM = {
    *("lui", "auipc", "jal", "jalr", "beq", "bne", "blt", "bge", "bltu", "bgeu"),
    *("lb", "lh", "lw", "lbu", "lhu", "sb", "sh", "sw"),
    *("addi", "slti", "sltiu", "xori", "ori", "andi", "slli", "srli", "srai"),
    *("add", "sub", "sll", "slt", "sltu", "xor", "srl", "sra", "or", "and"),
    *("mul", "mulh", "mulhsu", "mulhu", "div", "divu", "rem", "remu"),
}
RV64IM = RV32IM | {
    *("lwu", "ld", "sd", "addiw", "slliw", "srliw", "sraiw"),
    *("addw", "subw", "sllw", "srlw", "sraw", "mulw", "divw", "divuw", "remw", "remuw"),
}
SPECIAL_CASES = {"li": "addi", "j": "jal", "call": "jal", "ret": "jalr"}


def plain(text: str) -> str:
    """Text with its numbers in decimal and single spaces."""
    text = NUMBER.sub(lambda found: str(int(found.group(), 0)), text)
    return " ".join(text.split())


def capstone_text(isa: Isa, code: bytes) -> str:
    lines = list(LISTERS[isa.name].disasm(code, isa.code_address))
    assert len(lines) == 1, code.hex()
    return plain(f"{lines[0].mnemonic} {lines[0].op_str}")


def shown(form: Form, operands: tuple[int, ...]) -> list[str]:
    """What a listing shows of the bits of every operand."""
    texts: list[str] = []
    for operand, value in zip(form.operands, operands, strict=True):
        if operand.names is not None:
            texts.append(operand.names[value])
            continue
        half = 0 if operand.signed_bits is None else 1 << operand.signed_bits - 1
        texts.append(str(((value ^ half) - half) * operand.scale))
    return texts


def random_operands(form: Form, random: Random) -> tuple[int, ...]:
    values: list[int] = []
    for i, operand in enumerate(form.operands):
        if form.target is not None and i == form.target.operand:
            values.append(2 * random.randint(form.target.lowest // 2, form.target.highest // 2))
            continue
        width = max(piece.source + piece.bits for piece in operand.pieces)
        few = (0, 1, (1 << width) - 1)
        values.append(random.choice(few) if random.random() < 0.3 else random.getrandbits(width))
    return tuple(values)


@ISAS
def test_the_table_is_consistent(isa: Isa) -> None:
    check_isa_table(isa)


@ISAS
def test_the_table_has_all_of_i_and_m_and_nothing_else(isa: Isa) -> None:
    expected = RV32IM if isa.bits == 32 else RV64IM
    assert {form.name for form in isa.forms} - set(SPECIAL_CASES) == expected


@ISAS
def test_every_form_with_any_operands_reads_in_capstone_as_the_table_means(isa: Isa) -> None:
    random = Random(7)
    decoder = Decoder(isa)
    hidden: dict[tuple[str, str], set[tuple[int, ...]]] = defaultdict(set)
    for drawn in isa.forms:
        for _ in range(500):
            code = encode(drawn, random_operands(drawn, random))
            form = decoder.form_at(code, 0)
            assert form is not None
            assert form is drawn or SPECIAL_CASES[form.name] == drawn.name
            operands = decoder.operands_at(code, 0)
            texts = shown(form, operands)
            text = capstone_text(isa, code)
            templates = (form.text, *form.aliases)
            matching = [one for one in templates if plain(one.format(*texts)) == text]
            assert matching, (form.name, operands, text)
            left_out = [i for i in range(len(operands)) if f"{{{i}}}" not in matching[0]]
            hidden[form.name, matching[0]].add(tuple(operands[i] for i in left_out))
    assert set(hidden) == {
        (form.name, text) for form in isa.forms for text in (form.text, *form.aliases)
    }
    # An alias leaves an operand out because it has one certain value.
    assert all(len(values) == 1 for values in hidden.values())


# --- entries -------------------------------------------------------------------------------------


def instructions(
    isa: Isa, entry: Entry, uses: tuple[Use, ...], values: list[int], to: int
) -> bytes:
    forms = {form.name: form for form in isa.forms}
    return b"".join(
        encode(forms[use.form], tuple(to if i == TARGET else values[i] for i in use.operands))
        for use in uses
    )


def run_entry(isa: Isa, entry: Entry, seed: int) -> tuple[list[int], NDArray[np.uint64], EndReason]:
    """Return the values drawn, a row of x0 to x31 for every state, and the end."""
    random = Random(f"{entry.name} {seed}")
    values = draw_variables(entry, random)
    body = NOP if entry.scope == "loop" else b""
    program = instructions(isa, entry, entry.opening, values, 8) + body
    # A loop's branch is the last of two instructions behind its body of one.
    program += instructions(isa, entry, entry.closing, values, -8) + isa.stop
    word = np.dtype(f"<u{isa.bits // 8}")
    state = np.zeros((1, len(isa.full)), word)
    state[0] = [random.getrandbits(isa.bits) for _ in isa.full]
    state[0, :3] = isa.code_address, random.getrandbits(isa.bits), isa.stack_address + 4096
    data = np.frombuffer(random.randbytes(64), np.uint8).reshape(1, 64)
    machine = RiscvInterpreter(isa, layout="full", program_bytes=64, data_bytes=64, max_states=100)
    traces = machine.run(batch_of([program], state.view(np.uint8), data))
    rows = traces.states.view(word).astype(np.uint64)
    rows[:, 0] = 0  # the program counter's column, as x0
    return values, rows, EndReason(int(traces.end_reasons[0]))


def entries_of(isa: Isa, *classes: str) -> list[Entry]:
    return [entry for entry in isa.entries if entry.klass in classes]


@ISAS
def test_whatever_of_loads_and_stores_is_no_fault_stays_in_the_data_window(isa: Isa) -> None:
    seen: set[tuple[str, int]] = set()
    for entry in entries_of(isa, "load", "store"):
        use = entry.opening[-1]
        size = {"b": 1, "h": 2, "w": 4, "d": 8}[use.form[1]]
        for seed in range(40):
            values, rows, end = run_entry(isa, entry, seed)
            assert end == EndReason.HALTED
            _, displacement, base = (values[i] for i in use.operands)
            address = int(rows[-2, base]) + (displacement ^ 0x800) - 0x800
            address %= 1 << 64
            assert 0x400 <= address <= 0x440 - size, (entry.name, seed)
            seen.add((use.form, address))
    for name, size in (("lw", 4), ("sh", 2), ("lbu", 1)):
        assert {address for form, address in seen if form == name} >= {0x400, 0x440 - size}


@ISAS
def test_every_fault_faults_at_its_last_instruction(isa: Isa) -> None:
    faults = entries_of(isa, "fault")
    assert len(faults) > 15
    for entry in faults:
        for seed in range(20):
            _, rows, end = run_entry(isa, entry, seed)
            assert (end, len(rows)) == (EndReason.MEMORY_FAULT, len(entry.opening)), entry.name


@ISAS
def test_loops_end_after_one_to_eight_rounds(isa: Isa) -> None:
    for entry in entries_of(isa, "loop"):
        rounds: set[int] = set()
        for seed in range(100):
            _, rows, end = run_entry(isa, entry, seed)
            assert end == EndReason.HALTED
            rounds.add((len(rows) - 2) // 3)
        assert rounds <= set(range(1, 9))
        assert len(rounds) >= 5, entry.name


@ISAS
def test_the_idioms_of_division_divide_by_zero_and_overflow(isa: Isa) -> None:
    least = {"div": 1 << isa.bits - 1, "rem": 0, "divw": 0xFFFF_FFFF_8000_0000, "remw": 0}
    names = [name for name in least if isa.bits == 64 or name[-1] != "w"]
    for name in names:
        entries = {entry.name: entry for entry in entries_of(isa, "divide")}
        for seed in range(10):
            entry = entries[f"{name} overflows"]
            values, rows, _ = run_entry(isa, entry, seed)
            assert rows[-1, values[entry.opening[-1].operands[0]]] == least[name]
            entry = entries[f"{name} by zero"]
            values, rows, _ = run_entry(isa, entry, seed)
            if name == "div":
                assert rows[-1, values[entry.opening[-1].operands[0]]] == (1 << isa.bits) - 1


@ISAS
def test_frames_leave_the_stack_pointer_where_it_was(isa: Isa) -> None:
    for entry in entries_of(isa, "stack"):
        for seed in range(10):
            _, rows, end = run_entry(isa, entry, seed)
            assert end == EndReason.HALTED
            assert rows[0, 2] == rows[-1, 2] == isa.stack_address + 4096
            assert rows[:, 2].min() == isa.stack_address + 4096 - 16


@ISAS
def test_states_are_whole_patches_without_padding(isa: Isa) -> None:
    sizes = [state_bytes_of(isa.layout(name)) for name in ("narrow", "full")]
    assert sizes == ([32, 128] if isa.bits == 32 else [64, 256])
    for fields in (isa.narrow, isa.full):
        assert sum(field.num_bytes for field in fields) == state_bytes_of(fields)
