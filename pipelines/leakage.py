"""Recompute from finished shards whether tunes of test have variants in train, and repeated bytes.

A build clusters tunes before it transposes and recombines them; this trusts none of that. It reads
every MIDI file of both sides, takes its melody anew, and compares each of train with all of test,
exactly, by the definition of `pipelines.dedup`. It also finds samples that have a segment in common
byte for byte, by 16-byte BLAKE2b digests (two of 10^6 files agree by chance once in 10^26).

It goes shard by shard: of a sample that went by, 16 bytes a segment are kept, and its index row.
Hashes of shards, the index and groups are `pipelines.verify`'s.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.corpus import Corpus, CorpusError, SampleReader
from pipelines.near_index import Nearest, NearIndex
from simulators.music.midi.note_batches import fault_text, melody_batch, read_note_batch

_EXTENSION = "mid"
_DIGEST_WORDS = 2
_NAMED = 5
"""Samples that are named of what may be many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NearPair:
    """A sample of train and the nearest one of test."""

    train: str
    test: str
    shared: int
    """Interval n-grams that both have."""
    union: int
    """Interval n-grams that either has."""

    @property
    def jaccard(self) -> float:
        """Return the similarity, 0 to 1."""
        return self.shared / self.union


@dataclass(frozen=True, kw_only=True, slots=True)
class Leakage:
    """What was found on both sides of a split."""

    train_samples: int
    test_samples: int
    near_train: int
    """Samples of train that are near to any of test."""
    near_test: int
    """Samples of test that any of train is near to."""
    near_pairs: tuple[NearPair, ...]
    """The first few of train, each with its nearest of test."""
    nearest: NearPair | None
    """The most similar of all pairs, the first of several; None if no two share an n-gram."""
    repeated: int
    """Samples that share a segment's bytes with another one, on whatever side."""
    repeated_keys: tuple[str, ...]
    """The first few of these."""
    problems: tuple[str, ...]
    """A line for every MIDI file that cannot be read."""

    @property
    def is_clean(self) -> bool:
        """Return whether nothing is on both sides, nothing repeated, and everything readable."""
        return not (self.near_train or self.repeated or self.problems)


def find_leakage(
    folder: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Leakage:
    """Compare the sides of a finished corpus of tunes.

    `on_progress` is told the samples that are done and their total.

    Raises:
        CorpusError: no finished corpus, or none with MIDI files.
        ShardCorrupt: a shard is missing or of another size.
    """
    corpus = Corpus.open(folder)
    if _EXTENSION not in corpus.extensions:
        raise CorpusError(
            f"{folder}: samples of {corpus.name} have {', '.join(corpus.extensions)}, no "
            f"{_EXTENSION}: leakage is a matter of melodies; leave out --leakage"
        )
    train, test = corpus.side("train"), corpus.side("test")
    seen = _Seen(corpus, len(train) + len(test), on_progress)
    by_shard = list(seen.melodies(test))
    of_test = np.concatenate([np.empty(0, np.int64), *(one.numbers for one in by_shard)])
    index = NearIndex.build(*_joined(by_shard))
    near_train = 0
    reached = np.zeros(len(of_test), np.bool_)
    near_pairs: list[NearPair] = []
    best: NearPair | None = None
    for shard in seen.melodies(train):
        found = index.nearest(shard.intervals, shard.offsets)

        def pair(
            i: int, numbers: NDArray[np.int64] = shard.numbers, found: Nearest = found
        ) -> NearPair:
            return NearPair(
                train=train.key(int(numbers[i])),
                test=test.key(int(of_test[found.melody[i]])),
                shared=int(found.shared[i]),
                union=int(found.union[i]),
            )

        reached |= found.reached
        near = np.flatnonzero(2 * found.shared >= found.union)
        near_train += len(near)
        near_pairs += map(pair, near[: _NAMED - len(near_pairs)].tolist())
        if len(found.shared):
            top = int((found.shared / found.union).argmax())
            if found.shared[top] and (best is None or pair(top).jaccard > best.jaccard):
                best = pair(top)
    repeated = seen.repeated()
    keys = [
        test.key(number) if number < len(test) else train.key(number - len(test))
        for number in repeated[:_NAMED].tolist()
    ]
    return Leakage(
        train_samples=len(train),
        test_samples=len(test),
        near_train=near_train,
        near_test=int(reached.sum()),
        near_pairs=tuple(near_pairs),
        nearest=best,
        repeated=len(repeated),
        repeated_keys=tuple(keys),
        problems=tuple(seen.problems),
    )


def leakage_lines(found: Leakage) -> list[str]:
    """Return what was counted, in lines for a person."""
    nearest = "no two share an n-gram"
    if (pair := found.nearest) is not None:
        # Cut, not rounded: 0.49999 must not read as the bound that it is below.
        cut = pair.shared * 10_000 // pair.union / 10_000
        nearest = f"the nearest: {cut:.4f}, {pair.train} and {pair.test}"
    samples = found.train_samples + found.test_samples
    return [
        f"near-duplicates across the split: {found.near_train:,} ({found.train_samples:,} train "
        f"against {found.test_samples:,} test samples, Jaccard >= 0.5); {nearest}",
        f"samples that share a file's bytes with another: {found.repeated:,} of {samples:,}",
    ]


def leakage_faults(found: Leakage) -> list[str]:
    """Return what is wrong, a line each, the first few samples by name."""
    lines = [
        f"{pair.train} is a near-duplicate of {pair.test}: {pair.shared} of {pair.union} n-grams"
        for pair in found.near_pairs
    ]
    if found.near_train:
        lines.append(
            f"in all {found.near_train:,} train samples are near-duplicates of test samples, "
            f"{found.near_test:,} of which are reached"
        )
    if found.repeated:
        lines.append(
            f"{found.repeated:,} samples share a file's bytes with another: "
            + ", ".join(found.repeated_keys)
            + (", ..." if found.repeated > len(found.repeated_keys) else "")
        )
    return [*lines, *found.problems]


class _Melodies(NamedTuple):
    """The melodies of the readable MIDI files of one shard."""

    intervals: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    numbers: NDArray[np.int64]
    """Of the samples on their side."""


class _Seen:
    """What is remembered of the samples that went by: digests, and what could not be read."""

    def __init__(self, corpus: Corpus, total: int, on_progress: Callable[[int, int], None]) -> None:
        self.problems: list[str] = []
        self._extensions = corpus.extensions
        self._digests = np.empty((len(corpus.extensions), total, _DIGEST_WORDS), np.uint64)
        self._done = 0
        self._total = total
        self._on_progress = on_progress

    def melodies(self, reader: SampleReader) -> Iterator[_Melodies]:
        """Yield the melodies of a side, shard by shard.

        A file that cannot be read has no melody: it would be near to every tune without one.
        """
        first = 0
        for samples in reader.shards():
            end = self._done + len(samples)
            for extension, files in enumerate(zip(*samples, strict=True)):
                self._digests[extension, self._done : end] = _digests(files)
            files = [sample[self._extensions.index(_EXTENSION)] for sample in samples]
            notes = read_note_batch(files)
            readable = notes.fault_offsets < 0
            if not readable.all():
                self.problems += (
                    f"{reader.key(first + i)}: its {_EXTENSION} cannot be read: "
                    f"{fault_text(files[i])}"
                    for i in np.flatnonzero(~readable).tolist()
                )
                notes = read_note_batch([files[i] for i in np.flatnonzero(readable)])
            yield _Melodies(*melody_batch(notes), first + np.flatnonzero(readable))
            first += len(samples)
            self._done = end
            self._on_progress(end, self._total)

    def repeated(self) -> NDArray[np.int64]:
        """Return the samples, in the order in which they came, with a segment seen elsewhere."""
        found = np.zeros(self._done, np.bool_)
        for digests in self._digests:
            order = np.lexsort(digests.T)
            in_order = digests[order]
            same = (in_order[1:] == in_order[:-1]).all(axis=1)
            found[order[1:][same]] = True
            found[order[:-1][same]] = True
        return np.flatnonzero(found)


def _joined(shards: Sequence[_Melodies]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the melodies of several shards in a row."""
    lengths = [np.diff(shard.offsets) for shard in shards]
    intervals = [np.empty(0, np.uint8), *(shard.intervals for shard in shards)]
    offsets = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
    return np.concatenate(intervals), offsets


def _digests(files: Sequence[bytes]) -> NDArray[np.uint64]:
    """Return `[n, 2]`: 16 bytes of BLAKE2b of every file."""
    size = 8 * _DIGEST_WORDS
    digests = b"".join(hashlib.blake2b(data, digest_size=size).digest() for data in files)
    return np.frombuffer(digests, np.uint64).reshape(-1, _DIGEST_WORDS)
