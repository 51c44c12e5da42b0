"""Simulations, `cpu-toy` and `cpu-<isa>`: memory and the first state are given, the rest scored.

Each task pins its machine with its version, the profile and the layout; how long programs are is
the corpus' choice, and which corpus it was stands in every report. Accuracy is broken down three
ways: by the instruction **whose effect a state shows** (what `System.effects` says of the state
before it), by register, and by distance from the first state in steps. On the toy CPU a state is
recorded between fetch and effect, so its first scored state shows no effect and goes by the name
`(first fetch)` (docs/data-format.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import (
    Answer,
    Ratio,
    forced_accuracy,
    written_accuracy,
    written_exactly,
)
from benchmarks.task import BreakdownRow, Item, SampleSet, TaskError, TaskSpec
from bgpt.protocol import Continuation, Prompt
from pipelines.sample import Segment
from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import MAX_SAMPLE_BYTES, LayoutName, state_bytes_of
from simulators.cpu.toy.machine import STATE_BYTES as TOY_STATE_BYTES
from simulators.protocol import System
from simulators.registry import make_system

PROFILE: Final = "call"
"""Of the machines' tasks: everything a program can do without faulting."""
LAYOUT: Final[LayoutName] = "narrow"
_SOME_MEMORY_BYTES: Final = 512
"""A size that every machine takes; its version does not depend on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulationTask:
    """A machine's trace after its memory and first state."""

    spec: TaskSpec
    system: str
    state_bytes: int
    profile: str | None = None
    layout: LayoutName | None = None

    def check(self, samples: SampleSet) -> None:
        """Refuse samples of another machine, profile or layout, or with nothing to score."""
        wanted = {
            "system": self.system,
            "version": self._machine(_SOME_MEMORY_BYTES).version,
            "profile": self.profile,
            "layout": self.layout,
            "weights": None,
            "programs": None,
        }
        found = dict.fromkeys(wanted)
        if samples.settings.get("source") == "cpu":
            options = cast("Mapping[str, Any]", samples.settings.get("options", {}))
            found = {name: options.get(name) for name in wanted}
            found["version"] = samples.settings.get("system_version")
            found["programs"] = "of a user" if "programs" in samples.settings else None
        given = samples.prompt_bytes
        if found != wanted or any(
            len(files) != 1 or not self.state_bytes < given < len(files[0].data)
            for files in samples.files
        ):
            raise TaskError(
                f"{self.spec.name} needs simulations ({_words(wanted)}) with something after the "
                f"bytes that are given; found {_words(found) or 'no simulations'}; "
                f"meant for corpus {self.spec.corpus}"
            )

    def request(self, files: tuple[Segment, ...], prompt_bytes: int) -> Continuation:
        """Give the first `prompt_bytes` of the file, score the rest."""
        prompt = Prompt(
            source=None, extension=files[0].extension, given=files[0].data[:prompt_bytes]
        )
        return Continuation(prompt=prompt, target=files[0].data[prompt_bytes:])

    def machine(self, prompt: Prompt) -> System:
        """Return the machine whose memory and first state `prompt` gives."""
        return self._machine(len(prompt.given) - self.state_bytes)

    def _machine(self, memory_bytes: int) -> System:
        return make_system(
            self.system,
            memory_bytes=memory_bytes,
            max_instructions=1,
            profile=self.profile,
            layout=self.layout,
        )

    def own_metrics(self, items: Sequence[Item], answers: Sequence[Answer]) -> Mapping[str, Ratio]:
        """Measure whole states and whole traces."""
        targets = [item.continuation.target for item in items]
        measured = {
            "teacher_forced_state_accuracy": forced_accuracy(answers, targets, self.state_bytes),
            "teacher_forced_trace_accuracy": forced_accuracy(answers, targets, None),
            "free_running_state_accuracy": written_accuracy(answers, targets, self.state_bytes),
            "free_running_trace_accuracy": written_exactly(answers, targets),
        }
        return {name: found for name, found in measured.items() if found is not None}

    def breakdowns(
        self, items: Sequence[Item], answers: Sequence[Answer]
    ) -> Mapping[str, list[BreakdownRow]]:
        """Return accuracy by instruction, by register and by distance from the first state."""
        machine = self.machine(items[0].continuation.prompt)
        by_instruction, by_register, by_distance = _Sums(), _Sums(), _Sums()
        for row, (item, answer) in enumerate(zip(items, answers, strict=True)):
            if answer.teacher_forced_predicted is None:
                continue
            target = item.continuation.target
            right = answer.teacher_forced_predicted == np.frombuffer(target, np.uint8)
            right = right.reshape(-1, self.state_bytes)
            whole, num_bytes = right.all(axis=1), right.sum(axis=1)
            effects = effects_of(machine, item.continuation)
            by_instruction.add(row, effects, whole, num_bytes, self.state_bytes)
            distances = [distance_name(k) for k in range(1, len(right) + 1)]
            by_distance.add(row, distances, whole, num_bytes, self.state_bytes)
            for field in machine.fields:
                part = right[:, field.offset : field.offset + field.num_bytes]
                names = [field.name] * len(part)
                by_register.add(row, names, part.all(axis=1), part.sum(axis=1), field.num_bytes)
        if not by_instruction:
            return {}
        return {
            "instruction": by_instruction.rows(sorted),
            "register": by_register.rows(list),
            "distance": by_distance.rows(list),
        }


def _words(about: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items() if value)


def effects_of(machine: System, continuation: Continuation) -> list[str]:
    """Return for each scored state the name of what its effect is due to."""
    memory = continuation.prompt.given[: machine.memory_bytes]
    return machine.effects(memory, states_before(continuation, machine.state_bytes))


def states_before(continuation: Continuation, state_bytes: int) -> NDArray[np.uint8]:
    """Return `[states, state_bytes]`: for each state of the target the true one before it."""
    data = continuation.prompt.given[-state_bytes:] + continuation.target
    num_states = -(-len(continuation.target) // state_bytes)
    return np.frombuffer(data, np.uint8)[: num_states * state_bytes].reshape(-1, state_bytes)


def distance_name(steps: int) -> str:
    """Return the range of distances, a power of two wide, that `steps` from 1 on belongs to.

    >>> [distance_name(steps) for steps in (1, 2, 3, 4, 5, 128, 129)]
    ['1', '2', '3-4', '3-4', '5-8', '65-128', '129-256']
    """
    last = 1 << (steps - 1).bit_length()
    first = last // 2 + 1
    return str(last) if first >= last else f"{first}-{last}"


class _Sums:
    """Sums by name, and by sample within it: units, units all right, bytes right, bytes."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[int, NDArray[np.int64]]] = {}

    def __bool__(self) -> bool:
        return bool(self._sums)

    def add(
        self,
        row: int,
        names: Sequence[str],
        whole: NDArray[np.bool_],
        num_right: NDArray[np.int64],
        unit_bytes: int,
    ) -> None:
        """Add the units of sample `row`, each under its name."""
        for name, is_whole, right in zip(names, whole, num_right, strict=True):
            found = self._sums.setdefault(name, {}).setdefault(row, np.zeros(4, np.int64))
            found += (1, is_whole, right, unit_bytes)

    def rows(self, order: Callable[[dict[str, object]], list[str]]) -> list[BreakdownRow]:
        """Return one row a name."""
        return [_row(name, self._sums[name]) for name in order({**self._sums})]


def _row(name: str, sums: Mapping[int, NDArray[np.int64]]) -> BreakdownRow:
    rows = np.array(sorted(sums), np.int64)
    table = np.array([sums[row] for row in sorted(sums)], np.float64)
    units, whole, right, num_bytes = table.T
    return BreakdownRow(
        name=name,
        units=int(units.sum()),
        accuracy=Ratio(rows=rows, numerators=whole, denominators=units),
        byte_accuracy=Ratio(rows=rows, numerators=right, denominators=num_bytes),
    )


_METRICS: Final = (
    "teacher_forced_bits_per_byte",
    "teacher_forced_byte_accuracy",
    "teacher_forced_state_accuracy",
    "teacher_forced_trace_accuracy",
    "free_running_byte_accuracy",
    "free_running_state_accuracy",
    "free_running_trace_accuracy",
)

CPU_TOY: Final = SimulationTask(
    system="toy",
    state_bytes=TOY_STATE_BYTES,
    spec=TaskSpec(
        name="cpu-toy",
        version=1,
        corpus="cpu-toy",
        given="the memory with its program, and the first state",
        scored="every later state",
        metrics=_METRICS,
        shuffled_source=False,
        # One state of 16 bytes for each of the memory's 4-byte instructions, the state not counted.
        written_limit=(4, -64),
    ),
)

CPU_MACHINES: Final = tuple(
    SimulationTask(
        system=isa.name,
        profile=PROFILE,
        layout=LAYOUT,
        state_bytes=state_bytes_of(isa.layout(LAYOUT)),
        spec=TaskSpec(
            name=f"cpu-{isa.name}",
            version=1,
            corpus=f"cpu-{isa.name}",
            given="the program, the data window and the first state",
            scored="the state after every executed instruction",
            metrics=_METRICS,
            shuffled_source=False,
            # With loops the prompt does not tell the length; the sequence's end is the limit.
            written_limit=(0, MAX_SAMPLE_BYTES),
        ),
    )
    for isa in ISAS.values()
)

SIMULATIONS: Final = (CPU_TOY, *CPU_MACHINES)
