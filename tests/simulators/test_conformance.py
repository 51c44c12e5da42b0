"""Every registered system conforms, and the check finds systems that do not."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.conformance import NonConformant, check_system
from simulators.cpu.toy.machine import ToyCpu
from simulators.protocol import EndReason, InstructionLine, ProgramBatch, StateField, TraceBatch
from simulators.registry import make_system, system_names


@pytest.mark.parametrize(("memory_bytes", "max_instructions"), [(64, 16), (1024, 255)])
def test_the_toy_cpu_conforms(memory_bytes: int, max_instructions: int) -> None:
    check_system(make_system("toy", memory_bytes=memory_bytes, max_instructions=max_instructions))


@pytest.mark.parametrize(("profile", "layout"), [("alu", "full"), ("fault", "narrow")])
@pytest.mark.parametrize("name", sorted({*system_names()} - {"toy"}))
def test_every_real_machine_conforms(name: str, profile: str, layout: str) -> None:
    system = make_system(
        name, memory_bytes=1024, max_instructions=20, profile=profile, layout=layout
    )
    check_system(system)


@dataclass
class Broken:
    """A toy CPU; each subclass below breaks one rule."""

    toy: ToyCpu
    name: str = "broken"
    version: str = "1"
    memory_bytes: int = 64
    state_bytes: int = 16
    data_bytes: int = 0
    calls: int = 0

    @property
    def fields(self) -> tuple[StateField, ...]:
        return self.toy.fields

    def draw(self, seed: int, counters: NDArray[np.uint64]) -> ProgramBatch:
        return self.toy.draw(seed, counters)

    def run(self, batch: ProgramBatch) -> TraceBatch:
        return self.toy.run(batch)

    @property
    def allowed_ends(self) -> frozenset[EndReason]:
        return self.toy.allowed_ends

    def listing(self, code: bytes) -> list[InstructionLine]:
        return self.toy.listing(code)

    def fetch(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self.toy.fetch(memory, states)

    def effects(self, memory: bytes, states: NDArray[np.uint8]) -> list[str]:
        return self.toy.effects(memory, states)

    def ended(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return self.toy.ended(memory, states)


class DrawsByOrder(Broken):
    def draw(self, seed: int, counters: NDArray[np.uint64]) -> ProgramBatch:
        return self.toy.draw(seed, np.sort(counters))


class DrawsByPosition(Broken):
    def draw(self, seed: int, counters: NDArray[np.uint64]) -> ProgramBatch:
        drawn = self.toy.draw(seed, counters)
        states = drawn.initial_states.copy()
        states[::2] = states[::2][::-1]
        return replace(drawn, initial_states=states)


class IgnoresItsSeed(Broken):
    def draw(self, seed: int, counters: NDArray[np.uint64]) -> ProgramBatch:
        return self.toy.draw(0, counters)


class DrawsByTheClock(Broken):
    def draw(self, seed: int, counters: NDArray[np.uint64]) -> ProgramBatch:
        self.calls += 1
        return self.toy.draw(seed + self.calls, counters)


class NeverHalts(Broken):
    def run(self, batch: ProgramBatch) -> TraceBatch:
        traces = self.toy.run(batch)
        return replace(traces, end_reasons=traces.end_reasons + np.uint8(EndReason.STEP_LIMIT))


class ForgetsTheFirstState(Broken):
    def run(self, batch: ProgramBatch) -> TraceBatch:
        traces = self.toy.run(batch)
        return replace(traces, states=traces.states + np.uint8(1))


class RunsDifferentlyInAPaddedMemory(Broken):
    def run(self, batch: ProgramBatch) -> TraceBatch:
        traces = self.toy.run(batch)
        states = traces.states.copy()
        if len(batch.code) == 64:
            states[-1, 5] ^= 1
        return replace(traces, states=states)


class ChangesItsPrograms(Broken):
    def run(self, batch: ProgramBatch) -> TraceBatch:
        traces = self.toy.run(batch)
        if len(batch) > 1:
            batch.initial_states[1, 9] ^= 1
        return traces


class HasAGap(Broken):
    @property
    def fields(self) -> tuple[StateField, ...]:
        return self.toy.fields[:3] + self.toy.fields[4:]


class SpeaksInBlanks(Broken):
    def listing(self, code: bytes) -> list[InstructionLine]:
        return [replace(line, text="") for line in self.toy.listing(code)]


class ListsHalf(Broken):
    def listing(self, code: bytes) -> list[InstructionLine]:
        return self.toy.listing(code)[::2]


class EndsOddly(Broken):
    def run(self, batch: ProgramBatch) -> TraceBatch:
        traces = self.toy.run(batch)
        ends = traces.end_reasons.copy()
        ends[1:2] = EndReason.MEMORY_FAULT
        return replace(traces, end_reasons=ends)


class NeverEnds(Broken):
    def ended(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return np.zeros(len(states), np.bool_)


class FetchesTwice(Broken):
    def fetch(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.repeat(self.toy.fetch(memory, states), 2, axis=0)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (DrawsByOrder, "depends on the order of its counters"),
        (DrawsByPosition, "depends on the order of its counters"),
        (IgnoresItsSeed, "different seeds draw the same"),
        (DrawsByTheClock, "a draw is not repeatable"),
        (NeverHalts, "drawn programs must halt"),
        (ForgetsTheFirstState, "does not begin with its initial state"),
        (RunsDifferentlyInAPaddedMemory, "running a file's memory block gives another trace"),
        (ChangesItsPrograms, "a run changes its arguments"),
        (HasAGap, "field B begins at byte 7, but the one before ends at 6"),
        (SpeaksInBlanks, "program 0 has an empty line"),
        (ListsHalf, "listing is not its bytes"),
        (EndsOddly, r"drawn programs ended with .*4.*, allowed are"),
        (NeverEnds, "draw 0: ended is"),
        (FetchesTwice, "draw 0: a fetch gives"),
    ],
)
def test_a_broken_rule_is_found_and_named(broken: type[Broken], rule: str) -> None:
    system = broken(ToyCpu(memory_bytes=64, max_instructions=16))
    with pytest.raises(NonConformant, match=rf"system 'broken' version 1: .*{rule}"):
        check_system(system)


def test_a_window_off_the_patch_grid_is_found_and_named() -> None:
    system = Broken(ToyCpu(memory_bytes=64, max_instructions=16), data_bytes=8)
    with pytest.raises(NonConformant, match="data_bytes = 8 must be a multiple of 16"):
        check_system(system)


def test_a_size_off_the_patch_grid_is_found_and_named() -> None:
    system = Broken(ToyCpu(memory_bytes=64, max_instructions=16), memory_bytes=72)
    with pytest.raises(NonConformant, match="memory_bytes = 72 must be a positive multiple of 16"):
        check_system(system)
