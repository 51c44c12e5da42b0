"""`bgpt simulate`: a program's memory and first state in, its trace out, beside the real machine's.

The command line only: `bgpt.write` has the model write, `bgpt.simulation` knows the machine,
`bgpt.live_trace` shows states as they come.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bgpt.command_options import (
    Device,
    DeviceName,
    Int8,
    MaxBytes,
    ModelOrFile,
    find_model,
    split_names,
)

if TYPE_CHECKING:
    from bgpt.trained_for import Provenance
    from simulators.protocol import System


def simulate_command(
    model_or_file: ModelOrFile,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="SAMPLE.bin: begins with memory and first state; alone without a MODEL.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write memory and states; -: to stdout."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Run the real machine too; exit code 1 if it differs.")
    ] = False,
    system: Annotated[
        str | None, typer.Option(help="The machine, where the model does not say: toy, rv64, ...")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Of its programs, e.g. loop.")] = None,
    layout: Annotated[str | None, typer.Option(help="Of its states: narrow or full.")] = None,
    memory_bytes: Annotated[
        int | None,
        typer.Option(
            min=16, help="Size of its memory, where the model does not say: with --system."
        ),
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which machine, of a model of several.")
    ] = None,
    max_bytes: MaxBytes = None,
    int8: Int8 = False,
    device: Device = DeviceName.CPU,
) -> None:
    """Write the states that the model expects of a program, and compare them on request.

    SAMPLE.bin begins with the memory block and the first state, as a sample of the corpus does;
    states that follow are not read. Without -o the trace is shown, on a terminal while it is
    written.

    \b
    Example:
      bgpt simulate runs/cpu-toy/model program.bin --compare -o trace.bin
      bgpt simulate program.bin
    """
    from bgpt.files import STDOUT, check_writable, read_segment, stdout_bytes, write_file
    from bgpt.trained_for import declared
    from bgpt.which_model import simulates
    from bgpt.write import Writer

    named, program = split_names(model_or_file, file)
    asked = f"simulate {corpus}" if corpus else "simulate"
    model = named or find_model(asked, simulates(corpus))
    said: dict[str, Any] = {}
    if memory_bytes is not None:
        said = declared(system=system, memory_bytes=memory_bytes, profile=profile, layout=layout)
    writer = Writer(model, int8=int8, device=device, declared=said)
    trained = writer.simulation(corpus)
    size: int = trained["prompt_bytes"]
    if said and size != said["prompt_bytes"]:
        raise ValueError(
            f"{model}: was trained with {size} bytes of memory and first state, not with "
            f"{said['prompt_bytes']}; leave --memory-bytes out"
        )
    prompt = writer.simulation_prompt(str(program), read_segment(program), size)
    writer.require_room(program, prompt)
    if out is not None and out != STDOUT:
        check_writable(out)
    unread = program.stat().st_size - len(prompt.given)
    if unread:
        typer.echo(
            f"{program}: begins with {len(prompt.given)} bytes of memory and first state; "
            f"the {unread} after them are not read",
            err=True,
        )
    machine = _system(model, trained, system, profile, layout, needed=compare)
    shown = sys.stderr if out == STDOUT else sys.stdout
    if machine is None:
        (written,) = writer.write([prompt], max_bytes=max_bytes)
        trace, is_same = prompt.given + written.data, True
        if out is None:
            print((prompt.given + written.data).hex(" ", 16), file=shown)
    else:
        from bgpt.live_trace import LiveTrace
        from bgpt.simulation import compare as compared
        from bgpt.simulation import comparison_text, run_real
        from simulators.cpu.tracing.render import render_trace

        expected = run_real(machine, prompt.given) if compare else None
        first = prompt.given[machine.memory_bytes :]
        with LiveTrace(machine, first, expected, shown) as live:
            (written,) = writer.write(
                [prompt], max_bytes=max_bytes, on_bytes=lambda _, data: live.take(data)
            )
        trace, memory_bytes = prompt.given + written.data, machine.memory_bytes
        whole = (len(trace) - memory_bytes) // machine.state_bytes * machine.state_bytes
        if out is None:
            states = trace[memory_bytes : memory_bytes + whole]
            print(render_trace(machine, trace[:memory_bytes], states), file=shown)
        is_same = True
        if expected is not None:
            found = compared(machine, trace, expected)
            print(comparison_text(machine, found), file=shown)
            is_same = found.first_wrong is None
    if out == STDOUT:
        stdout_bytes().write(trace)
        stdout_bytes().flush()
    elif out is not None:
        write_file(out, trace)
        typer.echo(f"{out}: {len(trace)} bytes", err=True)
    if not written.ended:
        typer.echo("stopped at the limit of bytes, before the end mark", err=True)
    raise typer.Exit(0 if is_same else 1)


def _system(
    model: Path,
    trained: "Provenance",
    system: str | None,
    profile: str | None,
    layout: str | None,
    *,
    needed: bool,
) -> "System | None":
    """Return the machine; None where nothing says which, and it is not needed."""
    from bgpt.simulation import SystemNotKnown, system_of

    try:
        return system_of(model, trained, system=system, profile=profile, layout=layout)
    except SystemNotKnown:
        if needed:
            raise
        return None
