"""The compiled MIDI reader: the plain reader's verdict, place and notes, on whatever bytes."""

import random
import time
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources.tunes import music21_tunes
from simulators.music.abc.canonical import TuneRejected, canonicalise
from simulators.music.conversion.converter import convert
from simulators.music.conversion.golden import golden_tunes
from simulators.music.midi.files import (
    Event,
    MidiError,
    MidiFile,
    Note,
    encode,
    read_score,
    salvage_score,
)
from simulators.music.midi.note_batches import NoteBatch, melody_batch, read_note_batch

_END = Event(0, 0xFF, b"\x2f")


def batch_notes(batch: NoteBatch, number: int) -> list[Note]:
    """Return the notes of one file of a batch."""
    at = slice(batch.offsets[number], batch.offsets[number + 1])
    columns = (
        batch.start_ticks, batch.duration_ticks, batch.pitches, batch.velocities, batch.channels
    )  # fmt: skip
    return [Note(*row) for row in zip(*(column[at].tolist() for column in columns), strict=True)]


def verdict(data: bytes) -> tuple[int, list[Note]]:
    """Return the plain reader's fault and notes."""
    try:
        return -1, read_score(data).notes
    except MidiError as error:
        return error.offset, []


def assert_read_alike(files: Sequence[bytes]) -> tuple[int, int, int]:
    """Hold both modes to the plain reader.

    Returns:
        How many files were well formed, how many faulty, and notes salvaged of the faulty ones.
    """
    strict = read_note_batch(files)
    salvaged = read_note_batch(files, salvage=True)
    assert len(strict.fault_offsets) == len(strict.ticks_per_quarter) == len(files)
    assert strict.offsets[-1] == len(strict.start_ticks)
    np.testing.assert_array_equal(strict.fault_offsets, salvaged.fault_offsets)
    np.testing.assert_array_equal(strict.ticks_per_quarter, salvaged.ticks_per_quarter)
    well_formed = saved = 0
    for number, data in enumerate(files):
        fault = int(strict.fault_offsets[number])
        place, expected = verdict(data)
        assert fault == place, data.hex()
        assert batch_notes(strict, number) == expected
        well_formed += place == -1
        left = salvage_score(data)
        notes = batch_notes(salvaged, number)
        assert strict.ticks_per_quarter[number] == (left.ticks_per_quarter if left else 0)
        assert notes == (left.notes if left else []), data.hex()
        saved += len(notes) if fault >= 0 else 0
    return well_formed, len(files) - well_formed, saved


def melody_intervals(notes: Sequence[Note]) -> bytes:
    """The definition in plain words, held against `melody_batch`."""
    channel = min((note.channel for note in notes), default=0)
    highest: dict[int, int] = {}
    for note in notes:
        if note.channel == channel and highest.get(note.start_tick, -1) < note.pitch:
            highest[note.start_tick] = note.pitch
    pitches = [highest[start] for start in sorted(highest)]
    return bytes(after - before + 128 for before, after in pairwise(pitches))


def assert_melodies_alike(batch: NoteBatch) -> list[bytes]:
    """Hold the melodies of a batch to their definition, and return them."""
    intervals, offsets = melody_batch(batch)
    assert offsets[0] == 0
    assert offsets[-1] == len(intervals)
    melodies = [intervals[start:end].tobytes() for start, end in pairwise(offsets)]
    expected = [melody_intervals(batch_notes(batch, i)) for i in range(len(batch.offsets) - 1)]
    assert melodies == expected
    return melodies


@cache
def real_files() -> tuple[bytes, ...]:
    """Return MIDI files of some hundred real tunes, of all of music21's collections."""
    forms: dict[str, None] = {}
    for tune in music21_tunes()[::37]:
        if tune.dropped is None:
            try:
                forms[canonicalise(tune.text)] = None
            except TuneRejected:
                continue
    return tuple(mid for mid in convert(list(forms)) if isinstance(mid, bytes))


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return a file with one to three faults (some of which change nothing that counts)."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        tracks = [i for i in range(len(data)) if data[i : i + 4] == b"MTrk"]
        match rng.choice(("cut", "flip", "bit", "insert", "remove", "length", "swap", "repeat")):
            case "cut":
                data = data[:at]
            case "flip":
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case "bit" if at < len(data):
                data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
            case "insert":
                data = data[:at] + rng.randbytes(rng.randint(1, 4)) + data[at:]
            case "remove":
                data = data[:at] + data[at + rng.randint(1, 4) :]
            case "length" if tracks:
                at = rng.choice(tracks) + 4
                right = int.from_bytes(data[at : at + 4], "big")
                wrong = rng.choice((0, right + 1, right - 1, 2**32 - 1, rng.randrange(2**12)))
                data = data[:at] + (wrong % 2**32).to_bytes(4, "big") + data[at + 4 :]
            case "swap":
                data = data[at:] + data[:at] if rng.random() < 0.2 else data[:10] + data[10:][::-1]
            case "repeat":
                other = rng.randrange(len(data) + 1)
                data = data[:at] + data[min(at, other) : max(at, other)] + data[at:]
            case _:
                continue
    return data


def whole(*tracks: bytes, file_format: int = 1, division: int = 480) -> bytes:
    """Return a file of these tracks' bytes, an end of track added to each."""
    numbers = b"".join(n.to_bytes(2, "big") for n in (file_format, len(tracks), division))
    chunks = [b"MThd\0\0\0\6", numbers]
    for body in tracks:
        chunks += [b"MTrk", (len(body) + 4).to_bytes(4, "big"), body, b"\0\xff\x2f\0"]
    return b"".join(chunks)


def test_real_files_are_read_alike() -> None:
    files = real_files()
    assert len(files) >= 250
    assert assert_read_alike(files) == (len(files), 0, 0)
    melodies = assert_melodies_alike(read_note_batch(files))
    assert sum(len(melody) > 20 for melody in melodies) > 200


_DATA = st.integers(0, 127)
_NOTE_EVENTS = st.builds(
    lambda t, status, channel, pitch, velocity: Event(
        t, status | channel, bytes([pitch, velocity])
    ),
    st.sampled_from([0, 0, 0, 1, 2, 200, 2**28 - 1]),
    st.sampled_from([0x90, 0x90, 0x80]),
    st.integers(0, 1),
    st.integers(60, 62),
    st.sampled_from([0, 1, 127]),
)
_OTHER_EVENTS = st.one_of(
    st.builds(
        lambda status, a, b: Event(3, status, bytes([a, b])),
        st.integers(0xA0, 0xBF) | st.integers(0xE0, 0xEF), _DATA, _DATA,
    ),
    st.builds(
        lambda status, a: Event(130, status, bytes([a])), st.integers(0xC0, 0xDF), _DATA
    ),
    st.builds(
        lambda status, data: Event(0, status, data),
        st.sampled_from([0xF0, 0xF7]), st.binary(max_size=140),
    ),
    # Metas of their own lengths, of one byte too many, and of free length.
    st.builds(
        lambda meta, more: Event(0, 0xFF, bytes([meta[0]]) + bytes(meta[1] + more)),
        st.sampled_from([(0x20, 1), (0x51, 3), (0x54, 5), (0x58, 4), (0x59, 2), (1, 7)]),
        st.sampled_from([0, 0, 0, 0, 1]),
    ),
    st.sampled_from([_END, Event(0, 0xFF, b"\x80x")]),
)  # fmt: skip
_TRACKS = st.builds(
    lambda notes, mixed: [*notes, *mixed],
    st.lists(_NOTE_EVENTS, min_size=10, max_size=30),
    st.lists(_NOTE_EVENTS | _OTHER_EVENTS, max_size=10),
)
_CLOSED = [Event(0, 0x80 | c, bytes([p, 0])) for c in range(3) for p in range(60, 63)] * 8


def test_event_lists_are_read_alike() -> None:
    seen = np.zeros(3, np.int64)

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(_TRACKS, min_size=1, max_size=3),
        st.booleans(),
        st.integers(1, 0x7FFF),
    )
    def check(lists: list[list[Event]], closed: bool, division: int) -> None:
        tracks = tuple((*events, *(_CLOSED if closed else ()), _END) for events in lists)
        data = encode(MidiFile(1, division, tracks))
        seen[:] += assert_read_alike([data])
        assert_melodies_alike(read_note_batch([data], salvage=True))

    check()
    well_formed, faulty, saved = seen
    assert well_formed > 20
    assert faulty > 20
    assert saved > 20


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_are_read_alike(files: list[bytes]) -> None:
    header = bytes.fromhex("4d546864 00000006 0001 0001 01e0 4d54726b")
    wrapped = [header + len(data).to_bytes(4, "big") + data for data in files]
    assert_read_alike([*files, *wrapped])


def test_mutated_files_are_read_alike() -> None:
    rng = random.Random(20)
    sources = [*real_files()[::8], *(tune.mid for tune in golden_tunes())]
    files = [mutate(rng.choice(sources), rng) for _ in range(3000)]
    well_formed, faulty, saved = assert_read_alike(files)
    assert well_formed > 100
    assert faulty > 2000
    assert saved > 10000
    assert_melodies_alike(read_note_batch(files, salvage=True))


def test_a_file_cut_anywhere_is_read_alike() -> None:
    data = min((tune.mid for tune in golden_tunes()), key=len)
    files = [data[:end] for end in range(len(data) + 1)]
    assert assert_read_alike(files)[:2] == (1, len(data))


# Files that are slow or wrong where a reader is careless.
_ON, _OFF = b"\x90\x3c\x40", b"\x80\x3c\x00"
HOSTILE = {
    "no bytes": b"",
    "65,535 tracks claimed, none there": bytes.fromhex("4d546864 00000006 0001 ffff 01e0"),
    "a track of 4 GB claimed": bytes.fromhex("4d546864 00000006 0000 0001 01e0 4d54726b ffffffff"),
    "65,535 empty tracks": whole(*[b""] * 65535),
    "65,535 tracks with a note that never ends": whole(*[b"\0" + _ON] * 65535),
    "a sum of ticks over 2^32": whole((b"\xff\xff\xff\x7f" + _ON + b"\0" + _OFF) * 100),
    "100,000 notes of one pitch": whole(
        b"\0" + _ON + b"\1\x3c\x40" * 99_999 + b"\0" + _OFF + b"\1\x3c\x00" * 99_999
    ),
    "200,000 notes of one start, the longest first": whole(
        b"".join(b"\0\x90" + bytes([i % 128, 127 - i // 128 % 127]) for i in range(200_000))
        + b"".join(b"\1\x80" + bytes([127 - i % 128, 0]) for i in range(200_000))
    ),
    "two tracks of 50,000 notes": whole(
        *[b"".join(b"\1" + _ON + b"\1" + _OFF for _ in range(50_000))] * 2
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_alike_and_in_time(name: str) -> None:
    data = HOSTILE[name]
    read_note_batch([b""], salvage=True)  # compiled by now
    before = time.process_time()
    read_note_batch([data], salvage=True)
    # Quadratic in 100,000 notes would be minutes.
    assert time.process_time() - before < 2
    assert_read_alike([data, *golden_files()])


def golden_files() -> list[bytes]:
    return [tune.mid for tune in golden_tunes()]


def test_a_note_left_open_does_not_sound_in_the_next_track_or_file() -> None:
    opens, ends = whole(b"\0" + _ON), whole(b"\0" + _OFF)
    both = whole(b"\0" + _ON, b"\0" + _OFF)
    broken = whole(b"\0" + _ON + b"\0\xf8")
    batch = read_note_batch([opens, ends, both, broken, ends], salvage=True)
    assert len(batch.start_ticks) == 0
    assert batch.fault_offsets.tolist() == [len(opens), -1, len(both), 27, -1]


def test_the_melody_is_the_highest_note_of_the_lowest_channel() -> None:
    def files_notes(*notes: Note) -> NoteBatch:
        columns = list(zip(*sorted(notes), strict=True)) or [()] * 5
        dtypes = (np.int64, np.int64, np.uint8, np.uint8, np.uint8)
        arrays = [np.array(c, dtype) for c, dtype in zip(columns, dtypes, strict=True)]
        return NoteBatch(
            np.array([-1]), np.array([480]), np.array([0, len(notes)]), *arrays
        )  # fmt: skip

    def notes(pitches: list[int], channel: int) -> list[Note]:
        return [Note(10 * i, 9 + i, pitch, 80, channel) for i, pitch in enumerate(pitches)]

    chords = [*notes([60, 64, 62], 1), *notes([55, 50, 40], 1), *notes([90, 20, 90], 2)]
    assert assert_melodies_alike(files_notes(*chords)) == [bytes([128 + 4, 128 - 2])]
    assert assert_melodies_alike(files_notes(*notes([0, 127, 0], 0))) == [bytes([255, 1])]
    assert assert_melodies_alike(files_notes(*notes([60], 3))) == [b""]
    assert assert_melodies_alike(files_notes()) == [b""]
