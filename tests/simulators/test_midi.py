"""The MIDI reader: agrees with mido, undoes its own writer, and refuses what is malformed."""

import io
import re
from collections import defaultdict

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.music.conversion.golden import golden_tunes
from simulators.music.midi.files import (
    Event,
    MidiError,
    MidiFile,
    Note,
    decode,
    encode,
    read_notes,
    read_score,
    salvage_score,
    with_true_lengths,
)
from simulators.music.midi.note_batches import read_note_batch

HEADER = bytes.fromhex("4d546864 00000006 0000 0001 01e0")


def track(events: str) -> bytes:
    """Return a whole file with one track of events in hexadecimal."""
    body = bytes.fromhex(events)
    return HEADER + b"MTrk" + len(body).to_bytes(4, "big") + body


def notes_by_mido(data: bytes) -> list[Note]:
    """Return a file's notes as mido reads them, paired first in, first out."""
    notes: list[Note] = []
    for messages in mido.MidiFile(file=io.BytesIO(data)).tracks:
        tick = 0
        sounding: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for message in messages:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note].append((tick, message.velocity))
            elif message.type in ("note_on", "note_off"):
                start, velocity = sounding[message.channel, message.note].pop(0)
                notes.append(Note(start, tick - start, message.note, velocity, message.channel))
    return sorted(notes)


def test_notes_are_those_that_mido_reads() -> None:
    total = 0
    for tune in golden_tunes():
        score = read_score(tune.mid)
        assert score.notes == notes_by_mido(tune.mid)
        assert score.ticks_per_quarter == mido.MidiFile(file=io.BytesIO(tune.mid)).ticks_per_beat
        total += len(score.notes)
    assert total > 80


_DATA = st.integers(0, 127)
_TICKS = st.one_of(st.integers(0, 300), st.integers(0, 2**28 - 1))
_EVENTS = st.one_of(
    st.builds(
        lambda t, status, a, b: Event(t, status, bytes([a, b])),
        _TICKS, st.integers(0x80, 0xBF) | st.integers(0xE0, 0xEF), _DATA, _DATA,
    ),
    st.builds(
        lambda t, status, a: Event(t, status, bytes([a])), _TICKS, st.integers(0xC0, 0xDF), _DATA
    ),
    st.builds(
        lambda t, data: Event(t, 0xF0, bytes(data) + b"\xf7"), _TICKS, st.lists(_DATA, max_size=200)
    ),
    st.builds(
        lambda t, kind, data: Event(t, 0xFF, bytes([kind]) + data),
        _TICKS, st.sampled_from([1, 3, 5, 0x7F]), st.binary(max_size=200),
    ),
)  # fmt: skip
_END = Event(0, 0xFF, b"\x2f")
_TRACKS = st.lists(_EVENTS, max_size=12).map(lambda events: (*events, _END))


@settings(max_examples=60)
@given(st.integers(1, 0x7FFF), st.lists(_TRACKS, min_size=1, max_size=3).map(tuple))
def test_decode_is_the_inverse_of_encode(
    ticks_per_quarter: int, tracks: tuple[tuple[Event, ...], ...]
) -> None:
    file = MidiFile(1, ticks_per_quarter, tracks)
    data = encode(file)
    assert decode(data) == file
    assert [len(t) for t in mido.MidiFile(file=io.BytesIO(data)).tracks] == [len(t) for t in tracks]


def test_the_converters_files_are_encoded_to_the_same_bytes() -> None:
    golden = golden_tunes()
    assert [encode(decode(tune.mid)) for tune in golden] == [tune.mid for tune in golden]


@pytest.mark.parametrize(
    ("events", "notes"),
    [
        # note-off, and note-on of velocity 0 under running status
        ("00 90 3c 40  60 80 3c 00  00 ff2f00", [Note(0, 96, 60, 64, 0)]),
        ("05 93 3c 40  60 3c 00  00 ff2f00", [Note(5, 96, 60, 64, 3)]),
        # the same pitch twice: the older one ends first
        ("00 90 3c 40  0a 3c 41  0a 3c 00  0a 3c 00  00 ff2f00",
         [Note(0, 20, 60, 64, 0), Note(10, 20, 60, 65, 0)]),
        # a delta time of two bytes
        ("00 90 3c 40  81 00 80 3c 00  00 ff2f00", [Note(0, 128, 60, 64, 0)]),
        # a note-off with nothing to end
        ("00 80 3c 00  00 ff2f00", []),
    ],
)  # fmt: skip
def test_notes_are_paired(events: str, notes: list[Note]) -> None:
    assert read_notes(track(events)) == notes


@pytest.mark.parametrize(
    ("data", "offset", "message"),
    [
        (b"", 0, "expected 'MThd', found b''"),
        (HEADER[:9], 9, "header is cut short"),
        (b"MThd\0\0\0\7" + HEADER[8:] + b"\0", 4, "header length 7, expected 6"),
        (b"MThd\0\0\0\6\0\3\0\1\1\xe0", 8, "format 3"),
        (b"MThd\0\0\0\6\0\0\0\2\1\xe0", 10, "2 tracks in a file of format 0"),
        (b"MThd\0\0\0\6\0\1\0\0\1\xe0", 10, "0 tracks"),
        (b"MThd\0\0\0\6\0\0\0\1\xe7\x28", 12, "division 0xe728"),
        (HEADER, 14, "expected 'MTrk' of track 0, found b''"),
        (HEADER + b"MTrk\0\0", 18, "declares 0 bytes, 0 left"),
        (HEADER + b"MTrk\0\0\0\x09\0\xff\x2f\0", 18, "track 0 declares 9 bytes, 4 left"),
        (track("00 ff2f00") + b"xy", 26, "2 bytes after the last track"),
        (track("00 ff2f00 00"), 26, "1 bytes after the end of the track"),
        (track("00 90 3c 40"), 26, "no end-of-track event"),
        (track(""), 22, "no end-of-track event"),
        (track("00 90 3c"), 25, "ends inside an event"),
        (track("00"), 23, "ends inside an event"),
        (track("00 ff 51 03 00"), 27, "ends inside an event"),
        (track("81"), 23, "ends inside an event"),
        (track("00 3c 40"), 23, "data byte 0x3c where a status is due"),
        # a meta ends running status
        (track("00 90 3c 40 00 ff0100 00 3c 00 00 ff2f00"), 31, "data byte 0x3c"),
        (track("00 90 3c 80 00 ff2f00"), 24, "data 3c 80 of status 0x90 is over 0x7f"),
        (track("00 f8 00 ff2f00"), 23, "status 0xf8 has no place"),
        (track("00 ff 81 00 00 ff2f00"), 24, "meta type 0x81 is over"),
        (track("00 ff 51 02 00 00 00 ff2f00"), 24, "tempo of 2 bytes, expected 3"),
        (track("00 ff 59 02 08 00 00 ff2f00"), 24, "key signature of 8 sharps in mode 0, expected"),
        (track("00 ff 59 02 f8 00 00 ff2f00"), 24, "key signature of -8 sharps in mode 0"),
        (track("00 ff 59 02 f9 02 00 ff2f00"), 24, "key signature of -7 sharps in mode 2"),
        (track("00 ff 54 05 80 00 00 00 00 00 ff2f00"), 24, "SMPTE offset of hours 0x80"),
        (track("00 f0 03 7e ff f7 00 ff2f00"), 25, "a system exclusive message of data over 0x7f"),
        (track("00 f0 02 f7 f7 00 ff2f00"), 25, "a system exclusive message of data over 0x7f"),
        (track("ff ff ff ff 00 90 3c 40 00 ff2f00"), 22, "variable-length number of more than 4"),
        (track("00 91 3c 40 00 ff2f00"), 30, "track 0 ends while pitch 60 of channel 1 sounds"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(
    data: bytes, offset: int, message: str
) -> None:
    with pytest.raises(MidiError, match=re.escape(message)) as refused:
        read_notes(data)
    assert refused.value.offset == offset
    assert str(refused.value).startswith(f"at byte {offset}: ")
    assert read_note_batch([data]).fault_offsets.tolist() == [offset]


@given(st.data())
def test_any_bytes_give_notes_or_the_one_error(data: st.DataObject) -> None:
    """Also real files with bytes changed, which mido answers with five kinds of exception."""
    tunes = golden_tunes()
    mid = bytearray(data.draw(st.sampled_from(tunes)).mid)
    for _ in range(data.draw(st.integers(1, 4))):
        mid[data.draw(st.integers(0, len(mid) - 1))] = data.draw(st.integers(0, 255))
    mid = mid[: data.draw(st.integers(0, len(mid))) or None]
    try:
        notes, offset = read_notes(bytes(mid)), 0
    except MidiError as error:
        notes, offset = [], error.offset
    assert 0 <= offset <= len(mid)
    assert all(0 <= note.pitch < 128 and 1 <= note.velocity < 128 for note in notes)


def test_a_number_that_does_not_fit_is_no_delta_time() -> None:
    with pytest.raises(ValueError, match="268435456 does not fit"):
        encode(MidiFile(0, 480, ((Event(2**28, 0xFF, b"\x2f"),),)))


def test_a_broken_file_gives_the_notes_before_the_break() -> None:
    body = bytes.fromhex("00 90 3c 40  60 80 3c 00  00 90 3e 40  60 80 3e 00  00 ff 2f 00")
    header = b"MThd" + bytes.fromhex("00000006 0000 0001 0060") + b"MTrk"
    whole = header + len(body).to_bytes(4, "big") + body
    first, second = Note(0, 96, 60, 64, 0), Note(96, 96, 62, 64, 0)
    # file -> notes that can still be heard
    cases = [
        (whole, [first, second]),
        (header + b"\x00\x00\x00\x01" + body, [first, second]),  # a wrong length
        (whole[:-4], [first, second]),  # no end-of-track event
        (whole[:-5], [first]),  # the second note never ends
        (whole[:26] + b"\xf4" + whole[27:], []),  # no status has this number
        (whole + b"rubbish", [first, second]),
        (header, []),
    ]
    for data, expected in cases:
        score = salvage_score(data)
        assert score is not None
        assert score.notes == expected
    assert salvage_score(whole[:13]) is None
    assert salvage_score(b"MThx" + whole[4:]) is None
    assert salvage_score(whole) == read_score(whole)


@given(st.binary(max_size=60))
def test_salvaging_never_fails(tail: bytes) -> None:
    salvage_score(b"MThd" + bytes.fromhex("00000006 0000 0001 0060") + b"MTrk" + tail)


def two_tracks(first_length: int, second_length: int) -> bytes:
    header = bytes.fromhex("4d546864 00000006 0001 0002 0060")
    notes = bytes.fromhex("00903c40 60803c00 00ff2f00")
    lengths = [length.to_bytes(4, "big") for length in (first_length, second_length)]
    return header + b"".join(b"MTrk" + length + notes for length in lengths)


def test_tracks_come_to_declare_their_true_lengths() -> None:
    assert with_true_lengths(two_tracks(0, 70000)) == two_tracks(12, 12)
    assert with_true_lengths(two_tracks(12, 12)) == two_tracks(12, 12)
    read_score(with_true_lengths(two_tracks(11, 13)))


@pytest.mark.parametrize("cut", [0, 3, 13, 14, 18, 22, 30, 33])
def test_a_file_without_a_whole_track_keeps_its_lengths(cut: int) -> None:
    data = two_tracks(5, 5)[:cut]
    assert with_true_lengths(data) == data


def test_only_whole_tracks_before_a_fault_are_mended() -> None:
    mended = with_true_lengths(two_tracks(5, 5)[:-1])
    assert mended == two_tracks(12, 5)[:-1]
