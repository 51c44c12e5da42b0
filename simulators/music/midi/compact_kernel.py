# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""Write well-formed MIDI files anew in fewer bytes, compiled; `compact_midi` says what is changed.

Nothing is checked here: a file that is not well formed must not come in.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from simulators.music.midi.event_kernel import (
    CHUNK_HEAD_BYTES,
    HEADER_BYTES,
    number,
    variable_length,
)

_COMPILED_FROM: Final = "9f9d01fd8ccb9b9b7f0993329f772a75d4e4d8fffef313f5b5ce26fcbbb2cb7a"
"""SHA-256 of `event_kernel.py`, compiled in; numba's disk cache watches this file only. A test asks
for the new hash when it has changed; writing it here makes numba compile anew."""

_HAS_RELEASES: Final = -1
_PLAIN_RELEASES: Final = (0, 64)


@numba.njit(cache=True)
def rewrite_files(
    data: NDArray[np.uint8], file_offsets: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of all compact files, and where each begins."""
    written = np.empty(len(data), np.uint8)
    offsets = np.zeros_like(file_offsets)
    for i in range(len(file_offsets) - 1):
        file = data[file_offsets[i] : file_offsets[i + 1]]
        first = offsets[i]
        end = _rewrite_file(file, written, first, True)
        if end == _HAS_RELEASES:
            end = _rewrite_file(file, written, first, False)
        offsets[i + 1] = end
    return written, offsets


@numba.njit(cache=True)
def _rewrite_file(
    file: NDArray[np.uint8], written: NDArray[np.uint8], to: int, drop_note_offs: bool
) -> int:
    """Write a file from `to` on and return the offset after it, or `_HAS_RELEASES`."""
    written[to : to + HEADER_BYTES] = file[:HEADER_BYTES]
    to += HEADER_BYTES
    at = HEADER_BYTES
    while at < len(file):
        end = at + CHUNK_HEAD_BYTES + number(file, at + 4, at + 8)
        body = to + CHUNK_HEAD_BYTES
        written[to : to + 4] = file[at : at + 4]
        after = _rewrite_track(file, at + CHUNK_HEAD_BYTES, end, written, body, drop_note_offs)
        if after == _HAS_RELEASES:
            return _HAS_RELEASES
        for i in range(4):
            written[to + 4 + i] = (after - body) >> 8 * (3 - i) & 0xFF
        at = end
        to = after
    return to


@numba.njit(cache=True)
def _rewrite_track(
    file: NDArray[np.uint8],
    at: int,
    end: int,
    written: NDArray[np.uint8],
    to: int,
    drop_note_offs: bool,
) -> int:
    """Write a track's events from `to` on; see `_rewrite_file`."""
    running = 0  # of what is read
    running_written = 0
    while at < end:
        _, event = variable_length(file, at, end)
        for i in range(at, event):
            written[to] = file[i]
            to += 1
        at = event
        status = running
        if file[at] >= 0x80:
            status = int(np.int64(file[at]))
            at += 1
        if status >= 0xF0:
            running = running_written = 0
            length, content = variable_length(file, at + 1 if status == 0xFF else at, end)
            written[to] = status
            to += 1
            for i in range(at, content + length):
                written[to] = file[i]
                to += 1
            at = content + length
            continue
        running = status
        kind = status >> 4
        is_note_off = drop_note_offs and kind == 0x8
        if is_note_off:
            if file[at + 1] not in _PLAIN_RELEASES:
                return _HAS_RELEASES
            status |= 0x10
        if status != running_written:
            written[to] = status
            to += 1
        running_written = status
        written[to] = file[at]
        to += 1
        at += 1
        if kind != 0xC and kind != 0xD:
            written[to] = 0 if is_note_off else file[at]
            to += 1
            at += 1
    return to
