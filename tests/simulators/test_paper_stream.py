"""The authors' stream against Python's `random` itself."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from simulators.batches import programs_of
from simulators.cpu.toy.machine import ToyCpu
from simulators.cpu.toy.paper_stream import (
    PAPER_MAX_INSTRUCTIONS,
    PAPER_MEMORY_BYTES,
    draw_programs,
    fingerprints,
    seeded,
)
from simulators.protocol import EndReason, ProgramBatch

ROOT = Path(__file__).parents[2]


def load_reference() -> ModuleType:
    path = Path(__file__).with_name("paper_reference.py")
    spec = importlib.util.spec_from_file_location("paper_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = load_reference()


def drawn(batch: ProgramBatch) -> list[tuple[bytes, bytes]]:
    states = [row.tobytes() for row in batch.initial_states]
    return list(zip(programs_of(batch), states, strict=True))


def expected(seed: int, count: int, max_instructions: int) -> list[tuple[bytes, bytes]]:
    stream = random.Random(seed)
    return [REFERENCE.draw(stream, max_instructions)[1:] for _ in range(count)]


# The last two fill fewer and more 32-bit words than the generator has; too long for a test's name.
@pytest.mark.parametrize(
    "seed",
    [0, 1, -5, 2**32 - 1, 2**32, 2**64 - 1, -(2**70) - 3, 3**9000 - 1, 2 ** (32 * 700)],
    ids=lambda seed: f"{seed.bit_length()}-bits",
)
def test_the_state_after_seeding_is_pythons(seed: int) -> None:
    assert tuple(seeded(seed).tolist()) == random.Random(seed).getstate()[1]


# Every number of bits, and lengths just below and at a power of two.
@pytest.mark.parametrize("max_instructions", [1, 2, 3, 16, 127, 128, 255, 256, 1000])
def test_draws_are_those_of_pythons_random(max_instructions: int) -> None:
    count = 4000 // max_instructions + 5
    batch, _ = draw_programs(seeded(9), count, max_instructions=max_instructions)
    assert drawn(batch) == expected(9, count, max_instructions)


def test_the_papers_setting_draws_up_to_255_instructions_which_its_memory_holds() -> None:
    batch, _ = draw_programs(seeded(0), 150)
    assert drawn(batch) == expected(0, 150, PAPER_MAX_INSTRUCTIONS)
    cpu = ToyCpu(memory_bytes=PAPER_MEMORY_BYTES, max_instructions=PAPER_MAX_INSTRUCTIONS)
    assert set(cpu.run(batch).end_reasons.tolist()) == {EndReason.HALTED}


def test_drawing_goes_on_from_any_state_and_leaves_it_as_it_was() -> None:
    whole, end = draw_programs(seeded(3), 60)
    state = seeded(3)
    parts: list[tuple[bytes, bytes]] = []
    for count in (1, 0, 29, 30):
        before = state.copy()
        batch, moved = draw_programs(state, count)
        assert np.array_equal(state, before)
        parts += drawn(batch)
        state = moved
    assert parts == drawn(whole)
    assert np.array_equal(state, end)
    stream = random.Random(3)
    for _ in range(60):
        REFERENCE.draw(stream)
    # Python, too, makes the next block of words only when it is asked for one.
    assert tuple(end.tolist()) == stream.getstate()[1]


def test_fingerprints_are_equal_exactly_where_programs_are() -> None:
    batch, _ = draw_programs(seeded(1), 20_000, max_instructions=3)
    programs = programs_of(batch)
    prints = [tuple(row) for row in fingerprints(batch).tolist()]
    num_programs = len(set(programs))
    assert 5_000 < num_programs < 15_000
    assert len(set(prints)) == len(set(zip(programs, prints, strict=True))) == num_programs
    for half in (0, 1):
        assert len({row[half] for row in prints}) == num_programs


def test_what_is_no_state_or_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a state of shape \(624,\) is none of 624 words"):
        draw_programs(seeded(0)[:624], 1)
    state = seeded(0)
    state[624] = 625
    with pytest.raises(ValueError, match=r"is none of 624 words and an index of 0\.\.624"):
        draw_programs(state, 1)
    for wrong in (0, 2**31):
        with pytest.raises(ValueError, match=f"max_instructions = {wrong} is not within 1"):
            draw_programs(seeded(0), 1, max_instructions=wrong)


def test_the_docs_example_is_what_is_drawn() -> None:
    docs = (ROOT / "docs" / "data-format.md").read_text("utf-8")
    batch, _ = draw_programs(seeded(0), 1)
    acc, a, b = batch.initial_states[0, [1, 6, 7]].tolist()
    text, _, _ = REFERENCE.draw(random.Random(0))
    lines = text.split("\n")
    assert f"seed 0 begins with ACC {acc}, A {a}, B {b} and a program of {len(lines)} inst" in docs
    assert ", ".join(f"`{line}`" for line in lines[:4]) in docs
