"""Which flags x86 instructions read, and runs that use one that nothing defines."""

import numpy as np
import pytest

from simulators.batches import batch_of
from simulators.cpu.emulation.x86_flag_reads import UndefinedRead, first_undefined_read, flags_read
from simulators.cpu.isa.catalogue import ISAS, find_isa
from simulators.cpu.isa.table import Isa
from simulators.cpu.isa.x86.forms import AF, ALL, CF, OF, PF, SF, ZF
from simulators.protocol import EndReason
from simulators.registry import make_system

X86_64 = find_isa("x86_64")
X86_16 = find_isa("x86_16")

# An instruction with what it reads, in 64-bit and in 16-bit mode.
CASES = [
    ("01c8", 0, 0),  # add
    ("11c8", CF, CF),  # adc
    ("4811c8", CF, 0),  # REX; dec ax
    ("83d001", CF, CF),  # adc
    ("83d801", CF, CF),  # sbb
    ("83c001", 0, 0),  # add
    ("d1d0", CF, CF),  # rcl
    ("d1e0", 0, 0),  # shl
    ("7400", ZF, ZF),  # je
    ("7700", CF | ZF, CF | ZF),  # ja
    ("0f8800000000", SF, SF),  # js
    ("0f94c0", ZF, ZF),  # sete
    ("0f4ac1", PF, PF),  # cmovp
    ("660f4fc1", ZF | SF | OF, ZF | SF | OF),  # cmovg
    ("9c", ALL, ALL),  # pushf
    ("9f", ALL & ~OF, ALL & ~OF),  # lahf
    ("e100", ZF, ZF),  # loope
    ("f5", 0, 0),  # cmc
    ("27", 0, CF | AF),  # daa
    ("37", 0, AF),  # aaa
    ("d6", 0, CF),  # salc
    ("dac0", CF, CF),  # fcmovb
    ("dad8", PF, PF),  # fcmovu
    ("da00", 0, 0),  # fiadd
    ("660f38f6c1", CF, CF),  # adcx
    ("f30f38f6c1", OF, OF),  # adox
    ("", 0, 0),
]


@pytest.mark.parametrize(("code", "long", "short"), CASES)
def test_an_instruction_reads_the_flags_of_the_manual(code: str, long: int, short: int) -> None:
    assert flags_read(bytes.fromhex(code), 0, long_mode=True) == long
    assert flags_read(bytes.fromhex(code), 0, long_mode=False) == short


@pytest.mark.parametrize("isa", [X86_16, X86_64], ids=["x86_16", "x86_64"])
def test_the_table_reads_the_same_flags(isa: Isa) -> None:
    long_mode = isa.bits == 64
    seen = 0
    for form in isa.forms:
        found = flags_read(form.base, 0, long_mode=long_mode)
        if "cmc" in form.name:
            assert (form.reads, found) == (CF, 0)
        else:
            assert (form.name, found) == (form.name, form.reads)
        seen += bool(found)
    assert seen > 30


def run_of(isa: Isa, code: str) -> UndefinedRead | None:
    machine = make_system(isa.name, memory_bytes=512, max_instructions=20, layout="full")
    program = bytes.fromhex(code) + isa.stop
    initial = machine.draw(0, np.zeros(1, np.uint64)).initial_states
    data = np.zeros((1, machine.data_bytes), np.uint8)
    traces = machine.run(batch_of([program], initial, data))
    assert traces.end_reasons.tolist() == [EndReason.HALTED]
    return first_undefined_read(isa, "full", program, traces.states)


def test_a_flag_that_nothing_defines_is_found_where_it_is_used() -> None:
    # xor eax, eax; mul ecx; sete al: mul leaves ZF undefined.
    found = run_of(X86_64, "31c0 f7e1 0f94c0")
    assert found == UndefinedRead(row=2, pc=X86_64.code_address + 4, flags=("ZF",))
    # and ax, cx; lahf: and leaves AF undefined.
    found = run_of(X86_16, "21c8 9f")
    assert found == UndefinedRead(row=1, pc=X86_16.code_address + 2, flags=("AF",))


@pytest.mark.parametrize(
    "code",
    [
        "31c0 f7e1 0f92c0",  # mul defines CF: setc
        "31c0 f7e1 39c8 0f94c0",  # cmp defines ZF again
        "21c8 f7e1",  # nothing reads
        "0f94c0 9c 58",  # in the first state all are defined
        "31c0 31c9 d3e0 0f90c0",  # a shift by 0 leaves OF as xor defined it
    ],
)
def test_a_program_that_reads_what_is_defined_is_left_alone(code: str) -> None:
    assert run_of(X86_64, code) is None


def test_the_last_state_s_instruction_was_not_executed() -> None:
    states = np.zeros((3, 144), np.uint8)
    for row, offset in enumerate((0, 2, 4)):
        states[row, :4] = np.frombuffer((X86_64.code_address + offset).to_bytes(4, "little"), "u1")
    program = bytes.fromhex("31c0 f7e1 0f94c0")
    assert first_undefined_read(X86_64, "full", program, states) is None
    assert first_undefined_read(X86_64, "full", program, states[[0, 1, 2, 2]]) is not None


def test_drawn_programs_read_no_undefined_flag() -> None:
    for isa in ISAS.values():
        machine = make_system(isa.name, memory_bytes=512, max_instructions=40, profile="fault")
        drawn = machine.draw(3, np.arange(40, dtype=np.uint64))
        traces = machine.run(drawn)
        for i in range(40):
            code = drawn.code[drawn.offsets[i] : drawn.offsets[i + 1]].tobytes()
            states = traces.states[traces.offsets[i] : traces.offsets[i + 1]]
            assert first_undefined_read(isa, "narrow", code, states) is None, (isa, i)
