"""The oracles of an instruction set: independent ways to the same states, bytes and listings.

Each runs what it can, counts what it compared and returns the differences; what an instruction set
has no counterpart for is returned as not applicable, with the reason. Nothing is printed here, and
no corpus is built (`pipelines.check_isa_command` adds that check).
"""

import hashlib
import multiprocessing
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from simulators.cpu.isa.catalogue import find_isa
from simulators.cpu.isa.table import LAYOUTS, PROFILES, Isa
from simulators.cpu.machine import PathName
from simulators.cpu.oracles.check_listing import check_listing
from simulators.cpu.oracles.check_silicon import check_silicon
from simulators.cpu.oracles.oracle import (
    MAX_INSTRUCTIONS,
    OracleResult,
    Tally,
    draw_batches,
    machines_of,
    run_oracle,
)
from simulators.cpu.oracles.trace_difference import Difference, trace_differences

Digests: TypeAlias = "dict[str, tuple[str, int]]"
"""Profile and layout to a digest, and to the number of states in it."""

__all__ = ["check_interpreter", "check_listing", "check_same_bytes", "check_silicon"]


def check_interpreter(isa: Isa, *, rows: int, seed: int = 0) -> OracleResult:
    """Compare our own interpreter with the emulator, over all profiles and both layouts."""

    def compare(tally: Tally) -> str | None:
        if isa.emulator_arch != "UC_ARCH_RISCV":
            return "the interpreter is for RISC-V"
        for machine, batch, source_of in draw_batches(isa, rows, seed, tally):
            expected = replace(machine, path="native").run(batch)
            found = replace(machine, path="interpreter").run(batch)
            tally.compared += len(expected.states)
            tally.add(trace_differences(isa, machine.layout, batch, expected, found, source_of))
        return None

    return run_oracle("interpreter = emulator", "states", compare)


def check_same_bytes(isa: Isa, *, rows: int, seed: int = 0) -> OracleResult:
    """Compare draws and states across processes and all execution paths."""

    def compare(tally: Tally) -> None:
        paths: tuple[PathName, ...] = ("native", "python")
        if isa.emulator_arch == "UC_ARCH_RISCV":
            paths += ("interpreter",)
        per_machine = max(1, rows // (len(PROFILES) * len(LAYOUTS) * MAX_INSTRUCTIONS))
        by_path: dict[str, Digests] = {
            path: digests(isa.name, per_machine, seed, path) for path in paths
        }
        by_path["auto, another process"] = _digests_elsewhere(isa.name, per_machine, seed, "auto")
        expected = by_path.pop("native")
        for path, found in by_path.items():
            tally.compared += sum(count for _, count in found.values())
            for source, (digest, _) in found.items():
                if digest != expected[source][0]:
                    tally.add(
                        [
                            Difference(
                                source=f"{source}, seed {seed}, counters 0-{per_machine - 1}",
                                field=f"SHA-256 of programs and states by path '{path}'",
                                expected=expected[source][0],
                                found=digest,
                            )
                        ]
                    )

    return run_oracle("same bytes everywhere", "states", compare)


def digests(isa_name: str, programs: int, seed: int, path: PathName) -> Digests:
    """Return digest of draw and run, and number of states, by profile and layout."""
    found: Digests = {}
    for machine in machines_of(find_isa(isa_name)):
        batch = machine.draw(seed, np.arange(programs, dtype=np.uint64))
        traces = replace(machine, path=path).run(batch)
        digest = hashlib.sha256()
        for part in (batch.code, batch.offsets, batch.initial_states, batch.data):
            digest.update(part.tobytes())
        for part in (traces.states, traces.offsets, traces.end_reasons):
            digest.update(part.tobytes())
        name = f"profile {machine.profile}, {machine.layout} layout"
        found[name] = (digest.hexdigest(), len(traces.states))
    return found


def _digests_elsewhere(isa_name: str, programs: int, seed: int, path: PathName) -> Digests:
    """Return what `digests` returns in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(digests, (isa_name, programs, seed, path))
