"""The irreducible entropy of what is scored, task by task, by formula: the floor of every curve.

No model can be below it on average, however large or long trained. Where a target is a function of
what is given it is 0; where nobody knows the distribution, it says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from benchmarks.tasks.cpu import SimulationTask
from benchmarks.tasks.registry import TASKS
from pipelines.corpus import Corpus
from simulators.cpu.toy.entropy import file_bits_per_byte, instruction_bits
from simulators.cpu.toy.machine import STATE_BYTES


@dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    """Lowest bits per byte that any model can reach on average."""

    bits_per_byte: float | None
    """Of the scored bytes; None: not known."""
    why: str
    whole_file_bits_per_byte: float | None = None
    """Of all bytes of a sample, given ones too, where the generator's distribution is a formula."""


def floor_of(task: str, corpus: Corpus | None) -> Floor:
    """Return a task's floor; `corpus` has the sizes that the whole file's depends on."""
    if isinstance(TASKS[task], SimulationTask):
        settings: Mapping[str, Any] = {} if corpus is None else corpus.manifest.settings
        return _simulation_floor(cast("Mapping[str, Any]", settings.get("options") or {}))
    if task == "abc-to-midi":
        return Floor(
            bits_per_byte=0.0,
            why="0: the MIDI file is a function of the tune, given the converter and its preset",
        )
    return Floor(
        bits_per_byte=None,
        why="not known: one MIDI file has many tunes, and nobody has the distribution of what "
        "their authors wrote",
    )


def _simulation_floor(options: Mapping[str, Any]) -> Floor:
    """Return the floor of a simulation's states."""
    why = "0: every state follows from memory and first state, which are given"
    if options.get("system") != "toy":
        return Floor(bits_per_byte=0.0, why=why)
    memory_bytes, max_instructions = options["memory_bytes"], options["max_instructions"]
    whole = file_bits_per_byte(memory_bytes, max_instructions, STATE_BYTES)
    return Floor(
        bits_per_byte=0.0,
        why=f"{why}. Of whole files it is {whole:.4f}: {instruction_bits():.4f} bits for every "
        "drawn instruction, 8 for every register byte, and the length",
        whole_file_bits_per_byte=whole,
    )
