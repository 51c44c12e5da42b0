# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
"""The reading side of a corpus: open a folder, take a side, read samples at random.

Everything right of `pipelines` reads through here. Shards are mapped, not opened, so readers may be
shared by threads, inherited by forked processes and pickled to others; equal calls give equal
bytes. A smaller scale is a prefix: `corpus.side("train", limit=1000)`.

Opening checks that everything is there and of the recorded size; `SampleReader.verify` and
`pipelines.verify` check the hashes. Nothing here shuffles or batches: that is the trainer's.
"""

import shlex
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import pyarrow as pa

from pipelines.index import INDEX_NAME, read_index
from pipelines.manifest import FIXED_COLUMNS, CorpusError, Manifest, read_manifest
from pipelines.plan import SAMPLES_PER_SHARD, SIDES, Side
from pipelines.shards import (
    ShardCorrupt,
    check_sha256,
    check_size,
    map_shard,
    segment_offsets,
)
from simulators.suggest import unknown_name

__all__ = ["Corpus", "CorpusError", "SampleReader", "ShardCorrupt"]


@final
class Corpus:
    """A finished corpus on disk."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path: Path = path
        self.manifest: Manifest = manifest

    @staticmethod
    def open(path: Path) -> "Corpus":
        """Open a corpus folder and check that its files are there and of the recorded sizes.

        Raises:
            CorpusError: no finished corpus, or a malformed manifest; names the file and the cure.
            ShardCorrupt: a shard is missing or of another size (also a `ValueError`).
        """
        manifest = read_manifest(path)
        if not (path / INDEX_NAME).is_file():
            raise CorpusError(f"{path / INDEX_NAME}: missing. {cure(path, manifest, 'the corpus')}")
        for side in SIDES:
            for shard in manifest.sides[side].shards:
                try:
                    check_size(path / side / shard.name, shard.bytes)
                except ShardCorrupt as error:
                    raise ShardCorrupt(f"{error}. {cure(path, manifest)}") from error
        return Corpus(path, manifest)

    @property
    def name(self) -> str:
        """Return the corpus' name."""
        return self.manifest.name

    @property
    def prompt_bytes(self) -> int:
        """Return how many leading bytes are given in a simulation; 0 in conversion."""
        return self.manifest.prompt_bytes

    @property
    def extensions(self) -> tuple[str, ...]:
        """Return the extensions of a sample's segments, in order."""
        return self.manifest.extensions

    def side(self, side: Side, limit: int | None = None) -> "SampleReader":
        """Return a reader of one side, or of its first `limit` samples.

        Raises:
            CorpusError: fewer than `limit` samples are there; names how many.
        """
        if side not in SIDES:
            raise CorpusError(unknown_name("side", side, SIDES))
        found = self.manifest.num_samples(side)
        if limit is not None and not 0 <= limit <= found:
            raise CorpusError(
                f"{self.path}: {limit} {side} samples wanted, but the corpus has {found}; "
                f"build it with --{side}-samples {limit}"
            )
        return SampleReader(self, side, found if limit is None else limit)


@final
class SampleReader:
    """Random access to a prefix of one side of a corpus."""

    def __init__(self, corpus: Corpus, side: Side, num_samples: int) -> None:
        self._corpus = corpus
        self._side: Side = side
        self._num_samples = num_samples
        manifest = corpus.manifest
        self._first_row = manifest.num_samples("train") if side == "test" else 0
        num_shards = -(-num_samples // SAMPLES_PER_SHARD)
        self._shards = manifest.sides[side].shards[:num_shards]
        self._maps: list[memoryview | None] = [None] * num_shards
        self._columns: dict[str, list[Any]] = {}

        size_names = [f"size_{extension}" for extension in manifest.extensions]
        table = self._rows(["offset", *size_names])
        sizes = np.stack([table[name].to_numpy() for name in size_names], axis=1)
        starts = segment_offsets(table["offset"].to_numpy(), sizes)
        # Plain arrays: indexing them is three times as fast as indexing NumPy's.
        self._num_segments = len(size_names)
        self._starts = array("q", starts.astype(np.int64).tobytes())
        self._stops = array("q", (starts + sizes).astype(np.int64).tobytes())

    def __len__(self) -> int:
        """Return the number of samples."""
        return self._num_samples

    def read(self, i: int) -> tuple[bytes, ...]:
        """Return the segments of sample `i`, in the order of the corpus' `extensions`.

        Raises:
            IndexError: `i` is not within `0..len(self) - 1`.
            ShardCorrupt: the shard is missing or of another size.
        """
        if not 0 <= i < self._num_samples:
            raise IndexError(f"sample {i} is not within 0..{self._num_samples - 1}")
        shard = self._maps[i // SAMPLES_PER_SHARD] or self._map(i // SAMPLES_PER_SHARD)
        if self._num_segments == 1:
            return (shard[self._starts[i] : self._stops[i]].tobytes(),)
        first = i * self._num_segments
        return tuple(
            [
                shard[self._starts[j] : self._stops[j]].tobytes()
                for j in range(first, first + self._num_segments)
            ]
        )

    def shards(self) -> Iterator[list[tuple[bytes, ...]]]:
        """Yield the samples of one shard after the other, in order; each is mapped only meanwhile.

        Raises:
            ShardCorrupt: as `read`.
        """
        for number in range(len(self._shards)):
            first = number * SAMPLES_PER_SHARD
            yield list(map(self.read, range(first, min(first + SAMPLES_PER_SHARD, len(self)))))
            self._maps[number] = None

    def key(self, i: int) -> str:
        """Return the key of sample `i`."""
        return self.column("key")[i]

    def group(self, i: int) -> str:
        """Return the group of sample `i`."""
        return self.column("group")[i]

    def groups(self) -> list[str]:
        """Return the group of every sample, in order."""
        return self.column("group")

    def column(self, name: str) -> list[Any]:
        """Return one column of the index, one value a sample; read once and kept.

        Raises:
            CorpusError: the index has no such column; names the nearest.
        """
        if name not in self._columns:
            self._columns[name] = self._rows([name])[name].to_pylist()
        return self._columns[name]

    @property
    def shard_sha256(self) -> tuple[str, ...]:
        """Return the recorded hashes of the shards that these samples lie in, in order."""
        return tuple(shard.sha256 for shard in self._shards)

    @property
    def shard_names(self) -> tuple[str, ...]:
        """Return the file names of the same shards."""
        return tuple(shard.name for shard in self._shards)

    def verify(self) -> None:
        """Hash these samples' shards.

        Raises:
            ShardCorrupt: a shard's SHA-256 is not the recorded one; names both and the cure.
        """
        folder = self._corpus.path
        for shard in self._shards:
            path = folder / self._side / shard.name
            try:
                check_sha256(path, shard.bytes, shard.sha256)
            except ShardCorrupt as error:
                raise ShardCorrupt(f"{error}. {cure(folder, self._corpus.manifest)}") from error

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as path, manifest and range; the other process maps the shards itself."""
        return (SampleReader, (self._corpus, self._side, self._num_samples))

    def _map(self, number: int) -> memoryview:
        """Map shard `number` on first use; two threads at once map it twice, which is harmless."""
        shard = self._shards[number]
        path = self._corpus.path / self._side / shard.name
        try:
            mapped = map_shard(path, shard.bytes)
        except ShardCorrupt as error:
            raise ShardCorrupt(
                f"{error}. {cure(self._corpus.path, self._corpus.manifest)}"
            ) from error
        self._maps[number] = mapped
        return mapped

    def _rows(self, names: list[str]) -> pa.Table:
        """Return these samples' rows of some columns of the index."""
        manifest = self._corpus.manifest
        known = [*FIXED_COLUMNS, *manifest.columns]
        known += [f"size_{extension}" for extension in manifest.extensions]
        for name in names:
            if name not in known:
                raise CorpusError(unknown_name("column", name, known))
        table = read_index(self._corpus.path / INDEX_NAME, manifest, names)
        return table.slice(self._first_row, self._num_samples)


def _music_words(options: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    """Return the options of a music corpus as a command line has them, but for the usual ones."""
    tunes = str(options.get("tunes", "music21"))
    if tunes == "irishman" and "revision" not in provenance:  # which the hub's has, and no folder
        tunes = "irishman:FOLDER"
    if tunes == "folder":
        tunes = "FOLDER"
    words = f" --tunes {tunes}" if tunes != "music21" else ""
    if (licences := options.get("licences")) and isinstance(licences, list):
        words += f" --licences {','.join(cast('list[str]', licences))}"
    for name, usual in (("material", "tiers"), ("preset", "plain")):
        if options.get(name, usual) != usual:
            words += f" --{name} {options[name]}"
    return words + (" --control-codes" if options.get("control_codes") else "")


def cure(path: Path, manifest: Manifest, rebuilt: str = "that shard alone") -> str:
    """Return the sentence that says how to mend a corpus: the command, and what it rebuilds.

    The command makes the same corpus; a path and a parameter file are in no manifest, so it says
    where they go.
    """
    numbers: dict[str, Any] = {side: manifest.num_samples(side) for side in SIDES}
    if isinstance(draws := manifest.settings.get("draws"), dict):  # some of which were dropped
        numbers |= cast("dict[str, Any]", draws)
    words = f"--train-samples {numbers['train']} --test-samples {numbers['test']}"
    if isinstance(stream := manifest.settings.get("stream"), str):
        words += f" --stream {shlex.quote(stream)}"
    if isinstance(seed := manifest.settings.get("seed"), int):
        words += f" --seed {seed}"
    options: dict[str, Any] = manifest.settings.get("options") or {}
    names = ["profile", "layout"]
    if "stream" not in manifest.settings:  # the authors' has its own sizes
        names += ["memory_bytes", "max_instructions"]
    for name in names:
        if name in options:
            words += f" --{name.replace('_', '-')} {shlex.quote(str(options[name]))}"
    if isinstance(weights := options.get("weights"), dict):
        pairs = ",".join(f"{k}={n}" for k, n in cast("dict[str, Any]", weights).items())
        words += f" --weights {shlex.quote(pairs)}"
    if "programs" in manifest.settings:
        words += " --programs FOLDER"
    words += _music_words(options, manifest.provenance)
    return (
        f'Run "bgpt-data build {manifest.name} {words} --out {shlex.quote(str(path))}", '
        f"with --params FILE if it was built with one: it rebuilds {rebuilt}"
    )
