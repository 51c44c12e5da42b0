# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
"""Check a corpus on disk against its manifest, byte by byte, and against its own promises.

Every shard's size and SHA-256, its members against the index, its `.tar.idx`, the index against its
recorded hash, no shard too many, and no group on both sides (where the source decided on the sides:
as many as the manifest says). It collects all that is wrong instead of stopping at the first, and
mends nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.corpus import cure
from pipelines.index import INDEX_NAME, ShardColumns, columns_sha256, index_columns, read_index
from pipelines.manifest import CorpusError, Manifest, ShardEntry, read_manifest
from pipelines.plan import SIDES, Side
from pipelines.shards import (
    ShardCorrupt,
    check_sha256,
    list_members,
    map_shard,
    members_starts,
    read_starts,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What a check of a corpus found."""

    name: str
    shards: int
    samples: int
    bytes: int
    problems: tuple[str, ...]
    """One line each: what, where, expected and found."""
    cure: str
    """The command that rebuilds what is damaged; empty where nothing is to be rebuilt."""


def verify_corpus(folder: Path) -> Verification:
    """Check everything in a corpus folder.

    Raises:
        CorpusError: there is no readable manifest to check against.
    """
    manifest = read_manifest(folder)
    entries = [entry for side in SIDES for entry in manifest.sides[side].shards]
    problems = tuple(_problems(folder, manifest))
    remedies = {remedy for _, remedy in problems}
    rebuilt = next(
        (remedy for remedy in ("the corpus", "that shard alone") if remedy in remedies), ""
    )
    return Verification(
        name=manifest.name,
        shards=len(entries),
        samples=sum(entry.samples for entry in entries),
        bytes=sum(entry.bytes for entry in entries),
        problems=tuple(problem for problem, _ in problems),
        cure=f"{cure(folder, manifest, rebuilt)}." if rebuilt else "",
    )


def _problems(folder: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield all that is wrong, each with what a build then rebuilds; nothing where "" stands."""
    index: pa.Table | None = None
    try:
        index = read_index(folder / INDEX_NAME, manifest)
    except CorpusError as error:
        yield str(error), "the corpus"
    row = 0
    for side in SIDES:
        names: set[str] = set()
        for entry in manifest.sides[side].shards:
            names |= {entry.name, f"{entry.name}.idx"}
            rows = None if index is None else index.slice(row, entry.samples)
            row += entry.samples
            try:
                _check_shard(folder, side, entry, rows)
            except ShardCorrupt as error:
                yield f"{side}/{error}", "that shard alone"
        if (folder / side).is_dir():
            for path in sorted((folder / side).iterdir()):
                if path.name not in names:
                    yield f"{side}/{path.name}: not in manifest.json; remove it", ""
    if index is not None:
        for problem in _index_problems(index, manifest):
            yield problem, ""  # beside other hashes of the rows, or the source's own doing


def _check_shard(folder: Path, side: Side, entry: ShardEntry, rows: pa.Table | None) -> None:
    """Raise `ShardCorrupt` for the first thing that is wrong with a shard."""
    path = folder / side / entry.name
    check_sha256(path, entry.bytes, entry.sha256)
    members = list_members(map_shard(path, entry.bytes))
    starts = members_starts(members).tolist()
    if read_starts(path).tolist() != starts:
        raise ShardCorrupt(f"{entry.name}.idx: its offsets are not those of {entry.name}")
    if rows is None:
        return
    columns = index_columns(rows)
    found = columns_sha256(columns)
    if found != entry.index_sha256:
        raise ShardCorrupt(
            f"{entry.name}: its rows of {INDEX_NAME} have sha256 {found}, "
            f"which does not match manifest.json ({entry.index_sha256})"
        )
    if [(name, size) for name, _, size in members] != _expected_members(columns):
        raise ShardCorrupt(f"{entry.name}: its members are not those of {INDEX_NAME}")
    if rows["offset"].to_pylist() != starts[:-1]:
        raise ShardCorrupt(f"{entry.name}: its offsets are not those of {INDEX_NAME}")


def _expected_members(columns: ShardColumns) -> list[tuple[str, int]]:
    """Return name and size of every member that the index promises, in order."""
    extensions = [name.removeprefix("size_") for name in columns if name.startswith("size_")]
    return [
        (f"{key}.{extension}", columns[f"size_{extension}"][i])
        for i, key in enumerate(columns["key"])
        for extension in extensions
    ]


def _index_problems(index: pa.Table, manifest: Manifest) -> Iterator[str]:
    """Yield what is wrong over all shards: repeated keys, groups on both sides.

    Where the source decided on the sides, as many groups stand on both as the manifest records.
    """
    keys = index["key"].to_pylist()
    if len(set(keys)) != len(keys):
        yield f"{INDEX_NAME}: a key stands there twice"
    rows = zip(index["side"].to_pylist(), index["group"].to_pylist(), strict=True)
    groups: dict[str, set[str]] = {side: set() for side in SIDES}
    for side, group in rows:
        groups.setdefault(side, set()).add(group)
    shared = sorted(groups["train"] & groups["test"])
    recorded = sum(manifest.planning.overlap.values())
    if len(shared) != recorded:
        first = f", the first is {shared[0]!r}" if shared else ""
        expected = f", expected {recorded} as in manifest.json" if recorded else ""
        yield f"{INDEX_NAME}: {len(shared)} groups stand in train and in test{first}{expected}"
