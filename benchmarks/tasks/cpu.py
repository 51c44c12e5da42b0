"""`cpu-toy`: memory and the first state are given, every later state is scored.

A state is recorded after an instruction's fetch and before its effect (docs/data-format.md), so
state k shows the fetch of instruction k and the effect of instruction k - 1. The breakdown gives a
state to **the instruction whose effect it shows**: the one in the instruction register of the state
before it. The first scored state shows no effect; it goes by the name `(first fetch)`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.metrics import (
    Answer,
    Ratio,
    forced_accuracy,
    units_right_forced,
    written_accuracy,
    written_exactly,
)
from benchmarks.task import BreakdownRow, Item, TaskError, TaskSpec
from bgpt.protocol import Continuation, Prompt
from pipelines.sample import Segment
from simulators.protocol import System
from simulators.registry import make_system

FIRST_FETCH: Final = "(first fetch)"
STATE_BYTES: Final = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulationTask:
    """A machine's trace after its memory and first state."""

    spec: TaskSpec
    system: str

    def request(self, files: tuple[Segment, ...], prompt_bytes: int) -> Continuation:
        """Give the first `prompt_bytes` of the file, score the rest."""
        if len(files) != 1 or not 0 < prompt_bytes < len(files[0].data):
            raise TaskError(
                f"{self.spec.name} needs a corpus of simulations with something after the "
                f"{prompt_bytes} bytes that are given; meant for corpus {self.spec.corpus}"
            )
        prompt = Prompt(
            source=None, extension=files[0].extension, given=files[0].data[:prompt_bytes]
        )
        return Continuation(prompt=prompt, target=files[0].data[prompt_bytes:])

    def own_metrics(self, items: Sequence[Item], answers: Sequence[Answer]) -> Mapping[str, Ratio]:
        """Measure whole states and whole traces."""
        targets = [item.continuation.target for item in items]
        state_bytes = machine_of(self.system, items[0].continuation.prompt).state_bytes
        measured = {
            "teacher_forced_state_accuracy": forced_accuracy(answers, targets, state_bytes),
            "teacher_forced_trace_accuracy": forced_accuracy(answers, targets, None),
            "free_running_state_accuracy": written_accuracy(answers, targets, state_bytes),
            "free_running_trace_accuracy": written_exactly(answers, targets),
        }
        return {name: found for name, found in measured.items() if found is not None}

    def breakdown(
        self, items: Sequence[Item], answers: Sequence[Answer]
    ) -> list[BreakdownRow] | None:
        """Return accuracy by the instruction whose effect a state shows, sorted by name."""
        machine = machine_of(self.system, items[0].continuation.prompt)
        names: dict[bytes, str] = {}
        # By name: sums over one sample's states of (states, right states, right bytes).
        sums: dict[str, dict[int, list[int]]] = {}
        for row, (item, answer) in enumerate(zip(items, answers, strict=True)):
            predicted = answer.teacher_forced_predicted
            if predicted is None:
                continue
            target = item.continuation.target
            right_states = units_right_forced(predicted, target, machine.state_bytes)
            right_bytes = np.add.reduceat(
                predicted == np.frombuffer(target, np.uint8),
                np.arange(0, len(target), machine.state_bytes),
                dtype=np.int64,
            )
            for state, name in enumerate(effects(machine, target, names)):
                found = sums.setdefault(name, {}).setdefault(row, [0, 0, 0])
                found[0] += 1
                found[1] += int(right_states[state])
                found[2] += int(right_bytes[state])
        if not sums:
            return None
        return [_row(name, sums[name], machine.state_bytes) for name in sorted(sums)]


def effects(machine: System, states: bytes, names: dict[bytes, str]) -> list[str]:
    """Return for each scored state the name of the instruction whose effect it shows.

    `names` remembers instructions that were disassembled before.
    """
    register = next(field for field in machine.fields if field.name == "IR")
    shown = [FIRST_FETCH]
    for start in range(0, len(states) - machine.state_bytes, machine.state_bytes):
        at = start + register.offset
        code = states[at : at + register.num_bytes]
        if code not in names:
            names[code] = machine.disassemble(code)[0].split()[0]
        shown.append(names[code])
    return shown


def machine_of(system: str, prompt: Prompt) -> System:
    """Return the machine whose memory and first state `prompt` gives."""
    memory_bytes = len(prompt.given) - STATE_BYTES
    return make_system(system, memory_bytes=memory_bytes, max_instructions=memory_bytes // 4)


def _row(name: str, sums: Mapping[int, Sequence[int]], state_bytes: int) -> BreakdownRow:
    rows = np.array(sorted(sums), np.int64)
    table = np.array([sums[row] for row in sorted(sums)], np.float64)
    states, right_states, right_bytes = table[:, 0], table[:, 1], table[:, 2]
    return BreakdownRow(
        name=name,
        events=int(states.sum()),
        state_accuracy=Ratio(rows=rows, numerators=right_states, denominators=states),
        byte_accuracy=Ratio(rows=rows, numerators=right_bytes, denominators=states * state_bytes),
    )


CPU_TOY: Final = SimulationTask(
    system="toy",
    spec=TaskSpec(
        name="cpu-toy",
        version=1,
        corpus="cpu-toy",
        given="the memory with its program, and the first state",
        scored="every later state",
        metrics=(
            "teacher_forced_bits_per_byte",
            "teacher_forced_byte_accuracy",
            "teacher_forced_state_accuracy",
            "teacher_forced_trace_accuracy",
            "free_running_byte_accuracy",
            "free_running_state_accuracy",
            "free_running_trace_accuracy",
        ),
        shuffled_source=False,
        # One state of 16 bytes for each of the memory's 4-byte instructions, the state not counted.
        written_limit=(4, -64),
    ),
)
