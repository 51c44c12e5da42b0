"""Notes and melodies of many MIDI files at once, in flat arrays.

`read_note_batch` gives for every byte string the verdict and the notes of `files.read_score` (or of
`files.salvage_score`), some hundred times as fast: a corpus, its check for leakage and the scores
of predictions read millions of files. What is wrong with a faulty file, in words, the plain reader
says (`fault_text`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.music.midi.files import MidiError, read_score
from simulators.music.midi.melody_kernel import melodies
from simulators.music.midi.note_kernel import read_files


class NoteBatch(NamedTuple):
    """The notes of n files, m in all."""

    fault_offsets: NDArray[np.int64]
    """`[n]`: byte offset of a file's first fault (`MidiError.offset`), -1 if it is well formed."""
    ticks_per_quarter: NDArray[np.int64]
    """`[n]`; 0 where `files.salvage_score` finds no header to read."""
    offsets: NDArray[np.int64]
    """`[n + 1]`: the notes of file i are `offsets[i]:offsets[i + 1]`."""
    start_ticks: NDArray[np.int64]
    """`[m]`; the notes of a file are sorted as `files.Note` tuples."""
    duration_ticks: NDArray[np.int64]
    """`[m]`."""
    pitches: NDArray[np.uint8]
    """`[m]`, 0..127."""
    velocities: NDArray[np.uint8]
    """`[m]`, 1..127."""
    channels: NDArray[np.uint8]
    """`[m]`, 0..15."""


def read_note_batch(files: Sequence[bytes], *, salvage: bool = False) -> NoteBatch:
    """Return the notes of all files, read strictly; a faulty file has none.

    With `salvage`, a faulty file has the notes of `files.salvage_score`; its fault is still told.
    """
    data, file_offsets = flat_files(files)
    faults, ticks_per_quarter, offsets, starts, durations, packed = read_files(
        data, file_offsets, salvage
    )
    return NoteBatch(
        fault_offsets=faults,
        ticks_per_quarter=ticks_per_quarter,
        offsets=offsets,
        start_ticks=starts,
        duration_ticks=durations,
        pitches=(packed >> 11).astype(np.uint8),
        velocities=(packed >> 4 & 0x7F).astype(np.uint8),
        channels=(packed & 0xF).astype(np.uint8),
    )


def fault_text(data: bytes) -> str:
    """Return what the plain reader says of a file that `read_note_batch` finds faulty."""
    try:
        read_score(data)
    except MidiError as error:
        return str(error)
    raise AssertionError("the compiled reader refuses a file that the plain one takes")


def melody_batch(notes: NoteBatch) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the steps between successive melody notes of every file, a byte each: semitones + 128.

    The melody is the highest note of each start on the lowest channel used (the converter puts
    accompaniment on higher ones). Fewer than two melody notes have no steps.

    Returns:
        The bytes of all files, and offsets `[n + 1]`: those of file i are
        `offsets[i]:offsets[i + 1]`.
    """
    return melodies(notes.offsets, notes.start_ticks, notes.pitches, notes.channels)


def flat_files(files: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of all files in a row, and offsets `[n + 1]`."""
    offsets = np.zeros(len(files) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, files), np.int64, len(files)), out=offsets[1:])
    return np.frombuffer(b"".join(files), np.uint8), offsets
