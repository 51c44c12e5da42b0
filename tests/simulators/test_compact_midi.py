"""Compact MIDI files: the same notes in fewer bytes, once and for all."""

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.music.midi.compact_midi import compact_files
from simulators.music.midi.files import MidiError, decode, read_score
from simulators.music.midi.note_batches import read_note_batch
from tests.simulators.test_midi import notes_by_mido, track
from tests.simulators.test_note_batches import golden_files, mutate, real_files


def assert_compact(files: list[bytes]) -> list[bytes]:
    """Hold what is promised of every well-formed file, and return the compact ones."""
    compact = compact_files(files)
    before, after = read_note_batch(files), read_note_batch(compact)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(len(short) <= len(data) for short, data in zip(compact, files, strict=True))
    assert compact_files(compact) == compact
    return compact


@pytest.mark.parametrize(
    ("events", "compact"),
    [
        # a note-off becomes a note-on of velocity 0 under the running status
        ("00 90 3c 40  60 80 3c 00  00 90 3e 40  60 80 3e 40  00 ff2f00",
         "00 90 3c 40  60    3c 00  00    3e 40  60    3e 00  00 ff2f00"),
        # a meta and a system exclusive end running status; a delta of two bytes is kept
        ("00 90 3c 40  81 00 80 3c 00  00 ff0100  00 90 3c 40  00 f0 01f7  00 90 3c 00  00 ff2f00",
         "00 90 3c 40  81 00    3c 00  00 ff0100  00 90 3c 40  00 f0 01f7  00 90 3c 00  00 ff2f00"),
        # a release velocity is kept, and with it every note-off
        ("00 90 3c 40  60 80 3c 07  00 90 3e 40  60 80 3e 00  00 80 3e 00  00 ff2f00",
         "00 90 3c 40  60 80 3c 07  00 90 3e 40  60 80 3e 00  00    3e 00  00 ff2f00"),
        # messages of one data byte, and another channel
        ("00 c0 10  00 c0 11  00 c1 10  00 80 3c 00  00 ff2f00",
         "00 c0 10  00    11  00 c1 10  00 90 3c 00  00 ff2f00"),
        # nothing to gain
        ("00 90 3c 40  01 3c 00  00 ff2f00", "00 90 3c 40  01 3c 00  00 ff2f00"),
    ],
)  # fmt: skip
def test_what_is_left_out(events: str, compact: str) -> None:
    assert compact_files([track(events)]) == [track(compact)]


def test_real_files_shrink_by_a_fifth_and_mido_reads_the_same_notes() -> None:
    files = [*real_files(), *golden_files()]
    compact = assert_compact(files)
    assert 0.19 < 1 - sum(map(len, compact)) / sum(map(len, files)) < 0.23
    for data, short in zip(files[::10], compact[::10], strict=True):
        assert notes_by_mido(short) == read_score(data).notes


def _bytes_of(messages: list[tuple[int, int, int, bool]]) -> str:
    """Return the events of channel messages, some under running status where that is allowed."""
    events: list[str] = []
    before = 0
    for status, one, two, running in messages:
        if status >= 0xF0:
            events.append(f"00 ff 01 02 {one:02x} {two:02x}")
            before = 0
            continue
        data = f"{one:02x}" + ("" if 0xC0 <= status < 0xE0 else f"{two:02x}")
        events.append(f"01 {'' if running and status == before else f'{status:02x}'} {data}")
        before = status
    return " ".join(events)


_MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([0x80, 0x80, 0x90, 0xB0, 0xC0, 0xFF]),
        st.integers(0, 2),
        st.sampled_from([0, 0, 64, 3]),
        st.booleans(),
    ),
    max_size=20,
)


def test_any_well_formed_file_becomes_compact() -> None:
    kept = changed = 0

    @settings(max_examples=300, deadline=None)
    @given(_MESSAGES, st.booleans())
    def check(messages: list[tuple[int, int, int, bool]], plain: bool) -> None:
        nonlocal kept, changed
        if plain:
            messages = [(s, a, 0 if s == 0x80 else b, r) for s, a, b, r in messages]
        closing = "00 80 00 00  00 80 01 00  00 80 02 00" * 20
        data = track(_bytes_of(messages) + closing + "00 ff2f00")
        (short,) = assert_compact([data])
        statuses = [event.status for event in decode(data).tracks[0]]
        releases = {e.data[1] for e in decode(data).tracks[0] if e.status == 0x80}
        expected = statuses
        if releases <= {0, 64}:
            expected = [0x90 if status == 0x80 else status for status in statuses]
            changed += 1
        else:
            kept += 1
        assert [event.status for event in decode(short).tracks[0]] == expected

    check()
    assert kept > 20
    assert changed > 20


def test_mutated_files_become_compact_or_are_refused() -> None:
    rng = random.Random(21)
    files = [mutate(rng.choice(golden_files()), rng) for _ in range(1000)]
    faults = read_note_batch(files).fault_offsets
    good = [data for data, fault in zip(files, faults, strict=True) if fault < 0]
    assert 30 < len(good) < 900
    assert_compact(good)
    for number in np.flatnonzero(faults >= 0)[:100].tolist():
        with pytest.raises(MidiError) as plain:
            read_score(files[number])
        with pytest.raises(ValueError, match=re.escape(f"file 1 of 3: {plain.value}")):
            compact_files([good[0], files[number], b""])


def test_no_files_are_no_files() -> None:
    assert compact_files([]) == []
