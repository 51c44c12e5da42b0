# pyright: reportUntypedFunctionDecorator=false, reportMissingTypeStubs=false
# pyright: reportUnknownMemberType=false, reportArgumentType=false, reportReturnType=false
"""The compiled loops of the n-gram: from a context tree to a distribution over 257 tokens.

Interpolated Kneser-Ney with one discount (Kneser and Ney 1995; Chen and Goodman 1999, section 3.5):

    p_k(s) = max(c(s) - D, 0) / C + D * T / C * p_{k-1}(s)        p_{-1} = 1 / 257

C is the sum of the counts c and T how many are not 0. At the top order c counts occurrences; below
it counts *variety*: after how many different one-byte-longer contexts s followed. A context never
seen in training adds nothing.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines.context_tree import NUM_TOKENS, ContextTree

_COMPILED_FROM: Final = "b75fdbbcfa1d0f6ac88923264216332c909097daa7f0efa1971f2ff77daf4bbf"
"""SHA-256 of the other file that is compiled in, `context_tree.py`; numba's disk cache watches this
file only. A test asks for the new hash when it has changed; writing it here is what makes numba
compile anew."""

EOP: Final = NUM_TOKENS - 1


@numba.njit(cache=True)
def distribution(
    tree: ContextTree,
    text: NDArray[np.uint8],
    at: int,
    order: int,
    discount: float,
    token: int,
    p: NDArray[np.float64],
    top: NDArray[np.float64],
) -> None:
    """Fill `p` `[257]` with the distribution after `text[:at]`.

    `top[k]` `[order + 1]` becomes what a model whose top order is `k` gives to `token`. At least
    `order` bytes must stand before `at`.
    """
    p[:] = 1.0 / NUM_TOKENS
    counts = np.zeros(NUM_TOKENS, np.int64)
    variety = np.zeros(NUM_TOKENS, np.int64)
    last_byte = np.full(NUM_TOKENS, -1, np.int64)
    seen = np.empty(NUM_TOKENS, np.int64)
    node = 0
    low, high = np.int64(0), np.int64(len(tree.positions))
    for depth in range(order + 1):
        num_seen = 0
        if node >= 0:
            for entry in range(tree.first_entries[node], tree.first_entries[node + 1]):
                symbol = np.int64(tree.entry_symbols[entry])
                counts[symbol] = tree.entry_counts[entry]
                variety[symbol] = tree.entry_variety[entry]
                seen[num_seen] = symbol
                num_seen += 1
        else:
            for event in range(low, high):
                symbol = np.int64(tree.symbols[event])
                if counts[symbol] == 0:
                    seen[num_seen] = symbol
                    num_seen += 1
                    last_byte[symbol] = -1
                counts[symbol] += 1
                if depth < order:
                    byte = np.int64(tree.text[tree.positions[event] - depth - 1])
                    if byte != last_byte[symbol]:
                        last_byte[symbol] = byte
                        variety[symbol] += 1
        if num_seen == 0:
            top[depth:] = p[token]
            return
        total = 0
        total_variety = 0
        for i in range(num_seen):
            total += counts[seen[i]]
            total_variety += variety[seen[i]]
        top[depth] = (max(counts[token] - discount, 0.0) + discount * num_seen * p[token]) / total
        if depth < order:
            p *= discount * num_seen / total_variety
            for i in range(num_seen):
                p[seen[i]] += (variety[seen[i]] - discount) / total_variety
        else:
            p *= discount * num_seen / total
            for i in range(num_seen):
                p[seen[i]] += (counts[seen[i]] - discount) / total
            return
        for i in range(num_seen):
            counts[seen[i]] = 0
            variety[seen[i]] = 0
        node, low, high = _longer(tree, node, low, high, depth, text[at - depth - 1])


@numba.njit(cache=True)
def _longer(
    tree: ContextTree, node: int, low: int, high: int, depth: int, byte: int
) -> tuple[int, int, int]:
    """Return the node (-1: none) and the range of the context that is `byte` longer."""
    if node >= 0:
        for child in range(tree.first_children[node], tree.first_children[node + 1]):
            if tree.labels[child] == byte:
                return child, np.int64(tree.lows[child]), np.int64(tree.highs[child])
        low = _first_at_least(tree, low, high, depth, byte)
        return -1, low, _first_at_least(tree, low, high, depth, byte + 1)
    while low < high and tree.text[tree.positions[low] - depth - 1] != byte:
        low += 1
    while low < high and tree.text[tree.positions[high - 1] - depth - 1] != byte:
        high -= 1
    return -1, low, high


@numba.njit(cache=True)
def _first_at_least(tree: ContextTree, low: int, high: int, depth: int, byte: int) -> int:
    """Return the first event of a sorted range whose next context byte is at least `byte`."""
    while low < high:
        middle = (low + high) // 2
        if np.int64(tree.text[tree.positions[middle] - depth - 1]) < byte:
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(cache=True)
def weigh(
    tree: ContextTree,
    text: NDArray[np.uint8],
    start: int,
    order: int,
    discount: float,
    predicted: NDArray[np.uint16],
    byte_nats: NDArray[np.float32],
    top_nats: NDArray[np.float64],
) -> None:
    """Weigh `text[start:]` and the end after it.

    Fills `predicted` and `byte_nats`, `[len(text) - start]` both, with the likeliest tokens and
    with what the true ones cost, and adds to `top_nats` `[order + 1]` what models of every top
    order up to `order` pay for all of it.
    """
    p = np.empty(NUM_TOKENS, np.float64)
    top = np.empty(order + 1, np.float64)
    for at in range(start, len(text) + 1):
        token = np.int64(text[at]) if at < len(text) else EOP
        distribution(tree, text, at, order, discount, token, p, top)
        top_nats -= np.log(top)
        if at < len(text):
            predicted[at - start] = np.argmax(p)
            byte_nats[at - start] = -np.log(top[order])


@numba.njit(cache=True)
def write(
    tree: ContextTree, text: NDArray[np.uint8], start: int, order: int, discount: float
) -> int:
    """Write the likeliest bytes into `text[start:]` until the end token; return the place."""
    p = np.empty(NUM_TOKENS, np.float64)
    top = np.empty(order + 1, np.float64)
    for at in range(start, len(text)):
        distribution(tree, text, at, order, discount, 0, p, top)
        token = np.argmax(p)
        if token == EOP:
            return at
        text[at] = token
    return len(text)
