"""The CPU source: random programs of a system with their traces, split by the program's text.

Sample `slot` of a side is the first of the draws `slot`, `2**40 + slot`, `2 * 2**40 + slot`, ...
whose program belongs to that side. So every sample depends on its own number alone, and train and
test never share a program. Two samples of one side may: the one-instruction program is common.
That both program *and* initial state come twice is not ruled out but astronomically rare: the
initial state alone has 88 random bits, so a million samples hold such a pair with a chance of at
most 10^12 / 2^89, about 2 in 10^15.

It simulates nothing itself (`simulators` does) and writes nothing (`pipelines.build` does).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.plan import Plan, SampleShard, Side, SourceError
from pipelines.sample import Sample, Segment, sample_key
from pipelines.split import side_of_group
from simulators.batches import batch_of, programs_of
from simulators.cpu.layout import lay_out
from simulators.protocol import System
from simulators.registry import make_system

COUNTERS_PER_ATTEMPT: Final = 2**40
"""Draw `attempt * 2**40 + slot` is the attempt-th candidate for sample `slot`."""
EXTENSION: Final = "bin"

_MAX_ATTEMPTS: Final = 10_000
"""One program in ten is test: no slot needs so many draws (0.9 ** 10000 is 10 ** -457), unless
there are hardly any programs to draw."""
_RUN_SAMPLES: Final = 250
"""Samples run at once: 0.8 MB of files and 0.5 MB of states stay in a core's cache (1,000 samples
at once were 10-20 % slower, because fresh pages were touched every time)."""


class DropReason(StrEnum):
    """Why a draw is not a sample."""

    OTHER_SIDE = "other_side"
    """Its program belongs to the other side of the split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuOptions:
    """Which machine, how much memory, how long programs.

    Raises:
        ValueError: no such system, sizes that it cannot have, or programs too short to be split.
    """

    system: str
    memory_bytes: int
    max_instructions: int
    """The longest program, its last HLT included."""

    def __post_init__(self) -> None:
        self.make_system()
        if self.max_instructions < 2:
            raise ValueError(
                f"max_instructions = {self.max_instructions} must be at least 2: there is one "
                "program of one instruction, and a program stands on one side of the split only"
            )

    def make_system(self) -> System:
        """Make the system."""
        return make_system(
            self.system, memory_bytes=self.memory_bytes, max_instructions=self.max_instructions
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuSource:
    """A `Source` over a `System`."""

    corpus: str
    seed: int
    options: CpuOptions

    def plan(self, needed: Mapping[Side, int]) -> Plan:
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
                "options": asdict(self.options),
                "system_version": system.version,
            },
            extensions=(EXTENSION,),
            prompt_bytes=system.memory_bytes + system.state_bytes,
            columns={"instructions": "int"},
            provenance={
                "licence": "MIT",
                "material": f"random programs of the system '{system.name}', drawn and run here",
                "citation": "arXiv 2402.19155 (the machine)",
            },
        )

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        """Draw, run and lay out samples `first` to `first + count - 1` of one side."""
        _check_slots(self.corpus, side, first + count)
        system = self.options.make_system()
        candidates = _draw_side(system, self.seed, side, first, count)
        samples: list[Sample] = []
        for start in range(0, count, _RUN_SAMPLES):
            stop = min(start + _RUN_SAMPLES, count)
            batch = batch_of(candidates.programs[start:stop], candidates.initial_states[start:stop])
            traces = system.run(batch)
            files = lay_out(batch, traces, memory_bytes=system.memory_bytes)
            data = files.data
            ends: list[int] = files.offsets.tolist()
            num_executed: list[int] = (np.diff(traces.offsets) - 1).tolist()
            for j in range(stop - start):
                segment = Segment(extension=EXTENSION, data=data[ends[j] : ends[j + 1]].tobytes())
                samples.append(
                    Sample(
                        key=sample_key(plan.corpus, side, first + start + j),
                        segments=(segment,),
                        group=candidates.groups[start + j],
                        meta={"instructions": num_executed[j]},
                    )
                )
        dropped = {DropReason.OTHER_SIDE.value: candidates.num_other_side}
        return SampleShard(samples=samples, dropped=dropped if candidates.num_other_side else {})


def group_of_program(program: bytes) -> str:
    """Return the group of a program's text, HLT included, padding not: 16 bytes of BLAKE2b.

    >>> group_of_program(bytes(4))
    '11d2df4e979aa105cf552e9544ebd2b5'
    """
    return blake2b(program, digest_size=16).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidates:
    """What was drawn for a shard, in the order of its slots."""

    programs: list[bytes]
    groups: list[str]
    initial_states: NDArray[np.uint8]
    num_other_side: int


def _draw_side(system: System, seed: int, side: Side, first: int, count: int) -> _Candidates:
    """Draw for every slot until its program belongs to `side`."""
    programs = [b""] * count
    groups = [""] * count
    initial_states = np.zeros((count, system.state_bytes), np.uint8)
    num_other_side = 0
    open_slots = list(range(count))
    for attempt in range(_MAX_ATTEMPTS):
        if not open_slots:
            break
        counters = np.array(open_slots, np.uint64) + np.uint64(
            attempt * COUNTERS_PER_ATTEMPT + first
        )
        drawn = system.draw(seed, counters)
        still_open: list[int] = []
        filled: list[int] = []
        for i, (slot, program) in enumerate(zip(open_slots, programs_of(drawn), strict=True)):
            group = group_of_program(program)
            if side_of_group(group) == side:
                programs[slot], groups[slot] = program, group
                filled.append(i)
            else:
                still_open.append(slot)
        initial_states[np.array(open_slots)[filled]] = drawn.initial_states[filled]
        num_other_side += len(still_open)
        open_slots = still_open
    if open_slots:
        raise SourceError(
            f"{len(open_slots)} {side} samples from number {first + open_slots[0]} on: no program "
            f"of that side in {_MAX_ATTEMPTS} draws; raise max_instructions"
        )
    return _Candidates(
        programs=programs,
        groups=groups,
        initial_states=initial_states,
        num_other_side=num_other_side,
    )


def _check_slots(corpus: str, side: Side, number: int) -> None:
    """Refuse slots that the next attempt would reach."""
    if number > COUNTERS_PER_ATTEMPT:
        raise SourceError(
            f"{corpus}: {number} {side} samples wanted, but there are slots for "
            f"{COUNTERS_PER_ATTEMPT} only"
        )
