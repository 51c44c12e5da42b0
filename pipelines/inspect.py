"""Show one sample as a person wants to see it: a program with its trace, a tune with its roll.

It finds the sample and picks the renderer of its system; what a trace or a tune looks like, the
simulators know.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pipelines.config import parse
from pipelines.corpus import Corpus, CorpusError
from pipelines.plan import SIDES, Side
from pipelines.sources.cpu_options import CpuOptions
from pipelines.sources.cpu_samples import RETURNED
from simulators.cpu.tracing.render import render_trace
from simulators.cpu.tracing.trace_text import Mark, star
from simulators.music.looking.piano_roll import read_roll
from simulators.music.looking.render import TuneView, render_tune, upbeat_of
from simulators.music.looking.roll_picture import check_suffix, draw_roll, write_picture
from simulators.protocol import EndReason
from simulators.suggest import unknown_name

_SHOWN: Final = MappingProxyType({"instructions": "executed"})
"""Columns of the index under another name: a program shown has a number of instructions, too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A sample with its place and its row of the index."""

    corpus: Corpus
    side: Side
    number: int
    """Its number on its side, from 0."""
    row: Mapping[str, Any]
    segments: tuple[bytes, ...]


def find_sample(folder: Path, key: str | None, side: Side, number: int) -> Found:
    """Find a sample by its key, or without one by side and number.

    Raises:
        CorpusError: no such sample; says what there is.
    """
    corpus = Corpus.open(folder)
    if key is not None:
        side, number = _place_of_key(corpus, key)
    reader = corpus.side(side)
    if not 0 <= number < len(reader):
        raise CorpusError(
            f"{folder}: no {side} sample {number}; there are {len(reader)}, counted from 0"
        )
    names = ("key", "group", "size", *corpus.manifest.columns)
    row = {name: reader.column(name)[number] for name in names}
    return Found(corpus=corpus, side=side, number=number, row=row, segments=reader.read(number))


def render_sample(found: Found, mark: Mark = star, view: TuneView | None = None) -> str:
    """Return a sample as text of several lines.

    `mark` marks what changed in a trace; `view` says what of a tune is shown.
    """
    settings = found.corpus.manifest.settings
    heading = [f"{found.row['key']}  ({found.side} sample {found.number} of {found.corpus.name})"]
    heading += [
        f"{_SHOWN.get(name, name)}: {value}" for name, value in found.row.items() if name != "key"
    ]
    source = settings.get("source")
    if source == "cpu":
        options = parse(CpuOptions, settings["options"], "settings.options")
        system = options.make_system()
        data = found.segments[0]
        named = found.row.get("end")
        returned = named == RETURNED
        end = EndReason.MEMORY_FAULT if returned else None
        if isinstance(named, str) and not returned:
            end = EndReason[named.upper()]
        memory, states = data[: system.memory_bytes], data[system.memory_bytes :]
        body = render_trace(system, memory, states, end, returned=returned, mark=mark)
    elif source == "music":
        abc, mid = found.segments
        body = render_tune(abc, mid, view)
    else:
        body = "\n".join(
            f".{extension} {data.hex(' ')}"
            for extension, data in zip(found.corpus.extensions, found.segments, strict=True)
        )
    return "\n".join([*heading, "", body])


def write_tune_picture(found: Found, path: Path, against: bytes | None = None) -> None:
    """Write a tune's piano roll as a picture, SVG or PNG by the file's suffix.

    Raises:
        CorpusError: the corpus holds no tunes.
        PictureError: the suffix names no form of picture.
        OSError: the file cannot be written.
    """
    check_suffix(path)
    check_tunes(found, "--picture")
    abc, mid = found.segments
    upbeat = upbeat_of(abc)
    other = None if against is None else read_roll(against, upbeat)
    write_picture(path, draw_roll(str(found.row["key"]), read_roll(mid, upbeat), other))


def check_tunes(found: Found, option: str) -> None:
    """Refuse an option that only tunes have.

    Raises:
        CorpusError: the corpus holds no tunes.
    """
    source = found.corpus.manifest.settings.get("source")
    if source != "music":
        raise CorpusError(
            f"{found.corpus.path}: {option} shows tunes, and this corpus is of source '{source}'"
        )


def sample_json(found: Found) -> dict[str, Any]:
    """Return a sample for a program to read: its row, and its segments in hexadecimal."""
    return {
        "corpus": found.corpus.name,
        "side": found.side,
        "number": found.number,
        **found.row,
        "segments": [
            {"extension": extension, "hex": data.hex()}
            for extension, data in zip(found.corpus.extensions, found.segments, strict=True)
        ],
    }


def _place_of_key(corpus: Corpus, key: str) -> tuple[Side, int]:
    """Return side and number of a key: keys are numbered, so no search is needed."""
    for side in SIDES:
        reader = corpus.side(side)
        digits = key.removeprefix(f"{corpus.name}-{side}-")
        number = int(digits) if re.fullmatch("[0-9]{8,12}", digits) else len(reader)
        if number < len(reader) and reader.key(number) == key:
            return side, number
    first = [corpus.side(side, 1).key(0) for side in SIDES if corpus.manifest.num_samples(side)]
    raise CorpusError(f"{corpus.path}: {unknown_name('key', key, first)}")
