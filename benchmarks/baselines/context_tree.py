# pyright: reportUntypedFunctionDecorator=false, reportMissingTypeStubs=false
# pyright: reportUnknownMemberType=false
"""Counts of the next symbol after every context of up to 24 bytes, as one sorted array.

Training positions are sorted by the bytes before them, nearest byte first; so all positions that
share a context of any length stand together, and a longer context is a part of a shorter one's
range. Ranges of more than 16 positions become nodes with their counts; shorter ranges are read
from the array itself. Memory is 6 bytes a training byte plus the nodes, whatever the order; hash
tables by order took over ten times that on CPU traces. Only arrays live here; `ngram.py` says what
the counts mean.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

NUM_TOKENS: Final = 257
SMALL_RANGE: Final = 16
"""Ranges up to this size have no node."""


class ContextTree(NamedTuple):
    """The sorted positions and the nodes; node 0 is the empty context. A tuple, for numba."""

    text: NDArray[np.uint8]
    """All context bytes, one region after another."""
    positions: NDArray[np.int32]
    """`[events]` sorted; the context of an event is `text[p - 1], text[p - 2], ...`."""
    symbols: NDArray[np.uint16]
    """`[events]` the token that followed, 0..256."""
    lows: NDArray[np.int32]
    """`[nodes]` first event of the node's range."""
    highs: NDArray[np.int32]
    """`[nodes]` one past its last event."""
    labels: NDArray[np.uint8]
    """`[nodes]` the context byte that leads here from the parent."""
    first_children: NDArray[np.int32]
    """`[nodes + 1]` children of node i are `first_children[i]` to `first_children[i + 1] - 1`."""
    first_entries: NDArray[np.int32]
    """`[nodes + 1]` the same for its counts."""
    entry_symbols: NDArray[np.uint16]
    """`[entries]` distinct symbols of a node."""
    entry_counts: NDArray[np.int32]
    """`[entries]` how often each followed."""
    entry_variety: NDArray[np.int32]
    """`[entries]` after how many different longer contexts (one byte more) it followed."""


def build_tree(regions: Sequence[tuple[bytes, bytes]], max_order: int) -> ContextTree:
    """Count what follows every context of up to `max_order` bytes.

    Each region is (at least `max_order` context bytes that are given, the bytes that follow); its
    symbols are those bytes and then token 256.
    """
    for before, _ in regions:
        if len(before) < max_order:
            raise ValueError(f"{len(before)} context bytes are fewer than the order, {max_order}")
    text = np.frombuffer(b"".join(part for region in regions for part in region), np.uint8)
    starts = np.array([len(before) for before, _ in regions], np.int64)
    lengths = np.array([len(after) for _, after in regions], np.int64)
    positions, symbols = _events(text, starts, lengths)
    positions, symbols = _sort_by_context(text, positions, symbols, max_order)
    nodes = _grow_nodes(text, positions, symbols, max_order)
    return ContextTree(text, positions, symbols, *nodes)


@numba.njit(cache=True)
def _events(
    text: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Return every scored position and its symbol, region by region."""
    total = lengths.sum() + len(lengths)
    positions = np.empty(total, np.int32)
    symbols = np.empty(total, np.uint16)
    at = 0
    filled = 0
    for region in range(len(starts)):
        at += starts[region]
        for _ in range(lengths[region]):
            positions[filled] = at
            symbols[filled] = text[at]
            at += 1
            filled += 1
        positions[filled] = at
        symbols[filled] = NUM_TOKENS - 1
        filled += 1
    return positions, symbols


@numba.njit(cache=True)
def _sort_by_context(
    text: NDArray[np.uint8],
    positions: NDArray[np.int32],
    symbols: NDArray[np.uint16],
    max_order: int,
) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Sort events by context, nearest byte first: stable passes, farthest byte first."""
    other_positions = np.empty_like(positions)
    other_symbols = np.empty_like(symbols)
    for distance in range(max_order, 0, -1):
        place = np.zeros(257, np.int64)
        for p in positions:
            place[np.int64(text[p - distance]) + 1] += 1
        for byte in range(256):
            place[byte + 1] += place[byte]
        for i in range(len(positions)):
            byte = text[positions[i] - distance]
            other_positions[place[byte]] = positions[i]
            other_symbols[place[byte]] = symbols[i]
            place[byte] += 1
        positions, other_positions = other_positions, positions
        symbols, other_symbols = other_symbols, symbols
    return positions, symbols


@numba.njit(cache=True)
def _grow_nodes(
    text: NDArray[np.uint8],
    positions: NDArray[np.int32],
    symbols: NDArray[np.uint16],
    max_order: int,
) -> tuple[
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.uint8],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.uint16],
    NDArray[np.int32],
    NDArray[np.int32],
]:
    """Return the nodes' columns, breadth first, so that children stand together."""
    lows = [np.int32(0)]
    highs = [np.int32(len(positions))]
    labels = [np.uint8(0)]
    first_children = [np.int32(1)]
    first_entries = [np.int32(0)]
    entry_symbols = [np.uint16(0) for _ in range(0)]
    entry_counts = [np.int32(0) for _ in range(0)]
    entry_variety = [np.int32(0) for _ in range(0)]
    counts = np.zeros(NUM_TOKENS, np.int32)
    variety = np.zeros(NUM_TOKENS, np.int32)
    last_child = np.full(NUM_TOKENS, -1, np.int32)
    depth_end = 1
    depth = 0
    node = 0
    while node < len(lows):
        if node == depth_end:
            depth += 1
            depth_end = len(lows)
        low, high = lows[node], highs[node]
        child_low = low
        child_byte = -1
        for i in range(low, high):
            symbol = symbols[i]
            counts[symbol] += 1
            byte = np.int32(text[positions[i] - depth - 1]) if depth < max_order else np.int32(i)
            if depth < max_order and byte != child_byte:
                if i - child_low > SMALL_RANGE:
                    lows.append(np.int32(child_low))
                    highs.append(np.int32(i))
                    labels.append(np.uint8(child_byte))
                child_low = i
                child_byte = byte
            if last_child[symbol] != byte:
                last_child[symbol] = byte
                variety[symbol] += 1
        if depth < max_order and high - child_low > SMALL_RANGE:
            lows.append(np.int32(child_low))
            highs.append(np.int32(high))
            labels.append(np.uint8(child_byte))
        for token in range(NUM_TOKENS):
            if counts[token]:
                entry_symbols.append(np.uint16(token))
                entry_counts.append(counts[token])
                entry_variety.append(variety[token])
                counts[token] = 0
                variety[token] = 0
                last_child[token] = -1
        first_children.append(np.int32(len(lows)))
        first_entries.append(np.int32(len(entry_symbols)))
        node += 1
    return (
        np.array(lows),
        np.array(highs),
        np.array(labels),
        np.array(first_children),
        np.array(first_entries),
        np.array(entry_symbols),
        np.array(entry_counts),
        np.array(entry_variety),
    )
