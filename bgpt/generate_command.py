"""`bgpt generate`: files out of nothing or after a beginning, shown as they come.

The command line only: `bgpt.write` has the model write, `bgpt.files` shows and stores bytes.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bgpt.command_options import ChosenModel, Device, DeviceName, Int8, MaxBytes, find_model


def generate_command(
    named: ChosenModel = None,
    ext: Annotated[
        str | None, typer.Option(metavar="EXT", help="What to write, e.g. mid; else as --prompt.")
    ] = None,
    prompt: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its bytes are what the file begins with.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE|FOLDER", help="-: raw to stdout. Without: shown here."
        ),
    ] = None,
    num: Annotated[int, typer.Option(min=1, help="So many files; needs sampling.")] = 1,
    temperature: Annotated[
        float | None, typer.Option(help="Sample; 1: as the model says, less: safer. Else greedy.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(help="Sample among the likeliest so many tokens.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Sample among the likeliest with this probability.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of sampling; file i is the same in any batch.")] = 0,
    max_bytes: MaxBytes = None,
    int8: Int8 = False,
    device: Device = DeviceName.CPU,
) -> None:
    """Write a file: the likeliest one, or any number by chance.

    Without -o it is shown as it is written, text as text and other bytes in hexadecimal.

    \b
    Example:
      bgpt generate runs/midi-to-abc --ext abc --temperature 0.9 --num 8 -o tunes
      bgpt generate --ext mid
    """
    from bgpt.files import (
        STDOUT,
        RawStream,
        check_writable,
        read_segment,
        stdout_bytes,
        stream_for,
        write_file,
    )
    from bgpt.generate import DEFAULT_BATCH_SIZE
    from bgpt.protocol import Prompt
    from bgpt.sampling import Sampling
    from bgpt.which_model import writes
    from bgpt.write import Writer
    from pipelines.sample import EXTENSION_PATTERN

    given = b""
    if prompt is not None:
        segment = read_segment(prompt) if ext is None else None
        given = prompt.read_bytes() if segment is None else segment.data
        ext = segment.extension if segment is not None else ext
        if not given:
            raise ValueError(f"{prompt}: an empty file; leave --prompt out to begin with nothing")
    if ext is None or not EXTENSION_PATTERN.fullmatch(ext):
        raise typer.BadParameter("say what to write: --ext mid, or --prompt FILE with a suffix")
    model = named or find_model(f"write .{ext}", writes(ext))
    sampling = None
    if (temperature, top_k, top_p) != (None, None, None):
        heat = 1.0 if temperature is None else temperature
        sampling = Sampling(temperature=heat, top_k=top_k, top_p=top_p, seed=seed)
    elif num > 1:
        raise typer.BadParameter(
            "greedy files are all the same; add --temperature 1, or leave --num"
        )
    into_folder = out is not None and out != STDOUT and (num > 1 or out.is_dir())
    if num > 1 and not into_folder:
        raise typer.BadParameter("several files need a folder: -o FOLDER")
    paths: list[Path] = []
    if out is not None and out != STDOUT:
        names = [out / f"{i:06d}.{ext}" for i in range(num)]
        paths = names if into_folder else [out]
        check_writable(paths[0])
    writer = Writer(model, int8=int8, device=device)
    asked = Prompt(source=None, extension=ext, given=given)
    writer.require_room(prompt or model, asked)
    if not paths:
        stream = RawStream(stdout_bytes()) if out == STDOUT else stream_for(ext, sys.stdout)
        stream.write(given)
        (written,) = writer.write(
            [asked],
            max_bytes=max_bytes,
            sampling=sampling,
            on_bytes=lambda _, data: stream.write(data),
        )
        stream.close()
        ends = [written.ended]
    else:
        ends: list[bool] = []
        for first in range(0, num, DEFAULT_BATCH_SIZE):
            some = paths[first : first + DEFAULT_BATCH_SIZE]
            keys = range(first, first + len(some))
            results = writer.write(
                [asked] * len(some), max_bytes=max_bytes, sampling=sampling, keys=keys
            )
            for path, one in zip(some, results, strict=True):
                write_file(path, given + one.data)
                typer.echo(f"{path}: {len(given) + len(one.data)} bytes", err=True)
                ends.append(one.ended)
    if not all(ends):
        cut = ends.count(False)
        which = "stopped" if len(ends) == 1 else f"{cut} of {len(ends)} stopped"
        typer.echo(f"{which} at the limit of bytes, before the end mark", err=True)
