"""What every byte of a MIDI file says: a length, a time, a status, a pitch, a velocity.

For telling apart where a reader or a writer goes wrong. Only well-formed files are read; what the
notes sound like, `files` knows.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from simulators.music.midi.files import MidiFile, decode

NOTE_LENGTH: Final = "time to a note's end"
PITCH: Final = "pitch"
_HEADER_BYTES: Final = 14
_CHUNK_NAME_BYTES: Final = 4
_METAS: Final = {
    0x2F: "end of track",
    0x51: "tempo",
    0x54: "SMPTE offset",
    0x58: "time signature",
    0x59: "key signature",
}
_MESSAGES: Final = {
    0x8: ("pitch of a note's end", "velocity of a note's end"),
    0x9: (PITCH, "velocity"),
    0xA: ("pressure", "pressure"),
    0xB: ("controller", "controller value"),
    0xC: ("program",),
    0xD: ("pressure",),
    0xE: ("bend", "bend"),
}


class ByteField(NamedTuple):
    """One run of bytes that say one thing; it ends where the next begins."""

    start: int
    kind: str
    track: int
    """From 0; -1 in the file's header."""
    channel: int | None
    """0..15 of a channel message, its time included."""
    tick: int
    """When its event happens; 0 outside of events."""


def byte_fields(data: bytes) -> list[ByteField]:
    """Return the fields of a file in order, without gaps.

    Raises:
        MidiError: the bytes are not one whole, well-formed file.
    """
    file = decode(data)
    fields = [ByteField(0, "file header", -1, None, 0)]
    at = _HEADER_BYTES
    for number in range(len(file.tracks)):
        size = at + _CHUNK_NAME_BYTES
        fields.append(ByteField(at, "track header", number, None, 0))
        fields.append(ByteField(size, "track length", number, None, 0))
        at = size + 4
        fields += _track_fields(data, at, number, file)
        at += int.from_bytes(data[size : size + 4], "big")
    return fields


def _track_fields(data: bytes, at: int, track: int, file: MidiFile) -> Iterator[ByteField]:
    """Yield the fields of one track's events, which are known to be well formed."""
    tick = 0
    for event in file.tracks[track]:
        tick += event.delta_ticks
        is_note = event.status >> 4 == 0x9 and event.data[1] > 0
        ends_note = event.status >> 4 == 0x8 or (event.status >> 4 == 0x9 and not is_note)
        channel = event.status & 15 if event.status < 0xF0 else None
        yield ByteField(at, NOTE_LENGTH if ends_note else "time", track, channel, tick)
        at = _after_number(data, at)
        if data[at] >= 0x80:
            yield ByteField(at, "status", track, channel, tick)
            at += 1
        if channel is not None:
            for kind in _MESSAGES[0x8 if ends_note else event.status >> 4]:
                yield ByteField(at, kind, track, channel, tick)
                at += 1
            continue
        name = "system exclusive"
        content = event.data
        if event.status == 0xFF:
            name = _METAS.get(event.data[0], "text" if event.data[0] < 0x10 else "other meta")
            yield ByteField(at, "meta type", track, None, tick)
            at += 1
            content = event.data[1:]
        yield ByteField(at, "meta length", track, None, tick)
        at = _after_number(data, at)
        if content:
            yield ByteField(at, name, track, None, tick)
            at += len(content)


def _after_number(data: bytes, at: int) -> int:
    """Return the offset after a variable-length number."""
    while data[at] >= 0x80:
        at += 1
    return at + 1
