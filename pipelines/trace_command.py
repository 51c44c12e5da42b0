"""`bgpt-data trace`: run a program of the user's own and show what each instruction did.

The command line only: `pipelines.tracing` reads the files and has the program run, and
`simulators.cpu.tracing.trace_text` makes text of it.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from pipelines.terminal import terminal_mark
from pipelines.trace_registers import read_registers
from pipelines.tracing import (
    MAX_STEPS,
    TraceError,
    find_layout,
    read_data,
    read_program,
    trace_json,
    trace_notes,
    trace_program,
    write_sample,
)
from simulators.cpu.isa.catalogue import find_isa
from simulators.cpu.tracing.counted import counted
from simulators.cpu.tracing.trace import end_text
from simulators.cpu.tracing.trace_text import render_run, star

DEFAULT_STEPS = 1_000


def trace_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Raw code, or an ELF's .text.")],
    isa: Annotated[str, typer.Option(help="The instruction set, e.g. rv64 or x86_64.")],
    layout: Annotated[
        str, typer.Option(help="Which registers: narrow (as corpora by default) or full.")
    ] = "full",
    registers: Annotated[
        str, typer.Option("--set", metavar="NAME=N,...", help="Registers at the start; others 0.")
    ] = "",
    data: Annotated[
        str, typer.Option(metavar="HEX|FILE", help="What the data window holds at the start.")
    ] = "",
    max_steps: Annotated[
        int, typer.Option(help=f"Stop after so many instructions, at most {MAX_STEPS:,}.")
    ] = DEFAULT_STEPS,
    out: Annotated[
        Path | None, typer.Option(metavar="SAMPLE.bin", help="Write a sample, print no trace.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Run a program of your own and show every step: instruction, registers, memory, end.

    Example: bgpt-data trace --isa rv64 program.elf --set a0=5,a1=0x10
    """
    table = find_isa(isa)
    layout_name = find_layout(layout)
    if not 1 <= max_steps <= MAX_STEPS:
        raise TraceError(f"--max-steps {max_steps}: give 1 to {MAX_STEPS:,} instructions")
    if out is not None and as_json:
        raise TraceError("--out writes a sample and prints no trace: leave out --json")
    window = read_data(data, table)
    values = read_registers(registers, table, layout_name)
    user = read_program(file, table)
    run = trace_program(
        file, table, layout_name, user, registers=values, data=window, max_steps=max_steps
    )
    if out is not None:
        num_bytes = write_sample(out, run)
        typer.echo(
            f"{out}: {num_bytes:,} bytes, {counted(len(run.states), 'state')}; {end_text(run)}"
        )
    elif as_json:
        typer.echo(json.dumps(trace_json(run, user), indent=1))
    else:
        notes = "".join(f"{note}\n" for note in trace_notes(user, run))
        colour = terminal_mark()
        text = render_run(run, colour or star)
        typer.echo(f"{file}: {table.title}\n{notes}\n{text}", color=colour is not None)
