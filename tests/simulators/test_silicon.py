"""The processor itself runs small programs, whose states are known from the manual."""

import dataclasses
import functools
import sys
from collections.abc import Callable

import numpy as np
import pytest

from simulators.batches import batch_of
from simulators.cpu.isa.table import Isa, LayoutField, Register
from simulators.cpu.oracles import silicon, silicon_child
from simulators.cpu.oracles.silicon import Silicon, SiliconFailed, unavailable
from simulators.protocol import EndReason, TraceBatch

CODE, DATA, STACK = 0x100000, 0x200000, 0x300000
TOP = STACK + 4096
FLAGS = {"CF": 0, "PF": 2, "AF": 4, "ZF": 6, "SF": 7, "OF": 11}
GENERAL = ("RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI")
NAMES = ("RIP", "RFLAGS", *GENERAL)
FIELDS = tuple(LayoutField(register=name, num_bytes=8) for name in NAMES)
ISA = Isa(
    name="x86_64",
    title="x86-64 of this test",
    version="1",
    bits=64,
    emulator_arch="UC_ARCH_X86",
    emulator_mode=("UC_MODE_64",),
    listing_arch="CS_ARCH_X86",
    listing_mode=("CS_MODE_64",),
    elf_machine="EM_X86_64",
    code_address=CODE,
    code_bytes=4096,
    data_address=DATA,
    data_bytes=64,
    stack_address=STACK,
    stack_bytes=4096,
    registers=tuple(
        Register(
            name=name,
            emulator=f"UC_X86_REG_{name}",
            num_bytes=8,
            code=GENERAL.index(name) if name in GENERAL else None,
        )
        for name in NAMES
    ),
    narrow=FIELDS,
    full=FIELDS,
    program_counter="RIP",
    stack_pointer="RSP",
    flags="RFLAGS",
    flag_bits=FLAGS,
    program_registers=("RAX",),
    counters=(),
    alignment=1,
    stop=b"\xf4",
    forms=(),
    entries=(),
    class_weights={},
)


def on_silicon(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test where the processor can be stepped; elsewhere the reason must be told."""

    @functools.wraps(test)
    def run(*arguments: object, **named: object) -> None:
        reason = unavailable()
        if reason is None:
            test(*arguments, **named)
            return
        assert reason.strip()
        assert "\n" not in reason
        with pytest.raises(SiliconFailed, match="processor"):
            make()

    return run


def make(max_states: int = 20) -> Silicon:
    return Silicon(ISA, layout="full", program_bytes=64, data_bytes=64, max_states=max_states)


def run_on(
    machine: Silicon, programs: list[str], flags: int = 0, **registers: int
) -> tuple[TraceBatch, list[silicon.FinalMemory]]:
    values = {"RIP": CODE, "RFLAGS": flags, "RSP": TOP, **registers}
    state = np.array([values.get(name, 0) for name in NAMES], np.uint64).view(np.uint8)
    data = np.tile(np.arange(64, dtype=np.uint8), (len(programs), 1))
    codes = [bytes.fromhex(program) for program in programs]
    return machine.run_with_memory(batch_of(codes, np.tile(state, (len(programs), 1)), data))


def states_of(traces: TraceBatch, index: int) -> list[dict[str, int]]:
    rows = traces.states[traces.offsets[index] : traces.offsets[index + 1]].view("<u8")
    return [dict(zip(NAMES, row, strict=True)) for row in rows.tolist()]


# What it shows; program; end; number of states; registers of the last one.
PROGRAMS = [
    ("a stop at once", "f4", "HALTED", 1, {"RIP": CODE}),
    ("inc rax", "48ffc0 f4", "HALTED", 2, {"RIP": CODE + 3, "RAX": 6, "RFLAGS": 0x04}),
    ("add al, 0x7b: signed overflow", "047b f4", "HALTED", 2, {"RAX": 0x80, "RFLAGS": 0x890}),
    ("a 32-bit result clears the upper half", "89c9 f4", "HALTED", 2, {"RCX": 1}),
    ("push rax; pop rdx", "50 5a f4", "HALTED", 3, {"RDX": 5, "RSP": TOP}),
    ("call +1; hlt; ret", "e801000000 f4 c3", "HALTED", 3, {"RIP": CODE + 5, "RSP": TOP}),
    ("mov rax, [DATA + 1]", "488b042501002000 f4", "HALTED", 2, {"RAX": 0x0807060504030201}),
    ("xor ecx, ecx; div ecx", "31c9 f7f1 f4", "DIVIDE_ERROR", 2, {"RIP": CODE + 2}),
    ("the least number / -1", "48b80000000000000080 48c7c1ffffffff 4899 48f7f9", "DIVIDE_ERROR", 4,
     {"RIP": CODE + 19, "RDX": 2**64 - 1}),
    ("mov rax, [rax]: nothing at 5", "488b00 f4", "MEMORY_FAULT", 1, {"RIP": CODE, "RAX": 5}),
    ("above the stack", "488b0424 f4", "MEMORY_FAULT", 1, {"RIP": CODE}),
    ("a write to the code", "8804250000100000 f4", "MEMORY_FAULT", 1, {"RIP": CODE}),
    ("an address of no 47 bits", "48b81122334455667788 8b00", "MEMORY_FAULT", 2, {}),
    ("ud2", "0f0b f4", "INVALID_INSTRUCTION", 1, {"RIP": CODE}),
    ("syscall", "0f05 f4", "SYSTEM_CALL", 1, {"RIP": CODE, "RCX": 2**32 + 1}),
    ("after a system call all is as ever", "48ffc0 f4", "HALTED", 2, {"RAX": 6}),
    ("int 0x80", "cd80 f4", "SYSTEM_CALL", 1, {"RIP": CODE}),
    ("jmp to itself", "ebfe", "STEP_LIMIT", 20, {"RIP": CODE}),
    ("jmp behind the program", "e9fb000000", "LEFT_PROGRAM", 2, {"RIP": CODE + 0x100}),
    ("jmp in front of it", "ebf0", "LEFT_PROGRAM", 2, {"RIP": CODE - 14}),
]  # fmt: skip


@on_silicon
def test_programs_run_as_the_manual_says() -> None:
    traces, _ = run_on(make(), [program for _, program, *_ in PROGRAMS], RAX=5, RCX=2**32 + 1)
    for i, (what, _, end, number, last) in enumerate(PROGRAMS):
        states = states_of(traces, i)
        assert (what, EndReason(traces.end_reasons[i]).name, len(states)) == (what, end, number)
        assert {name: states[-1][name] for name in last} == last, what


@on_silicon
def test_single_steps_do_not_show_in_the_flags() -> None:
    every = sum(1 << bit for bit in FLAGS.values())
    # nop; stc; clc; hlt
    traces, _ = run_on(make(), ["90 f9 f8 f4"], flags=every)
    seen = [state["RFLAGS"] for state in states_of(traces, 0)]
    assert seen == [every, every, every, every & ~1]


@on_silicon
def test_a_flag_without_a_defined_value_is_recorded_as_zero() -> None:
    # and al, al: AF is undefined; imul eax, eax: SF, ZF, AF and PF are
    traces, _ = run_on(make(), ["20c0 f4", "0fafc0 f4"], flags=0x10, RAX=0x80)
    assert states_of(traces, 0)[-1]["RFLAGS"] == 0x80
    assert states_of(traces, 1)[-1]["RFLAGS"] == 0


@on_silicon
def test_memory_is_fresh_for_every_program_and_comes_back_at_its_end() -> None:
    # mov [DATA + 1], al; push rax; hlt. Then: mov rdx, [DATA]; mov rcx, [TOP - 8]; hlt
    write = "88042501002000 50 f4"
    read = "488b142500002000 488b4c24f8 f4"
    traces, memory = run_on(make(), [write, read], RAX=0xAB)
    assert memory[0].data == bytes([0, 0xAB, *range(2, 64)])
    assert memory[0].stack == bytes([0xAB, 0, 0, 0, 0, 0, 0, 0])
    assert states_of(traces, 1)[-1]["RDX"] == 0x0706050403020100
    assert states_of(traces, 1)[-1]["RCX"] == 0
    assert memory[1] == silicon.FinalMemory(data=bytes(range(64)), stack=b"")


@on_silicon
def test_a_run_does_not_depend_on_its_neighbours() -> None:
    programs = [program for _, program, *_ in PROGRAMS]
    forward, _ = run_on(make(), programs, RAX=5, RCX=1)
    backward, _ = run_on(make(), programs[::-1], RAX=5, RCX=1)
    last = len(programs) - 1
    assert [states_of(forward, i) for i in range(len(programs))] == [
        states_of(backward, last - i) for i in range(len(programs))
    ]


@on_silicon
def test_no_programs_give_no_traces() -> None:
    traces, memory = run_on(make(), [])
    assert (len(traces), traces.states.shape, memory) == (0, (0, 80), [])


@on_silicon
def test_many_programs_are_run_in_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silicon, "_MAX_PROGRAMS", 2)
    traces, _ = run_on(make(), ["48ffc0 f4", "90 f4", "f4"], RAX=1)
    assert [len(states_of(traces, i)) for i in range(3)] == [2, 2, 1]
    assert traces.end_reasons.tolist() == [EndReason.HALTED] * 3


@on_silicon
def test_a_process_that_is_killed_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = make()
    monkeypatch.setattr(silicon, "_MEMORY_BYTES", 2**20)
    with pytest.raises(SiliconFailed, match=r"with code \d+"):
        run_on(machine, ["f4"])


@pytest.mark.parametrize(
    ("system", "machine", "reason"),
    [
        ("darwin", "x86_64", "single steps on the processor need Linux, this is darwin"),
        ("linux", "aarch64", "the processor is aarch64, not x86-64"),
    ],
)
def test_where_the_processor_cannot_be_used_the_reason_is_told(
    system: str, machine: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(silicon.platform, "machine", lambda: machine)
    assert unavailable.__wrapped__() == reason


def test_ends_have_one_number_in_the_stepping_process_and_here() -> None:
    for end in EndReason:
        assert getattr(silicon_child, f"_{end.name}") == end


def test_other_instruction_sets_are_refused_by_name() -> None:
    other = dataclasses.replace(ISA, name="x86_16", elf_machine="EM_386")
    with pytest.raises(SiliconFailed, match="x86_16: this processor runs x86-64 programs only"):
        Silicon(other, layout="full", program_bytes=64, data_bytes=64, max_states=4)
