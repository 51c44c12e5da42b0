"""The emulator: states written out by hand, ends, fresh machines, and both hooks alike."""

import ctypes
import sys
from dataclasses import replace
from types import FrameType
from typing import get_args

import numpy as np
import psutil
import pytest

from simulators.batches import batch_of
from simulators.cpu.emulation import program_ends
from simulators.cpu.emulation.emulator import Emulator, HookName
from simulators.cpu.emulation.native_hook import Slot
from simulators.cpu.emulation.unicorn_engine import EmulatorFailed, EmulatorMissing
from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import Isa, LayoutName, state_bytes_of
from simulators.cpu.machine import Machine
from simulators.cpu.states import state_fields
from simulators.protocol import EndReason, ProgramBatch, TraceBatch

HOOKS: tuple[HookName, ...] = get_args(HookName)
PROGRAM_BYTES = 64


def first_state(isa: Isa, layout: LayoutName = "narrow", **values: int) -> bytes:
    """The state at the start: PC and SP where they must be, all else zero but for `values`."""
    top = isa.stack_address + isa.stack_bytes
    known = {isa.program_counter: isa.code_address, isa.stack_pointer: top, **values}
    fields = state_fields(isa, layout)
    return b"".join(known.get(f.name, 0).to_bytes(f.num_bytes, "little") for f in fields)


def batch(isa: Isa, *codes: str, data_bytes: int = 0, **values: int) -> ProgramBatch:
    state = np.frombuffer(first_state(isa, **values) * len(codes), np.uint8)
    data = np.zeros((len(codes), data_bytes), np.uint8)
    return batch_of(
        map(bytes.fromhex, codes), state.reshape(len(codes), state_bytes_of(isa.narrow)), data
    )


def emulator(
    isa: Isa,
    hook: HookName,
    *,
    program_bytes: int = PROGRAM_BYTES,
    max_states: int = 40,
    data_bytes: int = 0,
) -> Emulator:
    sizes = {"program_bytes": program_bytes, "data_bytes": data_bytes, "max_states": max_states}
    return Emulator(isa, layout="narrow", hook=hook, **sizes)


def rows_of(traces: TraceBatch, i: int = 0) -> list[bytes]:
    rows = traces.states[traces.offsets[i] : traces.offsets[i + 1]]
    return [row.tobytes() for row in rows]


def values_of(isa: Isa, row: bytes) -> dict[str, int]:
    fields = state_fields(isa, "narrow")
    return {
        f.name: int.from_bytes(row[f.offset : f.offset + f.num_bytes], "little") for f in fields
    }


# --- states by hand ------------------------------------------------------------------------------

BY_HAND = {
    "x86_16": (
        "b83412 b90300 01c8 29c1 31d2 f4",
        [
            # IP   FLAGS AX   CX   DX   BX   SI   DI
            "0010 0000 0000 0000 0000 0000 0000 0000",
            "0310 0000 3412 0000 0000 0000 0000 0000",  # mov ax, 0x1234
            "0610 0000 3412 0300 0000 0000 0000 0000",  # mov cx, 3
            "0810 0000 3712 0300 0000 0000 0000 0000",  # add ax, cx: 0x37 has 5 ones, no parity
            "0a10 9500 3712 cced 0000 0000 0000 0000",  # sub cx, ax: borrows: SF AF PF CF
            "0c10 4400 3712 cced 0000 0000 0000 0000",  # xor dx, dx: ZF PF; AF is undefined
        ],
    ),
    "rv32": (
        "13055000 9305f0ff 3306b500 73001000",
        [
            # PC       RA       A0       A1       A2       A3       A4       A5
            "00000100 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
            "04000100 00000000 05000000 00000000 00000000 00000000 00000000 00000000",  # li a0, 5
            "08000100 00000000 05000000 ffffffff 00000000 00000000 00000000 00000000",  # li a1, -1
            "0c000100 00000000 05000000 ffffffff 04000000 00000000 00000000 00000000",  # add a2
        ],
    ),
    "aarch64": (
        "a00080d2 011400f1 000020d4",
        [
            # PC       NZCV     X0, then X1 to X5 and LR: zeros
            "00000100 00000000 0000000000000000" + 48 * "00",
            "04000100 00000000 0500000000000000" + 48 * "00",  # mov x0, #5
            "08000100 00000060 0500000000000000" + 48 * "00",  # subs x1, x0, #5: Z C
        ],
    ),
    "thumb": (
        "0520 411f c243 41f23423 00be",
        [
            # PC       APSR     LR       R0       R1       R2       R3       R4
            "00000100 00000000 00000000 00000000 00000000 00000000 00000000" + 8 * "0",
            "02000100 00000000 00000000 05000000 00000000 00000000 00000000" + 8 * "0",  # movs r0
            "04000100 00000060 00000000 05000000 00000000 00000000 00000000" + 8 * "0",  # subs: Z C
            "06000100 000000a0 00000000 05000000 00000000 faffffff 00000000" + 8 * "0",  # mvns: N C
            "0a000100 000000a0 00000000 05000000 00000000 faffffff 34120000" + 8 * "0",  # movw r3
        ],
    ),
}


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", BY_HAND)
def test_states_are_those_written_by_hand(name: str, hook: HookName) -> None:
    code, expected = BY_HAND[name]
    isa = ISAS[name]
    traces = emulator(isa, hook).run(batch(isa, code))
    assert [row.hex() for row in rows_of(traces)] == [row.replace(" ", "") for row in expected]
    assert traces.end_reasons.tolist() == [EndReason.HALTED]


# --- ends ----------------------------------------------------------------------------------------

ENDS = [
    # set, program, registers at the start, states, offset of the last PC, end
    ("x86_16", "40 f4 40", {}, 2, 1, "HALTED"),
    ("x86_16", "f4", {}, 1, 0, "HALTED"),
    ("x86_16", "40 31c9 f7f1 40 f4", {}, 3, 3, "DIVIDE_ERROR"),  # div cx
    ("x86_16", "40 0f0b 40 f4", {}, 2, 1, "INVALID_INSTRUCTION"),  # ud2
    ("x86_16", "40 0f31 f4", {}, 2, 1, "INVALID_INSTRUCTION"),  # rdtsc reads the host's clock
    ("x86_16", "40 cd21 40 f4", {}, 2, 1, "SYSTEM_CALL"),  # int 0x21
    ("x86_16", "40 26cc f4", {}, 2, 1, "SYSTEM_CALL"),  # int3 behind a prefix
    ("x86_16", "40 a10080 f4", {}, 2, 1, "MEMORY_FAULT"),  # mov ax, [0x8000]
    ("x86_16", "40 a30010 f4", {}, 2, 1, "MEMORY_FAULT"),  # mov [0x1000], ax: code
    ("x86_16", "a10010 f4", {}, 2, 3, "HALTED"),  # mov ax, [0x1000] may read code
    ("x86_16", "ebfe", {}, 40, 0, "STEP_LIMIT"),  # jmp to itself
    ("x86_16", "f3aa f4", {"CX": 3, "DI": 0x2000}, 5, 2, "HALTED"),  # rep stosb: a row each
    ("x86_16", "f3a4 f4", {"CX": 0xFFFF, "DI": 0x2000, "SI": 0x2000}, 40, 0, "STEP_LIMIT"),
    ("x86_16", "40 e9fd6f", {}, 3, 0x7001, "LEFT_PROGRAM"),  # jmp to unmapped memory
    ("x86_16", "40 e9fc0f", {}, 3, 0x1000, "LEFT_PROGRAM"),  # jmp to data
    ("x86_16", "40 e93c00", {}, 3, PROGRAM_BYTES, "LEFT_PROGRAM"),  # jmp behind the program
    ("x86_16", "40" * PROGRAM_BYTES, {}, 40, 39, "STEP_LIMIT"),
    ("x86_64", "48ffc0 0f05 90 f4", {}, 2, 3, "SYSTEM_CALL"),  # syscall
    ("x86_64", "48ffc0 480f05 f4", {}, 2, 3, "SYSTEM_CALL"),  # rex.w syscall
    ("x86_16", "40 0f23f9 f4", {}, 2, 1, "INVALID_INSTRUCTION"),  # mov dr7, ecx: a breakpoint
    ("x86_16", "40 0f22c0 f4", {}, 2, 1, "INVALID_INSTRUCTION"),  # mov cr0, eax
    ("x86_16", "40 0f0116 f4", {}, 2, 1, "INVALID_INSTRUCTION"),  # lgdt
    ("x86_16", "40 e460 f4", {}, 2, 1, "INVALID_INSTRUCTION"),  # in al, 0x60
    ("x86_16", "40 f36e f4", {"CX": 1}, 2, 1, "INVALID_INSTRUCTION"),  # rep outsb
    ("x86_16", "40 fa f4", {}, 2, 1, "INVALID_INSTRUCTION"),  # cli
    ("x86_64", "0f30 f4", {"RCX": 0x200}, 1, 0, "INVALID_INSTRUCTION"),  # wrmsr
    ("x86_64", "450f22c0 f4", {}, 1, 0, "INVALID_INSTRUCTION"),  # mov cr8, r8
    ("x86_64", "0fa2 f4", {}, 1, 0, "INVALID_INSTRUCTION"),  # cpuid
    ("x86_64", "0f33 f4", {}, 1, 0, "INVALID_INSTRUCTION"),  # rdpmc
    ("x86_64", "0f01f9 f4", {}, 1, 0, "INVALID_INSTRUCTION"),  # rdtscp
    ("x86_64", "f30fc7f8 f4", {}, 1, 0, "INVALID_INSTRUCTION"),  # rdpid
    ("x86_64", "66f4 f4", {}, 1, 0, "INVALID_INSTRUCTION"),  # hlt, but not the stop
    ("x86_64", "0fc74c24f0 f390 0faef0 f4", {}, 4, 10, "HALTED"),  # cmpxchg8b, pause, mfence
    ("x86_64", "48f7f1 f4", {}, 1, 0, "DIVIDE_ERROR"),  # div rcx
    ("x86_64", "06 f4", {}, 1, 0, "INVALID_INSTRUCTION"),
    ("x86_64", "0fc7f0 f4", {}, 1, 0, "INVALID_INSTRUCTION"),  # rdrand eax
    ("x86_64", "488b00 f4", {"RAX": 1 << 63}, 1, 0, "MEMORY_FAULT"),
    ("x86_64", "ffe0 f4", {"RAX": 0x200000}, 2, 0x100000, "LEFT_PROGRAM"),  # jmp rax to data
    ("aarch64", "00040091 010000d4", {}, 2, 4, "SYSTEM_CALL"),  # svc #0
    ("aarch64", "00040091 200020d4", {}, 2, 4, "SYSTEM_CALL"),  # brk #1
    ("aarch64", "00040091 00000000", {}, 2, 4, "INVALID_INSTRUCTION"),  # udf
    ("aarch64", "00040091 7f2003d5", {}, 2, 4, "INVALID_INSTRUCTION"),  # wfi would wait for ever
    ("aarch64", "40e03bd5", {}, 1, 0, "INVALID_INSTRUCTION"),  # mrs x0, cntvct_el0
    ("aarch64", "00e23bd5", {}, 1, 0, "INVALID_INSTRUCTION"),  # mrs x0, cntp_tval_el0
    ("aarch64", "00e33bd5", {}, 1, 0, "INVALID_INSTRUCTION"),  # mrs x0, cntv_tval_el0
    ("aarch64", "009d3bd5", {}, 1, 0, "INVALID_INSTRUCTION"),  # mrs x0, pmccntr_el0
    ("aarch64", "000038d5", {}, 1, 0, "INVALID_INSTRUCTION"),  # mrs x0, midr_el1
    ("aarch64", "00c018d5", {}, 1, 0, "INVALID_INSTRUCTION"),  # msr vbar_el1, x0
    ("aarch64", "df4203d5", {}, 1, 0, "INVALID_INSTRUCTION"),  # msr daifset, #2
    ("aarch64", "1f7508d5", {}, 1, 0, "INVALID_INSTRUCTION"),  # ic iallu
    ("aarch64", "e0039fd6", {}, 1, 0, "INVALID_INSTRUCTION"),  # eret
    # mrs and msr of nzcv, fpcr, fpsr and tpidr_el0; then nop, dmb ish, isb; then the stop
    (
        "aarch64",
        "00423bd5 00443bd5 20443bd5 40d03bd5 00421bd5 00441bd5 20441bd5 40d01bd5"
        "1f2003d5 bf3b03d5 df3f03d5 000020d4",
        {},
        12,
        44,
        "HALTED",
    ),
    ("aarch64", "20740bd5 000020d4", {"X0": 0x800}, 2, 4, "HALTED"),  # dc zva, x0
    ("aarch64", "000040f9", {"X0": 0x900000}, 1, 0, "MEMORY_FAULT"),  # ldr
    ("aarch64", "000000f9", {"X0": 0x10000}, 1, 0, "MEMORY_FAULT"),  # str to code
    ("aarch64", "00001fd6", {"X0": 0x900000}, 2, 0x8F0000, "LEFT_PROGRAM"),  # br
    ("aarch64", "00001fd6", {"X0": 0x10002}, 2, 2, "INVALID_INSTRUCTION"),  # br to an odd place
    ("aarch64", "00000014", {}, 40, 0, "STEP_LIMIT"),
    ("rv32", "13051500 73000000", {}, 2, 4, "SYSTEM_CALL"),  # ecall
    ("rv32", "13051500 00000000", {}, 2, 4, "INVALID_INSTRUCTION"),
    ("rv32", "13051500 05050505", {}, 2, 4, "INVALID_INSTRUCTION"),  # compressed: not in IM
    ("rv32", "732500c0", {}, 1, 0, "INVALID_INSTRUCTION"),  # rdcycle
    ("rv32", "03250500", {"A0": 0x900000}, 1, 0, "MEMORY_FAULT"),  # lw
    ("rv32", "2320a500", {"A0": 0x10000}, 1, 0, "MEMORY_FAULT"),  # sw to code
    ("rv32", "67000500", {"A0": 0x900000}, 2, 0x8F0000, "LEFT_PROGRAM"),  # jr
    ("rv64", "67000500", {"A0": 0x10006}, 2, 6, "INVALID_INSTRUCTION"),  # jr to an odd place
    ("rv64", "67000500", {"A0": 0x400}, 2, 0x400 - 0x10000, "LEFT_PROGRAM"),  # jr to data
    ("rv64", "6f000000", {}, 40, 0, "STEP_LIMIT"),
    ("thumb", "401c 00df 00be", {}, 2, 2, "SYSTEM_CALL"),  # svc #0
    ("thumb", "401c 01be", {}, 2, 2, "SYSTEM_CALL"),  # bkpt #1
    ("thumb", "401c 00de", {}, 2, 2, "INVALID_INSTRUCTION"),  # udf
    ("thumb", "30bf", {}, 1, 0, "INVALID_INSTRUCTION"),  # wfi would wait for ever
    ("thumb", "72b6", {}, 1, 0, "INVALID_INSTRUCTION"),  # cpsid i
    ("thumb", "eff30880", {}, 1, 0, "INVALID_INSTRUCTION"),  # mrs r0, msp
    ("thumb", "80f31488", {}, 1, 0, "INVALID_INSTRUCTION"),  # msr control, r0
    ("thumb", "eff30080 80f30088 bff35f8f 00be", {}, 4, 12, "HALTED"),  # mrs, msr of apsr; dmb
    ("thumb", "0068", {"R0": 0x900000}, 1, 0, "MEMORY_FAULT"),  # ldr
    ("thumb", "0060", {"R0": 0x10000}, 1, 0, "MEMORY_FAULT"),  # str to code
    ("thumb", "0047", {"R0": 0x900001}, 2, 0x8F0000, "LEFT_PROGRAM"),  # bx
    ("thumb", "0047", {"R0": 0x10002}, 1, 0, "INVALID_INSTRUCTION"),  # bx to ARM code
    ("thumb", "fee7", {}, 40, 0, "STEP_LIMIT"),  # b to itself
]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", sorted({row[0] for row in ENDS}))
def test_programs_end_where_and_why_they_must(name: str, hook: HookName) -> None:
    isa = ISAS[name]
    machine = emulator(isa, hook)
    for _, code, registers, num_states, offset, end in (row for row in ENDS if row[0] == name):
        traces = machine.run(batch(isa, code, **registers))
        rows = rows_of(traces)
        ended = EndReason(int(traces.end_reasons[0])).name
        last = values_of(isa, rows[-1])[isa.program_counter]
        assert (len(rows), last - isa.code_address, ended) == (num_states, offset, end), code


@pytest.mark.parametrize("hook", HOOKS)
def test_a_stop_at_the_last_state_that_fits_is_a_stop(hook: HookName) -> None:
    isa = ISAS["x86_16"]
    traces = emulator(isa, hook, max_states=3).run(batch(isa, "40 40 f4", "40 40 40 f4"))
    assert np.diff(traces.offsets).tolist() == [3, 3]
    assert traces.end_reasons.tolist() == [EndReason.HALTED, EndReason.STEP_LIMIT]


def test_ends_have_one_number_in_compiled_code_and_outside() -> None:
    for end in EndReason:
        assert getattr(program_ends, end.name) == end


# --- fresh machines ------------------------------------------------------------------------------

DIRT_AND_LOOK = {
    # What one program leaves in registers, flags, stack and data; and one that looks at them.
    "x86_64": (
        # The last are movd xmm0, ebp; fld1 -- and fnstsw ax; movd edi, xmm0.
        "49c7c7ffffffff 48c7c5ffffffff 55 48892c2500022000 fd 48c7c4ffffffff 660f6ec5 d9e8 f4",
        "4c89f8 4889e9 488b5424f8 488b1c2500022000 9c 5e 4989e0 dfe0 660f7ec7 f4",
        {"RSI": 2, "R8": 0x301000},
    ),
    "aarch64": (
        # mov x9, #-1; str x9, [sp, #-8]!; mov x10, #0x800; str x9, [x10]; adds x9, x9, x9; sp -= 8
        # msr tpidr_el0, x9; msr fpcr, x9
        "09008092 e98f1ff8 0a0081d2 490100f9 290109ab ff2300d1 49d01bd5 09441bd5 000020d4",
        # mov x0, x9; ldur x1, [sp, #-8]; mov x3, #0x800; ldr x2, [x3]; mrs x4, nzcv; mov x5, sp
        # mrs x30, tpidr_el0; mrs x6, fpcr; orr x30, x30, x6
        "e00309aa e1835ff8 030081d2 620040f9 04423bd5 e5030091 5ed03bd5 06443bd5 de0306aa 000020d4",
        {"X3": 0x800, "X5": 0x21000},
    ),
    "thumb": (
        # mvns r0, r0; mov r8, r0; mov lr, r0; push {r0}; mov.w r1, #0x800; str r0, [r1];
        # adds r2, r0, r0; sub sp, #8
        "c043 8046 8646 01b4 4ff40061 0860 0218 82b0 00be",
        # mov r1, r8; mrs r2, apsr; mov r3, sp; ldr r4, [sp, #-4]; mov.w r0, #0x800; ldr r0, [r0]
        "4146 eff30082 6b46 5df8044c 4ff40060 0068 00be",
        {"R3": 0x21000},
    ),
}


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", DIRT_AND_LOOK)
def test_a_program_finds_nothing_of_the_one_before(name: str, hook: HookName) -> None:
    dirt, look, seen = DIRT_AND_LOOK[name]
    isa = ISAS[name]
    machine = emulator(isa, hook)
    alone = rows_of(machine.run(batch(isa, look)))
    traces = machine.run(batch(isa, dirt, look, dirt, look))
    assert traces.end_reasons.tolist() == [EndReason.HALTED] * 4
    assert rows_of(traces, 1) == rows_of(traces, 3) == alone
    assert rows_of(emulator(isa, hook).run(batch(isa, look))) == alone
    last = values_of(isa, alone[-1])
    del last[isa.program_counter]
    assert {key: value for key, value in last.items() if value} == seen


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", ["x86_16", "x86_64"])
def test_no_breakpoint_of_one_program_stops_the_next(name: str, hook: HookName) -> None:
    isa = ISAS[name]
    at, on = ("AX", "CX") if name == "x86_16" else ("RAX", "RCX")
    # mov dr0, eax; mov dr7, ecx
    registers = {at: (isa.code_address + 3) & 0xFFFFFFFF, on: 1}
    programs = batch(isa, "0f23c0 0f23f9 f4", "90 90 90 90 f4", **registers)
    traces = emulator(isa, hook).run(programs)
    assert np.diff(traces.offsets).tolist() == [1, 5]
    assert traces.end_reasons.tolist() == [EndReason.INVALID_INSTRUCTION, EndReason.HALTED]


@pytest.mark.parametrize("hook", HOOKS)
def test_code_of_the_program_before_is_never_run_again(hook: HookName) -> None:
    isa = ISAS["x86_16"]
    traces = emulator(isa, hook).run(batch(isa, *["40 40 f4", "48 48 f4"] * 10))
    last = [values_of(isa, rows_of(traces, i)[-1])["AX"] for i in range(20)]
    assert last == [2, 0xFFFE] * 10


def test_no_program_costs_memory_that_stays() -> None:
    isa = ISAS["x86_64"]
    machine = emulator(isa, "native")
    programs = batch(isa, *["48ffc0 f4"] * 1000)
    for _ in range(2):
        machine.run(programs)
    before = psutil.Process().memory_info().rss
    for _ in range(10):
        assert len(machine.run(programs).states) == 2000
    assert psutil.Process().memory_info().rss - before < 2 * 2**20


# --- both hooks, batches, memory -----------------------------------------------------------------


@pytest.mark.parametrize("layout", ["narrow", "full"])
@pytest.mark.parametrize("name", ISAS)
def test_both_hooks_record_the_same_bytes(name: str, layout: LayoutName) -> None:
    native, python = (
        Machine(
            isa=ISAS[name],
            profile="fault",
            layout=layout,
            memory_bytes=1024,
            max_instructions=30,
            path=path,
        )
        for path in HOOKS
    )
    programs = native.draw(5, np.arange(40, dtype=np.uint64))
    one, other = native.run(programs), python.run(programs)
    assert one.states.tobytes() == other.states.tobytes()
    assert one.offsets.tolist() == other.offsets.tolist()
    assert one.end_reasons.tolist() == other.end_reasons.tolist()
    assert len(one.states) > 400


@pytest.mark.parametrize("hook", HOOKS)
def test_more_rows_than_a_buffer_holds_are_all_kept(hook: HookName) -> None:
    isa = ISAS["x86_16"]
    machine = emulator(isa, hook, max_states=3000)
    # Counts AX up for ever; and stops at once.
    traces = machine.run(batch(isa, *["40 ebfd", "f4"] * 4))
    assert np.diff(traces.offsets).tolist() == [3000, 1] * 4
    for i in (0, 2, 4, 6):
        counted = [values_of(isa, row)["AX"] for row in rows_of(traces, i)[1::2]]
        assert counted == list(range(1, 1501))


def test_no_programs_give_no_traces() -> None:
    isa = ISAS["rv32"]
    traces = emulator(isa, "native").run(batch(isa))
    assert (len(traces), traces.states.shape) == (0, (0, state_bytes_of(isa.narrow)))


@pytest.mark.parametrize("hook", HOOKS)
def test_what_a_program_leaves_in_memory_is_told(hook: HookName) -> None:
    isa = ISAS["x86_64"]
    machine = emulator(isa, hook, data_bytes=16)
    # push 0x7f; mov byte [0x200001], 5
    programs = batch(isa, "6a7f c604250100200005 f4", "f4", data_bytes=16)
    programs.data[1] = np.arange(16)
    _, left = machine.run_with_memory(programs)
    assert [memory.data for memory in left] == [b"\0\5" + bytes(14), bytes(range(16))]
    assert [memory.stack for memory in left] == [b"\x7f" + bytes(7), b""]


@pytest.mark.parametrize("name", ISAS)
def test_programs_without_faults_touch_their_data_window_and_stack_only(name: str) -> None:
    isa = ISAS[name]
    machine = Machine(
        isa=isa,
        profile="call",
        weights={"load": 10, "store": 10, "stack": 5},
        memory_bytes=1024,
        max_instructions=80,
        layout="narrow",
    )
    reading = emulator(
        isa,
        "python",
        program_bytes=machine.program_bytes,
        data_bytes=isa.data_bytes,
        max_states=machine.max_states,
    )
    touched: set[int] = set()

    def on_access(_: object, kind: int, address: int, num_bytes: int, *rest: object) -> None:
        touched.update(range(address, address + num_bytes))

    engine = reading._engine
    for hook in ("UC_HOOK_MEM_READ", "UC_HOOK_MEM_WRITE"):
        engine.uc.hook_add(engine.names[hook], on_access)
    ends = reading.run(machine.draw(1, np.arange(150, dtype=np.uint64))).end_reasons
    assert set(ends.tolist()) <= {EndReason.HALTED, EndReason.STEP_LIMIT}
    window = range(isa.data_address, isa.data_address + isa.data_bytes)
    stack_end = isa.stack_address + isa.stack_bytes
    assert touched >= {window[0], window[-1]}
    assert len(touched.intersection(window)) > 0.8 * len(window)
    on_stack = touched - set(window)
    assert min(on_stack) >= isa.stack_address
    assert max(on_stack) == stack_end - 1


def test_accesses_to_memory_are_told_with_their_row() -> None:
    isa = ISAS["x86_64"]
    machine = emulator(isa, "python", data_bytes=16)
    programs = batch(isa, "90 c604250100200005 488b00", "a2ffff000000000000", data_bytes=16, RAX=9)
    for _ in range(2):
        traces, accesses = machine.run_with_accesses(programs)
        told = [[(a.row, a.kind, a.address, a.num_bytes, a.data) for a in run] for run in accesses]
        assert told == [
            [(1, "write", 0x200001, 1, b"\5"), (2, "unmapped read", 9, 8, b"")],
            [(0, "unmapped write", 0xFFFF, 1, b"")],
        ]
        assert traces.end_reasons.tolist() == [EndReason.MEMORY_FAULT] * 2
    with pytest.raises(ValueError, match="with hook = 'python' only"):
        emulator(isa, "native").run_with_accesses(programs)


# --- what is refused -----------------------------------------------------------------------------


def test_a_hook_that_does_not_do_its_work_is_found() -> None:
    isa = ISAS["x86_16"]
    machine = emulator(isa, "native")
    machine._engine.control[Slot.NUM_READ] = 0
    with pytest.raises(EmulatorFailed, match="program 0 of the batch, 40f4, has 2 states"):
        machine.run(batch(isa, "40 f4"))
    machine = emulator(isa, "native")
    machine._engine.control[Slot.NUM_READ] = 0
    with pytest.raises(EmulatorFailed, match=f"program 0 of the batch, {'90' * 32}, has "):
        machine.run(batch(isa, "90" * 40 + "f4"))


@pytest.mark.parametrize("slot", [Slot.RESTORE, Slot.WRITE_BATCH, Slot.CTL, Slot.READ_BATCH])
def test_a_library_that_fails_is_found(slot: Slot) -> None:
    isa = ISAS["x86_16"]
    machine = emulator(isa, "native")
    failing = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1)
    machine._engine.control[slot] = ctypes.cast(failing, ctypes.c_void_p).value or 0
    with pytest.raises(EmulatorFailed, match="program 0 of the batch, 40f4, has 0 states"):
        machine.run(batch(isa, "40 f4"))


@pytest.mark.parametrize("hook", HOOKS)
def test_a_closed_emulator_is_refused(hook: HookName) -> None:
    isa = ISAS["x86_16"]
    machine = emulator(isa, hook)
    machine.run(batch(isa, "40 f4"))
    machine.close()
    for run in (machine.run, machine.run_with_memory, machine.run_with_accesses):
        with pytest.raises(EmulatorFailed, match="x86_16: the emulator is closed"):
            run(batch(isa, "40 f4"))


@pytest.mark.parametrize("line", ["first", "any"])
def test_an_interrupt_in_a_hook_is_raised_and_loses_nothing(line: str) -> None:
    """The first line is the library's own, before what it does to keep exceptions."""
    isa = ISAS["x86_16"]
    machine = emulator(isa, "python")
    programs = batch(isa, "40 40 40 f4")
    expected = machine.run(programs).states.tobytes()
    name = {"first": "wrapper", "any": "on_code"}[line]
    calls: list[str] = []

    def trace(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == name:
            calls.append(event)
            if len(calls) == 2:
                raise KeyboardInterrupt

    traced, unraisable = sys.gettrace(), sys.unraisablehook
    try:
        sys.settrace(trace)
        with pytest.raises(KeyboardInterrupt):
            machine.run(programs)
    finally:
        sys.settrace(traced)
    assert len(calls) == 2
    assert sys.unraisablehook is unraisable
    assert machine.run(programs).states.tobytes() == expected


def test_a_program_larger_than_the_code_area_is_refused() -> None:
    isa = ISAS["x86_16"]
    size = isa.code_bytes
    with pytest.raises(ValueError, match=f"a program of up to {size} bytes needs a code area"):
        Emulator(isa, layout="narrow", program_bytes=size, data_bytes=0, max_states=9)


def test_a_missing_wheel_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unicorn", None)
    with pytest.raises(EmulatorMissing, match='unicorn is missing: install it with "pip install'):
        emulator(ISAS["rv32"], "native")


def test_a_table_that_the_emulator_cannot_follow_is_named() -> None:
    isa = ISAS["rv32"]
    with pytest.raises(EmulatorFailed, match="rv32: the emulator has no constant UC_MODE_RISCV3"):
        emulator(replace(isa, emulator_mode=("UC_MODE_RISCV3",)), "native")
    with pytest.raises(EmulatorFailed, match="rv32: the emulator refuses the table's machine"):
        emulator(replace(isa, stack_address=isa.code_address), "native")
    with pytest.raises(EmulatorFailed, match="UC_ARCH_M68K is a family that the emulator's hooks"):
        emulator(replace(isa, emulator_arch="UC_ARCH_M68K"), "native")
