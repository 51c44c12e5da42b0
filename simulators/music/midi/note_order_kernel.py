# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""Sort the notes of a file as `simulators.music.midi.files.Note` tuples, compiled.

Notes come sorted by their start but for several tracks, so insertion is the fast way; a file made
to be slow is merged instead, so that no file costs more than n log n.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

_MOVES_PER_NOTE: Final = 8
"""Beyond so many moves a note, insertion gives way to merging."""


@numba.njit(cache=True)
def sort_notes(
    starts: NDArray[np.int64], durations: NDArray[np.int64], packed: NDArray[np.int64]
) -> None:
    """Sort a file's notes as tuples, in place."""
    moves_left = _MOVES_PER_NOTE * len(starts)
    for i in range(1, len(starts)):
        start, duration, note = starts[i], durations[i], packed[i]
        at = i
        while at > 0 and _comes_after(
            starts[at - 1], durations[at - 1], packed[at - 1], start, duration, note
        ):
            starts[at] = starts[at - 1]
            durations[at] = durations[at - 1]
            packed[at] = packed[at - 1]
            at -= 1
        starts[at], durations[at], packed[at] = start, duration, note
        moves_left -= i - at
        if moves_left < 0:
            _merge_sort(starts, durations, packed)
            return


@numba.njit(cache=True)
def _merge_sort(
    starts: NDArray[np.int64], durations: NDArray[np.int64], packed: NDArray[np.int64]
) -> None:
    """Sort from the bottom up: merge runs of 1, 2, 4, ... notes."""
    num_notes = len(starts)
    order = np.arange(num_notes)
    merged = np.empty_like(order)
    width = 1
    while width < num_notes:
        for low in range(0, num_notes, 2 * width):
            middle = min(low + width, num_notes)
            high = min(low + 2 * width, num_notes)
            left, right = low, middle
            for at in range(low, high):
                take_left = left < middle
                if take_left and right < high:
                    one, two = int(order[left]), int(order[right])
                    take_left = not _comes_after(
                        starts[one], durations[one], packed[one],
                        starts[two], durations[two], packed[two],
                    )  # fmt: skip
                merged[at] = order[left if take_left else right]
                left += take_left
                right += not take_left
        order, merged = merged, order
        width *= 2
    starts[:] = starts[order]
    durations[:] = durations[order]
    packed[:] = packed[order]


@numba.njit(cache=True)
def _comes_after(
    start: np.int64,
    duration: np.int64,
    note: np.int64,
    other_start: np.int64,
    other_duration: np.int64,
    other: np.int64,
) -> np.bool_:
    if start != other_start:
        return start > other_start
    if duration != other_duration:
        return duration > other_duration
    return note > other
