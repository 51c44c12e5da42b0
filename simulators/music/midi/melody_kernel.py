# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""The melody of many files, compiled: steps between the highest notes of the lowest channel."""

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True)
def melodies(
    note_offsets: NDArray[np.int64],
    starts: NDArray[np.int64],
    pitches: NDArray[np.uint8],
    channels: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the interval bytes of all files, and where each file's begin."""
    num_files = len(note_offsets) - 1
    intervals = np.empty(len(starts), np.uint8)
    offsets = np.zeros(num_files + 1, np.int64)
    at = 0
    for i in range(num_files):
        first, end = note_offsets[i], note_offsets[i + 1]
        lowest = np.uint8(255)
        for note in range(first, end):
            lowest = min(lowest, channels[note])
        before = -1
        highest = -1
        start = np.int64(-1)
        for note in range(first, end):
            if channels[note] != lowest:
                continue
            if starts[note] == start:
                highest = max(highest, np.int64(pitches[note]))
                continue
            if before >= 0:
                intervals[at] = highest - before + 128
                at += 1
            before = highest
            start = starts[note]
            highest = np.int64(pitches[note])
        if before >= 0:
            intervals[at] = highest - before + 128
            at += 1
        offsets[i + 1] = at
    return intervals[:at].copy(), offsets
