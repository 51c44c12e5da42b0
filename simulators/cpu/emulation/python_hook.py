# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAny=false
"""The emulator's inner loop the plain way: a Python function before every instruction.

9 to 12 times slower than `native_hook` with narrow states, 12 to 16 with full ones, and the same
rows; it also tells of accesses to memory.
"""

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from simulators.cpu.emulation.memory_access import AccessKind, MemoryAccess
from simulators.cpu.emulation.program_ends import (
    HALTED,
    INVALID_INSTRUCTION,
    LEFT_PROGRAM,
    NO_END,
    STEP_LIMIT,
    end_after,
    end_before,
)
from simulators.cpu.emulation.rows import Columns
from simulators.cpu.emulation.unicorn_engine import Engine

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


class PythonHook:
    """The plain way: a Python function before every instruction."""

    def __init__(
        self, engine: Engine, columns: Columns, program_bytes: int, max_states: int
    ) -> None:
        self._engine: Final = engine
        self._columns: Final = columns
        self._rows: Final[list[Any]] = []
        self._ends: Final[list[int]] = []
        self._interrupts: Final[list[int]] = []
        self._program_bytes: Final = program_bytes
        self.accesses: Final[list[MemoryAccess]] = []
        """Of the last program, once `watch_memory` was called."""
        self._watching: bool = False

        # The hooks hold no reference to the engine, which holds them.
        isa, kind = engine.isa, int(engine.kind)
        rows, ends, interrupts = self._rows, self._ends, self._interrupts
        ids, code = engine.read_ids.tolist(), engine.code_area
        base, stop, alignment = isa.code_address, isa.stop, isa.alignment

        def on_code(uc: Any, address: int, size: int, user: object) -> None:  # noqa: ARG001
            if ends:
                uc.emu_stop()
                return
            rows.append(uc.reg_read_batch(ids))
            offset = address - base
            end = NO_END
            if not 0 <= offset < program_bytes:
                end = LEFT_PROGRAM
            elif offset % alignment:
                end = INVALID_INSTRUCTION
            elif code[offset : offset + len(stop)].tobytes() == stop:
                end = HALTED
            else:
                end = end_before.py_func(code, offset, kind)
                if end == NO_END and len(rows) >= max_states:
                    end = STEP_LIMIT
            if end != NO_END:
                ends.append(end)
                uc.emu_stop()

        def on_interrupt_number(uc: Any, number: int, user: object) -> None:  # noqa: ARG001
            interrupts.append(number)
            uc.emu_stop()

        engine.uc.hook_add(engine.names["UC_HOOK_CODE"], on_code)
        engine.uc.hook_add(engine.names["UC_HOOK_INTR"], on_interrupt_number)

    def run(self, values: list[int]) -> tuple[list[Any], int]:
        """Return rows and end of the program that memory holds."""
        engine = self._engine
        for part in (self._rows, self._ends, self._interrupts, self.accesses):
            part.clear()
        uc = engine.uc
        uc.context_restore(engine.context)
        uc.reg_write_batch(list(zip(engine.write_ids.tolist(), values, strict=True)))
        uc.ctl_flush_tb()
        error = 0
        with lost_exceptions() as lost:
            try:
                uc.emu_start(engine.begin, engine.until)
            except engine.unicorn.UcError as raised:
                error = raised.errno
        # A hook's own exception is raised by emu_start, unless emulation failed as well.
        if uc._hook_exception is not None:  # noqa: SLF001 - it has no public name
            raise uc._hook_exception  # noqa: SLF001
        if lost:
            raise lost[0]
        if self._ends:
            return self._rows, self._ends[0]
        interrupt = self._interrupts[-1] if self._interrupts else NO_END
        end = end_after.py_func(int(engine.kind), error, interrupt)
        if end == NO_END:
            row = uc.reg_read_batch(engine.read_ids.tolist())
            offset = row[self._columns.pc] - engine.isa.code_address
            if 0 <= offset < self._program_bytes:
                return self._rows, INVALID_INSTRUCTION
            self._rows.append(row)
            end = LEFT_PROGRAM
        return self._rows, end

    def watch_memory(self) -> None:
        """Record accesses from now on."""
        if self._watching:
            return
        self._watching = True
        rows, accesses, names = self._rows, self.accesses, self._engine.names
        kinds: dict[int, AccessKind] = {
            names["UC_MEM_WRITE"]: "write",
            names["UC_MEM_WRITE_UNMAPPED"]: "unmapped write",
            names["UC_MEM_WRITE_PROT"]: "unmapped write",
            names["UC_MEM_READ_UNMAPPED"]: "unmapped read",
            names["UC_MEM_READ_PROT"]: "unmapped read",
            names["UC_MEM_FETCH_UNMAPPED"]: "unmapped fetch",
            names["UC_MEM_FETCH_PROT"]: "unmapped fetch",
        }

        def on_access(
            uc: Any,  # noqa: ARG001
            access: int,
            address: int,
            size: int,
            value: int,
            user: object,  # noqa: ARG001
        ) -> bool:
            kind = kinds[access]
            data = b""
            if kind == "write":
                data = (value % (1 << 8 * size)).to_bytes(size, "little")
            elif accesses and _covers(accesses[-1], len(rows) - 1, address):
                # A write is told before it is tried: this one did not come about.
                accesses.pop()
            accesses.append(
                MemoryAccess(
                    row=len(rows) - 1, kind=kind, address=address, num_bytes=size, data=data
                )
            )
            return False

        uc = self._engine.uc
        uc.hook_add(names["UC_HOOK_MEM_WRITE"], on_access)
        uc.hook_add(names["UC_HOOK_MEM_INVALID"], on_access)


@contextmanager
def lost_exceptions() -> Generator[list[BaseException]]:
    """Collect what C code that calls Python functions would print and forget.

    An interrupt (Ctrl-C) may come before a hook's first line, where nothing can catch it: the row
    would be missing and emulation would go on. Interrupts come to the main thread only, and there
    may be one such collector at a time: elsewhere this does nothing.
    """
    lost: list[BaseException] = []
    if threading.current_thread() is not threading.main_thread():
        yield lost
        return
    before = sys.unraisablehook

    def keep(unraisable: "UnraisableHookArgs") -> None:
        ours = threading.current_thread() is threading.main_thread()
        if ours and "ctypes callback" in (unraisable.err_msg or "") and unraisable.exc_value:
            lost.append(unraisable.exc_value)
        else:
            before(unraisable)

    sys.unraisablehook = keep
    try:
        yield lost
    finally:
        sys.unraisablehook = before


def _covers(access: MemoryAccess, row: int, address: int) -> bool:
    """Say whether an access is a write of this row to this address."""
    end = access.address + access.num_bytes
    return access.kind == "write" and access.row == row and access.address <= address < end
