"""`bgpt convert`: a file, or every file of a folder, in another format.

The command line only: `bgpt.write` has the model write, `bgpt.convert_folder` goes through a
folder.
"""

import sys
from pathlib import Path
from typing import Annotated

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


def convert_command(
    model_or_file: ModelOrFile,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE|FOLDER", help="A folder for a folder; -: raw to stdout."
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="A .abc or .mid file, or a folder of them; alone without a MODEL."
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="EXT", help="The format, where -o or the model does not say it."),
    ] = None,
    max_bytes: MaxBytes = None,
    as_written: Annotated[
        bool,
        typer.Option(
            "--as-written",
            help="Leave the model's bytes alone; else the tracks of a .mid declare true lengths.",
        ),
    ] = False,
    int8: Int8 = False,
    device: Device = DeviceName.CPU,
) -> None:
    """Convert a file, or all files of a folder, into the format that -o's suffix or --to names.

    In a folder and those below it, a file that cannot be converted is named and the others go on;
    exit code 1 then.

    \b
    Example:
      bgpt convert runs/abc-to-midi/model tune.abc -o tune.mid
      bgpt convert tune.abc -o tune.mid
    """
    from bgpt.convert_folder import convert_folder, report
    from bgpt.files import STDOUT, check_writable, read_segment, stdout_bytes, write_file
    from bgpt.trained_for import declared, names_into
    from bgpt.which_model import converts
    from bgpt.write import Writer, mended

    named, source = split_names(model_or_file, file)
    into = to if to is not None or out == STDOUT or source.is_dir() else out.suffix[1:] or None
    known = None if source.is_dir() else source.suffix[1:].lower()
    model = named or find_model(
        f"convert{f' .{known}' if known else ''}{f' into .{into}' if into else ''}",
        converts(known, into),
    )
    said = declared(directions=names_into(to)) if to is not None else None
    writer = Writer(model, int8=int8, device=device, declared=said)
    if source.is_dir():
        if out == STDOUT:
            raise typer.BadParameter("a folder of files needs a folder: -o FOLDER")
        outcome = convert_folder(
            writer, source, out, to=to, max_bytes=max_bytes, as_written=as_written
        )
        report(outcome, sys.stderr)
        raise typer.Exit(1 if outcome.refused else 0)
    segment = read_segment(source)
    given = to if to is not None or out == STDOUT or out.is_dir() else out.suffix[1:]
    extension = writer.target_of({segment.extension}, given)
    path = out / f"{source.stem}.{extension}" if out.is_dir() else out
    prompt = writer.conversion_prompt(str(source), segment, extension)
    if path != STDOUT:
        check_writable(path)
    (written,) = writer.write([prompt], max_bytes=max_bytes)
    data = written.data if as_written else mended(written.data, extension)
    if path == STDOUT:
        stdout_bytes().write(data)
        stdout_bytes().flush()
    else:
        write_file(path, data)
        typer.echo(f"{path}: {len(data)} bytes", err=True)
    if not written.ended:
        typer.echo(f"{source}: stopped at the limit of bytes, before the end mark", err=True)
