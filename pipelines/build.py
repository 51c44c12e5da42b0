# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Build a corpus: plan, find what is already there, make the rest, write manifest and index.

A folder in the making has `.partial/`: a record beside every finished shard (configuration, hashes,
index rows), and a lock. A shard is kept only if its record is of this configuration and its bytes
still hash to what the record says. Whatever the interruptions, the finished folder is the same:

    .partial/SIDE-NUMBER.json  written after its shard; gone when the corpus is finished
    SIDE/NAME-NUMBER.tar(.idx) appear whole, by rename
    index.parquet, build.json  written when all shards are there
    manifest.json              last; taken away first when a finished corpus is to change

It draws no sample (the sources do) and knows no command line.
"""

import fcntl
import importlib.metadata
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.engine import Engine, LocalEngine
from pipelines.index import INDEX_NAME, ShardColumns, columns_sha256, shard_columns, write_index
from pipelines.manifest import (
    MANIFEST_NAME,
    CorpusError,
    Manifest,
    ShardEntry,
    encode_manifest,
    make_manifest,
    read_manifest,
)
from pipelines.plan import SIDES, Plan, SamplesUnreachable, Side, Source
from pipelines.records import (
    LOCK_NAME,
    PARTIAL_NAME,
    RECORD_NAME,
    Records,
    ShardJob,
    ShardRecord,
    only_records,
    read_record,
    record_path,
    shard_files,
    shard_jobs,
    shard_path,
    write_record,
)
from pipelines.sample import KEY_PATTERN, Sample, sample_key
from pipelines.shards import (
    TEMPORARY_PATTERN,
    TEMPORARY_SUFFIX,
    index_path,
    pack_shard,
    read_starts,
    sync_folder,
    write_atomically,
    write_shard,
)
from pipelines.split import side_of_group

BUILD_NAME = "build.json"

_PACKAGES = (
    "byteworld",
    "capstone",
    "music21",
    "numba",
    "numpy",
    "pyarrow",
    "pyelftools",
    "symusic",
    "unicorn",
)


class BuildError(ValueError):
    """The corpus cannot be built as asked; one line that says why and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildReport:
    """What a build did."""

    manifest: Manifest
    kept_shards: int
    built_shards: int
    removed_shards: int


def build_corpus(
    source: Source,
    needed: Mapping[Side, int],
    out: Path,
    *,
    engine: Engine | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> BuildReport:
    """Make or mend the corpus at `out`, so that it has exactly `needed` samples a side.

    Where the source decides on the numbers (`Plan.numbers`), it has those. `on_progress` is told
    the samples that are done and their total.

    Raises:
        BuildError: the folder is not ours, is in use, or cannot be written.
        SamplesUnreachable, SourceError: see `Source.plan`.
    """
    for side in SIDES:
        if needed[side] < 0:
            raise BuildError(f"{needed[side]} {side} samples: the number must not be negative")
    plan = source.plan(needed)
    _check_plan(plan, needed)
    _check_folder(out, plan)
    numbers = needed if plan.numbers is None else plan.numbers
    jobs = [job for side in SIDES for job in shard_jobs(side, numbers[side])]
    with _writing(out):
        for folder in (out, out / PARTIAL_NAME, *(out / side for side in SIDES)):
            folder.mkdir(parents=True, exist_ok=True)
    with _locked(out / PARTIAL_NAME / LOCK_NAME):
        report = _build(source, plan, jobs, out, engine or LocalEngine(1), on_progress)
        shutil.rmtree(out / PARTIAL_NAME)
    return report


def _check_plan(plan: Plan, needed: Mapping[Side, int]) -> None:
    """Refuse a number of samples beyond what there is."""
    assert KEY_PATTERN.fullmatch(sample_key(plan.corpus, "train", 0)), plan.corpus
    if plan.numbers is not None:
        return  # the source's own
    for side in SIDES:
        if plan.available is not None and needed[side] > plan.available[side]:
            raise SamplesUnreachable(
                plan.corpus, side, wanted=needed[side], maximum=plan.available[side]
            )


def _check_folder(out: Path, plan: Plan) -> None:
    """Refuse a folder that holds something else: shards in it would be removed."""
    if not out.exists():
        return
    if not out.is_dir():
        raise BuildError(f"{out}: is not a folder; choose another --out")
    partial = out / PARTIAL_NAME
    if partial.exists() and not only_records(partial):
        raise BuildError(f"{partial}: holds what no build writes; choose another --out")
    if (out / MANIFEST_NAME).exists():
        try:
            name = read_manifest(out).name
        except CorpusError as error:
            if not (partial.is_dir() or shard_files(out, plan.corpus)):
                raise BuildError(
                    f"{out}: its {MANIFEST_NAME} is no corpus' and there is no shard of "
                    f"{plan.corpus}; choose another --out, or remove the file ({error})"
                ) from error
            return  # ours and damaged: it is rebuilt
        if name != plan.corpus:
            raise BuildError(f"{out}: holds the corpus {name}; choose another --out")
    elif any(out.iterdir()) and not partial.is_dir():
        raise BuildError(f"{out}: is not empty and holds no corpus; choose another --out")


@contextmanager
def _writing(out: Path) -> Generator[None]:
    """Say in one line what could not be written."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise BuildError(
            f"{out}: cannot write: {error.strerror or error}{where}. Nothing half-written stays; "
            "make room and run the same command again: it goes on where it stopped"
        ) from error


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold a lock that ends with this process, however it ends."""
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildError(f"{path.parent.parent}: another build is at work there") from error
        yield


def _build(
    source: Source,
    plan: Plan,
    jobs: list[ShardJob],
    out: Path,
    engine: Engine,
    on_progress: Callable[[int, int], None],
) -> BuildReport:
    """Do the work of `build_corpus` in a prepared folder."""
    _sweep(out, plan)
    finished = _finished_manifest(out)
    records = Records(out, plan, finished)
    entries = {job: entry for job in jobs if (entry := records.kept_entry(job)) is not None}
    kept = len(entries)
    surplus = _surplus_shards(out, plan, jobs)
    unchanged = kept == len(jobs) and not surplus and (out / BUILD_NAME).exists()
    if unchanged and finished is not None and finished == _manifest(plan, jobs, entries):
        return BuildReport(manifest=finished, kept_shards=kept, built_shards=0, removed_shards=0)

    with _writing(out):
        for job in entries:
            records.save(job)
        sync_folder(out / PARTIAL_NAME)
        (out / MANIFEST_NAME).unlink(missing_ok=True)
        sync_folder(out)
        for path in surplus:
            index_path(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    total = sum(job.count for job in jobs)
    done = sum(job.count for job in entries)
    on_progress(done, total)
    work = _MakeShard(source=source, plan=plan, out=out, builder=os.getpid())
    for job, entry in engine.run(work, [job for job in jobs if job not in entries]):
        entries[job] = entry
        done += job.count
        on_progress(done, total)

    manifest = _manifest(plan, jobs, entries)
    with _writing(out):
        write_index(out / INDEX_NAME, manifest, _index_parts(out, plan, jobs))
        write_atomically(out / BUILD_NAME, _build_versions())
        for folder in (*(out / side for side in SIDES), out):
            sync_folder(folder)
        write_atomically(out / MANIFEST_NAME, encode_manifest(manifest))
        sync_folder(out)
    return BuildReport(
        manifest=manifest,
        kept_shards=kept,
        built_shards=len(jobs) - kept,
        removed_shards=len(surplus),
    )


def _manifest(plan: Plan, jobs: list[ShardJob], entries: Mapping[ShardJob, ShardEntry]) -> Manifest:
    """Return the manifest of `jobs`, all of which are done."""
    return make_manifest(
        plan, {side: [entries[job] for job in jobs if job.side == side] for side in SIDES}
    )


def _sweep(out: Path, plan: Plan) -> None:
    """Remove the temporary files of a build that was killed, by the very names that it writes."""
    names = "|".join(re.escape(name) for name in (MANIFEST_NAME, INDEX_NAME, BUILD_NAME))
    top = re.compile(rf"({names}){TEMPORARY_PATTERN}")
    shard = re.compile(rf"{re.escape(plan.corpus)}-[0-9]{{6}}\.tar(\.idx)?{TEMPORARY_PATTERN}")
    patterns = {out: top, out / PARTIAL_NAME: RECORD_NAME, **{out / side: shard for side in SIDES}}
    for folder, pattern in patterns.items():
        for path in folder.glob(f"*{TEMPORARY_SUFFIX}"):
            if pattern.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _finished_manifest(out: Path) -> Manifest | None:
    """Return the manifest of a finished corpus, if one is there and readable."""
    try:
        return read_manifest(out)
    except CorpusError:
        return None


def _surplus_shards(out: Path, plan: Plan, jobs: list[ShardJob]) -> list[Path]:
    """Return the shards of this corpus that lie there and are not wanted any more."""
    wanted = {shard_path(out, plan.corpus, job) for job in jobs}
    found = {
        path.with_suffix("") if path.suffix == ".idx" else path
        for path in shard_files(out, plan.corpus)
    }
    return sorted(found - wanted)


@dataclass(frozen=True, kw_only=True, slots=True)
class _MakeShard:
    """The work of one job; pickled once to every worker."""

    source: Source
    plan: Plan
    out: Path
    builder: int
    """Process id of the build; a worker that outlived it writes nothing."""

    def __call__(self, job: ShardJob) -> tuple[ShardJob, ShardEntry]:
        """Make, pack and write a shard, then its record."""
        plan = self.plan
        shard = self.source.shard(plan, job.side, job.first, job.count)
        _check_samples(plan, job, shard.samples)
        columns: ShardColumns = shard_columns(shard, plan)
        packed = pack_shard(shard.samples, plan.extensions)
        if self.builder not in (os.getpid(), os.getppid()):
            raise SystemExit(1)
        path = shard_path(self.out, plan.corpus, job)
        with _writing(self.out):
            sha256 = write_shard(path, packed)
            entry = ShardEntry(
                name=path.name,
                samples=job.count,
                bytes=packed.num_bytes,
                sha256=sha256,
                index_sha256=columns_sha256(columns),
                dropped=dict(shard.dropped),
                counts=dict(shard.counts),
            )
            record = ShardRecord(config_sha256=plan.config_sha256, entry=entry, columns=columns)
            sync_folder(path.parent)
            write_record(record_path(self.out, job), record)
        return job, entry


def _check_samples(plan: Plan, job: ShardJob, samples: Sequence[Sample]) -> None:
    """Hold the source to its promises: `job.count` samples from `job.first` on, of this side."""
    wanted = [sample_key(plan.corpus, job.side, job.first + i) for i in range(job.count)]
    keys = [sample.key for sample in samples]
    assert keys == wanted, f"{plan.corpus}: the source gave other keys than {job} asks for"
    if plan.split == "given":
        return
    for sample in samples:
        if side_of_group(sample.group) != job.side:
            raise BuildError(
                f"{sample.key}: its group {sample.group!r} does not belong to {job.side}; "
                "the source must split by pipelines.split.side_of_group"
            )


def _index_parts(
    out: Path, plan: Plan, jobs: list[ShardJob]
) -> Iterator[tuple[Side, int, NDArray[np.int64], ShardColumns]]:
    """Yield every shard's part of the index, one at a time."""
    for job in jobs:
        record = read_record(record_path(out, job))
        assert record is not None, job
        starts = read_starts(shard_path(out, plan.corpus, job))
        yield job.side, job.number, starts[:-1], record.columns


def _build_versions() -> bytes:
    """Return `build.json`: what this was built with; shown to people, covered by no hash."""
    packages: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    content = {"python": platform.python_version(), "platform": platform.platform(), **packages}
    return (json.dumps(content, indent=1) + "\n").encode("ascii")
