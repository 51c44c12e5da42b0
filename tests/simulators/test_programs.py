"""The generator of machine programs, on a made-up instruction set and on every table."""

import hashlib
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest

from simulators.batches import programs_of
from simulators.counter_rng import stream_key
from simulators.cpu.drawing.programs import ProgramGenerator
from simulators.cpu.isa.analysis import reserved_in_functions
from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import PROFILES, Isa, classes_of
from simulators.cpu.reading.decoder import Decoder
from simulators.protocol import ProgramBatch
from tests.simulators.program_reader import Instruction, read_program, undefined_reads
from tests.simulators.tiny_isa import TINY, WRITTEN_OPERANDS, Z

KEY = stream_key("tiny", "1", 0)


TABLES = {"tiny": TINY, **ISAS}


def generator(isa: Isa = TINY, **changes: Any) -> ProgramGenerator:
    arguments: dict[str, Any] = {
        "profile": "fault",
        "weights": None,
        "program_bytes": 512,
        "data_bytes": isa.data_bytes,
        "max_instructions": 60,
        "layout": "narrow",
    }
    return ProgramGenerator(isa, **(arguments | changes))


def draw(isa: Isa, count: int, **changes: Any) -> ProgramBatch:
    key = stream_key(isa.name, isa.version, 0)
    return generator(isa, **changes).draw(key, np.arange(count, dtype=np.uint64))


@cache
def decoder(name: str) -> Decoder:
    return Decoder(TABLES[name])


@cache
def read(name: str, profile: str, program_bytes: int) -> list[tuple[dict[int, Instruction], int]]:
    batch = draw(TABLES[name], 150, profile=profile, program_bytes=program_bytes)
    return [read_program(decoder(name), code) for code in programs_of(batch)]


EVERY_TABLE = pytest.mark.parametrize("name", TABLES)


@EVERY_TABLE
@pytest.mark.parametrize("profile", PROFILES)
def test_programs_decode_from_the_first_byte_through_the_stop_and_all_functions(
    name: str, profile: str
) -> None:
    programs = read(name, profile, 512)
    assert len(programs) == 150
    assert max(len(program) for program, _ in programs) > 40
    allowed = set(classes_of(profile))
    assert {i.form.klass for program, _ in programs for i in program.values()} <= allowed


@EVERY_TABLE
def test_branches_and_calls_go_to_the_start_of_an_instruction(name: str) -> None:
    isa = TABLES[name]
    calls = {use.form for e in isa.entries if e.scope == "call" for use in e.opening[-1:]}
    kinds = Counter[str]()
    for program_bytes in (128, 512):
        for program, stop in read(name, "fault", program_bytes):
            for at, instruction in program.items():
                target = instruction.target
                if target is None:
                    continue
                assert target in program or target == stop
                if instruction.form.name in calls:
                    assert at < stop < target
                    kinds["call"] += 1
                else:
                    assert (at < stop) == (target <= stop), "a branch leaves its section"
                    kinds["back" if target <= at else "forward"] += 1
                    assert target != instruction.end, "an empty body"
    assert min(kinds[kind] for kind in ("call", "back", "forward")) > 10


@EVERY_TABLE
def test_no_program_reads_a_flag_that_some_path_leaves_undefined(name: str) -> None:
    read_flags = 0
    for program, stop in read(name, "fault", 512):
        assert undefined_reads(decoder(name), program, stop) == []
        read_flags += sum(1 for i in program.values() if i.form.reads)
    if any(form.reads for form in TABLES[name].forms):
        assert read_flags > 100


def test_the_reader_finds_an_undefined_flag() -> None:
    # mul b, c; jz over the stop's place; the flag that mul leaves undefined is read.
    code = bytes([0x40, 0x21, 0x61, 0x0A, 0x30, 0x10, 0xF4])
    program, stop = read_program(decoder("tiny"), code)
    assert undefined_reads(decoder("tiny"), program, stop) == [(2, Z)]


def written_registers(instruction: Instruction) -> set[int]:
    operands = WRITTEN_OPERANDS.get(instruction.form.name, ())
    explicit = {instruction.operands[i] & 7 for i in operands}
    return explicit | {code for code in range(6) if instruction.form.writes >> code & 1}


def test_nothing_in_a_loop_writes_its_counter() -> None:
    depths = Counter[int]()
    for program, _ in read("tiny", "fault", 512):
        loops = [i for i in program.values() if i.form.name == "loop"]
        for loop in loops:
            decrement = program[loop.offset - 2]
            assert decrement.form.name == "dec"
            body = [program[at] for at in program if loop.target <= at < decrement.offset]
            assert body
            counter = decrement.operands[0]
            assert counter in TINY.counters
            inner = [i for i in body if i.form.name == "loop"]
            depths[len(inner)] += 1
            for instruction in body:
                assert counter not in written_registers(instruction)
                if instruction.form.name == "call":
                    at = instruction.target
                    while program[at].form.name != "return":
                        assert counter not in written_registers(program[at])
                        at = program[at].end
    assert depths[0] > 50
    assert depths[1] > 3


def test_functions_write_no_counter_and_neither_call_nor_loop() -> None:
    reserved = reserved_in_functions(TINY)
    assert reserved == 0b1110
    num_functions = Counter[int]()
    for program, stop in read("tiny", "fault", 512):
        behind = [i for at, i in program.items() if at > stop]
        num_functions[sum(1 for i in behind if i.form.name == "return")] += 1
        for instruction in behind:
            assert instruction.form.name not in ("call", "loop")
            assert not any(reserved >> code & 1 for code in written_registers(instruction))
        if behind:
            assert behind[-1].form.name == "return"
    assert set(num_functions) == {0, 1, 2}
    assert min(num_functions.values()) > 5


def test_every_push_has_its_pop() -> None:
    pushes = 0
    for program, _ in read("tiny", "fault", 512):
        depth = 0
        for at in sorted(program):
            depth += {"push": 1, "pop": -1}.get(program[at].form.name, 0)
            pushes += program[at].form.name == "push"
            assert depth >= 0
        assert depth == 0
    assert pushes > 50


def test_registers_that_must_differ_do() -> None:
    pairs = Counter(
        i.operands
        for program, _ in read("tiny", "fault", 512)
        for i in program.values()
        if i.form.name == "xchg"
    )
    assert sum(pairs.values()) > 50
    assert len(pairs) > 15
    assert all(one != other for one, other in pairs)


@pytest.mark.parametrize("program_bytes", [24, 31, 64, 200])
def test_no_program_is_larger_than_its_place(program_bytes: int) -> None:
    batch = draw(TINY, 2000, program_bytes=program_bytes, max_instructions=200)
    sizes = np.diff(batch.offsets)
    assert sizes.max() <= program_bytes
    assert sizes.max() > program_bytes - 4
    for code in programs_of(batch)[:200]:
        read_program(decoder("tiny"), code)


@EVERY_TABLE
def test_lengths_are_uniform_up_to_the_largest(name: str) -> None:
    isa = TABLES[name]
    batch = draw(isa, 3000, profile="alu", program_bytes=2048, max_instructions=20)
    lengths = Counter[int]()
    for code in programs_of(batch)[:400]:
        program, _ = read_program(decoder(name), code)
        lengths[len(program)] += 1
    largest_entry = max(len(entry.opening) for entry in isa.entries)
    assert min(lengths) == 1
    assert 20 <= max(lengths) <= 20 + largest_entry + 1
    mean = sum(length * number for length, number in lengths.items()) / 400
    assert 9 < mean < 13


@EVERY_TABLE
def test_a_draw_depends_on_its_counter_alone(name: str) -> None:
    made = generator(TABLES[name])
    counters = np.array([*range(30), 2**40 + 3, 2**64 - 1], np.uint64)
    batch = made.draw(KEY, counters)
    for order in (slice(None, None, -1), slice(7, 8), slice(3, None, 4)):
        again = made.draw(KEY, counters[order])
        assert programs_of(again) == programs_of(batch)[order]
        assert np.array_equal(again.initial_states, batch.initial_states[order])
        assert np.array_equal(again.data, batch.data[order])
    assert len(set(programs_of(batch))) > 25
    nothing = made.draw(KEY, counters[:0])
    assert (len(nothing), nothing.initial_states.shape[0], nothing.data.shape[0]) == (0, 0, 0)
    assert programs_of(made.draw(KEY + np.uint64(1), counters)) != programs_of(batch)


@EVERY_TABLE
def test_both_layouts_have_the_same_programs_and_register_values(name: str) -> None:
    isa = TABLES[name]
    narrow, full = draw(isa, 40), draw(isa, 40, layout="full")
    assert programs_of(narrow) == programs_of(full)
    assert np.array_equal(narrow.data, full.data)
    values: dict[str, dict[str, Any]] = {"narrow": {}, "full": {}}
    for layout, batch in (("narrow", narrow), ("full", full)):
        offset = 0
        for field in isa.layout(layout):
            part = batch.initial_states[:, offset : offset + field.num_bytes]
            values[layout][field.register] = part
            offset += field.num_bytes
        assert not batch.initial_states[:, offset:].any()
    compared = 0
    for register, part in values["narrow"].items():
        assert np.array_equal(part, values["full"][register][:, : part.shape[1]])
        compared += 1
    assert compared > len(isa.program_registers)


def test_initial_states_are_of_mixed_magnitude_and_the_rest_is_fixed() -> None:
    batch = draw(TINY, 4000, layout="full")
    words = batch.initial_states[:, :18].copy().view("<u2")
    assert (words[:, 0] == TINY.code_address).all()
    assert set(words[:, 1].tolist()) == {0, 1, 2, 3}
    assert (words[:, 8] == TINY.stack_address + TINY.stack_bytes).all()
    registers = words[:, 2:8]
    # A third each of 4, 8 and 16 random bits, a quarter of all complemented.
    small = (registers < 16).mean()
    assert 0.24 < small < 0.29
    minus_small = (registers >= 0xFFF0).mean()
    assert 0.07 < minus_small < 0.11
    assert all(len(set(column.tolist())) > 1000 for column in registers.T)
    assert len({column.tobytes() for column in registers.T}) == 6
    assert not batch.initial_states[:, 18:].any()
    data = batch.data.view("<u8")
    assert 0.13 < (data < 16).mean() < 0.17
    assert 0.03 < (data >= 2**64 - 16).mean() < 0.07


def test_a_profile_without_memory_has_no_data_window() -> None:
    batch = draw(TINY, 5, profile="alu", data_bytes=0)
    assert batch.data.shape == (5, 0)


def test_weights_say_how_often_a_class_is_drawn() -> None:
    weights = {**dict.fromkeys(classes_of("alu"), 0), "move": 1, "logic": 3}
    batch = draw(TINY, 300, profile="alu", weights=weights)
    counts = Counter[str]()
    for code in programs_of(batch):
        program, _ = read_program(decoder("tiny"), code)
        counts.update(i.form.klass for i in program.values())
    assert set(counts) == {"move", "logic"}
    assert 2.7 < counts["logic"] / counts["move"] < 3.3


def test_a_weight_alone_may_be_a_class_that_cannot_stand_everywhere() -> None:
    weights = {**dict.fromkeys(classes_of("loop"), 0), "loop": 1}
    for code in programs_of(draw(TINY, 100, profile="loop", weights=weights)):
        read_program(decoder("tiny"), code)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": "loops"}, "unknown profile 'loops': did you mean 'loop'?"),
        ({"weights": {"lod": 1}}, "unknown instruction class 'lod': did you mean 'load'?"),
        ({"profile": "alu", "weights": {"load": 1}}, "class 'load' is not in profile 'alu'"),
        ({"weights": {"load": -1}}, "load = -1 must be a whole number from 0 to 10000"),
        (
            {"profile": "alu", "weights": dict.fromkeys(classes_of("alu"), 0)},
            "weights sum to 0 over the classes that tiny has in profile 'alu': move, arithmetic",
        ),
        ({"program_bytes": 10}, "tiny: 10 bytes for the program are too few: .* take up to 11"),
        ({"max_instructions": 0}, "max_instructions = 0 must be at least 1"),
        ({"data_bytes": 20}, "data_bytes = 20 must be a multiple of 8"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generator(**changes)


def test_the_same_version_draws_the_same_bytes() -> None:
    # A change of this is a change of every set's bytes: raise `machine.SHARED_VERSION`.
    batch = draw(TINY, 200)
    digest = hashlib.sha256()
    for part in (batch.code, batch.offsets, batch.initial_states, batch.data):
        digest.update(part.astype(part.dtype.newbyteorder("<")).tobytes())
    assert digest.hexdigest() == (
        "a85ca98d24cd4e9a7bce78636e7f13b2399d7c55e7c928833a3f39cf02da76df"
    )
