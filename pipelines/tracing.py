"""A user's program from a file and a few words to a traced run, and on to a sample or JSON.

What a user gave wrong is one `TraceError`. The program runs in a process of its own
(`simulators.cpu.tracing.user_run`); nothing is printed here (`pipelines.trace_command` does).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipelines.sources.cpu_samples import RETURNED, end_name
from simulators.batches import batch_of
from simulators.cpu.emulation.program_ends import CODE_SLACK
from simulators.cpu.emulation.x86_flag_reads import first_undefined_read
from simulators.cpu.isa.table import LAYOUTS, MAX_SAMPLE_BYTES, Isa, LayoutName, state_bytes_of
from simulators.cpu.layout import lay_out
from simulators.cpu.tracing.trace import TracedRun, end_text, has_returned, last_pc, trace_rows
from simulators.cpu.tracing.user_code import (
    COMPILE_WITHOUT_COMPRESSED,
    MAX_FILE_BYTES,
    UserCode,
    UserCodeError,
    read_user_code,
)
from simulators.cpu.tracing.user_run import (
    Bench,
    Died,
    UserProgram,
    UserRunFailed,
    run_user_programs,
    with_registers,
)
from simulators.protocol import EndReason, TraceBatch
from simulators.sandbox import SandboxFailed
from simulators.suggest import unknown_name

MEMORY_BYTES: Final = 512
"""Of the memory block, as in the packaged corpora; larger where the program is."""
MAX_STEPS: Final = 100_000


class TraceError(ValueError):
    """A trace that cannot be made as asked; one line."""


def find_layout(name: str) -> LayoutName:
    """Return a layout by name."""
    for layout in LAYOUTS:
        if layout == name:
            return layout
    raise TraceError(unknown_name("layout", name, LAYOUTS))


def read_program(file: Path, isa: Isa) -> UserCode:
    """Read the program of a file.

    Raises:
        TraceError: it cannot be read, or is none for this machine.
    """
    data = _read(file)
    try:
        return read_user_code(data, isa, max_bytes=isa.code_bytes - CODE_SLACK)
    except UserCodeError as error:
        raise TraceError(f"{file}: {error}") from error


def _read(file: Path) -> bytes:
    try:
        # A device may have no end, and say nothing of its size.
        with file.open("rb") as opened:
            found = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TraceError(f"{file}: cannot be read: {error.strerror}") from error
    if len(found) > MAX_FILE_BYTES:
        raise TraceError(f"{file}: more than the {MAX_FILE_BYTES:,} bytes that are looked at")
    return found


def read_data(text: str, isa: Isa) -> bytes:
    """Return the data window: of a file, or of hexadecimal digits, filled up with zeros."""
    if text and _is_file(text):
        found = _read(Path(text))
    else:
        try:
            found = bytes.fromhex(text.removeprefix("0x"))
        except ValueError as error:
            raise TraceError(
                f"--data {text!r}: neither a file nor hexadecimal digits, two a byte"
            ) from error
    if len(found) > isa.data_bytes:
        raise TraceError(
            f"--data: {len(found):,} bytes, but the data window of {isa.name} has {isa.data_bytes}"
        )
    return found.ljust(isa.data_bytes, b"\0")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # too long for a name: digits
        return False


def trace_program(
    file: Path,
    isa: Isa,
    layout: LayoutName,
    user: UserCode,
    *,
    registers: dict[str, int],
    data: bytes,
    max_steps: int,
) -> TracedRun:
    """Run a program in a process of its own; `file` is its name in messages.

    Raises:
        TraceError: that process died.
    """
    program_bytes = max(MEMORY_BYTES - len(data), -(-len(user.code) // 16) * 16)
    start = {isa.program_counter: isa.code_address + user.entry}
    if any(part.register == isa.stack_pointer for part in isa.layout(layout)):
        start[isa.stack_pointer] = isa.stack_address + isa.stack_bytes
    state = bytes(state_bytes_of(isa.layout(layout)))
    program = UserProgram(
        code=user.code,
        initial_state=with_registers(isa, layout, state, {**start, **registers}),
        data=data,
    )
    bench = Bench(
        isa=isa.name,
        layout=layout,
        program_bytes=program_bytes,
        data_bytes=len(data),
        max_states=max_steps + 1,
    )
    try:
        (run,) = run_user_programs(bench, [program], record_accesses=True)
    except (UserRunFailed, SandboxFailed) as error:
        raise TraceError(f"{file}: {error}") from error
    if isinstance(run, Died):
        what = "took too long over" if run is Died.TIME else "crashed on"
        raise TraceError(f"{file}: the emulator {what} this program; nothing can be shown of it")
    traced = TracedRun(
        isa=isa,
        layout=layout,
        program=user.code.ljust(program_bytes, b"\0"),
        data=data,
        states=run.states,
        end=run.end,
        accesses=run.accesses,
    )
    pc = last_pc(traced)
    return replace(traced, returned=has_returned(isa, traced.program, pc, run.end, run.accesses))


def trace_notes(user: UserCode, run: TracedRun) -> tuple[str, ...]:
    """Return what a user should know beside the trace: of the program, and of its run."""
    notes = list(user.notes)
    if (found := first_undefined_read(run.isa, run.layout, run.program, run.states)) is not None:
        what = f"reads {', '.join(found.flags)}, undefined there"
        notes.append(
            f"step {found.row + 1}, at {found.pc:#x}, {what}: other processors may go on otherwise"
        )
    if _looks_compressed(run) and not any(COMPILE_WITHOUT_COMPRESSED in note for note in notes):
        notes.append(
            "it ends at what looks like a compressed instruction: " + COMPILE_WITHOUT_COMPRESSED
        )
    return tuple(notes)


def _looks_compressed(run: TracedRun) -> bool:
    """Return whether a run met an instruction of RISC-V of two bytes."""
    if run.isa.elf_machine != "EM_RISCV" or run.end is not EndReason.INVALID_INSTRUCTION:
        return False
    offset = last_pc(run) - run.isa.code_address
    half = int.from_bytes(run.program[offset : offset + 2], "little")
    return half != 0 and half & 3 != 3


def write_sample(out: Path, run: TracedRun) -> int:
    """Write the run as a sample and return its size.

    Raises:
        TraceError: a sample has no room for it, or it cannot be written.
    """
    memory_bytes = len(run.program) + len(run.data)
    room = max(0, MAX_SAMPLE_BYTES - memory_bytes) // run.states.shape[1]
    if len(run.states) > room:
        cure = "trace without --out"
        if room > 1:
            cure = f"use --max-steps {room - 1}"
            cure += " or --layout narrow" if run.layout == "full" else ""
        raise TraceError(
            f"{out}: {len(run.states):,} states, but a sample has room for {room:,} beside a "
            f"memory of {memory_bytes:,} bytes; {cure}"
        )
    data = np.frombuffer(run.data, np.uint8).reshape(1, -1)
    traces = TraceBatch(
        states=run.states,
        offsets=np.array([0, len(run.states)], np.int64),
        end_reasons=np.zeros(1, np.uint8),
    )
    program = batch_of([run.program], run.states[:1], data)
    content = lay_out(program, traces, memory_bytes=memory_bytes).data.tobytes()
    try:
        out.write_bytes(content)
    except OSError as error:
        raise TraceError(f"{out}: cannot write: {error.strerror}") from error
    return len(content)


def trace_json(run: TracedRun, user: UserCode) -> dict[str, Any]:
    """Return the run for a program to read; numbers are numbers, bytes hexadecimal."""
    base = run.isa.code_address
    steps = [
        {
            "step": row.step,
            "address": base + row.instruction.offset if row.instruction else None,
            "bytes": row.instruction.code.hex() if row.instruction else None,
            "instruction": row.instruction.text if row.instruction else None,
            "registers": row.values,
            "flags": row.flags,
            "changed": sorted(row.changed),
            "writes": [{"address": w.address, "bytes": w.data.hex()} for w in row.writes],
        }
        for row in trace_rows(run)
    ]
    assert run.end is not None
    return {
        "isa": run.isa.name,
        "layout": run.layout,
        "notes": list(trace_notes(user, run)),
        "code": user.code.hex(),
        "end": RETURNED if run.returned else end_name(run.end),
        "end_text": end_text(run),
        "steps": steps,
    }
