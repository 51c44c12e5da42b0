"""The CPU source: random programs of a system with their traces, split by the program's text.

Sample `slot` of a side is the first of the draws `slot`, `2**40 + slot`, `2 * 2**40 + slot`, ...
whose program belongs to that side and ends within the states that a file has room for. So every
sample depends on its own number alone, and train and test never share a program. Two samples of
one side may: the one-instruction program is common.

That program *and* initial state come twice is not ruled out, but rare. The toy CPU's state has 88
random bits, so a million samples hold such a pair with a chance of at most 10^12 / 2^89, about 2 in
10^15. Machines have registers of mixed magnitude: states coincide as often as 47 (thumb), 52
(x86_16), 58 (aarch64), 59 (rv32), 63 (rv64) or 69 (x86_64) random bits do, data windows as 72 or
more. Were all programs the same, a million samples held such a pair with a chance of 10^12 / 2^48
(thumb), 4 in 1,000, without a window (profile `alu`), and below 1 in 10^23 with one.

It simulates nothing itself (`simulators` does) and writes nothing (`pipelines.build` does).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.engine import IN_PROCESS, Engine
from pipelines.plan import JsonValue, Plan, SampleShard, Side, SourceError
from pipelines.sample import Sample
from pipelines.sources.cpu_options import CpuOptions
from pipelines.sources.cpu_samples import (
    EXTENSION,
    Ran,
    columns_of,
    end_name,
    executed_counts,
    group_of_program,
    samples_of,
)
from pipelines.split import side_of_group
from simulators.batches import batch_of, programs_of
from simulators.cpu.layout import lay_out
from simulators.cpu.machine import Machine
from simulators.cpu.reading.decoder import kept_decoder
from simulators.cpu.states import program_counters
from simulators.protocol import EndReason, ProgramBatch, System, TraceBatch

__all__ = [
    "COUNTERS_PER_ATTEMPT",
    "EXTENSION",
    "CpuOptions",
    "CpuSource",
    "DropReason",
    "UnexpectedEnd",
    "group_of_program",
]

COUNTERS_PER_ATTEMPT: Final = 2**40
"""Draw `attempt * 2**40 + slot` is the attempt-th candidate for sample `slot`."""

_MAX_ATTEMPTS: Final = 10_000
"""One program in ten is test: no slot needs so many draws (0.9 ** 10000 is 10 ** -457), unless
there are hardly any programs to draw, or hardly any that end."""
_RUN_SAMPLES: Final = 250
"""Samples run at once: 0.8 MB of files and 0.5 MB of states stay in a core's cache (1,000 samples
at once were 10-20 % slower, because fresh pages were touched every time)."""


class DropReason(StrEnum):
    """Why a draw is not a sample."""

    OTHER_SIDE = "other_side"
    """Its program belongs to the other side of the split."""
    TOO_LONG = "too_long"
    """It runs on where a file has no room for another state."""


class UnexpectedEnd(RuntimeError):  # noqa: N818 - a finding about the machine, not the user
    """A drawn program ended as none of its profile may: a fault of ours; says how to make it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuSource:
    """A `Source` over a `System`."""

    corpus: str
    seed: int
    options: CpuOptions

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:  # noqa: ARG002
        """Say what decides the bytes; draws do not end, so there is nothing to look up.

        Raises:
            SourceError: more samples are needed than there are slots.
        """
        for side, number in needed.items():
            _check_slots(self.corpus, side, number)
        system = self.options.make_system()
        return Plan(
            corpus=self.corpus,
            settings={
                "source": "cpu",
                "seed": self.seed,
                "options": self.options.settings(),
                "system_version": system.version,
            },
            extensions=(EXTENSION,),
            prompt_bytes=system.memory_bytes + system.state_bytes,
            columns=columns_of(system),
            provenance=_provenance(system),
        )

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        """Draw, run and lay out samples `first` to `first + count - 1` of one side."""
        _check_slots(self.corpus, side, first + count)
        system = self.options.make_system()
        samples: dict[int, Sample] = {}
        counts: Counter[str] = Counter()
        dropped: Counter[str] = Counter()
        attempts = np.zeros(count, np.int64)
        open_slots = list(range(count))
        while open_slots:
            drawn = _draw_side(system, self.seed, side, first, open_slots, attempts)
            dropped[DropReason.OTHER_SIDE.value] += drawn.num_other_side
            open_slots = list[int]()
            for start in range(0, len(drawn.slots), _RUN_SAMPLES):
                slots = drawn.slots[start : start + _RUN_SAMPLES]
                programs = drawn.batch(start, start + _RUN_SAMPLES)
                traces = system.run(programs)
                ran = Ran(
                    numbers=[first + slot for slot in slots],
                    groups=drawn.groups[start : start + _RUN_SAMPLES],
                    files=lay_out(programs, traces, memory_bytes=system.memory_bytes),
                    traces=traces,
                )
                counters = attempts[slots] * COUNTERS_PER_ATTEMPT + first + np.array(slots)
                self._check_ends(system, programs, traces, counters)
                made = samples_of(system, plan.corpus, side, ran)
                for slot, sample in zip(slots, made, strict=True):
                    if sample is None:
                        open_slots.append(slot)
                    else:
                        samples[slot] = sample
                counts += executed_counts(system, ran)
            attempts[open_slots] += 1
            dropped[DropReason.TOO_LONG.value] += len(open_slots)
        return SampleShard(
            samples=[samples[slot] for slot in range(count)],
            dropped={reason: number for reason, number in dropped.items() if number},
            counts=dict(sorted(counts.items())),
        )

    def _check_ends(
        self,
        system: System,
        programs: ProgramBatch,
        traces: TraceBatch,
        counters: NDArray[np.int64],
    ) -> None:
        """Hold the machine to its profile: a program of ours ends as it allows, or runs on."""
        known = [int(end) for end in (*system.allowed_ends, EndReason.STEP_LIMIT)]
        wrong = np.flatnonzero(~np.isin(traces.end_reasons, known))
        if not len(wrong):
            return
        i, counter = int(wrong[0]), int(counters[wrong[0]])
        program = programs_of(programs)[i]
        call = ", ".join(f"{name}={value!r}" for name, value in self.options.settings().items())
        raise UnexpectedEnd(
            f"system '{system.name}' version {system.version}, seed {self.seed}, draw {counter}: "
            f"ended by {end_name(int(traces.end_reasons[i]))} "
            f"{_place(system, program, traces, i)}, where only "
            f"{', '.join(sorted(end_name(end) for end in system.allowed_ends))} may be. "
            f"Program: {program.hex()}. To make it alone: "
            f"system = CpuOptions({call}).make_system(); "
            f"system.run(system.draw({self.seed}, np.array([{counter}], np.uint64)))"
        )


def _provenance(system: System) -> dict[str, JsonValue]:
    """Return licence, material and citation."""
    if isinstance(system, Machine):
        return {
            "licence": "MIT",
            "material": f"random programs for {system.isa.title}, profile '{system.profile}', "
            "drawn and run here",
            "citation": "Unicorn CPU emulator, unicorn-engine.org (what the runs agree with)",
        }
    return {
        "licence": "MIT",
        "material": f"random programs of the system '{system.name}', drawn and run here",
        "citation": "arXiv 2402.19155 (the machine)",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidates:
    """Programs of the right side with their slots, not run yet."""

    slots: list[int]
    programs: list[bytes]
    groups: list[str]
    initial_states: NDArray[np.uint8]
    data: NDArray[np.uint8]
    num_other_side: int

    def batch(self, start: int, stop: int) -> ProgramBatch:
        """Return some of them as a batch to run."""
        return batch_of(
            self.programs[start:stop], self.initial_states[start:stop], self.data[start:stop]
        )


def _draw_side(
    system: System,
    seed: int,
    side: Side,
    first: int,
    slots: Sequence[int],
    attempts: NDArray[np.int64],
) -> _Candidates:
    """Draw for every one of `slots`, from its attempt on, until its program belongs to `side`.

    `attempts` is moved on to the draw that was taken.
    """
    places = {slot: place for place, slot in enumerate(slots)}
    programs = [b""] * len(slots)
    groups = [""] * len(slots)
    initial_states = np.zeros((len(slots), system.state_bytes), np.uint8)
    data = np.zeros((len(slots), system.data_bytes), np.uint8)
    num_other_side = 0
    open_slots = np.array(slots, np.int64)
    while len(open_slots):
        tried = attempts[open_slots]
        if int(tried.max()) >= _MAX_ATTEMPTS:
            number = first + int(open_slots[tried.argmax()])
            raise SourceError(
                f"{side} sample number {number}: no program of that side that ends within a "
                f"sample in {_MAX_ATTEMPTS} draws; change max_instructions"
            )
        counters = (tried * COUNTERS_PER_ATTEMPT + first + open_slots).astype(np.uint64)
        drawn = system.draw(seed, counters)
        taken: list[int] = []
        filled: list[int] = []
        for i, program in enumerate(programs_of(drawn)):
            group = group_of_program(program)
            if side_of_group(group) == side:
                place = places[int(open_slots[i])]
                programs[place], groups[place] = program, group
                taken.append(i)
                filled.append(place)
        initial_states[filled] = drawn.initial_states[taken]
        data[filled] = drawn.data[taken]
        open_slots = np.delete(open_slots, taken)
        attempts[open_slots] += 1
        num_other_side += len(open_slots)
    return _Candidates(
        slots=list(slots),
        programs=programs,
        groups=groups,
        initial_states=initial_states,
        data=data,
        num_other_side=num_other_side,
    )


def _place(system: System, program: bytes, traces: TraceBatch, i: int) -> str:
    """Say where a run stood at its end: the program counter, and the instruction there."""
    if not isinstance(system, Machine):
        return f"in state {traces.states[traces.offsets[i + 1] - 1].tobytes().hex()}"
    last = traces.states[traces.offsets[i + 1] - 1]
    pc = int(program_counters(system.isa, system.layout, last[np.newaxis])[0])
    offset = pc - system.isa.code_address
    decoder = kept_decoder(system.isa)
    known = decoder.form_at(program, offset) is not None
    text = decoder.text_at(program, offset) if known else "no instruction of the program"
    return f"at PC {pc:#x} ({text})"


def _check_slots(corpus: str, side: Side, number: int) -> None:
    """Refuse slots that the next attempt would reach."""
    if number > COUNTERS_PER_ATTEMPT:
        raise SourceError(
            f"{corpus}: {number} {side} samples wanted, but there are slots for "
            f"{COUNTERS_PER_ATTEMPT} only"
        )
