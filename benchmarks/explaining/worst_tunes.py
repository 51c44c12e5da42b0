"""A badly converted tune for a terminal: its bytes around the first wrong one, and a piano roll.

Only for whoever has the corpus: test tunes are never stored, and never on the page. Of what was
written the roll shows truth and writing over each other; of what was predicted byte by byte it
shows which notes have a wrong byte, for such bytes together are no file.
"""

import dataclasses
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import midi_of_abc, preset_of
from benchmarks.explaining.explanation import WorstSample
from benchmarks.explaining.tally import forced_right
from benchmarks.explaining.text import Mark, signs
from benchmarks.metrics import Answer
from benchmarks.task import Item
from simulators.music.looking.piano_roll import Roll, first_difference, read_roll
from simulators.music.looking.render import upbeat_of
from simulators.music.looking.roll_text import UNICODE, Glyphs, roll_text
from simulators.music.midi.byte_fields import NOTE_LENGTH, PITCH, ByteField, byte_fields
from simulators.music.midi.files import MidiError

_AROUND: Final = 10
"""Bytes of a MIDI file that are shown before and after a wrong one."""
_BARS: Final = 8
"""Bars that are shown, from the one before the first different note on."""
_NO_BYTE: Final = "--"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TuneLook:
    """How a tune is shown."""

    width: int = 100
    glyphs: Glyphs = UNICODE
    mark: Mark = signs
    settings: Mapping[str, object] = dataclasses.field(default_factory=lambda: dict[str, object]())
    """The corpus', which name its converter preset."""


def tune_text(item: Item, answer: Answer, sample: WorstSample, look: TuneLook) -> str:
    """Return the bytes around the first wrong one, and the roll with its bar marked."""
    prompt, target = item.continuation.prompt, item.continuation.target
    assert prompt.source is not None, "a conversion has a source"
    is_midi = prompt.extension == "mid"
    abc, mid = (prompt.source.data, target) if is_midi else (target, prompt.source.data)
    forced = sample.mode == "teacher_forced"
    tokens = (
        np.array(answer.teacher_forced_predicted).tolist()
        if forced
        else list(answer.free_running or b"")
    )
    lines = (
        _hex_lines(target, tokens, sample.first_wrong, look.mark)
        if is_midi
        else _abc_lines(target, tokens, sample.first_wrong, look.mark)
        if forced
        else _parted_lines(target, bytes(tokens), sample.first_wrong, look.mark)
    )
    roll = read_roll(mid, upbeat_of(abc))
    names: tuple[str, str | None] = ("the truth", "what was written")
    other: Roll | None = None
    if not forced:
        written = answer.free_running or b""
        heard: bytes | None = written
        if not is_midi:
            heard, fault = midi_of_abc(written, preset_of(look.settings))
            lines += [f"nothing to hear: {fault}"] if heard is None else []
        other = None if heard is None else read_roll(heard, upbeat_of(abc))
    elif is_midi:
        right = forced_right(answer, target)
        other = None if right is None else _rightly_predicted(roll, target, right)
        names = ("the truth: a byte of the note is predicted wrong", None)
    if is_midi or not forced:
        roll, other = around_difference(roll, other)
        lines.append(roll_text(roll, other, width=look.width, glyphs=look.glyphs, names=names))
    return "\n".join(f"  {line}".rstrip() for block in lines for line in block.split("\n"))


def around_difference(roll: Roll, other: Roll | None) -> tuple[Roll, Roll | None]:
    """Cut two rolls to the bars around their first different note, by the bars of the first."""
    time = None if other is None else first_difference(roll, other)
    at = max(bisect_right(roll.bars, (time or 0.0) + 1 / 64) - 2, 0)
    end = min(at + _BARS, len(roll.bars))
    start = roll.bars[at]
    stop = roll.bars[end] if end < len(roll.bars) else max(roll.quarters, start)
    bars = tuple(bar - start for bar in roll.bars[at:end])

    def cut(one: Roll) -> Roll:
        notes = tuple(
            note._replace(
                start=max(note.start, start) - start,
                length=min(note.start + note.length, stop) - max(note.start, start),
            )
            for note in one.notes
            if note.start < stop and note.start + note.length > start
        )
        return dataclasses.replace(one, notes=notes, bars=bars, first_bar=roll.first_bar + at)

    return cut(roll), None if other is None else cut(other)


def _hex_lines(target: bytes, tokens: Sequence[int], first: int, mark: Mark) -> list[str]:
    """Return true and answered bytes around the first wrong one."""
    start = max(first - _AROUND, 0)
    end = first + _AROUND + 1
    return [
        f"{name:9} {' '.join(_hex(data, at, first, mark) for at in range(start, end))}"
        for name, data in (("true", target), ("answered", tokens))
    ]


def _hex(data: Sequence[int], at: int, first: int, mark: Mark) -> str:
    text = f"{data[at]:02x}" if at < len(data) and data[at] < 256 else _NO_BYTE
    return mark(text) if at == first else text


def _abc_lines(target: bytes, tokens: Sequence[int], first: int, mark: Mark) -> list[str]:
    """Return the true tune, under each line with a wrong character what was answered there."""
    lines: list[str] = []
    at = 0
    for line in target.rstrip(b"\n").split(b"\n"):
        lines.append(line.decode("ascii", "backslashreplace"))
        given = [tokens[i] if i < len(tokens) else None for i in range(at, at + len(line))]
        if any(token != byte for token, byte in zip(given, line, strict=True)):
            shown = [
                " " if token == byte else _character(token)
                for token, byte in zip(given, line, strict=True)
            ]
            if at <= first < at + len(line):
                shown[first - at] = mark(shown[first - at])
            lines.append("".join(shown))
        at += len(line) + 1
    return lines


def _parted_lines(target: bytes, written: bytes, first: int, mark: Mark) -> list[str]:
    """Return the line in which a written tune parts from the true one, of both."""
    start = target.rfind(b"\n", 0, first) + 1
    lines: list[str] = []
    for name, data in (("true", target), ("answered", written)):
        end = data.find(b"\n", first)
        line = data[start : len(data) if end < 0 else end]
        shown = [_character(byte) for byte in line]
        if first - start < len(shown):
            shown[first - start] = mark(shown[first - start])
        else:
            shown.append(mark("(end)"))
        lines.append(f"{name:9} {''.join(shown)}")
    return lines


def _character(token: int | None) -> str:
    """Return an answered character in one column: `_` for a space, `$` for what does not print."""
    if token == 0x20:
        return "_"
    return chr(token) if token is not None and 0x20 < token < 0x7F else "$"


def _rightly_predicted(roll: Roll, data: bytes, right: NDArray[np.bool_]) -> Roll:
    """Return the notes of a roll of which neither beginning nor end has a wrong byte."""
    try:
        fields = byte_fields(data)
    except MidiError:
        return roll
    quarter = int.from_bytes(data[12:14], "big")
    begins, ends = _wrong_notes(fields, data, right)
    kept = [
        note
        for note in roll.notes
        if (round(note.start * quarter), note.pitch) not in begins
        and (round((note.start + note.length) * quarter), note.pitch) not in ends
    ]
    return dataclasses.replace(roll, notes=tuple(kept))


def _wrong_notes(
    fields: Sequence[ByteField], data: bytes, right: NDArray[np.bool_]
) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Return (tick, pitch) of the notes whose beginning, and whose end, has a wrong byte."""
    begins: set[tuple[int, int]] = set()
    ends: set[tuple[int, int]] = set()
    event = 0
    for number, field in enumerate(fields):
        if field.kind in (NOTE_LENGTH, "time"):
            event = field.start
        if field.kind in (PITCH, "pitch of a note's end"):
            end = fields[number + 1].start + 1
            if not right[event:end].all():
                (begins if field.kind == PITCH else ends).add((field.tick, data[field.start]))
    return begins, ends
