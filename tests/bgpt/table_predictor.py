"""A predictor without a network: how often each byte follows each, drawn once."""

import hashlib
from collections.abc import Sequence

import numpy as np

from bgpt.entropy_coding import ChooseBytes, Context


class TablePredictor:
    """Weighs a byte by the one before; skewed, so that some bytes are next to impossible."""

    def __init__(self, seed: int = 0, piece_bytes: int = 4, build: str = "a table") -> None:
        drawn = np.random.default_rng(seed).normal(0, 4, (257, 256))
        self.table = np.exp(drawn - drawn.max(axis=1, keepdims=True)).astype(np.float32)
        self.identity = hashlib.sha256(self.table.tobytes()).digest()
        self.build = build
        self._piece_bytes = piece_bytes

    def piece_bytes(self, context: Context) -> int:
        return self._piece_bytes

    def predict(self, context: Context, lengths: Sequence[int], choose: ChooseBytes) -> None:
        left = np.array(lengths)
        before = np.full(len(left), 256)
        while len(pieces := left.nonzero()[0]):
            before[pieces] = choose(pieces, self.table[before[pieces]])
            left[pieces] -= 1

    def bits(self, data: bytes) -> float:
        """Return what `data` costs with exact arithmetic."""
        pieces = range(0, len(data), self._piece_bytes)
        pairs = [(256 if at in pieces else data[at - 1], byte) for at, byte in enumerate(data)]
        p = self.table / self.table.sum(axis=1, keepdims=True, dtype=np.float64)
        return float(sum(-np.log2(p[pair]) for pair in pairs))
