"""A tune's file cut into parts: by kind of byte, bar, voice, distance and place.

MIDI is cut by what its bytes say (`simulators.music.midi.byte_fields`), ABC by its tokens. A file
that is not of its form (a user's own corpus may have such) is cut as any other.
"""

import functools
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np

from benchmarks.explaining.dimension import (
    BYTE_KIND,
    POSITION,
    Dimension,
    Parts,
    generic_parts,
    position_parts,
    range_name,
)
from simulators.music.abc.bars import read_bars
from simulators.music.abc.tokens import TokenKind, note_text
from simulators.music.looking.piano_roll import pitch_name, read_roll
from simulators.music.looking.render import upbeat_of
from simulators.music.midi.byte_fields import PITCH, byte_fields
from simulators.music.midi.files import MidiError

DIMENSIONS: Final = (
    Dimension(name="kind", part="What the bytes say", unit="fields"),
    Dimension(name="bar", part="Bar", unit="fields", ranked=False),
    Dimension(name="voice", part="Voice", unit="fields"),
    Dimension(name="value", part="Pitch", unit="pitches", ranked=False),
    Dimension(name="distance", part="Notes since the same pitch", unit="pitches", ranked=False),
    POSITION,
)
_SINGLE_BARS: Final = 8
"""Further bars stand together."""
_HEAD: Final = "(head)"
_HEAD_LINES: Final = 4


class Field(NamedTuple):
    """A run of bytes that say one thing."""

    start: int
    kind: str
    bar: str
    voice: str
    pitch: str | None
    """Of a note's pitch, to tell equal ones."""
    octave: str | None


@functools.lru_cache(maxsize=1024)
def tune_parts(target: bytes, extension: str, source: bytes) -> Mapping[str, Parts]:
    """Cut a tune's file; `source` is the same tune in the other form.

    Kept, because every entrant is asked for the same tunes.
    """
    fields = fields_of(target, extension, source)
    if not fields:
        generic = generic_parts(target)
        return {"kind": generic[BYTE_KIND.name], POSITION.name: generic[POSITION.name]}
    starts = np.array([field.start for field in fields], np.int64)
    columns: dict[str, list[str | None]] = {
        "kind": [field.kind for field in fields],
        "bar": [field.bar for field in fields],
        "voice": [field.voice for field in fields],
        "value": [field.octave for field in fields],
        "distance": _distances(fields),
    }
    return {
        **{name: Parts(starts=starts, names=names) for name, names in columns.items()},
        POSITION.name: position_parts(len(target)),
    }


def fields_of(target: bytes, extension: str, source: bytes) -> list[Field]:
    """Return a file's fields in order; none where it is not of its form."""
    try:
        if extension == "mid":
            return list(_midi_fields(target, upbeat_of(source)))
        return list(_abc_fields(target.decode("ascii")))
    except (MidiError, ValueError):
        return []


def _midi_fields(data: bytes, upbeat: float) -> Iterator[Field]:
    found = byte_fields(data)
    roll = read_roll(data, upbeat)
    quarter = int.from_bytes(data[12:14], "big")
    for field in found:
        bar, voice = _HEAD, _HEAD
        if field.channel is not None:
            number = bisect_right(roll.bars, field.tick / quarter + 1 / 64) - 1
            bar = bar_name(number + roll.first_bar)
            voice = f"track {field.track + 1}, channel {field.channel + 1}"
        pitch = data[field.start] if field.kind == PITCH else None
        yield Field(
            field.start,
            field.kind,
            bar,
            voice,
            None if pitch is None else f"{field.channel} {pitch}",
            None if pitch is None else _octave_of(pitch),
        )


def _octave_of(pitch: int) -> str:
    first = pitch // 12 * 12
    return f"{pitch_name(first)}-{pitch_name(first + 11)}"


def bar_name(number: int) -> str:
    """Return a bar's number, of later ones the range.

    >>> [bar_name(number) for number in (0, 8, 9, 17)]
    ['0', '8', '9-16', '17-32']
    """
    return str(number) if number <= _SINGLE_BARS else range_name(number)


def _abc_fields(text: str) -> Iterator[Field]:
    """Yield the fields of a tune in normal form.

    Raises:
        ValueError: it is not in normal form.
    """
    tune = read_bars(text)
    lines = text.split("\n")
    at = 0
    for line in lines[:_HEAD_LINES]:
        yield Field(at, f"{line[:2]} of the head", _HEAD, _HEAD, None, None)
        at += len(line) + 1
    line_number = _HEAD_LINES
    in_chord = False
    first_bar = 0 if upbeat_of(text.encode()) else 1
    bar = bar_name(first_bar)
    for token in tune.tokens:
        while line_number < token.line:
            yield Field(at, "line break", bar, "melody", None, None)
            line_number, at = line_number + 1, at + 1
        bar = bar_name(token.bar + first_bar)
        if token.kind is TokenKind.CHORD:
            in_chord = token.text == "["
        voice = _voice(token.kind, in_chord)
        yield from _token_fields(at, token.kind, token.text, bar, voice)
        at += len(token.text)
    while at < len(text):
        if text[at] != "\n":
            raise ValueError(f"not a tune in normal form: {text[at]!r} at {at}")
        yield Field(at, "line break", bar, "melody", None, None)
        at += 1


def _voice(kind: TokenKind, in_chord: bool) -> str:
    if kind is TokenKind.CHORD_SYMBOL:
        return "chord symbols"
    if kind is TokenKind.GRACE:
        return "grace notes"
    return "chords of notes" if in_chord or kind is TokenKind.CHORD else "melody"


def _token_fields(at: int, kind: TokenKind, text: str, bar: str, voice: str) -> Iterator[Field]:
    """Yield one token, of a note its pitch and its length apart."""
    if kind is not TokenKind.NOTE:
        yield Field(at, kind.value.replace("_", " "), bar, voice, None, None)
        return
    note = note_text(text)
    if note.accidental:
        yield Field(at, "accidental", bar, voice, None, None)
        at += len(note.accidental)
    name = note.letter + note.octave
    octave = {"'": "C6 and above", ",": "B3 and below"}.get(note.octave[:1])
    octave = octave or ("C5-B5" if note.letter.islower() else "C4-B4")
    yield Field(at, "pitch", bar, voice, note.accidental + name, octave)
    if note.length:
        yield Field(at + len(name), "length", bar, voice, None, None)


def _distances(fields: list[Field]) -> list[str | None]:
    """Return for every pitch how many notes ago the same one was, and nothing for other fields."""
    last: dict[str, int] = {}
    found: list[str | None] = []
    count = 0
    for field in fields:
        if field.pitch is None:
            found.append(None)
            continue
        count += 1
        then = last.get(field.pitch)
        found.append("first time" if then is None else range_name(count - then))
        last[field.pitch] = count
    return found
