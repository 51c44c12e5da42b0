"""The authors' stream as a source: the very files that their script writes for a seed.

Their script draws the train programs and then, from the same stream, the test programs. It names a
file by its program's text, so of two programs with the same text on one side the later one
overwrites the earlier: that one is dropped here, and counted. A test program that is in train too
stays on both sides, as with the authors; the manifest has the number. Samples stand in the order of
their draws, those that are left.

So this corpus breaks two habits on purpose. Sides are given, not hashed. And `needed` is what is
*drawn*: fewer samples are left, and another number makes another corpus, because the test draws
follow the train draws, and a later draw takes an earlier one's place. The drawing itself is done by
`simulators.cpu.toy.paper_stream`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import compress
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from pipelines.engine import IN_PROCESS, Engine
from pipelines.plan import SIDES, Plan, SampleShard, Side
from pipelines.sample import Sample
from pipelines.sources.cpu_samples import (
    EXTENSION,
    Ran,
    columns_of,
    group_of_program,
    samples_of,
)
from simulators.batches import programs_of
from simulators.cpu.layout import lay_out
from simulators.cpu.toy.machine import ToyCpu
from simulators.cpu.toy.paper_stream import (
    PAPER_MAX_INSTRUCTIONS,
    PAPER_MEMORY_BYTES,
    draw_programs,
    fingerprints,
    seeded,
)

OVERLAP: Final = "test_programs_in_train"
"""Name of the manifest's count of programs that stand on both sides."""

_STREAM_VERSION: Final = "1"
_DRAWS_PER_STATE: Final = 1000
"""A shard begins at the nearest state of the generator that the plan keeps, 500 draws too early on
average: 1 ms. The states of 2.1 million draws take 5 MB."""
_DRAWS_AT_ONCE: Final = 250
"""0.8 MB of files and 0.5 MB of states stay in a core's cache."""


class DropReason(StrEnum):
    """Why a draw is not a sample."""

    SAME_PROGRAM_LATER = "same_program_later"
    """A later draw of its side has the same program, and takes its place."""


def paper_system() -> ToyCpu:
    """Return the machine in the authors' setting."""
    return ToyCpu(memory_bytes=PAPER_MEMORY_BYTES, max_instructions=PAPER_MAX_INSTRUCTIONS)


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperSource:
    """A `Source` of the toy CPU's programs as the authors drew them, in their setting."""

    corpus: str
    seed: int

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:  # noqa: ARG002
        """Draw `needed` programs a side, and find those that a later one overwrites."""
        drawn = {side: needed.get(side, 0) for side in SIDES}
        states, prints = _survey(self.seed, sum(drawn.values()))
        prints_of = {"train": prints[: drawn["train"]], "test": prints[drawn["train"] :]}
        dropped: dict[Side, NDArray[np.int64]] = {
            side: _overwritten(prints_of[side]) for side in SIDES
        }
        kept = [np.delete(prints_of[side], dropped[side], axis=0) for side in SIDES]
        # No side holds a program twice any more: what is still repeated stands on both.
        overlap = len(_overwritten(np.concatenate(kept)))
        numbers: dict[Side, int] = {side: drawn[side] - len(dropped[side]) for side in SIDES}
        num_dropped = sum(map(len, dropped.values()))
        system = paper_system()
        return Plan(
            corpus=self.corpus,
            settings={
                "source": "cpu",
                "seed": self.seed,
                "options": {
                    "system": system.name,
                    "memory_bytes": system.memory_bytes,
                    "max_instructions": system.max_instructions,
                },
                "system_version": system.version,
                "stream": "paper",
                "stream_version": _STREAM_VERSION,
                "draws": drawn,
            },
            extensions=(EXTENSION,),
            prompt_bytes=system.memory_bytes + system.state_bytes,
            columns=columns_of(system),
            split="given",
            overlap={OVERLAP: overlap},
            numbers=numbers,
            available=numbers,
            read=sum(drawn.values()),
            dropped={DropReason.SAME_PROGRAM_LATER.value: num_dropped} if num_dropped else {},
            provenance={
                "licence": "MIT",
                "material": "random programs of the system 'toy', the same that the authors' "
                "generator draws for this seed, drawn and run here",
                "citation": "arXiv 2402.19155 (the machine and the generator)",
            },
            payload=_Payload(
                states=states, first_draws={"train": 0, "test": drawn["train"]}, dropped=dropped
            ),
        )

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        """Draw, run and lay out samples `first` to `first + count - 1` of one side."""
        system = paper_system()
        payload = cast("_Payload", plan.payload)
        draws = _draws_of_samples(payload.dropped[side], first, count) + payload.first_draws[side]
        at, last = int(draws[0]), int(draws[-1])
        kept = np.zeros(last + 1 - at, np.bool_)
        kept[draws - at] = True
        _, state = draw_programs(payload.states[at // _DRAWS_PER_STATE], at % _DRAWS_PER_STATE)
        samples: list[Sample] = []
        for start in range(0, len(kept), _DRAWS_AT_ONCE):
            batch, state = draw_programs(state, min(_DRAWS_AT_ONCE, len(kept) - start))
            traces = system.run(batch)
            files = lay_out(batch, traces, memory_bytes=system.memory_bytes)
            chosen = kept[start : start + len(batch)]
            numbers = first + len(samples) + np.cumsum(chosen) - 1
            groups = [group_of_program(program) for program in programs_of(batch)]
            ran = Ran(numbers=numbers.tolist(), groups=groups, files=files, traces=traces)
            every = samples_of(system, plan.corpus, side, ran)
            samples += [sample for sample in compress(every, chosen) if sample is not None]
        return SampleShard(samples=samples)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Payload:
    """Where any draw is found again, and which draws are no samples."""

    states: NDArray[np.uint32]
    """`[n, 625]`: the generator's state before every `_DRAWS_PER_STATE`-th draw."""
    first_draws: Mapping[Side, int]
    """Number of each side's first draw."""
    dropped: Mapping[Side, NDArray[np.int64]]
    """Numbers, counted from its side's first draw, of the draws that are dropped; ascending."""


def _survey(seed: int, count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
    """Draw `count` programs; return states of the generator on the way, and all fingerprints."""
    state = seeded(seed)
    states = np.empty((-(-count // _DRAWS_PER_STATE), len(state)), np.uint32)
    prints = np.empty((count, 2), np.uint64)
    for first in range(0, count, _DRAWS_AT_ONCE):
        if first % _DRAWS_PER_STATE == 0:
            states[first // _DRAWS_PER_STATE] = state
        batch, state = draw_programs(state, min(_DRAWS_AT_ONCE, count - first))
        prints[first : first + len(batch)] = fingerprints(batch)
    return states, prints


def _overwritten(prints: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return, ascending, the rows of `[n, 2]` that a later row repeats."""
    order = np.lexsort((prints[:, 1], prints[:, 0]))  # stable: equal rows stay in their order
    in_order = prints[order]
    return np.sort(order[:-1][(in_order[:-1] == in_order[1:]).all(axis=1)])


def _draws_of_samples(dropped: NDArray[np.int64], first: int, count: int) -> NDArray[np.int64]:
    """Return the draws, counted on their side, of samples `first` to `first + count - 1`.

    >>> _draws_of_samples(np.array([0, 3]), 0, 4).tolist()
    [1, 2, 4, 5]
    """
    samples = np.arange(first, first + count)
    # Drop j stands before sample s if at least one of the first s + j + 1 draws is it: d - j <= s.
    return samples + np.searchsorted(dropped - np.arange(len(dropped)), samples, side="right")
