"""The tables of x86 against capstone and the emulator."""

from random import Random

import numpy as np
import pytest

from simulators.batches import batch_of
from simulators.cpu.emulation.emulator import Emulator
from simulators.cpu.isa.analysis import forms_by_name
from simulators.cpu.isa.checks.consistency import check_isa_table
from simulators.cpu.isa.table import TARGET, Entry, Isa, state_bytes_of
from simulators.cpu.isa.x86.forms import Shape, register_names
from simulators.cpu.isa.x86_16 import ISA as X86_16
from simulators.cpu.isa.x86_64 import ISA as X86_64
from simulators.cpu.machine import Machine
from simulators.cpu.oracles.form_samples import draw_form_samples, draw_variables, encode
from simulators.cpu.reading.disassembly import disassemble
from simulators.cpu.reading.listing_text import expected_texts, same_text
from simulators.protocol import EndReason

SETS = pytest.mark.parametrize("isa", [X86_16, X86_64], ids=lambda isa: isa.name)
PROGRAM_BYTES = 256
FAULTS = {EndReason.DIVIDE_ERROR, EndReason.MEMORY_FAULT}


def run_all(isa: Isa, programs: list[bytes], seed: int) -> list[tuple[EndReason, int, int]]:
    """End reason, number of states and last PC of every program, on random registers and data."""
    random = Random(seed)
    narrow = isa.narrow
    states = np.zeros((len(programs), state_bytes_of(narrow)), np.uint8)
    for state in states:
        at = 0
        for part in narrow:
            value = random.getrandbits(random.choice((4, isa.bits)))
            if part.register == isa.program_counter:
                value = isa.code_address
            elif part.register == isa.flags:
                value = random.getrandbits(12) & isa.flags_mask
            field = value.to_bytes(8, "little")[: part.num_bytes]
            state[at : at + part.num_bytes] = np.frombuffer(field, np.uint8)
            at += part.num_bytes
    data = np.frombuffer(random.randbytes(len(programs) * isa.data_bytes), np.uint8)
    emulator = Emulator(
        isa,
        layout="narrow",
        program_bytes=PROGRAM_BYTES,
        data_bytes=isa.data_bytes,
        max_states=32,
    )
    try:
        traces = emulator.run(batch_of(programs, states, data.reshape(len(programs), -1)))
    finally:
        emulator.close()
    sizes = np.diff(traces.offsets)
    last = traces.states[traces.offsets[1:] - 1, : narrow[0].num_bytes]
    return [
        (EndReason(int(reason)), int(size), int.from_bytes(pc.tobytes(), "little"))
        for reason, size, pc in zip(traces.end_reasons, sizes, last, strict=True)
    ]


def straight_line(isa: Isa, entry: Entry, random: Random) -> list[bytes]:
    """The instructions of an entry without a scope."""
    forms = forms_by_name(isa)
    values = draw_variables(entry, random)
    code: list[bytes] = []
    for use in entry.opening:
        form = forms[use.form]
        code.append(encode(form, tuple(values[index] for index in use.operands)))
    return code


@SETS
def test_the_table_is_consistent(isa: Isa) -> None:
    check_isa_table(isa)


def test_states_have_whole_patches_without_padding() -> None:
    sizes = [
        sum(part.num_bytes for part in layout)
        for isa in (X86_16, X86_64)
        for layout in (isa.narrow, isa.full)
    ]
    assert sizes == [16, 32, 64, 144]


def test_programs_use_recorded_registers_and_the_stack_pointer_only() -> None:
    for isa in (X86_16, X86_64):
        names = {*isa.program_registers, isa.stack_pointer}
        known = {isa.register(name).code for name in names}
        for entry in isa.entries:
            for variable in entry.variables:
                assert set(variable.registers) <= known, entry.name
        for form in isa.forms:
            written = {code for code in range(16) if form.writes >> code & 1}
            assert written <= known or form.name == "popaw", form.name


@SETS
def test_every_form_is_drawn_by_some_entry(isa: Isa) -> None:
    used = {use.form for entry in isa.entries for use in (*entry.opening, *entry.closing)}
    used |= {use.form for use in isa.function_end}
    assert [form.name for form in isa.forms if form.name not in used] == []


@SETS
def test_capstone_reads_every_form_as_the_table_means_it(isa: Isa) -> None:
    count = 0
    for sample in draw_form_samples(isa, 12, seed=3):
        address = isa.code_address
        (found,) = disassemble(isa, sample.code, address)
        texts = [text.text for text in expected_texts(sample.form, sample.operands, address)]
        assert len(found.code) == len(sample.code), (sample.form.name, found.text)
        assert any(same_text(wanted, found.text) for wanted in texts), (texts, found.text)
        count += 1
    assert count == 12 * len(isa.forms)


@SETS
def test_every_condition_jumps_and_sets(isa: Isa) -> None:
    names = {form.text.split()[0] for form in isa.forms}
    conditions = ("o", "no", "b", "ae", "e", "ne", "be", "a")
    conditions += ("s", "ns", "p", "np", "l", "ge", "le", "g")
    for stem in ("j", "set", *(("cmov",) if isa is X86_64 else ())):
        assert {f"{stem}{condition}" for condition in conditions} <= names
    reads = {form.name: form.reads for form in isa.forms}
    zero, carry, sign, overflow, parity = 1 << 6, 1 << 0, 1 << 7, 1 << 11, 1 << 2
    assert reads["jle"] == zero | sign | overflow
    assert (reads["ja"], reads["jnp"], reads["jge"]) == (carry | zero, parity, sign | overflow)


@SETS
def test_every_form_runs_in_the_emulator(isa: Isa) -> None:
    samples = list(draw_form_samples(isa, 2, seed=5, places=(32, 200)))
    # A jump lands on a stop wherever it goes.
    programs = [sample.code.ljust(PROGRAM_BYTES, isa.stop) for sample in samples]
    ends = run_all(isa, programs, seed=1)
    assert len(ends) == 2 * len(isa.forms)
    for sample, (reason, states, _) in zip(samples, ends, strict=True):
        # Loads without their mask may miss the memory, divisions alone may overflow, and `ret`
        # alone returns to nowhere.
        assert reason in {EndReason.HALTED, EndReason.LEFT_PROGRAM, *FAULTS}, sample.form.name
        assert states == (1 if reason in FAULTS else 2), sample.form.name


@SETS
def test_entries_fault_if_they_are_faults_and_only_then(isa: Isa) -> None:
    random = Random(7)
    entries = [entry for entry in isa.entries if entry.scope == "none"]
    drawn = [(entry, straight_line(isa, entry, random)) for entry in entries for _ in range(4)]
    programs = [b"".join(code) + isa.stop for _, code in drawn]
    seen: set[EndReason] = set()
    for (entry, code), (reason, states, pc) in zip(
        drawn, run_all(isa, programs, seed=2), strict=True
    ):
        seen.add(reason)
        if entry.klass == "fault":
            assert reason in FAULTS, entry.name
            assert states == len(code), entry.name
            assert pc == isa.code_address + sum(map(len, code[:-1])), entry.name
        else:
            assert reason == EndReason.HALTED, entry.name
            assert states == len(code) + 1, entry.name
    assert seen == {EndReason.HALTED, *FAULTS}


@SETS
def test_divisions_never_fault(isa: Isa) -> None:
    random = Random(11)
    safe = [entry for entry in isa.entries if entry.klass == "divide"]
    assert len(safe) >= 6
    programs = [
        b"".join(straight_line(isa, entry, random)) + isa.stop for entry in safe for _ in range(200)
    ]
    ends = run_all(isa, programs, seed=3)
    assert {reason for reason, _, _ in ends} == {EndReason.HALTED}


@SETS
def test_loops_end_within_six_rounds(isa: Isa) -> None:
    forms = forms_by_name(isa)
    loops = [entry for entry in isa.entries if entry.scope == "loop"]
    assert len(loops) >= 10
    random = Random(0)
    programs: list[bytes] = []
    for entry in loops:
        for _ in range(3):
            values = draw_variables(entry, random)
            codes: list[bytes] = []
            for use in (*entry.opening, *entry.closing):
                form = forms[use.form]
                back = -len(b"".join(codes[len(entry.opening) :]))
                operands = (back if index == TARGET else values[index] for index in use.operands)
                codes.append(encode(form, tuple(operands)))
            programs.append(b"".join(codes) + isa.stop)
    # An empty body, so a round is the closing: at most three instructions.
    ends = run_all(isa, programs, seed=4)
    assert {reason for reason, _, _ in ends} == {EndReason.HALTED}
    assert max(states for _, states, _ in ends) <= 1 + 1 + 3 * 6


@SETS
def test_about_half_of_the_programs_of_60_instructions_meet_a_fault(isa: Isa) -> None:
    machine = Machine(
        isa=isa, profile="fault", layout="narrow", memory_bytes=1024, max_instructions=120
    )
    batch = machine.draw(0, np.arange(600, dtype=np.uint64))
    ends = machine.run(batch).end_reasons
    share = np.isin(ends, [int(reason) for reason in FAULTS]).mean()
    assert 0.35 < share < 0.65


def test_a_rex_prefix_names_other_byte_registers() -> None:
    plain, extended = register_names(8, rex=False), register_names(8, rex=True)
    assert [plain[4], plain[7]] == ["ah", "bh"]
    assert [extended[4], extended[7], extended[8]] == ["spl", "dil", "r8b"]


def test_high_byte_registers_belong_to_the_first_four() -> None:
    shape = Shape(width=8, values=tuple(range(8)))
    assert shape.register().registers == (0, 1, 2, 3, 0, 1, 2, 3)


def test_no_rex_prefix_is_for_nothing() -> None:
    for sample in draw_form_samples(X86_64, 20, seed=1):
        code = sample.code.lstrip(b"\x66")
        if code[0] >> 4 != 4 or code[0] & 0x0F:
            continue
        # Without any bit it is there for SPL to DIL, which need it.
        assert {"sil", "dil"} & {
            operand.names[value]
            for operand, value in zip(sample.form.operands, sample.operands, strict=True)
            if operand.names is not None
        }, sample
