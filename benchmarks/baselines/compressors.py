# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""General compressors as likelihoods: the target costs C(given + target) - C(given).

Given is the source file, or a simulation's memory and first state. The formats are taken without
checksums and container headers, at their strongest level; the end of the target is in the
difference, because a compressed stream knows where it ends. Sizes are whole bytes, so a sample's
figure is coarse. A compressor has no likeliest byte: it writes nothing and predicts nothing.
"""

import lzma
import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any, final

import brotli
import zstandard

from bgpt.protocol import Continuation, Prompt, Scores

DICTIONARY_BYTES = 110 * 1024
"""The zstd tool's default size of a trained dictionary."""
MAX_DICTIONARY_INPUT = 8 << 20
"""Train bytes that a dictionary is trained on; from the front of the train side."""

_LZMA_FILTER = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 16}
_LEVEL = 19
"""The strongest zstd level below the "ultra" ones, which only enlarge the window."""

_SEGMENT_BYTES = 1024
"""Length of the pieces a dictionary is put together from. Given, because zstd's search for it takes
20 s and gains 0.2 %."""


@final
class Compressor:
    """A `ByteModel` out of a function that tells the compressed size in bytes."""

    def __init__(self, size: Callable[[bytes], int]) -> None:
        self._size = size

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        """Charge what the target adds to the compressed size, never less than nothing."""
        scores: list[Scores] = []
        for request in requests:
            before = given_bytes(request.prompt)
            added = self._size(before + request.target) - self._size(before)
            scores.append(Scores(total_nats=max(added, 0) * 8 * math.log(2), predicted=None))
        return scores

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:  # noqa: ARG002
        """Return `None`: a compressor does not write."""
        return None


def given_bytes(prompt: Prompt) -> bytes:
    """Return all bytes that stand before the target."""
    return (b"" if prompt.source is None else prompt.source.data) + prompt.given


def zlib_size(data: bytes) -> int:
    """Return the size as raw deflate."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    return len(packer.compress(data)) + len(packer.flush())


def xz_size(data: bytes) -> int:
    """Return the size as raw LZMA2."""
    return len(lzma.compress(data, lzma.FORMAT_RAW, filters=[_LZMA_FILTER]))


def brotli_size(data: bytes) -> int:
    """Return the size as brotli, whose built-in dictionary is made for web pages."""
    return len(brotli.compress(data, quality=11, lgwin=16))


def zstd_size(dictionary: zstandard.ZstdCompressionDict | None = None) -> Callable[[bytes], int]:
    """Return a function that tells the size as a bare zstd frame."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=False,
        write_dict_id=False,
    )
    compressor = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)
    return lambda data: len(compressor.compress(data))


def train_dictionary(examples: Sequence[Continuation]) -> zstandard.ZstdCompressionDict:
    """Train a zstd dictionary on train samples, each as given + target.

    Too few samples to train on become a dictionary as they are.
    """
    samples: list[Any] = []
    room = MAX_DICTIONARY_INPUT
    for example in examples:
        sample = given_bytes(example.prompt) + example.target
        room -= len(sample)
        if room < 0:
            break
        samples.append(sample)
    try:
        return zstandard.train_dictionary(
            DICTIONARY_BYTES, samples, k=_SEGMENT_BYTES, d=8, level=_LEVEL
        )
    except zstandard.ZstdError:
        tail = b"".join(samples)[-DICTIONARY_BYTES:]
        return zstandard.ZstdCompressionDict(tail, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
