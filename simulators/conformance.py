"""What every system must keep to, checked from outside: `check_system(system)`.

Determinism, independence of draws, bounds, end reasons, and the round trip through a file. It knows
the protocol only; that a machine computes the right thing is for its own tests to show.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.batches import batch_of, programs_of
from simulators.cpu.layout import lay_out, split_file
from simulators.protocol import EndReason, ProgramBatch, System, TraceBatch

_NUM_DRAWS: Final = 40
_FAR_COUNTER: Final = 2**63 + 7
_ALIGNMENT: Final = 16
"""Bytes of a patch: memory and states begin and end with one."""


class NonConformant(ValueError):  # noqa: N818 - a finding about a system
    """A system breaks a rule; the message names the system and the rule."""


def check_system(system: System, seed: int = 0) -> None:
    """Draw, run, lay out and read back a few programs, and check every rule.

    Raises:
        NonConformant: a rule is broken.
    """
    counters = np.array([*range(_NUM_DRAWS - 1), _FAR_COUNTER], np.uint64)
    programs = system.draw(seed, counters)
    _check_shape(system)
    _check_programs(system, programs, len(counters))
    _check_draws(system, seed, counters, programs)
    traces = _check_arguments(system, programs)
    _check_traces(system, programs, traces)
    _check_runs(system, programs, traces)
    _check_round_trip(system, programs, traces)


def _require(system: System, kept: bool, rule: str) -> None:
    if not kept:
        raise NonConformant(f"system '{system.name}' version {system.version}: {rule}")


def _check_shape(system: System) -> None:
    """Names, sizes and fields."""
    _require(system, bool(system.name) and bool(system.version), "name and version are not empty")
    for name, size in (("memory_bytes", system.memory_bytes), ("state_bytes", system.state_bytes)):
        rule = f"{name} = {size} must be a positive multiple of {_ALIGNMENT}"
        _require(system, size > 0 and size % _ALIGNMENT == 0, rule)
    end = 0
    for field in system.fields:
        rule = f"field {field.name} begins at byte {field.offset}, but the one before ends at {end}"
        _require(system, field.offset == end and field.num_bytes > 0, rule)
        end += field.num_bytes
    _require(system, end == system.state_bytes, f"fields end at {end}, not at state_bytes")
    names = {field.name for field in system.fields}
    _require(system, len(names) == len(system.fields), "two fields have one name")


def _check_programs(system: System, programs: ProgramBatch, count: int) -> None:
    """Offsets and sizes of drawn programs, and their assembly."""
    _require(system, len(programs) == count, f"{count} counters drew {len(programs)} programs")
    shape = programs.initial_states.shape
    rule = f"initial_states has shape {shape}, not {(count, system.state_bytes)}"
    _require(system, shape == (count, system.state_bytes), rule)
    spans = programs.offsets[0] == 0 and programs.offsets[-1] == len(programs.code)
    _require(system, bool(spans), "a draw's offsets do not span its code")
    for i, program in enumerate(programs_of(programs)):
        fits = 0 < len(program) <= system.memory_bytes
        _require(system, fits, f"program {i} of {len(program)} bytes does not fit the memory")
        lines = system.disassemble(program)
        _require(system, len(lines) > 0 and all(lines), f"program {i} has an empty line")


def _check_draws(
    system: System, seed: int, counters: NDArray[np.uint64], programs: ProgramBatch
) -> None:
    """A draw depends on seed and counter alone."""
    _require(system, _equal(system.draw(seed, counters), programs), "a draw is not repeatable")
    reverse = system.draw(seed, counters[::-1])
    same = programs_of(reverse) == programs_of(programs)[::-1]
    same = same and np.array_equal(reverse.initial_states, programs.initial_states[::-1])
    _require(system, same, "a draw depends on the order of its counters")
    single = system.draw(seed, counters[3:4])
    same = programs_of(single) == programs_of(programs)[3:4]
    same = same and np.array_equal(single.initial_states, programs.initial_states[3:4])
    _require(system, same, "a draw depends on its neighbours")
    distinct = len({*map(bytes, programs.initial_states), *programs_of(programs)})
    _require(system, distinct > len(counters) // 2, "different counters draw the same")
    other = system.draw(seed + 1, counters)
    _require(system, not _equal(other, programs), "different seeds draw the same")
    _require(system, len(system.draw(seed, counters[:0])) == 0, "no counters draw something")


def _check_traces(system: System, programs: ProgramBatch, traces: TraceBatch) -> None:
    """Offsets, first states and end reasons of runs."""
    _require(system, len(traces) == len(programs), "a run has not one trace per program")
    spans = traces.offsets[0] == 0 and traces.offsets[-1] == len(traces.states)
    _require(system, bool(spans), "a run's offsets do not span its states")
    _require(system, bool((np.diff(traces.offsets) >= 2).all()), "a trace has fewer than 2 states")
    shape = (int(traces.offsets[-1]), system.state_bytes)
    _require(system, traces.states.shape == shape, "a run's states have a wrong shape")
    first = traces.states[traces.offsets[:-1]]
    same = np.array_equal(first, programs.initial_states)
    _require(system, same, "a trace does not begin with its initial state")
    reasons = set(traces.end_reasons.tolist())
    _require(system, reasons <= set(EndReason), f"end reasons {reasons} are not all known")
    halted = len(traces.end_reasons) == len(programs) and reasons == {EndReason.HALTED}
    _require(system, halted, f"drawn programs must halt, but ended with {sorted(reasons)}")


def _check_arguments(system: System, programs: ProgramBatch) -> TraceBatch:
    """Return the run of `programs`; it must leave them as they are."""
    before = (programs.code.copy(), programs.offsets.copy(), programs.initial_states.copy())
    traces = system.run(programs)
    after = (programs.code, programs.offsets, programs.initial_states)
    unchanged = all(map(np.array_equal, before, after))
    _require(system, unchanged, "a run changes its arguments")
    return traces


def _check_runs(system: System, programs: ProgramBatch, traces: TraceBatch) -> None:
    """A run depends on its program and initial state alone."""
    again = system.run(programs)
    _require(system, np.array_equal(again.states, traces.states), "a run is not repeatable")
    reverse = batch_of(programs_of(programs)[::-1], programs.initial_states[::-1])
    last = system.run(reverse).states[-int(traces.offsets[1]) :]
    same = np.array_equal(last, traces.states[: traces.offsets[1]])
    _require(system, same, "a run depends on its neighbours")
    nothing = batch_of([], np.zeros((0, system.state_bytes), np.uint8))
    _require(system, len(system.run(nothing)) == 0, "no programs give traces")


def _check_round_trip(system: System, programs: ProgramBatch, traces: TraceBatch) -> None:
    """A file's memory block and first state are enough to make the file again."""
    files = lay_out(programs, traces, memory_bytes=system.memory_bytes)
    for i in range(len(files)):
        file = files.data[files.offsets[i] : files.offsets[i + 1]].tobytes()
        memory, states = split_file(
            file, memory_bytes=system.memory_bytes, state_bytes=system.state_bytes
        )
        again = system.run(batch_of([memory], states[:1]))
        same = (
            np.array_equal(again.states, states) and again.end_reasons[0] == traces.end_reasons[i]
        )
        _require(system, same, f"draw {i}: running a file's memory block gives another trace")


def _equal(one: ProgramBatch, other: ProgramBatch) -> bool:
    """Compare two batches byte for byte."""
    return programs_of(one) == programs_of(other) and np.array_equal(
        one.initial_states, other.initial_states
    )
