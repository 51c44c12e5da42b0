"""Programs that have been run become samples: what the sources of programs share.

It draws nothing and runs nothing: `cpu` draws, `programs` reads a user's files, `simulators` runs.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import compress
from typing import Final

import numpy as np

from pipelines.plan import ColumnType, Side
from pipelines.sample import MetaValue, Sample, Segment, sample_key
from simulators.cpu.layout import FileBatch
from simulators.cpu.machine import Machine
from simulators.cpu.reading.class_counts import count_classes
from simulators.protocol import EndReason, System, TraceBatch

EXTENSION: Final = "bin"
RETURNED: Final = "returned"
"""How a function of a user's ends whose way back is on the empty stack; others: `EndReason`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """Programs of one side with their runs."""

    numbers: Sequence[int]
    """Number on its side of the sample that each program is to be."""
    groups: Sequence[str]
    files: FileBatch
    traces: TraceBatch
    ends: Sequence[str] | None = None
    """How each ended, where the traces do not say it all."""

    def end_names(self) -> Sequence[str]:
        """Return how each ended, as corpora spell it."""
        if self.ends is not None:
            return self.ends
        ends: list[int] = self.traces.end_reasons.tolist()
        names = {end: end_name(end) for end in set(ends)}
        return [names[end] for end in ends]


def group_of_program(program: bytes) -> str:
    """Return the group of a program's text, its last instruction included, padding not.

    It is 16 bytes of BLAKE2b.

    >>> group_of_program(bytes(4))
    '11d2df4e979aa105cf552e9544ebd2b5'
    """
    return blake2b(program, digest_size=16).hexdigest()


def columns_of(system: System) -> dict[str, ColumnType]:
    """Return the columns of the index for samples of a system."""
    columns: dict[str, ColumnType] = {"instructions": "int"}
    if isinstance(system, Machine):
        columns["end"] = "str"
    return columns


def end_name(end: int) -> str:
    """Return an end reason as corpora spell it.

    >>> end_name(EndReason.MEMORY_FAULT)
    'memory_fault'
    """
    return EndReason(end).name.lower()


def samples_of(system: System, corpus: str, side: Side, ran: Ran) -> Iterator[Sample | None]:
    """Yield each program's sample, or `None` where it did not come to its end."""
    traces = ran.traces
    content = ran.files.data.tobytes()
    starts: list[int] = ran.files.offsets.tolist()
    executed: list[int] = (np.diff(traces.offsets) - 1).tolist()
    ends: list[int] = traces.end_reasons.tolist()
    names = ran.end_names() if isinstance(system, Machine) else ()
    for i, (number, group) in enumerate(zip(ran.numbers, ran.groups, strict=True)):
        if ends[i] == EndReason.STEP_LIMIT:
            yield None
            continue
        meta: dict[str, MetaValue] = {"instructions": executed[i]}
        if names:
            meta["end"] = names[i]
        yield Sample(
            key=sample_key(corpus, side, number),
            segments=(Segment(extension=EXTENSION, data=content[starts[i] : starts[i + 1]]),),
            group=group,
            meta=meta,
        )


def executed_counts(system: System, ran: Ran) -> Counter[str]:
    """Return what a manifest counts of those that become samples: instructions and ends.

    Instructions by class (`instructions.load`) and ends (`end.halted`), of real machines only.
    """
    counts: Counter[str] = Counter()
    if isinstance(system, Machine):
        kept = ran.traces.end_reasons != EndReason.STEP_LIMIT
        for name, number in count_classes(system, ran.files, ran.traces, kept).items():
            counts[f"instructions.{name}"] = number
        counts.update(f"end.{name}" for name in compress(ran.end_names(), kept.tolist()))
    return counts
