"""`bgpt-data inspect`: show one sample of a corpus.

The command line only: `pipelines.inspect` finds the sample and has it rendered.
"""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from pipelines.corpus import CorpusError
from pipelines.inspect import (
    Found,
    check_tunes,
    find_sample,
    render_sample,
    sample_json,
    write_tune_picture,
)
from pipelines.plan import SIDES, Side
from pipelines.terminal import can_write, terminal_mark, terminal_width
from simulators.cpu.tracing.trace_text import star
from simulators.music.looking.render import TuneView
from simulators.music.looking.roll_text import ASCII, UNICODE
from simulators.music.midi.files import salvage_score
from simulators.music.midi.note_batches import fault_text
from simulators.suggest import unknown_name


def inspect_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A corpus' folder.")],
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="A sample's key.")] = None,
    index: Annotated[int, typer.Option("--index", "-i", help="Its number, without a key.")] = 0,
    side: Annotated[str, typer.Option(help="train or test, without a key.")] = "train",
    notes: Annotated[
        bool, typer.Option("--notes", help="A line for each note of a tune, too.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A MIDI file to lay over the tune's own, say one that a model wrote.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a tune's piano roll, as .svg or .png."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for a program to read.")
    ] = False,
) -> None:
    """Show one sample: a program with its trace, or a tune with its piano roll.

    Example: bgpt-data inspect data/cpu-toy --side test --index 3

    A tune as a picture: bgpt-data inspect data/abc-midi --index 7 --picture tune.svg
    """
    found = find_sample(folder, key, _side(side), index)
    for option, given in (("--notes", notes), ("--against", against)):
        if given:
            check_tunes(found, option)
    other = None if against is None else _read_midi(against)
    if picture is not None:
        _write_picture(found, picture, other)
    if as_json:
        typer.echo(json.dumps(sample_json(found), indent=1))
        return
    glyphs = UNICODE if can_write("".join(dataclasses.astuple(UNICODE))) else ASCII
    view = TuneView(notes=notes, against=other, width=terminal_width(), glyphs=glyphs)
    mark = terminal_mark()
    typer.echo(render_sample(found, mark or star, view), color=mark is not None)
    if picture is not None:
        typer.echo(f"written: {picture}", err=True)


def _read_midi(path: Path) -> bytes:
    """Read a user's MIDI file; a broken one will do, where it begins as one."""
    try:
        size = path.stat().st_size
        if size > _MAX_MIDI_BYTES:
            raise CorpusError(
                f"--against {path}: {size} bytes; a MIDI file of a tune has at most 1 MiB"
            )
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(
            f"--against {path}: cannot be read: {error.strerror}; give a MIDI file"
        ) from error
    if salvage_score(data) is None:
        raise CorpusError(
            f"--against {path}: no MIDI file: {fault_text(data)}; give a MIDI file, whole or cut"
        )
    return data


_MAX_MIDI_BYTES = 1 << 20


def _write_picture(found: Found, path: Path, other: bytes | None) -> None:
    """Write the picture that was asked for."""
    try:
        write_tune_picture(found, path, other)
    except OSError as error:
        raise CorpusError(
            f"--picture {path}: cannot be written: {error.strerror}; give a file in a folder that "
            "there is"
        ) from error


def _side(name: str) -> Side:
    """Return a side by name."""
    for side in SIDES:
        if side == name:
            return side
    raise CorpusError(unknown_name("side", name, SIDES))
