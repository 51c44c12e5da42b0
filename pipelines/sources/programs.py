"""A user's own programs as a source: a folder of raw binaries and ELF files, one sample each.

A file is one program (`simulators.cpu.tracing.user_code`). It starts from random registers and a
random data window, drawn from the seed and the program's bytes, so that another file beside it
changes nothing. Planning runs every program once, in processes of their own, and drops what makes
no sample, with a reason and the file's name. The same program twice is one sample. A program's text
says on which side it stands, so how many each side has is the folder's business: `needed` only
caps it.

How a program of a user may end is wider than what drawn programs may do: it may also stop before a
system call, leave its bytes, or return from a function with its stack empty. What faults otherwise
is kept where the profile is `fault`. Of a profile nothing else counts than this and whether there
is a data window.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

import numpy as np

from pipelines.engine import IN_PROCESS, Engine
from pipelines.plan import SIDES, JsonValue, Plan, SampleShard, Side, SourceError
from pipelines.sample import Sample
from pipelines.sources.cpu_options import CpuOptions
from pipelines.sources.cpu_samples import (
    EXTENSION,
    RETURNED,
    Ran,
    columns_of,
    end_name,
    executed_counts,
    group_of_program,
    samples_of,
)
from pipelines.sources.program_files import Drop, program_files, read_programs
from pipelines.split import side_of_group
from simulators.batches import batch_of
from simulators.cpu.emulation.x86_flag_reads import first_undefined_read
from simulators.cpu.layout import lay_out
from simulators.cpu.machine import Machine
from simulators.cpu.states import program_counters
from simulators.cpu.tracing.counted import counted
from simulators.cpu.tracing.trace import has_returned
from simulators.cpu.tracing.user_code import UserCode
from simulators.cpu.tracing.user_run import (
    Bench,
    Died,
    UserProgram,
    UserRun,
    UserRunFailed,
    run_user_programs,
    with_registers,
)
from simulators.protocol import EndReason, TraceBatch
from simulators.sandbox import SandboxFailed

_SOURCE_VERSION: Final = "2"
"""Raised whenever the same files and seed give other bytes."""
_KEPT_ENDS: Final = frozenset({EndReason.HALTED, EndReason.SYSTEM_CALL, EndReason.LEFT_PROGRAM})
_COUNTER_BYTES: Final = 8


class DropReason(StrEnum):
    """Why a program is no sample; files are dropped for those of `program_files`, too."""

    TOO_LONG = "too_long"
    """It runs on where a file has no room for another state."""
    FAULTED = "faulted"
    INVALID_INSTRUCTION = "invalid_instruction"
    NO_STEP = "no_step"
    """It ends before its first instruction is done."""
    READS_UNDEFINED_FLAG = "reads_undefined_flag"
    """It uses a flag that processors leave as they like, so its run is not that of every one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramsSource:
    """The source of a folder of programs."""

    corpus: str
    seed: int
    """Decides the registers and the data that programs start from."""
    options: CpuOptions
    folder: Path

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:  # noqa: ARG002
        """Read and run every file of the folder.

        Raises:
            SourceError: the system runs no users' programs, there is no such folder, a file cannot
                be read, programs cannot be run here, or not one is left.
        """
        machine = self._machine()
        drops: list[Drop] = []
        files = program_files(self.folder)
        found = read_programs(files, machine, drops)
        programs = [(file, self._start(machine, user)) for file, user in found]
        sides: dict[Side, list[UserProgram]] = {"train": [], "test": []}
        runs = _run(machine, [program for _, program in programs])
        for (file, program), run in zip(programs, runs, strict=True):
            if (drop := _check_run(machine, file, program, run)) is not None:
                drops.append(drop)
            else:
                sides[side_of_group(group_of_program(program.code))].append(program)
        available: dict[Side, int] = {side: len(sides[side]) for side in SIDES}
        dropped = Counter(drop.reason for drop in drops)
        if not any(available.values()):
            first = f"; the first, {drops[0].file}: {drops[0].detail}" if drops else ""
            counts = ", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items()))
            raise SourceError(
                f"{self.folder}: no program is left of {len(files)} files: {counts}{first}"
            )
        by_file = {drop.file: [f"{drop.reason}: {drop.detail}"] for drop in drops}
        return Plan(
            corpus=self.corpus,
            settings={
                "source": "cpu",
                "seed": self.seed,
                "options": _settings(machine),
                "system_version": machine.version,
                "programs": {
                    "version": _SOURCE_VERSION,
                    "sha256": _sha256(sides),
                },
            },
            extensions=(EXTENSION,),
            prompt_bytes=machine.memory_bytes + machine.state_bytes,
            columns=columns_of(machine),
            numbers={side: min(needed.get(side, 0), available[side]) for side in SIDES},
            available=available,
            read=len(files),
            dropped=dict(sorted(dropped.items())),
            provenance={
                "licence": "the programs' own",
                "material": f"programs for {machine.isa.title} out of {len(files)} files of a "
                "user's folder, run by an emulator",
                "citation": "Unicorn, the CPU emulator (unicorn-engine.org)",
                **({"dropped_by_file": by_file} if by_file else {}),
            },
            payload=sides,
        )

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        """Run the programs of samples `first` to `first + count - 1` of one side again."""
        machine = self._machine()
        programs = cast("dict[Side, list[UserProgram]]", plan.payload)[side][first : first + count]
        runs: list[UserRun] = []
        for program, run in zip(programs, _run(machine, programs), strict=True):
            if isinstance(run, Died):
                raise RuntimeError(
                    f"{plan.corpus}: {run}, but not in planning, by {program.code.hex()}"
                )
            runs.append(run)
        batch = batch_of(
            [program.code for program in programs],
            _rows([program.initial_state for program in programs], machine.state_bytes),
            _rows([program.data for program in programs], machine.data_bytes),
        )
        traces = _trace_batch(machine, runs)
        ran = Ran(
            numbers=range(first, first + count),
            groups=[group_of_program(program.code) for program in programs],
            files=lay_out(batch, traces, memory_bytes=machine.memory_bytes),
            traces=traces,
            ends=[_end_name(machine, *pair) for pair in zip(programs, runs, strict=True)],
        )
        samples: list[Sample] = []
        for sample in samples_of(machine, plan.corpus, side, ran):
            assert sample is not None, plan.corpus
            samples.append(sample)
        counts = executed_counts(machine, ran)
        return SampleShard(samples=samples, counts=dict(sorted(counts.items())))

    def _machine(self) -> Machine:
        """Return the system, if it is one that runs users' programs."""
        system = self.options.make_system()
        if not isinstance(system, Machine):
            raise SourceError(
                f"--programs goes with a real machine, not '{system.name}': its instruction set "
                "is this project's own, and nothing else makes programs for it"
            )
        return system

    def _start(self, machine: Machine, user: UserCode) -> UserProgram:
        """Return a program with registers and data: those of the draw that its bytes number."""
        digest = hashlib.sha256(user.code).digest()
        counter = int.from_bytes(digest[:_COUNTER_BYTES], "little")
        drawn = machine.draw(self.seed, np.array([counter], np.uint64))
        values = {machine.isa.program_counter: machine.isa.code_address + user.entry}
        return UserProgram(
            code=user.code,
            initial_state=with_registers(
                machine.isa, machine.layout, drawn.initial_states[0].tobytes(), values
            ),
            data=drawn.data[0].tobytes(),
        )


def _bench(machine: Machine) -> Bench:
    return Bench(
        isa=machine.isa.name,
        layout=machine.layout,
        program_bytes=machine.program_bytes,
        data_bytes=machine.data_bytes,
        max_states=machine.max_states,
    )


def _run(machine: Machine, programs: Sequence[UserProgram]) -> list[UserRun | Died]:
    """Run programs in children."""
    try:
        return run_user_programs(_bench(machine), programs, record_accesses=True)
    except (UserRunFailed, SandboxFailed) as error:
        raise SourceError(f"no program was run: {error}") from error


def _check_run(
    machine: Machine, file: str, program: UserProgram, run: UserRun | Died
) -> Drop | None:
    """Return why a run makes no sample."""
    if isinstance(run, Died):
        return Drop(file=file, reason=run.value, detail="the emulator did not survive it")
    steps = f"after {counted(len(run.states) - 1, 'instruction')}"
    end = _end_name(machine, program, run)
    if run.end is EndReason.STEP_LIMIT:
        room = f"it still runs {steps}, all that a sample has room for"
        return Drop(file=file, reason=DropReason.TOO_LONG, detail=room)
    if run.end not in _KEPT_ENDS | machine.allowed_ends and end != RETURNED:
        reason = (
            DropReason.INVALID_INSTRUCTION
            if run.end is EndReason.INVALID_INSTRUCTION
            else DropReason.FAULTED
        )
        return Drop(file=file, reason=reason, detail=f"{end} {steps}")
    if len(run.states) < 2:
        return Drop(file=file, reason=DropReason.NO_STEP, detail=f"{end} {steps}")
    read = first_undefined_read(machine.isa, machine.layout, program.code, run.states)
    if read is not None:
        flags = f"{', '.join(read.flags)} at {read.pc:#x}, which nothing defines there"
        return Drop(file=file, reason=DropReason.READS_UNDEFINED_FLAG, detail=flags)
    return None


def _end_name(machine: Machine, program: UserProgram, run: UserRun) -> str:
    """Return how a run ended, as corpora spell it: `returned` is a memory fault of its own kind."""
    pc = int(program_counters(machine.isa, machine.layout, run.states[-1:])[0])
    returned = has_returned(machine.isa, program.code, pc, run.end, run.accesses)
    return RETURNED if returned else end_name(run.end)


def _settings(machine: Machine) -> dict[str, JsonValue]:
    """Return the options that decide something; of alike profiles the first stands for all."""
    faults = machine.allowed_ends - {EndReason.HALTED}
    profile = "fault" if faults else "memory" if machine.data_bytes else "alu"
    return {
        "system": machine.name,
        "memory_bytes": machine.memory_bytes,
        "layout": machine.layout,
        "profile": profile,
    }


def _sha256(sides: Mapping[Side, Sequence[UserProgram]]) -> str:
    """Return the hash of all programs in order."""
    found = hashlib.sha256()
    for side in SIDES:
        for program in sides[side]:
            found.update(hashlib.sha256(program.code).digest())
            found.update(program.initial_state)
        found.update(b"\n")
    return found.hexdigest()


def _rows(parts: Sequence[bytes], size: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(parts), np.uint8).reshape(len(parts), size)


def _trace_batch(machine: Machine, runs: Sequence[UserRun]) -> TraceBatch:
    """Return separate runs as a batch."""
    offsets = np.zeros(len(runs) + 1, np.int64)
    np.cumsum([len(run.states) for run in runs], out=offsets[1:])
    return TraceBatch(
        states=np.concatenate([run.states for run in runs]).reshape(-1, machine.state_bytes),
        offsets=offsets,
        end_reasons=np.array([run.end for run in runs], np.uint8),
    )
