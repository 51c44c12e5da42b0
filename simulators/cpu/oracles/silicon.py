"""x86-64 programs on the processor under this very Python: an oracle that no emulator can share.

The unmodified bytes of a program run at the same addresses as in the emulator, one instruction at a
time, and every register is read after each (`silicon_child`, in a sandboxed process). Rows come out
as the emulator's do, in the same layout and with the same undefined flags masked, so comparing is
`array_equal`. 20,000 to 50,000 states a second: to check with, not to build corpora with.

Only on Linux on x86-64, and only where a process may trace its own child; `unavailable()` says why
not. Sixteen-bit programs cannot run under a 64-bit kernel.
"""

import functools
import json
import platform
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from simulators.batches import programs_of
from simulators.cpu.emulation.x86_flags import clear_undefined
from simulators.cpu.isa.table import Isa, LayoutName, state_bytes_of
from simulators.cpu.oracles import silicon_child
from simulators.cpu.states import PAD, check_batch, state_fields
from simulators.protocol import ProgramBatch, TraceBatch
from simulators.sandbox import Ending, SandboxFailed, run_limited

_ROW_WORDS: Final = (
    {"R15": 0, "R14": 1, "R13": 2, "R12": 3, "RBP": 4, "RBX": 5, "R11": 6, "R10": 7, "R9": 8}
    | {"R8": 9, "RAX": 10, "RCX": 11, "RDX": 12, "RSI": 13, "RDI": 14}
    | {"RIP": 16, "EFLAGS": 18, "RFLAGS": 18, "RSP": 19}
)
"""Word of a row (the kernel's `user_regs_struct`) by the emulator's name of the register."""
_EMULATOR_PREFIX: Final = "UC_X86_REG_"
_RESULT_HEAD: Final = struct.Struct("<3I")

_PAGE_BYTES: Final = 4096
_MEMORY_BYTES: Final = 512 * 2**20
_MAX_RESULT_BYTES: Final = 64 * 2**20
_MAX_PROGRAMS: Final = 5_000
"""In one process; it starts in 40 ms."""
_SLOWEST_STATES_PER_SECOND: Final = 2_000
"""For the limits only."""


class SiliconFailed(RuntimeError):  # noqa: N818 - a state of the machine
    """The processor could not be used to the end; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalMemory:
    """What a program left behind."""

    data: bytes
    """The data window."""
    stack: bytes
    """The stack, without the zeros at its start."""


@functools.cache
def unavailable() -> str | None:
    """Return why programs cannot run on this processor, in one line; `None` where they can."""
    if not sys.platform.startswith("linux"):
        return f"single steps on the processor need Linux, this is {sys.platform}"
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return f"the processor is {platform.machine()}, not x86-64"
    job = _Job(
        areas={"code": (0x100000, 4096), "data": (0x200000, 4096), "stack": (0x300000, 4096)},
        program_bytes=16,
        data_offset=0,
        data_bytes=0,
        max_states=4,
        stop="f4",
    )
    registers = np.zeros((1, silicon_child.NUM_ROW_WORDS), np.uint64)
    registers[0, _ROW_WORDS["RIP"]], registers[0, _ROW_WORDS["RAX"]] = 0x100000, 41
    increment = bytes.fromhex("48ffc0f4")  # inc rax; hlt
    try:
        rows, *_ = next(_results(job, [increment], [b""], registers))
    except (SiliconFailed, SandboxFailed, OSError) as error:
        return f"the processor cannot be stepped here: {error}"
    counted = rows[:, _ROW_WORDS["RAX"]].tolist()
    return None if counted == [41, 42] else f"the processor steps wrong here: {counted}"


class Silicon:
    """An emulator's twin: the same arguments, the same rows, made by the processor itself."""

    def __init__(
        self,
        isa: Isa,
        *,
        layout: LayoutName,
        program_bytes: int,
        data_bytes: int,
        max_states: int,
    ) -> None:
        """Set the machine up; nothing is started before `run`.

        Raises:
            SiliconFailed: the instruction set is not this processor's, or it cannot be used here.
        """
        if isa.elf_machine != "EM_X86_64":
            raise SiliconFailed(f"{isa.name}: this processor runs x86-64 programs only")
        reason = unavailable()
        if reason is not None:
            raise SiliconFailed(reason)
        self._isa = isa
        self._layout: LayoutName = layout
        self._fields = [
            (field.name, slice(field.offset, field.offset + field.num_bytes))
            for field in state_fields(isa, layout)
            if field.name != PAD
        ]
        self._program_bytes = program_bytes
        self._data_bytes = data_bytes
        self._max_states = max_states

    def run(self, batch: ProgramBatch) -> TraceBatch:
        """Run every program to its end and record its states."""
        return self.run_with_memory(batch)[0]

    def run_with_memory(self, batch: ProgramBatch) -> tuple[TraceBatch, list[FinalMemory]]:
        """Run every program to its end; return its states and the memory that each left.

        Raises:
            SiliconFailed: the processor could not be used to the end.
        """
        isa = self._isa
        sizes = {"program_bytes": self._program_bytes, "data_bytes": self._data_bytes}
        check_batch(isa, self._layout, **sizes, batch=batch)
        programs = programs_of(batch)
        page = isa.data_address & -_PAGE_BYTES
        job = _Job(
            areas={
                "code": (isa.code_address, isa.code_bytes),
                "data": (page, _PAGE_BYTES),
                "stack": (isa.stack_address, isa.stack_bytes),
            },
            **sizes,
            data_offset=isa.data_address - page,
            max_states=self._max_states,
            stop=isa.stop.hex(),
        )
        ends: list[int] = []
        states: list[NDArray[np.uint8]] = []
        memories: list[FinalMemory] = []
        data = [bytes(row) for row in batch.data]
        registers = self._registers_of(batch.initial_states)
        results = _results(job, programs, data, registers)
        for code, (rows, end, memory) in zip(programs, results, strict=True):
            ends.append(end)
            states.append(self._states(rows, code))
            memories.append(memory)
        offsets = np.zeros(len(programs) + 1, np.int64)
        np.cumsum([len(part) for part in states], out=offsets[1:])
        empty = np.zeros((0, state_bytes_of(isa.layout(self._layout))), np.uint8)
        traces = TraceBatch(
            states=np.concatenate([empty, *states]),
            offsets=offsets,
            end_reasons=np.array(ends, np.uint8),
        )
        return traces, memories

    def _registers_of(self, initial_states: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """Return `[n, 20]` registers: recorded ones from the states, the others zero."""
        isa = self._isa
        registers = np.zeros((len(initial_states), silicon_child.NUM_ROW_WORDS), np.uint64)
        registers[:, self._word(isa.stack_pointer)] = isa.stack_address + isa.stack_bytes
        for name, part in self._fields:
            wide = np.zeros((len(initial_states), 8), np.uint8)
            given = initial_states[:, part]
            wide[:, : given.shape[1]] = given
            registers[:, self._word(name)] = wide.view("<u8")[:, 0]
        # A field of fewer than 8 bytes holds the low part of an address; programs start at one.
        registers[:, self._word(isa.program_counter)] = isa.code_address
        return registers

    def _states(self, rows: NDArray[np.uint64], code: bytes) -> NDArray[np.uint8]:
        """Return one program's states: the layout's fields, undefined flags cleared."""
        isa = self._isa
        assert isa.flags is not None
        rows = rows.copy()
        flags = rows[:, self._word(isa.flags)] & np.uint64(isa.flags_mask)
        memory = np.zeros(self._program_bytes, np.uint8)
        memory[: len(code)] = np.frombuffer(code, np.uint8)
        pcs = np.ascontiguousarray(rows[:, self._word(isa.program_counter)])
        counts = np.ascontiguousarray(rows[:, _ROW_WORDS["RCX"]])
        clear_undefined(memory, np.uint64(isa.code_address), pcs, counts, flags, True)
        rows[:, self._word(isa.flags)] = flags
        states = np.zeros((len(rows), state_bytes_of(isa.layout(self._layout))), np.uint8)
        for name, part in self._fields:
            value = np.ascontiguousarray(rows[:, self._word(name)]).view(np.uint8).reshape(-1, 8)
            states[:, part] = value[:, : part.stop - part.start]
        return states

    def _word(self, register: str) -> int:
        """Return the word of a row that holds a register of the table."""
        name = self._isa.register(register).emulator.removeprefix(_EMULATOR_PREFIX)
        return _ROW_WORDS[name]


class _Job(TypedDict):
    """The first line of a job of `silicon_child`, which says what it means."""

    areas: dict[str, tuple[int, int]]
    program_bytes: int
    data_offset: int
    data_bytes: int
    max_states: int
    stop: str


def _results(
    job: _Job, programs: list[bytes], data: list[bytes], registers: NDArray[np.uint64]
) -> Iterator[tuple[NDArray[np.uint64], int, FinalMemory]]:
    """Yield `[k, 20]` registers, end reason and memory of every program.

    Raises:
        SiliconFailed: the processor could not be used to the end.
    """
    row_bytes = 8 * silicon_child.NUM_ROW_WORDS
    largest = job["max_states"] * row_bytes + job["areas"]["stack"][1] + _PAGE_BYTES
    step = min(_MAX_PROGRAMS, max(1, _MAX_RESULT_BYTES // largest))
    for first in range(0, len(programs), step):
        parts = [json.dumps(job).encode(), b"\n"]
        count = len(programs[first : first + step])
        for i in range(first, first + count):
            row = registers[i].astype("<u8").tobytes()
            parts += [struct.pack("<I", len(programs[i])), programs[i], data[i], row]
        seconds = 30 + count * job["max_states"] // _SLOWEST_STATES_PER_SECOND
        result = _run(b"".join(parts), count * largest, seconds)
        at = 0
        for _ in range(count):
            end, num_rows, num_stack = _RESULT_HEAD.unpack_from(result, at)
            at += _RESULT_HEAD.size
            words = np.frombuffer(result, "<u8", num_rows * silicon_child.NUM_ROW_WORDS, at)
            at += num_rows * row_bytes
            stack_at = at + job["data_bytes"]
            stack = result[stack_at : stack_at + num_stack]
            yield (
                words.reshape(num_rows, -1),
                end,
                FinalMemory(data=result[at:stack_at], stack=stack),
            )
            at = stack_at + num_stack


def _run(job: bytes, result_bytes: int, seconds: int) -> bytes:
    """Run a job in the sandbox and return its result."""
    run = run_limited(
        [
            "/usr/bin/env",
            # glibc lets the kernel write to a page of the process that the tracee gives up.
            "GLIBC_TUNABLES=glibc.pthread.rseq=0",
            sys.executable,
            *("-I", "-S", str(Path(silicon_child.__file__).absolute()), "job", "result"),
        ],
        files={"job": job},
        cpu_seconds=seconds,
        memory_bytes=_MEMORY_BYTES,
        output_bytes=result_bytes,
        wall_seconds=10 * seconds,
    )
    if run.ending is not Ending.EXITED or run.exit_code:
        said = " ".join(run.output.decode("utf-8", "replace").split())[-300:]
        raise SiliconFailed(f"{run.ending} with code {run.exit_code}: {said}")
    return run.files["result"]
