"""Step programs on this very processor: run alone, in a process of its own, by `silicon`.

It is the tracer. It forks one tracee, gives it the machine's memory map and nothing else, and then
single-steps program after program in it, reading all registers after every instruction. The
tracee's address space is the three areas of the job (and the kernel's own pages, where those cannot
be unmapped), it has no open file, a seccomp filter skips every system call, and it dies with its
tracer. Both run on one processor, because a step is two context switches. Only a program that
pushes the whole flag register can tell: it sees the trap flag of the steps.

Standard library only, so that the process that forks has no other thread. It knows no instruction
and no table: what a row means is `silicon`'s business. Linux on x86-64 only.

    python -I -S silicon_child.py JOB RESULT

A job is a line of JSON (`code`, `data` and `stack`, each with address and size; `program_bytes`;
`data_offset`; `data_bytes`; `max_states`; `stop` in hex) and then per program: its size as a
32-bit number, its bytes, its data window, and 20 registers of 64 bits in the order of the kernel's
`user_regs_struct`. A result is per program: end, number of rows and number of stack bytes as three
32-bit numbers, the rows of 20 registers, the data window, and the stack without zeros at its start.
"""

import ctypes
import functools
import json
import mmap
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Any, Final

# Values of `simulators.protocol.EndReason`.
_HALTED: Final = 0
_INVALID_INSTRUCTION: Final = 1
_STEP_LIMIT: Final = 2
_DIVIDE_ERROR: Final = 3
_MEMORY_FAULT: Final = 4
_SYSTEM_CALL: Final = 5
_LEFT_PROGRAM: Final = 6

_END_OF_SIGNAL: Final = {
    int(signal.SIGILL): _INVALID_INSTRUCTION,
    int(signal.SIGFPE): _DIVIDE_ERROR,
    int(signal.SIGSEGV): _MEMORY_FAULT,
    int(signal.SIGBUS): _MEMORY_FAULT,
    int(signal.SIGSYS): _SYSTEM_CALL,
}

# Indices into `user_regs_struct` (sys/user.h); a row is its first 20 words, r15 to rsp.
NUM_ROW_WORDS: Final = 20
_NUM_WORDS: Final = 27
_R10, _R9, _R8, _RAX, _RDX, _RSI, _RDI = 7, 8, 9, 10, 12, 13, 14
_ORIG_RAX, _RIP, _CS, _FLAGS, _SS = 15, 16, 17, 18, 20

# sys/ptrace.h, sys/prctl.h, linux/seccomp.h, asm/unistd_64.h
_TRACEME, _GETREGS, _SETREGS, _SINGLESTEP, _SETOPTIONS = 0, 12, 13, 9, 0x4200
_EXITKILL: Final = 0x00100000
_MUNMAP, _MPROTECT, _PRCTL, _CLOSE_RANGE = 11, 10, 157, 436
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_SKIP_CALL: Final = struct.pack("<HBBI", 0x06, 0, 0, 0x00030000)
"""The whole filter: whatever the call, return SECCOMP_RET_TRAP, a signal instead of the call."""
_SYSCALL: Final = b"\x0f\x05"
_MREMAP_FIXED: Final = 3
_USER_END: Final = 0x7FFF_FFFF_F000
_ALWAYS_SET: Final = 0x202
"""Bit 1 of the flags, and interrupts on."""


@functools.cache
def _libc() -> ctypes.CDLL:
    """Return the C library with the types of what is called here."""
    library = ctypes.CDLL(None, use_errno=True)
    library.ptrace.restype = ctypes.c_long
    library.ptrace.argtypes = [ctypes.c_long] * 4
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.mremap.restype = pointer
    library.mremap.argtypes = [pointer, size, size, ctypes.c_int, pointer]
    library.mprotect.argtypes = [pointer, size, ctypes.c_int]
    return library


class StepFailed(RuntimeError):  # noqa: N818 - a state of the machine
    """The processor could not be used; the message says at which call and why."""


class Tracee:
    """A stopped child with the areas of a job as its memory, which the tracer shares."""

    def __init__(self, areas: dict[str, tuple[int, int]]) -> None:
        """Fork it; `areas` is name to address and size, in whole pages."""
        self.memory: dict[str, mmap.mmap] = {
            name: mmap.mmap(-1, size, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            for name, (_, size) in areas.items()
        }
        self.memory["code"][: len(_SYSCALL)] = _SYSCALL
        self._syscall_at = areas["code"][0]
        self._registers = (ctypes.c_uint64 * _NUM_WORDS)()
        self._registers_at = ctypes.addressof(self._registers)
        self._row = memoryview(self._registers).cast("B")[: 8 * NUM_ROW_WORDS]
        self._pid = os.fork()
        if self._pid == 0:
            _become_tracee(self.memory, areas)
        if not os.WIFSTOPPED(os.waitpid(self._pid, 0)[1]):
            raise StepFailed("ptrace is not permitted: the child could not be traced")
        _ptrace(_SETOPTIONS, self._pid, _EXITKILL)
        self._leave_only(areas)
        self._initial = self._read()

    def run(
        self, given: bytes, *, start: int, program_bytes: int, stop: bytes, max_states: int
    ) -> tuple[int, list[bytes]]:
        """Set the registers of a row and step to the end; return the end and all rows."""
        registers, pid, code = self._registers, self._pid, self.memory["code"]
        ptrace, wait, row = _libc().ptrace, os.waitpid, self._row
        at = self._registers_at
        registers[:] = self._initial
        row[:] = given
        registers[_CS], registers[_SS] = self._initial[_CS], self._initial[_SS]
        registers[_ORIG_RAX] = 2**64 - 1  # the kernel must not take RAX for a call to restart
        registers[_FLAGS] |= _ALWAYS_SET
        _ptrace(_SETREGS, pid, 0, at)
        rows = [bytes(row)]
        while True:
            offset = registers[_RIP] - start
            if not 0 <= offset < program_bytes:
                return _LEFT_PROGRAM, rows
            if code[offset : offset + len(stop)] == stop:
                return _HALTED, rows
            if len(rows) == max_states:
                return _STEP_LIMIT, rows
            if ptrace(_SINGLESTEP, pid, 0, 0):
                raise StepFailed(f"single step: {os.strerror(ctypes.get_errno())}")
            status = wait(pid, 0)[1]
            if not os.WIFSTOPPED(status):
                raise StepFailed(f"the traced process ended with status {status:#x}")
            number = os.WSTOPSIG(status)
            if number != signal.SIGTRAP:
                if number not in _END_OF_SIGNAL:
                    raise StepFailed(f"a signal from outside: {number}")
                return _END_OF_SIGNAL[number], rows
            if ptrace(_GETREGS, pid, 0, at):
                raise StepFailed(f"reading registers: {os.strerror(ctypes.get_errno())}")
            rows.append(bytes(row))

    def end(self) -> None:
        """Kill it."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def _leave_only(self, areas: dict[str, tuple[int, int]]) -> None:
        """Take everything else away: memory, files, and all system calls."""
        kept = sorted([(at, at + size) for at, size in areas.values()] + _kernel_pages())
        begin = 0
        self._call(_CLOSE_RANGE, 0, 2**32 - 1, may_fail=True)  # Linux 5.9; none is open anyway
        for low, high in [*kept, (_USER_END, _USER_END)]:
            if low > begin:
                self._call(_MUNMAP, begin, low - begin)
            begin = max(begin, high)
        data = areas["data"][0]
        self.memory["data"][: len(_SKIP_CALL)] = _SKIP_CALL
        self.memory["data"][64:80] = struct.pack("<HxxxxxxQ", len(_SKIP_CALL) // 8, data)
        self._call(_PRCTL, _NO_NEW_PRIVS, 1)
        self._call(_PRCTL, _SET_SECCOMP, _FILTER, data + 64)

    def _call(self, *number_and_arguments: int, may_fail: bool = False) -> None:
        """Make the tracee execute one system call."""
        registers = self._read()
        for index in (_RAX, _RDI, _RSI, _RDX, _R10, _R8, _R9):
            registers[index] = 0
        order = (_RAX, _RDI, _RSI, _RDX, _R10, _R8, _R9)
        for index, value in zip(order, number_and_arguments, strict=False):
            registers[index] = value
        registers[_ORIG_RAX], registers[_RIP] = 2**64 - 1, self._syscall_at
        self._registers[:] = registers
        _ptrace(_SETREGS, self._pid, 0, self._registers_at)
        _ptrace(_SINGLESTEP, self._pid)
        status = os.waitpid(self._pid, 0)[1]
        result = ctypes.c_int64(self._read()[_RAX]).value if os.WIFSTOPPED(status) else 0
        if status != _stopped_by(signal.SIGTRAP) or (result < 0 and not may_fail):
            raise StepFailed(
                f"system call {number_and_arguments} of the child: "
                f"status {status:#x}, {os.strerror(-result)}"
            )

    def _read(self) -> list[int]:
        """Return all registers."""
        _ptrace(_GETREGS, self._pid, 0, self._registers_at)
        return list(self._registers)


def _become_tracee(memory: dict[str, mmap.mmap], areas: dict[str, tuple[int, int]]) -> None:
    """Move the shared areas to their addresses and stop; the life of the child in Python."""
    try:
        for name, (address, size) in areas.items():
            here = ctypes.addressof(ctypes.c_char.from_buffer(memory[name]))
            if _libc().mremap(here, size, size, _MREMAP_FIXED, address) != address:
                os._exit(2)
            may = mmap.PROT_READ | (mmap.PROT_EXEC if name == "code" else mmap.PROT_WRITE)
            if _libc().mprotect(address, size, may):
                os._exit(3)
        if _libc().ptrace(_TRACEME, 0, 0, 0):
            os._exit(4)
        os.kill(os.getpid(), signal.SIGSTOP)
    finally:
        os._exit(5)


def _kernel_pages() -> list[tuple[int, int]]:
    """Return the pages that the kernel lends every process; some kernels refuse to unmap them."""
    pages: list[tuple[int, int]] = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(("[vdso]", "[vvar]", "[vvar_vclock]")):
            low, high = line.split()[0].split("-")
            pages.append((int(low, 16), int(high, 16)))
    return pages


def _stopped_by(number: int) -> int:
    """Return the status that `waitpid` gives of a process stopped by a signal."""
    return number << 8 | 0x7F


def _ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> None:
    if request == _SETOPTIONS:
        address, data = 0, address
    if _libc().ptrace(request, pid, address, data):
        raise StepFailed(f"ptrace request {request}: {os.strerror(ctypes.get_errno())}")


def run_job(job: Path, result: Path) -> None:
    """Run every program of a job file and write the result file."""
    with job.open("rb") as programs, result.open("wb") as out:
        head: dict[str, Any] = json.loads(programs.readline())
        areas = {name: (int(at), int(size)) for name, (at, size) in head["areas"].items()}
        window = slice(head["data_offset"], head["data_offset"] + head["data_bytes"])
        stop = bytes.fromhex(head["stop"])
        os.sched_setaffinity(0, {_libc().sched_getcpu()})
        tracee = Tracee(areas)
        zeros = {name: bytes(size) for name, (_, size) in areas.items()}
        while size := programs.read(4):
            memory = tracee.memory
            for name, blank in zeros.items():
                memory[name][:] = blank
            code = programs.read(int.from_bytes(size, "little"))
            memory["code"][: len(code)] = code
            memory["data"][window] = programs.read(head["data_bytes"])
            end, rows = tracee.run(
                programs.read(8 * NUM_ROW_WORDS),
                start=areas["code"][0],
                program_bytes=head["program_bytes"],
                stop=stop,
                max_states=head["max_states"],
            )
            stack = memory["stack"][:].lstrip(b"\0")
            out.write(struct.pack("<3I", end, len(rows), len(stack)))
            out.write(b"".join(rows) + memory["data"][window] + stack)
            if end == _SYSTEM_CALL:  # the step's own signal would meet the next program
                tracee.end()
                tracee = Tracee(areas)
        tracee.end()


if __name__ == "__main__":
    try:
        run_job(Path(sys.argv[1]), Path(sys.argv[2]))
    except (StepFailed, OSError) as error:
        sys.exit(str(error))
