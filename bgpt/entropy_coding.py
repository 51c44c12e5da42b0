# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
"""Bytes into a range coder's words and back, with anybody's distributions: constriction's door.

A file is cut into pieces that the predictor can take, `GROUP` of them go side by side, and every
step codes one byte of each into one stream: no piece pays for its own end. Both sides run the
predictor over the same groups in the same steps, so it computes the same numbers; on the way in the
answer to "which byte comes next?" is known, on the way out it is read from the stream.

Shapes: B pieces of a group that are not at their end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

from bgpt.compressed_file import Refused
from pipelines.sample import Segment

GROUP = 32
"""Pieces side by side. Part of the format: other neighbours would move a prediction's last bits."""
PRECISION = 24
"""Bits of a probability in constriction's default range coder. Every byte gets at least 2^-24."""
_FREE = (1 << PRECISION) - 256
"""What is left to be shared out when every byte has its 2^-24."""
_LEAST_BITS = -np.log2(1 - 255 * 2.0**-PRECISION)
"""What the surest byte costs."""

_FAMILY = constriction.stream.model.Categorical(perfect=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a predictor knows beside the bytes before."""

    extension: str
    given: Segment | None = None
    """A file that comes before every piece, as a conversion's source does."""
    begin: bytes = b""
    """What the file begins with, and what is not coded; every piece is read behind it."""


class ChooseBytes(Protocol):
    """Answers a predictor."""

    def __call__(
        self, pieces: NDArray[np.int64], weights: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        """Return the next byte `[B]` of pieces `pieces [B]`.

        `weights [B, 256]` are the predictor's probabilities up to a factor a row, finite and not
        negative, with at least one above zero.
        """
        ...


class Predictor(Protocol):
    """Foretells every next byte of several pieces at once."""

    @property
    def identity(self) -> bytes:
        """The sha256 of what it predicts with: another one predicts otherwise."""
        ...

    @property
    def build(self) -> str:
        """What computes, in words for the user: elsewhere the last bits may differ."""
        ...

    def piece_bytes(self, context: Context) -> int:
        """Return how long a piece may be, at least 1."""
        ...

    def predict(self, context: Context, lengths: Sequence[int], choose: ChooseBytes) -> None:
        """Ask for every byte of pieces of such lengths, one byte a step of each that has more.

        The distributions depend on nothing but the context, the lengths and the answers.
        """
        ...


def encode(
    predictor: Predictor, context: Context, data: bytes, on_bytes: Callable[[int], None]
) -> bytes:
    """Return the words that `data` costs; `on_bytes` is told how many bytes are done."""
    coder = constriction.stream.queue.RangeEncoder()

    def write(known: NDArray[np.uint8], weights: NDArray[np.float32]) -> NDArray[np.uint8]:
        coder.encode(known.astype(np.int32), _FAMILY, shares(weights))
        return known

    _walk(predictor, context, np.frombuffer(data, np.uint8).copy(), write, on_bytes)
    return coder.get_compressed().astype(">u4").tobytes()


def decode(
    predictor: Predictor,
    context: Context,
    words: bytes,
    length: int,
    on_bytes: Callable[[int], None],
) -> bytes:
    """Return the `length` bytes that `encode` made `words` of.

    Raises:
        Refused: so few words cannot hold so many bytes, or no bytes fit them.
    """
    if length * _LEAST_BITS > 8 * len(words) + 64:
        raise Refused(f"{len(words)} bytes of code cannot hold {length}")
    coder = constriction.stream.queue.RangeDecoder(np.frombuffer(words, ">u4").astype(np.uint32))

    def read(_: NDArray[np.uint8], weights: NDArray[np.float32]) -> NDArray[np.uint8]:
        try:
            return coder.decode(_FAMILY, shares(weights)).astype(np.uint8)
        except AssertionError as error:  # constriction's word for code that no bytes have
            raise Refused(f"no byte fits the code: {error}") from error

    data = np.zeros(length, np.uint8)
    _walk(predictor, context, data, read, on_bytes)
    return data.tobytes()


def shares(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return whole numbers `[B, 256]` in the proportions of `weights`, `2^24 - 256` a row.

    constriction adds one to each. Whole numbers of that sum pass through its float32 sums exactly;
    what it makes of others can leave nothing for byte 255, and then it panics.

    >>> shares(np.float32([[1, 2] + [0] * 254]))[0, :3].tolist()
    [5592320.0, 11184640.0, 0.0]
    """
    exact = weights.astype(np.float64)
    exact *= _FREE / exact.sum(axis=1, keepdims=True)
    np.floor(exact, out=exact)
    row = np.arange(len(exact))
    # The largest has at least 2^24 / 256 - 1, and what rounding left or took is at most 256.
    exact[row, exact.argmax(axis=1)] += _FREE - exact.sum(axis=1)
    return exact.astype(np.float32)


def _walk(
    predictor: Predictor,
    context: Context,
    data: NDArray[np.uint8],
    code: Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.uint8]],
    on_bytes: Callable[[int], None],
) -> None:
    """Go through `data` in the format's order; every byte becomes what `code` says it is."""
    piece_bytes = predictor.piece_bytes(context)
    for first in range(0, len(data), GROUP * piece_bytes):
        stop = min(first + GROUP * piece_bytes, len(data))
        starts = np.arange(first, stop, piece_bytes)
        lengths = [min(piece_bytes, stop - start) for start in starts.tolist()]
        at = starts.copy()

        def answer(
            pieces: NDArray[np.int64],
            weights: NDArray[np.float32],
            starts: NDArray[np.int64] = starts,
            at: NDArray[np.int64] = at,
        ) -> NDArray[np.int64]:
            places = at[pieces]
            data[places] = code(data[places], weights)
            at[pieces] += 1
            on_bytes(int(starts[0] + (at - starts).sum()))
            return data[places].astype(np.int64)

        predictor.predict(context, lengths, answer)
        assert (at - starts).tolist() == lengths
