# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""What a build knows of shards that are already there: `.partial/`, and the corpus it had been.

A record stands beside every finished shard of an unfinished corpus. A shard is kept only if a
record of this very configuration exists and the bytes on disk still are what it says. Nothing here
makes or removes a shard.
"""

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.config import parse
from pipelines.index import INDEX_NAME, columns_sha256, index_columns, read_index
from pipelines.manifest import CorpusError, Manifest, ShardEntry
from pipelines.plan import SAMPLES_PER_SHARD, SIDES, Plan, Side
from pipelines.shards import (
    TEMPORARY_PATTERN,
    ShardCorrupt,
    check_sha256,
    list_members,
    map_shard,
    members_starts,
    read_starts,
    write_atomically,
)

PARTIAL_NAME = ".partial"
LOCK_NAME = "lock"
RECORD_NAME = re.compile(rf"({'|'.join(SIDES)})-[0-9]{{6}}\.json({TEMPORARY_PATTERN})?")
"""A record in `.partial/`, finished or not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardJob:
    """One shard to make: samples `first` to `first + count - 1` of a side."""

    side: Side
    number: int
    count: int

    @property
    def first(self) -> int:
        """Return the number of the shard's first sample."""
        return self.number * SAMPLES_PER_SHARD


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardRecord:
    """What `.partial/` keeps of a finished shard until the manifest and the index take it over."""

    config_sha256: str
    entry: ShardEntry
    columns: dict[str, list[Any]]


def shard_jobs(side: Side, num_samples: int) -> list[ShardJob]:
    """Return the shards of one side.

    >>> [job.count for job in shard_jobs("test", 2300)]
    [1000, 1000, 300]
    """
    return [
        ShardJob(
            side=side,
            number=first // SAMPLES_PER_SHARD,
            count=min(SAMPLES_PER_SHARD, num_samples - first),
        )
        for first in range(0, num_samples, SAMPLES_PER_SHARD)
    ]


def shard_path(out: Path, corpus: str, job: ShardJob) -> Path:
    """Return where a shard lies."""
    return out / job.side / f"{corpus}-{job.number:06d}.tar"


def shard_files(out: Path, corpus: str) -> list[Path]:
    """Return the tars and `.tar.idx` at `out` that have names of this corpus."""
    pattern = re.compile(re.escape(corpus) + r"-[0-9]{6}\.tar(\.idx)?")
    return [
        path
        for side in SIDES
        if (out / side).is_dir()
        for path in (out / side).iterdir()
        if pattern.fullmatch(path.name)
    ]


def only_records(partial: Path) -> bool:
    """Return whether `.partial/` is a folder and holds only what a build writes into it."""
    return partial.is_dir() and all(
        path.name == LOCK_NAME or RECORD_NAME.fullmatch(path.name) for path in partial.iterdir()
    )


class Records:
    """What is known of shards that were made before: from `.partial/`, or the finished corpus."""

    def __init__(self, out: Path, plan: Plan, finished: Manifest | None) -> None:
        self._out = out
        self._plan = plan
        self._finished: dict[tuple[str, int], tuple[ShardEntry, int]] = {}
        """Entry and first row of the index of every shard of the finished corpus."""
        if finished is None or finished.config_sha256 != plan.config_sha256:
            return
        try:
            self._index = read_index(out / INDEX_NAME, finished)
        except CorpusError:
            return
        row = 0
        for side in SIDES:
            for number, entry in enumerate(finished.sides[side].shards):
                self._finished[side, number] = (entry, row)
                row += entry.samples

    def kept_entry(self, job: ShardJob) -> ShardEntry | None:
        """Return the entry of a shard that is there, of this configuration, whole and unchanged."""
        record = self._find(job)
        path = shard_path(self._out, self._plan.corpus, job)
        if record is None or record.entry.samples != job.count or record.entry.name != path.name:
            return None
        try:
            check_sha256(path, record.entry.bytes, record.entry.sha256)
            members = list_members(map_shard(path, record.entry.bytes))
            if members_starts(members).tolist() != read_starts(path).tolist():
                return None
        except ShardCorrupt:
            return None
        return record.entry

    def save(self, job: ShardJob) -> None:
        """Write the record of a kept shard to `.partial/`."""
        record = self._find(job)
        assert record is not None
        write_record(record_path(self._out, job), record)

    def _find(self, job: ShardJob) -> ShardRecord | None:
        """Return the record of a shard of this configuration, checked against its own hash."""
        record = read_record(record_path(self._out, job))
        config_sha256 = self._plan.config_sha256
        if record is None or record.config_sha256 != config_sha256:
            if (job.side, job.number) not in self._finished:
                return None
            entry, row = self._finished[job.side, job.number]
            columns = index_columns(self._index.slice(row, entry.samples))
            record = ShardRecord(config_sha256=config_sha256, entry=entry, columns=columns)
        return record if columns_sha256(record.columns) == record.entry.index_sha256 else None


def record_path(out: Path, job: ShardJob) -> Path:
    """Return where a shard's record lies."""
    return out / PARTIAL_NAME / f"{job.side}-{job.number:06d}.json"


def write_record(path: Path, record: ShardRecord) -> None:
    """Write a shard's record; `read_record` is the inverse."""
    text = json.dumps(dataclasses.asdict(record), separators=(",", ":"), allow_nan=False)
    write_atomically(path, text.encode("ascii"))


def read_record(path: Path) -> ShardRecord | None:
    """Read a shard's record; `None` if there is none, or it is damaged."""
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        return ShardRecord(
            config_sha256=content["config_sha256"],
            entry=parse(ShardEntry, content["entry"], path.name),
            columns=content["columns"],
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
