"""Order without state: a permutation that is computed, never stored or shuffled.

`Permutation(n, seed, epoch)` maps each position 0..n-1 of an epoch to a sample, one to one, so the
order is a pure function of (seed, epoch, position): resuming needs one integer, no list of a
million indices and no random state, and any worker may compute any part. It is a Feistel network
over the smallest even number of bits that holds n, with cycle walking (a value outside 0..n-1 goes
through the network again until it falls inside). It is good shuffling, not cryptography. NumPy's
own permutation stream may differ between NumPy versions; this one is integer arithmetic of ours.
"""

from hashlib import blake2b
from typing import final

import numpy as np
from numpy.typing import NDArray

NUM_ROUNDS = 6
"""Four rounds make a Feistel network of good round functions pseudorandom (Luby and Rackoff,
1988); two more cost nothing here and help where a half has one or two bits."""
MAX_NUM_ITEMS = 1 << 62


def derived_seed(*key: int | str) -> int:
    """Return 64 bits that depend on `key` alone: a child seed for one named purpose.

    >>> derived_seed(0, "order", 1) == derived_seed(0, "order", 2)
    False
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def hashed(counters: NDArray[np.int64], *key: int | str) -> NDArray[np.uint64]:
    """Return 64 well-mixed bits for each counter, a pure function of (key, counter)."""
    return _mixed(counters.astype(np.uint64) + np.uint64(derived_seed(*key)))


@final
class Permutation:
    """A fixed one-to-one map of 0..num_items-1 onto itself, chosen by `key`.

    >>> order = Permutation(5, 0, "epoch", 3)
    >>> sorted(order(np.arange(5)).tolist())
    [0, 1, 2, 3, 4]

    Raises:
        ValueError: `num_items` is not in 1..2^62.
    """

    def __init__(self, num_items: int, *key: int | str) -> None:
        if not 1 <= num_items <= MAX_NUM_ITEMS:
            raise ValueError(f"a permutation needs 1..2^62 items, not {num_items}")
        self.num_items = num_items
        self._half_bits = np.uint64(max(1, ((num_items - 1).bit_length() + 1) // 2))
        self._half_mask = np.uint64((1 << int(self._half_bits)) - 1)
        self._round_keys = [np.uint64(derived_seed(*key, "round", i)) for i in range(NUM_ROUNDS)]

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the item at each position; any shape.

        Raises:
            IndexError: a position is outside 0..num_items-1.
        """
        if positions.size and (positions.min() < 0 or positions.max() >= self.num_items):
            raise IndexError(
                f"positions {positions.min()}..{positions.max()} reach outside "
                f"0..{self.num_items - 1}"
            )
        items = self._network(positions.astype(np.uint64).ravel())
        outside = np.flatnonzero(items >= np.uint64(self.num_items))
        while outside.size:
            items[outside] = self._network(items[outside])
            outside = outside[items[outside] >= np.uint64(self.num_items)]
        return items.astype(np.int64).reshape(positions.shape)

    def _network(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Send each value once through all rounds; one to one on 0..2^(2 * half_bits)-1."""
        left, right = values >> self._half_bits, values & self._half_mask
        for round_key in self._round_keys:
            left, right = right, left ^ (_mixed(right + round_key) & self._half_mask)
        return (left << self._half_bits) | right


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of SplitMix64 (Steele, Lea and Flood, 2014), arithmetic modulo 2^64."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
