# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""The strict MIDI reader, compiled: many files in one flat buffer, the notes in flat arrays.

It knows the rules of `simulators.music.midi.files` a second time, because a corpus of a million
files takes an hour with the plain reader and seconds with this one; the tests hold the two
together, byte for byte. A fault is only its offset here: its text comes from the plain reader.

Every loop is linear in the bytes of a file, whatever is in it, but for sorting its notes, which is
n log n: sounding notes of one pitch are a linked list, and a file that claims 65,535 tracks is read
only as far as it goes.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from simulators.music.midi.event_kernel import (
    CHUNK_HEAD_BYTES,
    HEADER_BYTES,
    NO_FAULT,
    division,
    exclusive_content_fits,
    header_fault,
    is_track,
    meta_content_fits,
    meta_length_fits,
    number,
    variable_length,
)
from simulators.music.midi.note_order_kernel import sort_notes

_COMPILED_FROM: Final = "9b91616bd61531eed3384541aadf2e09b2cb95142bd3491ddac930e774faf150"
"""SHA-256 of `event_kernel.py` and `note_order_kernel.py`, compiled in; numba's disk cache watches
this file only. A test asks for the new hash when one has changed; writing it here makes numba
compile anew."""

_NUM_KEYS: Final = 16 * 128
"""Pitches of all channels."""
_NO_NOTE: Final = -1


@numba.njit(cache=True)
def read_files(
    data: NDArray[np.uint8], file_offsets: NDArray[np.int64], salvage: bool
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int64],
]:
    """Return (fault offsets, ticks per quarter, note offsets, starts, durations, packed notes).

    A packed note is `pitch << 11 | velocity << 4 | channel`, so that packed notes sort as tuples.
    """
    num_files = len(file_offsets) - 1
    faults = np.empty(num_files, np.int64)
    ticks_per_quarter = np.empty(num_files, np.int64)
    note_offsets = np.zeros(num_files + 1, np.int64)
    # No event that begins a note is shorter than 3 bytes: a delta and two data bytes.
    most = len(data) // 3
    starts = np.empty(most, np.int64)
    durations = np.empty(most, np.int64)
    packed = np.empty(most, np.int64)
    heads = np.full(_NUM_KEYS, _NO_NOTE)
    tails = np.full(_NUM_KEYS, _NO_NOTE)
    end = 0
    for i in range(num_files):
        file = data[file_offsets[i] : file_offsets[i + 1]]
        first = end
        ticks_per_quarter[i] = division(file)
        fault, end = _read_strict(file, starts, durations, packed, heads, tails, first)
        if fault != NO_FAULT:
            end = first
            if salvage and ticks_per_quarter[i]:
                end = _salvage(file, starts, durations, packed, heads, tails, first)
        faults[i] = fault
        sort_notes(starts[first:end], durations[first:end], packed[first:end])
        note_offsets[i + 1] = end
    return (
        faults,
        ticks_per_quarter,
        note_offsets,
        starts[:end].copy(),
        durations[:end].copy(),
        packed[:end].copy(),
    )


@numba.njit(cache=True)
def _read_strict(
    file: NDArray[np.uint8],
    starts: NDArray[np.int64],
    durations: NDArray[np.int64],
    packed: NDArray[np.int64],
    heads: NDArray[np.int64],
    tails: NDArray[np.int64],
    first: int,
) -> tuple[int, int]:
    """Return (fault, the number after the last note); as `files.read_score`."""
    fault = header_fault(file)
    if fault != NO_FAULT:
        return fault, first
    at = HEADER_BYTES
    note = first
    never_end = 0
    for _ in range(number(file, 10, 12)):
        if not is_track(file, at):
            return at, note
        if len(file) < at + CHUNK_HEAD_BYTES:
            return at + 4, note
        end = at + CHUNK_HEAD_BYTES + number(file, at + 4, at + 8)
        if end > len(file):
            return at + 4, note
        track_first = note
        fault, at, ended, note, num_open = _read_track(
            file, at + CHUNK_HEAD_BYTES, end, starts, durations, packed, heads, tails, note
        )
        if num_open:
            _forget_open(durations, packed, heads, track_first, note)
            never_end += num_open
        if fault != NO_FAULT:
            return fault, note
        if not ended:
            return end, note
        if at < end:
            return at, note
    if at != len(file):
        return at, note
    if never_end:
        return len(file), note
    return NO_FAULT, note


@numba.njit(cache=True)
def _salvage(
    file: NDArray[np.uint8],
    starts: NDArray[np.int64],
    durations: NDArray[np.int64],
    packed: NDArray[np.int64],
    heads: NDArray[np.int64],
    tails: NDArray[np.int64],
    first: int,
) -> int:
    """Return the number after the last note; as `files.salvage_score`."""
    at = HEADER_BYTES
    note = first
    while is_track(file, at):
        track_first = note
        fault, at, _, note, num_open = _read_track(
            file, at + CHUNK_HEAD_BYTES, len(file), starts, durations, packed, heads, tails, note
        )
        if num_open:
            _forget_open(durations, packed, heads, track_first, note)
            end = note
            note = track_first
            for i in range(track_first, end):
                if durations[i] >= 0:
                    starts[note] = starts[i]
                    durations[note] = durations[i]
                    packed[note] = packed[i]
                    note += 1
        if fault != NO_FAULT:
            break
    return note


@numba.njit(cache=True)
def _read_track(
    file: NDArray[np.uint8],
    at: int,
    end: int,
    starts: NDArray[np.int64],
    durations: NDArray[np.int64],
    packed: NDArray[np.int64],
    heads: NDArray[np.int64],
    tails: NDArray[np.int64],
    note: int,
) -> tuple[int, int, bool, int, int]:
    """Read events up to the first end of track, the first fault or `end`.

    Notes take their places in the order of their starts. While a note sounds its duration is a
    link, -2 - (the next sounding note of its key), or -1; `heads` and `tails` hold the oldest and
    the youngest.

    Returns:
        (fault, offset after the last whole event, whether that is the end of track, the number
        after the last note, notes that still sound).
    """
    running = 0
    tick = np.int64(0)
    num_open = 0
    while at < end:
        begin = at
        delta = np.int64(file[at])
        at += 1
        if delta >= 0x80:
            delta, at = variable_length(file, begin, end)
            if at < 0:
                return delta, begin, False, note, num_open
        if at >= end:
            return end, begin, False, note, num_open
        status = np.int64(file[at])
        if status >= 0x80:
            at += 1
        elif running:
            status = running
        else:
            return at, begin, False, note, num_open
        tick += delta
        if status < 0xF0:
            running = status
            kind = status >> 4
            after = at + (1 if kind == 0xC or kind == 0xD else 2)
            if after > end:
                return end, begin, False, note, num_open
            pitch = np.int64(file[at])
            velocity = np.int64(file[after - 1])
            if (pitch | velocity) >= 0x80:
                return at, begin, False, note, num_open
            at = after
            if kind > 0x9:
                continue
            key = (status & 15) << 7 | pitch
            if kind == 0x9 and velocity:
                starts[note] = tick
                durations[note] = -1
                packed[note] = pitch << 11 | velocity << 4 | status & 15
                if heads[key] == _NO_NOTE:
                    heads[key] = note
                else:
                    durations[tails[key]] = -2 - note
                tails[key] = note
                note += 1
                num_open += 1
            elif heads[key] != _NO_NOTE:
                oldest = heads[key]
                link = durations[oldest]
                heads[key] = _NO_NOTE if link == -1 else -2 - link
                durations[oldest] = tick - starts[oldest]
                num_open -= 1
        elif status == 0xFF or status == 0xF0 or status == 0xF7:
            running = 0
            is_meta = status == 0xFF
            length, content = variable_length(file, at + 1 if is_meta else at, end)
            if content < 0:
                return length, begin, False, note, num_open
            if content + length > end:
                return end, begin, False, note, num_open
            if is_meta:
                meta = int(np.int64(file[at]))
                if meta > 0x7F or not meta_length_fits(meta, length):
                    return at, begin, False, note, num_open
                if not meta_content_fits(file, meta, content):
                    return at, begin, False, note, num_open
                if meta == 0x2F:
                    return NO_FAULT, content, True, note, num_open
            elif not exclusive_content_fits(file, content, content + length):
                return content, begin, False, note, num_open
            at = content + length
        else:
            return at - 1, begin, False, note, num_open
    return NO_FAULT, at, False, note, num_open


@numba.njit(cache=True)
def _forget_open(
    durations: NDArray[np.int64],
    packed: NDArray[np.int64],
    heads: NDArray[np.int64],
    first: int,
    end: int,
) -> None:
    """Empty the lists of what still sounds of notes `first` to `end - 1`."""
    for note in range(first, end):
        if durations[note] < 0:
            heads[(packed[note] & 15) << 7 | packed[note] >> 11] = _NO_NOTE
