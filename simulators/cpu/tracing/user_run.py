"""Run users' programs in a process of their own, because an emulator may die of them.

Bytes that no encoder of ours made have aborted the process that emulated them. So a child in the
sandbox (CPU, memory and output limits, no network) runs them one after another and writes down
each result as it has it. When the child dies, the program at hand runs once more alone; if that
dies too, it is to blame, and the others go on without it.

The child is `main` of this file: it reads jobs from stdin and writes a line for each to a file in
its working directory.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulators.batches import batch_of
from simulators.cpu.emulation.memory_access import MemoryAccess
from simulators.cpu.isa.catalogue import find_isa
from simulators.cpu.isa.table import Isa, LayoutName, state_bytes_of
from simulators.cpu.states import state_fields
from simulators.protocol import EndReason
from simulators.sandbox import Ending, run_limited

CPU_SECONDS: Final = 60
"""For a child; most of it is for compiling, the first time after an installation."""
MEMORY_BYTES: Final = 2 * 2**30
"""Of address space: 0.6 GiB were measured, of it 10 MiB for each engine that is not yet freed."""
OUTPUT_BYTES: Final = 256 * 2**20
_WALL_SECONDS: Final = 300.0
_PROGRAMS_A_CHILD: Final = 500

_RESULTS: Final = "results"
_MISSING: Final = 3
"""Exit code of a child that lacks a package, and has said which."""
_CHILD = (
    # Else numpy's library reserves memory for a thread on each of the machine's processors.
    "import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'; "
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r}); "
    f"from {__name__} import main; main()"
)
"""The sandbox starts programs in an empty folder, where an uninstalled checkout is not found."""


class Died(StrEnum):
    """How a program took the process with it that ran it."""

    CRASHED = "emulator_crashed"
    TIME = "emulator_took_too_long"


class UserRunFailed(RuntimeError):  # noqa: N818 - a state of the machine
    """The child could not do its work at all, whatever the program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """The machine that programs are run on."""

    isa: str
    layout: LayoutName
    program_bytes: int
    data_bytes: int
    max_states: int


@dataclass(frozen=True, kw_only=True, slots=True)
class UserProgram:
    """One program with what it starts from."""

    code: bytes
    initial_state: bytes
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class UserRun:
    """What came of one program."""

    states: NDArray[np.uint8]
    """`[k, state_bytes]`."""
    end: EndReason
    accesses: tuple[MemoryAccess, ...]
    """Memory writes and the access that faulted, where they were asked for."""


def run_user_programs(
    bench: Bench, programs: Sequence[UserProgram], *, record_accesses: bool = False
) -> list[UserRun | Died]:
    """Run programs in children of this process; a result for each, in order.

    Raises:
        UserRunFailed: the child failed by itself; carries what it said.
        SandboxFailed: no child was to be had.
    """
    results: list[UserRun | Died] = []
    while len(results) < len(programs):
        part = programs[len(results) : len(results) + _PROGRAMS_A_CHILD]
        done, death = _run_child(bench, part, record_accesses)
        results += done
        if death is not None and not done:
            # It was the child's first: nothing but this program can be to blame.
            results.append(death)
    return results


def with_registers(isa: Isa, layout: LayoutName, state: bytes, values: Mapping[str, int]) -> bytes:
    """Return a state with some of its registers set, each to the low bytes of its value."""
    fields = {part.name: part for part in state_fields(isa, layout)}
    changed = bytearray(state)
    for name, value in values.items():
        start, size = fields[name].offset, fields[name].num_bytes
        low = value & ((1 << 8 * size) - 1)
        changed[start : start + size] = low.to_bytes(size, "little")
    return bytes(changed)


def _run_child(
    bench: Bench, programs: Sequence[UserProgram], record_accesses: bool
) -> tuple[list[UserRun], Died | None]:
    """Return the results of the programs before the child died, and how it died."""
    job = {
        "bench": {name: getattr(bench, name) for name in Bench.__slots__},
        "record_accesses": record_accesses,
        "programs": [
            [part.hex() for part in (program.code, program.initial_state, program.data)]
            for program in programs
        ],
    }
    ran = run_limited(
        [sys.executable, "-c", _CHILD],
        files={},
        stdin=json.dumps(job).encode("ascii"),
        cpu_seconds=CPU_SECONDS,
        memory_bytes=MEMORY_BYTES,
        output_bytes=OUTPUT_BYTES,
        wall_seconds=_WALL_SECONDS,
    )
    lines = ran.files.get(_RESULTS, b"").split(b"\n")[:-1]
    state_bytes = state_bytes_of(find_isa(bench.isa).layout(bench.layout))
    done = [_read_result(line, state_bytes) for line in lines]
    if ran.ending is Ending.EXITED and ran.exit_code == 0 and len(done) == len(programs):
        return done, None
    if ran.ending is Ending.EXITED or ran.ending is Ending.OUTPUT_LIMIT:
        said = ran.output.decode("utf-8", "replace").strip()
        if ran.exit_code == _MISSING:
            raise UserRunFailed(said)
        raise UserRunFailed(f"the emulating process ended with {ran.exit_code}: {said[-2000:]}")
    return done, Died.CRASHED if ran.ending is Ending.CRASHED else Died.TIME


def _read_result(line: bytes, state_bytes: int) -> UserRun:
    """Return one line of the child's results."""
    content = json.loads(line)
    states = np.frombuffer(bytes.fromhex(content["states"]), np.uint8).reshape(-1, state_bytes)
    accesses = tuple(
        MemoryAccess(row=row, kind=kind, address=address, num_bytes=size, data=bytes.fromhex(data))
        for row, kind, address, size, data in content["accesses"]
    )
    return UserRun(states=states, end=EndReason(content["end"]), accesses=accesses)


def run_here(
    bench: Bench, programs: Iterable[UserProgram], *, record_accesses: bool = False
) -> Iterator[UserRun]:
    """Run programs in this very process, which may die of them: what the child does."""
    from simulators.cpu.emulation.emulator import Emulator

    isa = find_isa(bench.isa)
    for program in programs:
        # An engine each: what a program could leave in one beyond registers and memory is not for
        # the next user's to find.
        emulator = Emulator(
            isa,
            layout=bench.layout,
            program_bytes=bench.program_bytes,
            data_bytes=bench.data_bytes,
            max_states=bench.max_states,
            hook="python",
            entry=_program_counter(isa, bench.layout, program.initial_state) - isa.code_address,
        )
        batch = batch_of([program.code], _row(program.initial_state), _row(program.data))
        accesses: tuple[MemoryAccess, ...] = ()
        with closing(emulator):
            if record_accesses:
                traces, (accesses,) = emulator.run_with_accesses(batch)
            else:
                traces = emulator.run(batch)
        end = EndReason(int(traces.end_reasons[0]))
        yield UserRun(states=traces.states, end=end, accesses=accesses)


def main() -> None:
    """Be the child: run the jobs on stdin."""
    from simulators.cpu.emulation.unicorn_engine import EmulatorMissing

    job: dict[str, Any] = json.load(sys.stdin)
    programs = [
        UserProgram(code=code, initial_state=state, data=data)
        for code, state, data in (map(bytes.fromhex, parts) for parts in job["programs"])
    ]
    runs = run_here(Bench(**job["bench"]), programs, record_accesses=job["record_accesses"])
    with Path(_RESULTS).open("w", encoding="ascii") as file:
        try:
            for run in runs:
                file.write(json.dumps(_content(run)) + "\n")
                file.flush()
        except EmulatorMissing as error:
            sys.stderr.write(str(error))
            sys.exit(_MISSING)


def _program_counter(isa: Isa, layout: LayoutName, state: bytes) -> int:
    field = next(x for x in state_fields(isa, layout) if x.name == isa.program_counter)
    return int.from_bytes(state[field.offset : field.offset + field.num_bytes], "little")


def _content(run: UserRun) -> dict[str, object]:
    """Return one program's result as JSON has it; `_read_result` reads it."""
    return {
        "states": run.states.tobytes().hex(),
        "end": int(run.end),
        "accesses": [
            (access.row, access.kind, access.address, access.num_bytes, access.data.hex())
            for access in run.accesses
        ],
    }


def _row(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(1, len(data))
