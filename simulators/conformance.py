"""What every system must keep to, checked from outside: `check_system(system)`.

Determinism, independence of draws, bounds, end reasons, listings, and the round trip through a
file. It knows the protocol only; that a machine computes the right thing its own tests show.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.batches import batch_of, programs_of
from simulators.cpu.layout import lay_out, split_file, split_memory
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
    data_bytes = system.data_bytes
    rule = f"data_bytes = {data_bytes} must be a multiple of {_ALIGNMENT} below memory_bytes"
    fits = data_bytes % _ALIGNMENT == 0 and 0 <= data_bytes < system.memory_bytes
    _require(system, fits, rule)
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
    rule = "allowed_ends must hold HALTED, and never STEP_LIMIT"
    ends = system.allowed_ends
    _require(system, EndReason.HALTED in ends and EndReason.STEP_LIMIT not in ends, rule)


def _check_programs(system: System, programs: ProgramBatch, count: int) -> None:
    """Offsets and sizes of drawn programs, and their listings."""
    _require(system, len(programs) == count, f"{count} counters drew {len(programs)} programs")
    shape = programs.initial_states.shape
    rule = f"initial_states has shape {shape}, not {(count, system.state_bytes)}"
    _require(system, shape == (count, system.state_bytes), rule)
    shape = programs.data.shape
    rule = f"data has shape {shape}, not {(count, system.data_bytes)}"
    _require(system, shape == (count, system.data_bytes), rule)
    spans = programs.offsets[0] == 0 and programs.offsets[-1] == len(programs.code)
    _require(system, bool(spans), "a draw's offsets do not span its code")
    for i, program in enumerate(programs_of(programs)):
        fits = 0 < len(program) <= system.memory_bytes - system.data_bytes
        _require(system, fits, f"program {i} of {len(program)} bytes does not fit the memory")
        lines = system.listing(program)
        named = len(lines) > 0 and all(line.text and line.code for line in lines)
        _require(system, named, f"program {i} has an empty line")
        listed = b"".join(line.code for line in lines)
        whole = program.startswith(listed) and not any(program[len(listed) :])
        starts = np.cumsum([0, *(len(line.code) for line in lines)]).tolist()
        whole = whole and [line.offset for line in lines] == starts[:-1]
        _require(system, whole, f"program {i}'s listing is not its bytes")


def _check_draws(
    system: System, seed: int, counters: NDArray[np.uint64], programs: ProgramBatch
) -> None:
    """A draw depends on seed and counter alone."""
    _require(system, _equal(system.draw(seed, counters), programs), "a draw is not repeatable")
    reverse = system.draw(seed, counters[::-1])
    same = programs_of(reverse) == programs_of(programs)[::-1]
    same = same and np.array_equal(reverse.initial_states, programs.initial_states[::-1])
    same = same and np.array_equal(reverse.data, programs.data[::-1])
    _require(system, same, "a draw depends on the order of its counters")
    single = system.draw(seed, counters[3:4])
    same = programs_of(single) == programs_of(programs)[3:4]
    same = same and np.array_equal(single.initial_states, programs.initial_states[3:4])
    same = same and np.array_equal(single.data, programs.data[3:4])
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
    lengths = np.diff(traces.offsets)
    _require(system, bool((lengths >= 1).all()), "a trace has no state")
    _require(system, bool((lengths >= 2).any()), "no trace has a state after the initial one")
    shape = (int(traces.offsets[-1]), system.state_bytes)
    _require(system, traces.states.shape == shape, "a run's states have a wrong shape")
    first = traces.states[traces.offsets[:-1]]
    same = np.array_equal(first, programs.initial_states)
    _require(system, same, "a trace does not begin with its initial state")
    reasons = set(traces.end_reasons.tolist())
    _require(system, reasons <= set(EndReason), f"end reasons {reasons} are not all known")
    one_each = len(traces.end_reasons) == len(programs)
    halted = one_each and EndReason.HALTED in reasons
    _require(system, halted, f"drawn programs must halt, but ended with {sorted(reasons)}")
    allowed = {EndReason.STEP_LIMIT, *system.allowed_ends}
    rule = f"drawn programs ended with {sorted(reasons)}, allowed are {sorted(allowed)}"
    _require(system, reasons <= allowed, rule)


def _check_arguments(system: System, programs: ProgramBatch) -> TraceBatch:
    """Return the run of `programs`; it must leave them as they are."""
    given = (programs.code, programs.offsets, programs.initial_states, programs.data)
    before = [array.copy() for array in given]
    traces = system.run(programs)
    after = (programs.code, programs.offsets, programs.initial_states, programs.data)
    unchanged = all(map(np.array_equal, before, after))
    _require(system, unchanged, "a run changes its arguments")
    return traces


def _check_runs(system: System, programs: ProgramBatch, traces: TraceBatch) -> None:
    """A run depends on its program and initial state alone."""
    again = system.run(programs)
    _require(system, np.array_equal(again.states, traces.states), "a run is not repeatable")
    reverse = batch_of(
        programs_of(programs)[::-1], programs.initial_states[::-1], programs.data[::-1]
    )
    last = system.run(reverse).states[-int(traces.offsets[1]) :]
    same = np.array_equal(last, traces.states[: traces.offsets[1]])
    _require(system, same, "a run depends on its neighbours")
    nothing = batch_of(
        [], np.zeros((0, system.state_bytes), np.uint8), np.zeros((0, system.data_bytes), np.uint8)
    )
    _require(system, len(system.run(nothing)) == 0, "no programs give traces")


def _check_round_trip(system: System, programs: ProgramBatch, traces: TraceBatch) -> None:
    """A file's memory block and first state are enough to make the file again, and to read it."""
    files = lay_out(programs, traces, memory_bytes=system.memory_bytes)
    for i in range(len(files)):
        file = files.data[files.offsets[i] : files.offsets[i + 1]].tobytes()
        memory, states = split_file(
            file, memory_bytes=system.memory_bytes, state_bytes=system.state_bytes
        )
        program, data = split_memory(memory, system.data_bytes)
        window = np.frombuffer(data, np.uint8).reshape(1, -1)
        again = system.run(batch_of([program], states[:1], window))
        same = (
            np.array_equal(again.states, states) and again.end_reasons[0] == traces.end_reasons[i]
        )
        _require(system, same, f"draw {i}: running a file's memory block gives another trace")
        _check_reading(system, i, memory, states, traces)


def _check_reading(
    system: System, i: int, memory: bytes, states: NDArray[np.uint8], traces: TraceBatch
) -> None:
    """What a file's memory block says about its states."""
    fetched = system.fetch(memory, states)
    right = fetched.shape == states.shape and fetched.dtype == np.uint8
    _require(system, right, f"draw {i}: a fetch gives {fetched.shape}, not {states.shape}")
    effects = system.effects(memory, states)
    named = len(effects) == len(states) and all(effects)
    _require(system, named, f"draw {i}: not every state has an effect's name")
    ended = system.ended(memory, states).tolist()
    expected = [False] * len(states)
    expected[-1] = bool(traces.end_reasons[i] == EndReason.HALTED)
    _require(system, ended == expected, f"draw {i}: ended is {ended}, not {expected}")


def _equal(one: ProgramBatch, other: ProgramBatch) -> bool:
    """Compare two batches byte for byte."""
    return (
        programs_of(one) == programs_of(other)
        and np.array_equal(one.initial_states, other.initial_states)
        and np.array_equal(one.data, other.data)
    )
