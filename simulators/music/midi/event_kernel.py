# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""The bytes of a MIDI file, compiled: its numbers, its header and the names of its chunks.

What the compiled reader of notes and the compiled writer of compact files share. The rules are
those of `simulators.music.midi.files`; nothing here knows a note.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

NO_FAULT: Final = -1
HEADER_BYTES: Final = 14
CHUNK_HEAD_BYTES: Final = 8
"""Name and length."""


@numba.njit(cache=True)
def header_fault(file: NDArray[np.uint8]) -> int:
    """Return the offset of the first fault of the header, or `NO_FAULT`."""
    if not _is_header(file):
        return 0
    if len(file) < HEADER_BYTES:
        return len(file)
    if number(file, 4, 8) != 6:
        return 4
    file_format = number(file, 8, 10)
    num_tracks = number(file, 10, 12)
    if file_format > 2:
        return 8
    if num_tracks == 0 or (file_format == 0 and num_tracks != 1):
        return 10
    if division(file) == 0:
        return 12
    return NO_FAULT


@numba.njit(cache=True)
def division(file: NDArray[np.uint8]) -> int:
    """Return the ticks per quarter, 0 if the header cannot be read even by `salvage_score`."""
    if len(file) < HEADER_BYTES or not _is_header(file) or number(file, 4, 8) != 6:
        return 0
    ticks = number(file, 12, 14)
    return ticks if ticks < 0x8000 else 0


@numba.njit(cache=True)
def is_track(file: NDArray[np.uint8], at: int) -> bool:
    """Return whether a track begins at `at`."""
    return _has_name(file, at, 0x72, 0x6B)


@numba.njit(cache=True)
def number(file: NDArray[np.uint8], at: int, end: int) -> int:
    """Return `file[at:end]` as a big-endian number."""
    value = 0
    for place in range(at, end):
        value = value << 8 | int(np.int64(file[place]))
    return value


@numba.njit(cache=True)
def variable_length(file: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Return (number, offset after it), or (the fault, -1)."""
    value = 0
    for place in range(at, at + 4):
        if place >= end:
            return end, -1
        byte = int(np.int64(file[place]))
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return at, -1


@numba.njit(cache=True)
def meta_length_fits(meta: int, length: int) -> bool:
    """Return whether a meta may have this length; the table is `files._META_LENGTHS`."""
    if meta == 0x2F:
        return length == 0
    if meta == 0x20:
        return length == 1
    if meta == 0x51:
        return length == 3
    if meta == 0x54:
        return length == 5
    if meta == 0x58:
        return length == 4
    return meta != 0x59 or length == 2


@numba.njit(cache=True)
def meta_content_fits(file: NDArray[np.uint8], meta: int, content: int) -> bool:
    """Return whether the content of a meta, from `content` on, means something."""
    if meta == 0x59:
        sharps = int(np.int64(file[content]))
        return (sharps <= 7 or sharps >= 249) and file[content + 1] <= 1
    return meta != 0x54 or file[content] < 0x80


@numba.njit(cache=True)
def exclusive_content_fits(file: NDArray[np.uint8], content: int, after: int) -> bool:
    """Return whether a system exclusive message holds data, and at most its own end after that."""
    for place in range(content, after):
        if file[place] >= 0x80 and not (place == after - 1 and file[place] == 0xF7):
            return False
    return True


@numba.njit(cache=True)
def _is_header(file: NDArray[np.uint8]) -> bool:
    return _has_name(file, 0, 0x68, 0x64)


@numba.njit(cache=True)
def _has_name(file: NDArray[np.uint8], at: int, third: int, fourth: int) -> bool:
    """Return whether a chunk called `MT` and two more letters begins at `at`."""
    return (
        at + 4 <= len(file)
        and file[at] == 0x4D
        and file[at + 1] == 0x54
        and file[at + 2] == third
        and file[at + 3] == fourth
    )
