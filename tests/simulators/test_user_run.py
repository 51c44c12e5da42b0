"""Users' programs in children: results in order, and children that die."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from simulators.cpu.emulation import python_hook
from simulators.cpu.emulation.memory_access import MemoryAccess
from simulators.cpu.emulation.program_ends import NO_END
from simulators.cpu.isa.catalogue import find_isa
from simulators.cpu.isa.table import state_bytes_of
from simulators.cpu.tracing import user_run
from simulators.cpu.tracing.user_run import (
    Bench,
    Died,
    UserProgram,
    UserRun,
    UserRunFailed,
    run_here,
    run_user_programs,
    with_registers,
)
from simulators.protocol import EndReason

RV64 = find_isa("rv64")
BENCH = Bench(isa="rv64", layout="narrow", program_bytes=448, data_bytes=64, max_states=50)
START = with_registers(RV64, "narrow", bytes(64), {RV64.program_counter: RV64.code_address})
EBREAK = bytes.fromhex("73001000")
STORE = bytes.fromhex("2324a040")  # sw a0, 0x408(zero)
LOAD = bytes.fromhex("833580ff")  # ld a1, -8(zero)
FOREVER = bytes.fromhex("6f000000")


def program(code: bytes, **registers: int) -> UserProgram:
    return UserProgram(
        code=code,
        initial_state=with_registers(RV64, "narrow", START, registers),
        data=bytes(64),
    )


def test_programs_are_run_in_order_and_leave_nothing_to_the_next() -> None:
    programs = [program(STORE + EBREAK, A0=-2), program(LOAD + EBREAK), program(FOREVER)]
    first, second, third = run_user_programs(BENCH, programs, record_accesses=True)
    assert isinstance(first, UserRun)
    assert isinstance(second, UserRun)
    assert isinstance(third, UserRun)
    assert first.end is EndReason.HALTED
    assert len(first.states) == 2
    written = MemoryAccess(
        row=0, kind="write", address=0x408, num_bytes=4, data=b"\xfe\xff\xff\xff"
    )
    assert first.accesses == (written,)
    assert second.end is EndReason.MEMORY_FAULT
    assert [(a.kind, a.address, a.num_bytes) for a in second.accesses] == [
        ("unmapped read", 2**64 - 8, 8)
    ]
    assert third.end is EndReason.STEP_LIMIT
    assert len(third.states) == 50
    assert np.array_equal(third.states[0], third.states[49])


@pytest.mark.parametrize("refused", [True, False])
def test_a_breakpoint_is_not_left_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
    refused: bool,
) -> None:
    if not refused:  # what nobody thought of

        def all_run(code: object, offset: int, kind: int) -> int:
            return NO_END

        monkeypatch.setattr(python_hook, "end_before", SimpleNamespace(py_func=all_run))
    isa = find_isa("x86_64")
    bench = replace(BENCH, isa=isa.name)
    start = with_registers(
        isa,
        "narrow",
        bytes(state_bytes_of(isa.narrow)),
        {"RIP": isa.code_address, "RAX": isa.code_address + 3, "RCX": 1},
    )
    codes = "0f23c0 0f23f9 f4", "90 90 90 90 f4"  # mov dr0, rax; mov dr7, rcx
    programs = [
        UserProgram(code=bytes.fromhex(code), initial_state=start, data=bytes(64)) for code in codes
    ]
    first, second = run_here(bench, programs)
    assert first.end is (EndReason.INVALID_INSTRUCTION if refused else EndReason.HALTED)
    assert (second.end, len(second.states)) == (EndReason.HALTED, 5)


def test_a_register_takes_the_low_bytes_of_its_value() -> None:
    state = with_registers(RV64, "narrow", START, {"A0": -1, "A1": 2**64 + 7})
    fields = [part.register for part in RV64.narrow]
    words = np.frombuffer(state, "<u8").tolist()
    assert words[fields.index("A0")] == 2**64 - 1
    assert words[fields.index("A1")] == 7


# Dies of programs that begin with `bad`, each in its way; answers one state of 64 bytes otherwise.
CHILD = """
import json, os, signal, sys, time
job = json.load(sys.stdin)
with open("results", "w") as file:
    for code, state, data in job["programs"]:
        if code.startswith("badc"):
            os.kill(os.getpid(), signal.SIGABRT)
        if code.startswith("bad0"):
            while True:
                pass
        file.write(json.dumps({"states": state, "end": 0, "accesses": []}) + "\\n")
        file.flush()
"""


def test_a_program_that_kills_its_child_is_found_and_the_others_are_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(user_run, "_CHILD", CHILD)
    monkeypatch.setattr(user_run, "CPU_SECONDS", 1)
    good, crash, busy = program(EBREAK), program(b"\xba\xdc"), program(b"\xba\xd0")
    results = run_user_programs(BENCH, [crash, good, good, busy, crash, good])
    assert [result if isinstance(result, Died) else "run" for result in results] == [
        Died.CRASHED,
        "run",
        "run",
        Died.TIME,
        Died.CRASHED,
        "run",
    ]


def test_a_child_that_fails_by_itself_is_no_programs_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_run, "_CHILD", "raise SystemExit('no emulator here')")
    with pytest.raises(UserRunFailed, match="the emulating process ended with 1: no emulator here"):
        run_user_programs(BENCH, [program(EBREAK)])


def test_no_programs_need_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_run, "_CHILD", "raise SystemExit(1)")
    assert run_user_programs(BENCH, []) == []


def test_a_missing_emulator_is_said_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = f"import sys; sys.modules['unicorn'] = None; {user_run._CHILD}"
    monkeypatch.setattr(user_run, "_CHILD", blocked)
    with pytest.raises(UserRunFailed, match=r"^the package unicorn is missing: install it with"):
        run_user_programs(BENCH, [program(EBREAK)])
