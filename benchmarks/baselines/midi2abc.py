"""The midi2abc program as a baseline for `midi-to-abc`: it writes, it has no likelihoods.

Its output is put into the corpus' canonical form, so that it is compared with what it means and not
with how it is spaced. A file that either step refuses counts as nothing written.
"""

from collections.abc import Sequence
from typing import final

from bgpt.protocol import Continuation, Prompt, Scores
from simulators.music.abc.canonical import TuneRejected, canonicalise
from simulators.music.conversion.converter import abc_from_midi
from simulators.music.reasons import DropReason


@final
class Midi2Abc:
    """A `ByteModel` that runs midi2abc on the source, one limited process a file."""

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        """Return no likelihoods."""
        return [Scores(total_nats=None, predicted=None) for _ in requests]

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:
        """Convert every source."""
        sources = [b"" if prompt.source is None else prompt.source.data for prompt in prompts]
        written: list[bytes] = []
        for found, limit in zip(abc_from_midi(sources), max_bytes, strict=True):
            try:
                # A DropReason is a str too.
                tune = b"" if isinstance(found, DropReason) else canonicalise(found).encode()
            except TuneRejected:
                tune = b""
            written.append(tune[:limit])
        return written
