# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Shards: the only door to the tar files of a corpus: pack, write, map, check.

A shard is an uncompressed WebDataset tar of up to 1,000 samples, each sample's segments as
neighbouring members `KEY.EXT`, with a `.tar.idx` beside it: unsigned 64-bit little-endian offsets
of every sample's first header, then the offset of the end mark (Megatron-Energon's form). Files
appear whole: temporary name, fsync, rename.

It knows no corpus, side or configuration; `pipelines.manifest` and `pipelines.build` do.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.sample import KEY_PATTERN, Sample
from pipelines.ustar import (
    BLOCK_BYTES,
    UstarError,
    decode_header,
    encode_headers,
    end_bytes,
    padding_bytes,
)

TEMPORARY_SUFFIX = ".tmp"
"""Ends the name of every file that is not finished; such files are swept at the next start."""
TEMPORARY_PATTERN = rf"\.[0-9]+{re.escape(TEMPORARY_SUFFIX)}"
"""What such a name has after the finished file's: the writing process, then the suffix."""

_PARTS_PER_MEMBER = 4
_PADDING = tuple(bytes(padding_bytes(n)) for n in range(BLOCK_BYTES))


class ShardCorrupt(ValueError):  # noqa: N818 - named as in the style guide
    """A shard is missing or its bytes are not those that were recorded; names file and cure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedShard:
    """A shard in memory; its bytes are joined only while they are written, which is faster."""

    parts: list[bytes]
    """The tar: header (in two), bytes and padding of every member, then the end mark."""
    starts: NDArray[np.uint64]
    """`[n + 1]`: offset of each sample's first header, then of the end mark."""
    sizes: NDArray[np.int64]
    """`[n, k]`: bytes of each segment."""

    @property
    def num_bytes(self) -> int:
        """Return the length of the tar."""
        return int(self.starts[-1]) + len(self.parts[-1])


def pack_shard(samples: Sequence[Sample], extensions: tuple[str, ...]) -> PackedShard:
    """Pack samples whose segments have exactly `extensions`, in that order.

    Where samples have labels, and then all must, a member `KEY.cls` follows, in ASCII decimals.

    Raises:
        ValueError: a malformed or repeated key, other extensions, or labels here and there.
    """
    # Column by column, because a loop over samples that does everything is half as fast.
    _check_keys([sample.key for sample in samples])
    _check_segments(samples, extensions)
    suffixes, files = _members(samples, extensions)
    names = [f"{sample.key}.{suffix}" for sample in samples for suffix in suffixes]
    sizes = [len(data) for data in files]
    parts = [b""] * (_PARTS_PER_MEMBER * len(files) + 1)
    parts[0:-1:4], parts[1:-1:4] = encode_headers([name.encode("ascii") for name in names], sizes)
    parts[2:-1:4] = files
    parts[3:-1:4] = [_PADDING[size % BLOCK_BYTES] for size in sizes]
    table = np.array(sizes, dtype=np.int64).reshape(len(samples), len(suffixes))
    starts = _sample_starts(table)
    parts[-1] = bytes(end_bytes(int(starts[-1])))
    return PackedShard(
        parts=parts,
        starts=starts.astype("<u8"),
        sizes=table[:, : len(extensions)],
    )


def _members(
    samples: Sequence[Sample], extensions: tuple[str, ...]
) -> tuple[tuple[str, ...], list[bytes]]:
    """Return the extensions of a sample's members, and the bytes of all members in order."""
    labels = [sample.label for sample in samples if sample.label is not None]
    if not labels:
        return extensions, [segment.data for sample in samples for segment in sample.segments]
    if len(labels) != len(samples):
        raise ValueError(f"{len(labels)} of {len(samples)} samples have a label; all must or none")
    files: list[bytes] = []
    for sample, label in zip(samples, labels, strict=True):
        files += [segment.data for segment in sample.segments]
        files.append(b"%d" % label)
    return (*extensions, "cls"), files


def _check_segments(samples: Sequence[Sample], extensions: tuple[str, ...]) -> None:
    """Raise `ValueError` for the first sample with other segments."""
    found = [segment.extension for sample in samples for segment in sample.segments]
    if found == [*extensions] * len(samples):
        return
    for sample in samples:
        if tuple([segment.extension for segment in sample.segments]) != extensions:
            raise ValueError(f"{sample.key}: its segments are not {extensions}")


def _check_keys(keys: list[str]) -> None:
    """Raise `ValueError` for the first malformed or repeated key."""
    lines = "\n".join([*keys, ""])
    if _KEY_LINES.fullmatch(lines) and lines.count("\n") == len(keys) == len(set(keys)):
        return  # one match for all takes a third of the time of one each
    seen: set[str] = set()
    for key in keys:
        if KEY_PATTERN.fullmatch(key) is None or key in seen:
            raise ValueError(f"key {key!r} is malformed or repeated in its shard")
        seen.add(key)


_KEY_LINES = re.compile(rf"(?:{KEY_PATTERN.pattern}\n)*+")


def index_path(shard: Path) -> Path:
    """Return the path of a shard's `.tar.idx`."""
    return shard.with_name(shard.name + ".idx")


def write_shard(path: Path, shard: PackedShard) -> str:
    """Write `path` and the index beside it, each whole or not at all; return the tar's SHA-256.

    Raises:
        OSError: the disk is full, or not writable; no temporary file stays.
    """
    digest = hashlib.sha256()
    write_atomically(path, _joined(shard.parts, digest.update))
    write_atomically(index_path(path), shard.starts.tobytes())
    return digest.hexdigest()


def _joined(parts: list[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    """Yield the tar in pieces that stay in the core's cache from joining to hashing to writing."""
    for first in range(0, len(parts), _PARTS_PER_WRITE):
        piece = b"".join(parts[first : first + _PARTS_PER_WRITE])
        update(piece)
        yield piece


_PARTS_PER_WRITE = _PARTS_PER_MEMBER * 48


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file under a temporary name, flush it to disk, and rename it to `path`.

    `data` is the whole file, or its pieces in order.

    Raises:
        OSError: the disk is full, or not writable; the temporary file is removed.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb", buffering=0) as file:
            for piece in [data] if isinstance(data, bytes) else data:
                view = memoryview(piece)
                while view:  # a write may take less than all
                    view = view[file.write(view) :]
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that renames in it outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def map_shard(path: Path, num_bytes: int) -> memoryview:
    """Map a shard read-only, without keeping a file descriptor open.

    Python's own `mmap` duplicates the descriptor, and the usual limit of 1,024 is fewer than the
    shards of a million samples; Arrow's mapping outlives its file. The view may be shared by
    threads and inherited by forked processes.

    Raises:
        ShardCorrupt: the file is missing or not of `num_bytes` bytes.
    """
    check_size(path, num_bytes)
    with pa.memory_map(str(path)) as file:
        return memoryview(file.read_buffer())


def check_size(path: Path, num_bytes: int) -> None:
    """Raise `ShardCorrupt` unless the file exists and has `num_bytes` bytes."""
    try:
        found = path.stat().st_size
    except FileNotFoundError as error:
        raise ShardCorrupt(f"{path.name}: the shard is missing from {path.parent}") from error
    if found != num_bytes:
        raise ShardCorrupt(f"{path.name}: {found} bytes do not match manifest.json ({num_bytes})")


def check_sha256(path: Path, num_bytes: int, sha256: str) -> None:
    """Raise `ShardCorrupt` unless the file has this size and this hash."""
    check_size(path, num_bytes)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ShardCorrupt(f"{path.name}: sha256 {found} does not match manifest.json ({sha256})")


def segment_offsets(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `[n, k]` offsets of the segments' first bytes within their tar.

    `starts` `[n]` are the samples' first headers, `sizes` `[n, k]` the segments' bytes.

    >>> segment_offsets(np.array([0]), np.array([[600, 3]])).tolist()
    [[512, 2048]]
    """
    members = _member_bytes(sizes)
    return starts[:, None] + BLOCK_BYTES + np.cumsum(members, axis=1) - members


def _sample_starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `[n + 1]` offsets of samples whose members have `sizes` `[n, k]`, and of the end."""
    lengths = _member_bytes(sizes).sum(axis=1)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _member_bytes(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what files of `sizes` take in a tar: header, bytes, padding."""
    return sizes + BLOCK_BYTES + (-sizes % BLOCK_BYTES)


def list_members(tar: memoryview) -> list[tuple[str, int, int]]:
    """Walk a tar strictly: name, offset of its first byte and size of every member.

    Raises:
        ShardCorrupt: a header that is not of our form, or bytes where NULs belong.
    """
    members: list[tuple[str, int, int]] = []
    offset = 0
    try:
        while bytes(tar[offset : offset + 2 * BLOCK_BYTES]).strip(b"\0"):
            name, size = decode_header(bytes(tar[offset : offset + BLOCK_BYTES]))
            first = offset + BLOCK_BYTES
            offset = first + size + padding_bytes(size)
            if bytes(tar[first + size : offset]) != _PADDING[size % BLOCK_BYTES]:
                raise UstarError(f"the padding after {name!r} is cut short or not zero")
            members.append((name.decode("ascii"), first, size))
        if bytes(tar[offset:]) != bytes(end_bytes(offset)):
            raise UstarError("the end mark is cut short or not zero")
    except (UstarError, UnicodeDecodeError) as error:
        raise ShardCorrupt(f"at byte {offset}: {error}") from error
    return members


def members_starts(members: Sequence[tuple[str, int, int]]) -> NDArray[np.uint64]:
    """Return what a tar's `.tar.idx` must hold, from its members."""
    starts: list[int] = []
    end = 0
    previous = None
    for name, first, size in members:
        key = name.partition(".")[0]
        if key != previous:
            starts.append(first - BLOCK_BYTES)
        previous = key
        end = first + size + padding_bytes(size)
    return np.array([*starts, end], dtype="<u8")


def read_starts(shard: Path) -> NDArray[np.int64]:
    """Read the `.tar.idx` of a shard: `[n + 1]`.

    Raises:
        ShardCorrupt: it is missing or not a whole number of offsets.
    """
    path = index_path(shard)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ShardCorrupt(f"{path.name}: the index is missing from {path.parent}") from error
    if not data or len(data) % 8:
        raise ShardCorrupt(f"{path.name}: {len(data)} bytes are no list of 64-bit offsets")
    return np.frombuffer(data, dtype="<u8").astype(np.int64)
