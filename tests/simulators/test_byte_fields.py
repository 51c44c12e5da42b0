"""What every byte of a MIDI file says, on an annotated file and against mido."""

import io

import mido
import pytest

from simulators.music.conversion.converter import convert
from simulators.music.looking.display_tunes import display_tunes
from simulators.music.midi.byte_fields import PITCH, byte_fields
from simulators.music.midi.files import MidiError

# Bytes in hexadecimal, and what they say.
ANNOTATED = [
    ("4d546864 00000006 0000 0001 01e0", "file header"),
    ("4d54726b", "track header"),
    ("0000001d", "track length"),
    ("00", "time"),
    ("ff", "status"),
    ("58", "meta type"),
    ("04", "meta length"),
    ("04021808", "time signature"),
    ("00", "time"),
    ("90", "status"),
    ("3c", "pitch"),
    ("50", "velocity"),
    ("8360", "time to a note's end"),  # 480 ticks
    ("3c", "pitch of a note's end"),  # running status: note-on of velocity 0
    ("00", "velocity of a note's end"),
    ("00", "time"),
    ("c0", "status"),
    ("05", "program"),
    ("00", "time"),
    ("ff", "status"),
    ("2f", "meta type"),
    ("00", "meta length"),
]


def annotated() -> bytes:
    data = b"".join(bytes.fromhex(part) for part, _ in ANNOTATED)
    size = len(data) - 22
    return data[:18] + size.to_bytes(4, "big") + data[22:]


def test_every_byte_of_an_annotated_file_is_named() -> None:
    fields = byte_fields(annotated())
    assert [field.kind for field in fields] == [kind for _, kind in ANNOTATED]
    sizes = [len(bytes.fromhex(part)) for part, _ in ANNOTATED]
    assert [field.start for field in fields] == [sum(sizes[:i]) for i in range(len(sizes))]
    ends = [field for field in fields if field.kind.endswith("note's end")]
    assert {(field.track, field.channel, field.tick) for field in ends} == {(0, 0, 480)}


def test_pitches_are_those_of_mido_in_files_of_several_tracks() -> None:
    files = convert([tune.abc for tune in display_tunes()])
    most_tracks = 0
    for data in files:
        assert isinstance(data, bytes)
        tracks = mido.MidiFile(file=io.BytesIO(data)).tracks
        most_tracks = max(most_tracks, len(tracks))
        expected: list[tuple[int, int, int, int]] = []
        for number, track in enumerate(tracks):
            tick = 0
            for message in track:
                tick += message.time
                if message.type == "note_on" and message.velocity:
                    expected.append((number, message.channel, tick, message.note))
        found = [
            (field.track, field.channel, field.tick, data[field.start])
            for field in byte_fields(data)
            if field.kind == PITCH
        ]
        assert found == expected
        starts = [field.start for field in byte_fields(data)]
        assert starts == sorted(set(starts))
        assert starts[0] == 0
        assert starts[-1] < len(data)
    assert most_tracks > 1


def test_a_broken_file_is_refused() -> None:
    with pytest.raises(MidiError, match="track 0 declares"):
        byte_fields(annotated()[:-1])
