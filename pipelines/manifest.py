"""`manifest.json`: what a corpus is, how it was made, and what every shard must hash to.

It follows from the configuration, the source's material (named in `provenance`) and the numbers of
samples: no time, no host, no path, no version of Python. Writing and reading are inverse, and
reading is strict. The rows of the samples are `pipelines.index`; this module moves no shard and
decides nothing (`pipelines.build` does).
"""

import dataclasses
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pipelines.config import ConfigError, parse
from pipelines.plan import SAMPLES_PER_SHARD, SIDES, ColumnType, Plan, Side, SplitRule
from pipelines.sample import EXTENSION_PATTERN, KEY_PATTERN

SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 64 << 20

FIXED_COLUMNS = ("key", "side", "shard", "offset", "size", "group")
"""Columns of every index, beside `size_EXT` of every extension; see `pipelines.index`."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class CorpusError(ValueError):
    """A corpus folder that cannot be used; names the file and the cure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardEntry:
    """What the manifest records of one shard."""

    name: str
    """`NAME-000000.tar`; it lies in the folder of its side."""
    samples: int
    bytes: int
    sha256: str
    index_sha256: str
    """Hash of the shard's rows of the index, see `columns_sha256`."""
    dropped: dict[str, int]
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """See `SampleShard.counts`; written only where there are any."""

    def __post_init__(self) -> None:
        """Refuse sizes that no shard has, and what is no hash."""
        if not 0 < self.samples <= SAMPLES_PER_SHARD:
            raise ValueError(f"samples: {self.samples} is not within 1..{SAMPLES_PER_SHARD}")
        for key, digest in (("sha256", self.sha256), ("index_sha256", self.index_sha256)):
            if _SHA256.fullmatch(digest) is None:
                raise ValueError(f"{key}: {digest!r} is no SHA-256")


@dataclass(frozen=True, kw_only=True, slots=True)
class SideEntry:
    """One side: its shards in order, and produced = kept + dropped over all of them."""

    produced: int
    kept: int
    dropped: dict[str, int]
    shards: tuple[ShardEntry, ...]
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """Sums of the shards' counts; written only where there are any."""

    def __post_init__(self) -> None:
        """Check that the counts add up and that only the last shard is short."""
        if self.produced != self.kept + sum(self.dropped.values()):
            raise ValueError(f"produced {self.produced} is not kept {self.kept} + dropped")
        if self.kept != sum(shard.samples for shard in self.shards):
            raise ValueError(f"kept {self.kept} is not the sum of the shards' samples")
        if self.counts != _summed(shard.counts for shard in self.shards):
            raise ValueError(f"counts {self.counts} are not the sums of the shards' counts")
        if any(shard.samples != SAMPLES_PER_SHARD for shard in self.shards[:-1]):
            raise ValueError(f"a shard other than the last has not {SAMPLES_PER_SHARD} samples")


@dataclass(frozen=True, kw_only=True, slots=True)
class Planning:
    """What the plan looked at and dropped before any shard: see `Plan`."""

    read: int
    dropped: dict[str, int]
    available: dict[str, int] | None
    overlap: dict[str, int] = field(default_factory=dict[str, int])
    """Groups on both sides; written only where the split is "given"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The content of `manifest.json`."""

    schema_version: int
    name: str
    config_sha256: str
    settings: dict[str, Any]
    extensions: tuple[str, ...]
    prompt_bytes: int
    columns: dict[str, ColumnType]
    provenance: dict[str, Any]
    samples_per_shard: int
    planning: Planning
    sides: dict[str, SideEntry]
    split: SplitRule = "group"
    """Who decided on the sides, see `Plan`; written only where it is "given"."""

    def __post_init__(self) -> None:
        """Refuse another schema, missing sides, and names that no corpus has."""
        if self.planning.overlap and self.split != "given":
            raise ValueError("planning.overlap: not allowed, for split is 'group'")
        if self.schema_version != SCHEMA_VERSION or self.samples_per_shard != SAMPLES_PER_SHARD:
            raise ValueError(f"schema version {self.schema_version} is not {SCHEMA_VERSION}")
        if set(self.sides) != set(SIDES):
            raise ValueError(f"sides {sorted(self.sides)} are not {sorted(SIDES)}")
        if KEY_PATTERN.fullmatch(self.name) is None:
            raise ValueError(f"name: {self.name!r} does not match {KEY_PATTERN.pattern}")
        if not self.extensions or len(set(self.extensions)) != len(self.extensions):
            raise ValueError(f"extensions: {list(self.extensions)}: at least one, none twice")
        for extension in self.extensions:
            if EXTENSION_PATTERN.fullmatch(extension) is None:
                raise ValueError(
                    f"extensions: {extension!r} does not match {EXTENSION_PATTERN.pattern}"
                )
        if self.prompt_bytes < 0:
            raise ValueError(f"prompt_bytes: {self.prompt_bytes} is negative")
        fixed = {*FIXED_COLUMNS, *(f"size_{extension}" for extension in self.extensions)}
        for column in self.columns:
            if column in fixed:
                raise ValueError(f"columns.{column}: every index has a column of that name")
        for side in SIDES:
            for i, shard in enumerate(self.sides[side].shards):
                if shard.name != f"{self.name}-{i:06d}.tar":  # nor does any name leave the folder
                    raise ValueError(
                        f"sides.{side}.shards[{i}].name: {shard.name!r} is not "
                        f"'{self.name}-{i:06d}.tar'"
                    )

    def num_samples(self, side: Side) -> int:
        """Return the number of samples of one side."""
        return self.sides[side].kept

    def side_sha256(self, side: Side) -> str:
        """Return one hash of a side's content: the SHA-256 of its shards' hashes, in order."""
        lines = "".join(f"{shard.sha256}\n" for shard in self.sides[side].shards)
        return hashlib.sha256(lines.encode("ascii")).hexdigest()


def make_manifest(plan: Plan, shards: Mapping[Side, Sequence[ShardEntry]]) -> Manifest:
    """Return the manifest of a corpus whose shards are all made."""
    sides: dict[str, SideEntry] = {}
    for side in SIDES:
        kept = sum(shard.samples for shard in shards[side])
        dropped = _summed(shard.dropped for shard in shards[side])
        sides[side] = SideEntry(
            produced=kept + sum(dropped.values()),
            kept=kept,
            dropped=dropped,
            shards=tuple(shards[side]),
            counts=_summed(shard.counts for shard in shards[side]),
        )
    available = None if plan.available is None else {str(k): n for k, n in plan.available.items()}
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=plan.corpus,
        config_sha256=plan.config_sha256,
        settings=dict(plan.settings),
        extensions=plan.extensions,
        prompt_bytes=plan.prompt_bytes,
        columns=dict(plan.columns),
        provenance=dict(plan.provenance),
        samples_per_shard=SAMPLES_PER_SHARD,
        planning=Planning(
            read=plan.read,
            dropped=dict(plan.dropped),
            available=available,
            overlap=dict(plan.overlap),
        ),
        sides=sides,
        split=plan.split,
    )


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of counts by name."""
    total: Counter[str] = Counter()
    for names in counts:
        total.update(names)
    return dict(total)


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of `manifest.json`; `decode_manifest` is the inverse.

    Keys stand in the order of the dataclasses, those of free mappings sorted, except for
    `columns`, whose order is the index's. What most corpora have none of is left out where it is
    empty: counts, overlaps, another rule of the split.
    """
    content = dataclasses.asdict(manifest)
    if manifest.split == "group":
        del content["split"]
    for side in content["sides"].values():
        for entry in (side, *side["shards"]):
            _leave_out_empty(entry, "counts")
    _leave_out_empty(content["planning"], "overlap")
    for name in ("settings", "provenance", "planning", "sides"):
        content[name] = json.loads(json.dumps(content[name], sort_keys=True, allow_nan=False))
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode("ascii")


def _leave_out_empty(content: dict[str, Any], key: str) -> None:
    """Remove a key whose value is empty."""
    if not content[key]:
        del content[key]


def decode_manifest(data: bytes) -> Manifest:
    """Read the bytes of a `manifest.json` strictly.

    Raises:
        ConfigError: not JSON of the form that `encode_manifest` writes; names the key.
    """
    try:
        content: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{MANIFEST_NAME}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{MANIFEST_NAME}: not a JSON object")
    return parse(Manifest, cast("dict[str, Any]", content), MANIFEST_NAME)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a corpus folder.

    Raises:
        CorpusError: the folder holds no finished corpus, or the file is malformed.
    """
    path = folder / MANIFEST_NAME
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise CorpusError(f"{path}: larger than {MAX_MANIFEST_BYTES} bytes; not a manifest")
        return decode_manifest(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "no finished corpus" if folder.is_dir() else "no such folder"
        raise CorpusError(
            f"{path}: {what}; make it with: bgpt-data build CORPUS --out {folder}"
        ) from error
    except ConfigError as error:
        raise CorpusError(
            f"{folder}: {error}. Run the same bgpt-data build again: it rebuilds the corpus."
        ) from error
    except OSError as error:
        raise CorpusError(f"{path}: not readable: {error.strerror}") from error
