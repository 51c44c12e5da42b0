# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportPrivateUsage=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false, reportAny=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false
"""Programs of any instruction set on Unicorn, a full state recorded before every instruction.

A program runs as on a machine that has just been switched on:

- *Memory.* Code, data and stack are arrays of this process that the engine maps. All of them are
  cleared and filled before a program: user code may have written anywhere in data and stack.
- *Registers.* A context saved once (general registers and flags zero, the stack pointer at its
  start) is restored, then the state's own registers are written. Less than a microsecond.
- *Translations.* The engine keeps code that it has translated and would run it again for other
  code at the same address, silently. All translations are thrown away before a program, whatever
  it is, so stale code cannot be. With clearing and restoring that is 12 to 15 us a program, the
  price of 10 instructions; dropping single pages from the cache would leak memory.

Two hooks record the same rows: `native` is compiled (`native_hook`), `python` is the plain way, 9
to 12 times slower with narrow states and 12 to 16 times with full ones, which can also tell of
accesses to memory. Timeouts are not used (they are not deterministic): the hook stops at
`max_states`, and no instruction runs for ever without it, as it comes before every turn of a
repeated one too. Most of the time goes into translating: code is run once or a few times, and would
run 10 times as fast if it were translated already. Full states take 6 % (x86_16) to 76 % (AArch64)
longer than narrow ones.

Unicorn may abort the whole process on code that no encoder made: whoever runs a user's programs
does so in a process of its own (`user_run`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from simulators.batches import batch_of, programs_of
from simulators.cpu.emulation.memory_access import MemoryAccess
from simulators.cpu.emulation.native_hook import run_programs
from simulators.cpu.emulation.program_ends import CODE_SLACK
from simulators.cpu.emulation.python_hook import PythonHook
from simulators.cpu.emulation.rows import Columns
from simulators.cpu.emulation.unicorn_engine import EmulatorFailed, Engine
from simulators.cpu.isa.table import Isa, LayoutName
from simulators.cpu.states import check_batch
from simulators.protocol import ProgramBatch, TraceBatch

if TYPE_CHECKING:
    from simulators.cpu.oracles.silicon import FinalMemory

_BYTES_SHOWN: Final = 32
"""Of a program that the emulator failed on."""

HookName = Literal["native", "python"]

_ROWS_AT_ONCE: Final = 8192
"""Rows of a buffer, at least one program's; what it holds is packed before it is filled again."""


class Emulator:
    """A machine of one size; runs any number of batches. Not to be shared between threads.

    `entry` is where programs start, in bytes from their first: a user's may start anywhere.

    Raises:
        EmulatorMissing: unicorn is not installed.
        EmulatorFailed: the table names what the library has not, or memory that it cannot map.
        ValueError: the program does not fit the table's code area.
    """

    def __init__(
        self,
        isa: Isa,
        *,
        layout: LayoutName,
        program_bytes: int,
        data_bytes: int,
        max_states: int,
        hook: HookName = "native",
        entry: int = 0,
    ) -> None:
        if program_bytes + CODE_SLACK > isa.code_bytes:
            raise ValueError(
                f"{isa.name}: a program of up to {program_bytes} bytes needs a code area of "
                f"{program_bytes + CODE_SLACK}, and the machine has {isa.code_bytes}"
            )
        self._isa: Final = isa
        self._layout: Final[LayoutName] = layout
        self._program_bytes: Final = program_bytes
        self._data_bytes: Final = data_bytes
        self._max_states: Final = max_states
        self._columns: Final = Columns(isa, layout)
        self._rows: Final = np.zeros(
            (max(_ROWS_AT_ONCE, max_states), len(self._columns.read)), np.uint64
        )
        self._entry: Final = entry
        self._engine: Final = Engine(isa, self._columns, entry)
        self._hook: Final[HookName] = hook
        self._python: PythonHook | None = None
        if hook == "native":
            self._engine.prepare_native(self._columns, program_bytes, max_states)
        else:
            self._python = PythonHook(self._engine, self._columns, program_bytes, max_states)

    def run(self, batch: ProgramBatch) -> TraceBatch:
        """Run every program to its end; one state at the start and one after each instruction.

        Raises:
            EmulatorFailed: the emulator is closed, or its hook did not do its work.
            ValueError: the batch is not one of programs of this machine.
        """
        self._engine.check_open()
        check_batch(
            self._isa,
            self._layout,
            program_bytes=self._program_bytes,
            data_bytes=self._data_bytes,
            batch=batch,
            entry=self._entry,
        )
        code = _plain(batch.code)
        offsets = np.ascontiguousarray(batch.offsets, np.int64)
        values = self._columns.unpack(batch.initial_states)
        data = _plain(batch.data)
        counts = np.zeros(len(batch), np.int64)
        ends = np.zeros(len(batch), np.uint8)
        parts: list[NDArray[np.uint8]] = []
        first = 0
        while first < len(batch):
            last = self._run_some(code, offsets, values, data, first, counts, ends)
            self._check_counts(first, last, counts, code, offsets)
            rows = self._rows[: int(counts[first:last].sum())]
            if self._isa.flag_rule == "x86":
                self._clear_undefined(code, offsets, first, last, counts, rows)
            parts.append(self._columns.pack(rows))
            first = last
        row_offsets = np.zeros(len(batch) + 1, np.int64)
        np.cumsum(counts, out=row_offsets[1:])
        empty = np.zeros((0, self._columns.state_bytes), np.uint8)
        states = parts[0] if len(parts) == 1 else np.concatenate([empty, *parts])
        return TraceBatch(states=states, offsets=row_offsets, end_reasons=ends)

    def run_with_memory(self, batch: ProgramBatch) -> tuple[TraceBatch, "list[FinalMemory]"]:
        """Run a batch, and return what every program left in the data window and on the stack."""
        from simulators.cpu.oracles.silicon import FinalMemory

        left: list[FinalMemory] = []
        start = self._engine.data_offset

        def look() -> None:
            window = self._engine.data_area[start : start + self._data_bytes]
            stack = self._engine.stack_area.tobytes().lstrip(b"\0")
            left.append(FinalMemory(data=window.tobytes(), stack=stack))

        return self._run_singly(batch, look), left

    def run_with_accesses(
        self, batch: ProgramBatch
    ) -> tuple[TraceBatch, list[tuple[MemoryAccess, ...]]]:
        """Run a batch, and return what every program wrote and what it could not reach, in order.

        Raises:
            ValueError: the hook is the compiled one, which does not look at memory.
        """
        self._engine.check_open()
        python = self._python
        if python is None:
            raise ValueError("accesses to memory are recorded with hook = 'python' only")
        accesses: list[tuple[MemoryAccess, ...]] = []
        python.watch_memory()
        return self._run_singly(batch, lambda: accesses.append(tuple(python.accesses))), accesses

    def close(self) -> None:
        """Free the engine; the emulator cannot be used any more."""
        self._engine.close()

    def _run_singly(self, batch: ProgramBatch, after: Callable[[], None]) -> TraceBatch:
        traces: list[TraceBatch] = []
        for i, program in enumerate(programs_of(batch)):
            one = batch_of([program], batch.initial_states[i : i + 1], batch.data[i : i + 1])
            traces.append(self.run(one))
            after()
        offsets = np.zeros(len(batch) + 1, np.int64)
        np.cumsum([len(trace.states) for trace in traces], out=offsets[1:])
        empty = np.zeros((0, self._columns.state_bytes), np.uint8)
        return TraceBatch(
            states=np.concatenate([empty, *(trace.states for trace in traces)]),
            offsets=offsets,
            end_reasons=np.array([int(trace.end_reasons[0]) for trace in traces], np.uint8),
        )

    def _run_some(
        self,
        code: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        values: NDArray[np.uint64],
        data: NDArray[np.uint8],
        first: int,
        counts: NDArray[np.int64],
        ends: NDArray[np.uint8],
    ) -> int:
        """Run programs while the buffer of rows has room; return the first that was not run."""
        engine = self._engine
        if self._python is None:
            areas = (engine.code_area, engine.data_area, engine.stack_area)
            return int(
                run_programs(
                    engine.control,
                    code,
                    offsets,
                    values,
                    data,
                    areas,
                    first,
                    self._rows,
                    counts,
                    ends,
                )
            )
        used = 0
        for i in range(first, len(counts)):
            if used + self._max_states > len(self._rows):
                return i
            engine.fill(code[offsets[i] : offsets[i + 1]], data[i])
            rows, ends[i] = self._python.run(values[i].tolist())
            counts[i] = len(rows)
            self._rows[used : used + len(rows)] = np.array(rows, np.uint64)
            used += len(rows)
        return len(counts)

    def _check_counts(
        self,
        first: int,
        last: int,
        counts: NDArray[np.int64],
        code: NDArray[np.uint8],
        offsets: NDArray[np.int64],
    ) -> None:
        """Every program has rows, and its first is at the start: a hook that raises goes unseen."""
        done = counts[first:last]
        starts = np.cumsum(done) - done
        right = (done >= 1) & (done <= self._max_states)
        pcs = self._rows[np.minimum(starts, len(self._rows) - 1), self._columns.pc]
        right &= pcs == np.uint64(self._isa.code_address + self._entry)
        if last == first or not right.all():
            wrong = first + int(np.flatnonzero(~right)[0]) if last > first else first
            head = code[offsets[wrong] : offsets[wrong + 1]][:_BYTES_SHOWN].tobytes().hex()
            raise EmulatorFailed(
                f"{self._isa.name}: program {wrong} of the batch, {head}, has {counts[wrong]} "
                f"states of at most {self._max_states}: the emulator's hook did not do its work"
            )

    def _clear_undefined(
        self,
        code: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        first: int,
        last: int,
        counts: NDArray[np.int64],
        rows: NDArray[np.uint64],
    ) -> None:
        """Zero the flags that no manual defines, program by program."""
        from simulators.cpu.emulation.x86_flags import clear_undefined

        columns = self._columns
        pcs = rows[:, columns.pc].copy()
        shift_counts = rows[:, columns.shift_count].copy()
        flags = rows[:, columns.flags].copy()
        padded = np.zeros(self._program_bytes + CODE_SLACK, np.uint8)
        start = 0
        for i in range(first, last):
            num_bytes = int(offsets[i + 1] - offsets[i])
            padded[:num_bytes] = code[offsets[i] : offsets[i + 1]]
            padded[num_bytes:] = 0
            end = start + int(counts[i])
            clear_undefined(
                padded,
                np.uint64(self._isa.code_address),
                pcs[start:end],
                shift_counts[start:end],
                flags[start:end],
                self._isa.bits == 64,
            )
            start = end
        rows[:, columns.flags] = flags


def _plain(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an array that numba takes for a plain one: others would be compiled anew."""
    return np.require(array, requirements=["C", "ALIGNED", "WRITEABLE"])
