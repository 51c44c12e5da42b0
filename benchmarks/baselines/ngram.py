"""The n-gram baseline: Kneser-Ney over bytes, trained on the train side's targets.

A simulation's context goes on into the memory and first state that are given; in conversion it
starts anew with the target, so the n-gram never sees the source. Order and discount are chosen on
groups held out of the train side, never on test samples; then all of the train side is counted.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines.context_tree import ContextTree, build_tree
from benchmarks.baselines.ngram_kernel import weigh, write
from bgpt.protocol import Continuation, Prompt, Scores

DISCOUNTS: Final = (0.5, 0.75, 0.9, 0.97)
HELD_OUT_OF: Final = 20
"""One group in so many is held out."""
MAX_HELD_OUT_BYTES: Final = 256 << 10
"""Bytes of the held-out targets that are weighed; from the front."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What the held-out samples said."""

    order: int
    discount: float
    held_out_samples: int


@final
class Ngram:
    """A `ByteModel` of counts; see `ngram_kernel` for the formula."""

    def __init__(self, examples: Sequence[Continuation], order: int, discount: float) -> None:
        self._order = order
        self._discount = discount
        self._tree: ContextTree = build_tree(
            [(_before(example.prompt, order), example.target) for example in examples], order
        )

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        """Weigh every continuation by itself."""
        scores: list[Scores] = []
        for request in requests:
            nats = np.zeros(self._order + 1)
            predicted, byte_nats = self._weigh(request, self._discount, nats)
            scores.append(
                Scores(total_nats=float(nats[-1]), predicted=predicted, byte_nats=byte_nats)
            )
        return scores

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:
        """Write greedily."""
        written: list[bytes] = []
        for prompt, limit in zip(prompts, max_bytes, strict=True):
            before = _before(prompt, self._order)
            text = np.zeros(len(before) + limit, np.uint8)
            text[: len(before)] = np.frombuffer(before, np.uint8)
            stop = write(self._tree, text, len(before), self._order, self._discount)
            written.append(text[len(before) : stop].tobytes())
        return written

    def nats_by_order(self, requests: Sequence[Continuation], discount: float) -> list[float]:
        """Return what models of every order up to this one's pay for all requests together."""
        nats = np.zeros(self._order + 1)
        for request in requests:
            self._weigh(request, discount, nats)
        return nats.tolist()

    def _weigh(
        self, request: Continuation, discount: float, nats: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
        """Return the likeliest tokens and what the true bytes cost; add to `nats`, by order."""
        predicted = np.empty(len(request.target), np.uint16)
        byte_nats = np.empty(len(request.target), np.float32)
        text, start = _text(request, self._order)
        weigh(self._tree, text, start, self._order, discount, predicted, byte_nats, nats)
        return predicted, byte_nats


def choose(examples: Sequence[Continuation], groups: Sequence[str], max_order: int) -> Choice:
    """Return the order and discount that pay least on held-out groups.

    With too few groups to hold any out, they are chosen on the examples themselves.
    """
    kept: list[Continuation] = []
    held: list[Continuation] = []
    room = MAX_HELD_OUT_BYTES
    for example, group in zip(examples, groups, strict=True):
        if _is_held_out(group):
            if room > 0:
                held.append(example)
            room -= len(example.target)
        else:
            kept.append(example)
    if not kept or not held:
        kept = held = list(examples)
    trial = Ngram(kept, max_order, DISCOUNTS[0])
    found = [
        (nats, order, discount)
        for discount in DISCOUNTS
        for order, nats in enumerate(trial.nats_by_order(held, discount))
    ]
    _, order, discount = min(found)
    return Choice(order=order, discount=discount, held_out_samples=len(held))


def _is_held_out(group: str) -> bool:
    digest = hashlib.blake2b(group.encode(), digest_size=8, person=b"ngram-held-out").digest()
    return int.from_bytes(digest, "little") % HELD_OUT_OF == 0


def _before(prompt: Prompt, order: int) -> bytes:
    """Return the last `order` bytes before the target; in front are zeros, the extension."""
    opening = bytes(order) + prompt.extension.encode() + prompt.given
    return opening[len(opening) - order :]


def _text(request: Continuation, order: int) -> tuple[np.ndarray, int]:
    """Return context and target as one array, and where the target starts."""
    before = _before(request.prompt, order)
    return np.frombuffer(before + request.target, np.uint8), len(before)
