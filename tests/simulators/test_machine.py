"""A real machine as a system: what it reads out of memory, which way it runs, what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from simulators.batches import batch_of
from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import LayoutName, classes_of
from simulators.cpu.kept_parts import KEPT_PARTS, kept_part
from simulators.cpu.machine import Machine, PathName
from simulators.cpu.reading.disassembly import disassemble
from simulators.cpu.states import PAD, state_fields
from simulators.protocol import EndReason, ProgramBatch


def machine(
    name: str,
    *,
    profile: str = "call",
    layout: LayoutName = "narrow",
    path: PathName = "auto",
    memory_bytes: int = 512,
) -> Machine:
    return Machine(
        isa=ISAS[name],
        profile=profile,
        layout=layout,
        memory_bytes=memory_bytes,
        max_instructions=24,
        path=path,
    )


@pytest.mark.parametrize("layout", ["narrow", "full"])
@pytest.mark.parametrize("name", ISAS)
def test_fields_fill_a_state_without_gaps(name: str, layout: LayoutName) -> None:
    fields = state_fields(ISAS[name], layout)
    assert [f.offset for f in fields[1:]] == [f.offset + f.num_bytes for f in fields[:-1]]
    assert fields[-1].offset + fields[-1].num_bytes == machine(name, layout=layout).state_bytes
    assert all(f.name != PAD for f in fields[:-1])


@pytest.mark.parametrize("name", ISAS)
def test_a_fetch_moves_the_program_counter_to_the_next_instruction(name: str) -> None:
    system = machine(name)
    drawn = system.draw(3, np.arange(6, dtype=np.uint64))
    traces = system.run(drawn)
    counter = next(f for f in system.fields if f.name == system.isa.program_counter)
    checked = 0
    for i in range(len(drawn)):
        program = drawn.code[drawn.offsets[i] : drawn.offsets[i + 1]].tobytes()
        memory = program.ljust(system.program_bytes, b"\0") + drawn.data[i].tobytes()
        states = traces.states[traces.offsets[i] : traces.offsets[i + 1]]
        fetched = system.fetch(memory, states)
        names = system.effects(memory, states)
        for state, after, effect in zip(states, fetched, names, strict=True):
            end = counter.offset + counter.num_bytes
            pc, following = (
                int.from_bytes(row[counter.offset : end].tobytes(), "little")
                for row in (state, after)
            )
            code = program[pc - system.isa.code_address :]
            if code.startswith(system.isa.stop):
                assert (following, effect) == (pc, "(unknown)")
                continue
            assert following - pc == len(disassemble(system.isa, code, pc)[0].code)
            assert effect in classes_of("call")
            others = np.delete(after, np.s_[counter.offset : end])
            assert others.tobytes() == np.delete(state, np.s_[counter.offset : end]).tobytes()
            checked += 1
    assert checked > 40


@pytest.mark.parametrize("path", ["native", "python"])
@pytest.mark.parametrize("name", ["rv32", "rv64"])
def test_every_path_gives_the_same_bytes(name: str, path: PathName) -> None:
    for profile, layout in (("alu", "full"), ("fault", "narrow")):
        fast = machine(name, profile=profile, layout=layout)
        drawn = fast.draw(2, np.arange(50, dtype=np.uint64))
        one = fast.run(drawn)
        other = machine(name, profile=profile, layout=layout, path=path).run(drawn)
        assert one.states.tobytes() == other.states.tobytes()
        assert one.end_reasons.tolist() == other.end_reasons.tolist()
        assert one.offsets.tolist() == other.offsets.tolist()


def test_a_profile_says_how_programs_may_end() -> None:
    halted, fault = EndReason.HALTED, EndReason.MEMORY_FAULT
    assert machine("x86_16", profile="call").allowed_ends == {halted}
    assert machine("rv32", profile="fault").allowed_ends == {halted, fault}
    ends = {halted, fault, EndReason.DIVIDE_ERROR}
    assert machine("x86_64", profile="fault").allowed_ends == ends


def test_the_data_window_comes_with_the_first_profile_that_loads() -> None:
    assert machine("rv32", profile="alu").data_bytes == 0
    assert machine("rv32", profile="memory").data_bytes == ISAS["rv32"].data_bytes
    assert machine("rv32", profile="memory").program_bytes == 512 - ISAS["rv32"].data_bytes


def test_machines_are_compared_by_table_and_configuration() -> None:
    one = machine("rv32")
    assert one == machine("rv32")
    assert hash(one) == hash(machine("rv32"))
    assert one != machine("rv32", profile="loop")
    assert replace(one, weights={"move": 1, "call": 2}) == replace(
        one, weights={"call": 2, "move": 1}
    )
    changed = replace(ISAS["rv32"], class_weights={**ISAS["rv32"].class_weights, "move": 99})
    assert one != replace(one, isa=changed)
    assert len({one, machine("rv32"), machine("rv64")}) == 2


def test_a_machine_keeps_its_weights_whatever_becomes_of_the_callers() -> None:
    weights = {"move": 1}
    system = replace(machine("rv32"), weights=weights)
    weights["move"] = 5
    assert system.weights == {"move": 1}
    with pytest.raises(TypeError, match="does not support item assignment"):
        system.weights["move"] = 2  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]


def test_a_machine_of_another_version_does_not_pass_for_the_one_that_is_here() -> None:
    system = machine("rv32")
    make, key = system.__reduce__()
    assert make(*key) == system
    older = replace(system, isa=replace(system.isa, version="0"))
    make, key = older.__reduce__()
    with pytest.raises(ValueError, match=r"rv32: a machine of version 0\.1; here it is 1\.1"):
        make(*key)


def test_a_table_is_shown_by_its_name() -> None:
    assert repr(machine("x86_64")).startswith("Machine(isa=Isa('x86_64'), profile='call', layout=")


def test_a_machine_lists_programs_without_the_zeros_at_their_end() -> None:
    lines = machine("x86_16").listing(bytes.fromhex("b80000 f4") + bytes(40))
    assert [(line.offset, line.text) for line in lines] == [(0, "mov ax, 0"), (3, "hlt")]


def _bad(drawn: ProgramBatch, what: str) -> ProgramBatch:
    states = drawn.initial_states.copy()
    if what == "flags":
        states[1, 2] |= 2
    elif what == "pc":
        states[1, 0] ^= 1
    elif what == "states":
        states = states[:, :8]
    elif what == "data":
        return replace(drawn, data=drawn.data[:, :8])
    elif what == "offsets":
        return replace(drawn, offsets=drawn.offsets + 1)
    elif what == "size":
        return batch_of([bytes(10), bytes(1000)], states, drawn.data)
    return replace(drawn, initial_states=states)


@pytest.mark.parametrize("path", ["native", "python"])
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("flags", r"program 1: FLAGS = 0x\w+ has bits outside the recorded flags 0x8d5"),
        ("pc", "program 1: IP = 0x1001 must be 0x1000, where programs start"),
        ("states", r"initial_states has shape \(2, 8\), expected \(2, 16\)"),
        ("data", r"data has shape \(2, 8\), expected \(2, 64\)"),
        ("offsets", "offsets must run from 0 to the"),
        ("size", "program 1 has 1000 bytes; the memory has room for 448"),
    ],
)
def test_programs_that_are_not_of_this_machine_are_refused(
    what: str, message: str, path: PathName
) -> None:
    system = machine("x86_16", path=path)
    drawn = system.draw(0, np.arange(2, dtype=np.uint64))
    with pytest.raises(ValueError, match=message):
        system.run(_bad(drawn, what))


def test_memory_larger_than_the_code_area_is_refused() -> None:
    with pytest.raises(ValueError, match=r"memory_bytes = 8000 .* code area of 4096"):
        machine("x86_16", memory_bytes=8000)


def test_the_interpreter_is_for_riscv() -> None:
    with pytest.raises(ValueError, match="path = 'interpreter' runs RISC-V only, not 'x86_64'"):
        machine("x86_64", path="interpreter")


def test_parts_are_kept_and_the_oldest_go() -> None:
    made: list[int] = []

    def part(n: int) -> int:
        return kept_part(ISAS["rv32"], ("test", n), lambda: made.append(n) or n)

    for n in (0, 0, 1, 0, *range(2, KEPT_PARTS + 1)):
        assert part(n) == n
    assert made == list(range(KEPT_PARTS + 1))
    part(0)  # 1 was used longest ago
    assert len(made) == KEPT_PARTS + 1
    part(1)
    assert made[-1] == 1
