"""Simulations, `cpu-toy` and `cpu-<isa>`: memory and the first state are given, the rest scored.

Each task pins its machine with its version, the profile and the layout; how long programs are is
the corpus' choice, and which corpus it was stands in every report. Errors are told apart by the
instruction **whose effect a state shows** (what `System.effects` says of the state before it) and
by much else (`benchmarks.explaining.cpu_parts`). On the toy CPU a state is recorded between fetch
and effect, so its first scored state shows no effect and goes by the name `(first fetch)`
(docs/data-format.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from benchmarks.explaining.cpu_parts import MACHINE_DIMENSIONS, TOY_DIMENSIONS, trace_parts
from benchmarks.explaining.dimension import Parts
from benchmarks.metrics import (
    Answer,
    Ratio,
    forced_accuracy,
    written_accuracy,
    written_exactly,
)
from benchmarks.task import Item, SampleSet, TaskError, TaskSpec
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

    def dissect(self, item: Item) -> Mapping[str, Parts]:
        """Cut a trace by instruction, operands, register, value and distances."""
        return trace_parts(self.machine(item.continuation.prompt), item.continuation)


def _words(about: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items() if value)


_REPORTED: Final = ("instruction", "register", "distance")
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
        dimensions=TOY_DIMENSIONS,
        reported=_REPORTED,
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
            dimensions=MACHINE_DIMENSIONS,
            reported=_REPORTED,
            # With loops the prompt does not tell the length; the sequence's end is the limit.
            written_limit=(0, MAX_SAMPLE_BYTES),
        ),
    )
    for isa in ISAS.values()
)

SIMULATIONS: Final = (CPU_TOY, *CPU_MACHINES)
