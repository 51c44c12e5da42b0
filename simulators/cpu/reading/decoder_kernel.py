# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""Which form of a table an instruction is, compiled: a walk down a tree, then a comparison.

`decoder` grows the tree; nothing here knows an instruction set.
"""

from typing import Final, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray


class DecoderTables(NamedTuple):
    """A decision tree over instruction bytes, and the fixed bits of every form."""

    positions: NDArray[np.int64]
    """`[nodes]`: which byte of the instruction a node looks at."""
    children: NDArray[np.int32]
    """`[nodes, 256]`: the next node, or `-1 - leaf`."""
    leaf_starts: NDArray[np.int64]
    """`[leaves + 1]` offsets into `candidates`."""
    candidates: NDArray[np.int64]
    """Forms of every leaf, the one with most fixed bits first."""
    patterns: NDArray[np.uint64]
    """`[forms, 4]`: low and high word of the mask of fixed bits, then of their values."""
    lengths: NDArray[np.int64]
    """`[forms]` bytes."""


_0: Final = np.uint64(0)
_1: Final = np.uint64(1)
_8: Final = np.uint64(8)


@numba.njit(cache=True, forceinline=True)
def decode_offset(code: NDArray[np.uint8], offset: int, tables: DecoderTables) -> np.int64:
    """Return the form of the instruction at `offset`, or -1: none, cut off, or outside the code."""
    if offset < 0 or offset >= len(code):
        return np.int64(-1)
    at = np.uint64(offset)
    left = np.uint64(len(code)) - at
    node = np.int64(0)
    while node >= 0:
        position = np.uint64(tables.positions[node])
        byte = code[at + position] if position < left else np.uint8(0)
        node = np.int64(tables.children[np.uint64(node), np.uint64(byte)])
    leaf = np.uint64(-1 - node)
    first, end = np.uint64(tables.leaf_starts[leaf]), np.uint64(tables.leaf_starts[leaf + _1])
    if first == end:
        return np.int64(-1)
    low = high = _0
    for i in range(min(left, _8)):
        low |= np.uint64(code[at + i]) << (_8 * i)
    if left > _8:
        for i in range(min(left - _8, _8)):
            high |= np.uint64(code[at + _8 + i]) << (_8 * i)
    for i in range(first, end):
        form = np.uint64(tables.candidates[i])
        wrong = (low & tables.patterns[form, 0]) ^ tables.patterns[form, 2]
        wrong |= (high & tables.patterns[form, 1]) ^ tables.patterns[form, 3]
        if wrong == _0 and np.uint64(tables.lengths[form]) <= left:
            return np.int64(form)
    return np.int64(-1)


@numba.njit(cache=True)
def decode_offsets(
    code: NDArray[np.uint8], offsets: NDArray[np.int64], tables: DecoderTables
) -> NDArray[np.int64]:
    """Return `decode_offset` of every one of `offsets`."""
    forms = np.empty(len(offsets), np.int64)
    for i in range(len(offsets)):
        forms[i] = decode_offset(code, offsets[i], tables)
    return forms
