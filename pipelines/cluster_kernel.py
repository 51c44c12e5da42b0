# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""Join sets that overlap by half or more, compiled: exact, without looking at all pairs.

Prefix filtering (Bayardo, Ma, Srikant 2007, "Scaling up all pairs similarity search"; Xiao, Wang,
Lin, Yu 2008, "Efficient similarity joins for near duplicate detection"; Wang, Li, Feng 2012, "Can
we beat the prefix filtering?"). Sets of |x| <= |y| with Jaccard >= 1/2 share at least
(|x| + |y|) / 3 elements, so no fewer than |y| / 2 and 2 |x| / 3. Sorted by one order throughout,
two sets that share s elements meet at least k times, k <= s, within the first |x| - s + k of the
one and |y| - s + k of the other. With the rarest first, few sets meet so often by chance; those
that do are compared element by element.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

_MEETINGS: Final = 3
"""How often two sets must meet to be compared. For 209,000 noisy copies of real tunes 1 / 2 / 3 / 4
take 22 / 7.3 / 3.4 / 3.5 s."""


@numba.njit(cache=True)
def sort_sets(elements: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Sort every set in place, and return a hash of each."""
    hashes = np.zeros(len(offsets) - 1, np.uint64)
    for i in range(len(offsets) - 1):
        one = elements[offsets[i] : offsets[i + 1]]
        one.sort()
        digest = np.uint64(0xCBF29CE484222325)
        for element in one:
            digest = (digest ^ np.uint64(element)) * np.uint64(0x9E3779B97F4A7C15)
        hashes[i] = digest
    return hashes


@numba.njit(cache=True)
def join_near(
    elements: NDArray[np.int64],
    offsets: NDArray[np.int64],
    order: NDArray[np.int64],
    num_elements: int,
) -> NDArray[np.int64]:
    """Return the leader of every set's cluster: a number that all of the cluster share.

    `elements` are numbers below `num_elements`, sorted within each set, the rarest lowest. `order`
    lists the sets by size; equal ones, if they stand side by side, are compared once.
    """
    num_sets = len(offsets) - 1
    starts = np.zeros(num_elements + 1, np.int64)
    for i in range(num_sets):
        for at in range(offsets[i], offsets[i] + _indexed(int(offsets[i + 1] - offsets[i]))):
            starts[elements[at] + 1] += 1
    starts = np.cumsum(starts)
    ends = starts.copy()
    holders = np.empty(starts[-1], np.int64)
    holder_sizes = np.empty(starts[-1], np.int64)
    leaders = np.arange(num_sets)
    meetings = np.zeros(num_sets, np.int64)
    met = np.empty(num_sets, np.int64)
    before = -1
    for i in order:
        if before >= 0 and _is_same(elements, offsets, before, i):
            leaders[i] = before
            continue
        before = i
        size = offsets[i + 1] - offsets[i]
        fewest_shared = (size + 1) // 2
        needed = min(fewest_shared, _MEETINGS)
        num_met = 0
        for position in range(size - fewest_shared + needed):
            element = elements[offsets[i] + position]
            # Sets come by size, so what is too small for this one is too small for all to come.
            while starts[element] < ends[element] and 2 * holder_sizes[starts[element]] < size:
                starts[element] += 1
            # What is larger shares too much for a meeting so late to be one of the first.
            largest = 2 * size - 3 * (position - needed + 1)
            for place in range(starts[element], ends[element]):
                if holder_sizes[place] > largest:
                    break
                other = holders[place]
                if meetings[other] == 0:
                    met[num_met] = other
                    num_met += 1
                meetings[other] += 1
        for other in met[:num_met]:
            other_size = offsets[other + 1] - offsets[other]
            enough = meetings[other] >= min(needed, _fewest_shared_with_larger(int(other_size)))
            meetings[other] = 0
            if enough:
                one, two = _leader(leaders, i), _leader(leaders, other)
                if one != two and _is_near(elements, offsets, i, other):
                    leaders[two] = one
        for at in range(offsets[i], offsets[i] + _indexed(int(size))):
            place = ends[elements[at]]
            holders[place] = i
            holder_sizes[place] = size
            ends[elements[at]] += 1
    for i in range(num_sets):
        leaders[i] = _leader(leaders, i)
    return leaders


@numba.njit(cache=True)
def _fewest_shared_with_larger(size: int) -> int:
    """Return how many elements a set shares at least with one as large or larger."""
    return (2 * size + 2) // 3


@numba.njit(cache=True)
def _indexed(size: int) -> int:
    """Return how many of a set's rarest elements are indexed for larger sets to meet."""
    fewest_shared = _fewest_shared_with_larger(size)
    return size - fewest_shared + min(fewest_shared, _MEETINGS)


@numba.njit(cache=True)
def _is_same(elements: NDArray[np.int64], offsets: NDArray[np.int64], one: int, other: int) -> bool:
    """Return whether two sets are equal."""
    first, end = offsets[one], offsets[one + 1]
    other_first, other_end = offsets[other], offsets[other + 1]
    return end - first == other_end - other_first and bool(
        np.all(elements[first:end] == elements[other_first:other_end])
    )


@numba.njit(cache=True)
def _is_near(elements: NDArray[np.int64], offsets: NDArray[np.int64], one: int, other: int) -> bool:
    """Return whether two sets have Jaccard >= 1/2, that is, share a third of their sizes' sum."""
    at, end = offsets[one], offsets[one + 1]
    other_at, other_end = offsets[other], offsets[other + 1]
    missing = (end - at + other_end - other_at + 2) // 3
    while missing > 0:
        if end - at < missing or other_end - other_at < missing:
            return False
        if elements[at] == elements[other_at]:
            missing -= 1
            at += 1
            other_at += 1
        elif elements[at] < elements[other_at]:
            at += 1
        else:
            other_at += 1
    return True


@numba.njit(cache=True)
def _leader(leaders: NDArray[np.int64], number: int) -> int:
    """Return the leader of a cluster, shortening the way to it."""
    while leaders[number] != number:
        leaders[number] = leaders[leaders[number]]
        number = leaders[number]
    return number
