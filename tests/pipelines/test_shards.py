import io
import os
import resource
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sample import Sample, Segment
from pipelines.shards import (
    PackedShard,
    ShardCorrupt,
    check_sha256,
    index_path,
    list_members,
    map_shard,
    members_starts,
    pack_shard,
    read_starts,
    segment_offsets,
    write_atomically,
    write_shard,
)

PAIRS = st.lists(
    st.tuples(
        st.from_regex(r"[a-z0-9][a-z0-9_-]{0,79}", fullmatch=True),
        st.binary(max_size=1200),
        st.binary(max_size=1200),
    ),
    max_size=6,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: [(*p, 7 * i if len(pairs) % 2 else None) for i, p in enumerate(pairs)])
"""Samples with two segments; of odd numbers of samples all have labels."""


def make_samples(pairs: list[tuple[str, bytes, bytes, int | None]]) -> list[Sample]:
    return [
        Sample(
            key=key,
            segments=(Segment(extension="abc", data=a), Segment(extension="mid", data=b)),
            group=key,
            label=label,
        )
        for key, a, b, label in pairs
    ]


def pack(pairs: list[tuple[str, bytes, bytes, int | None]]) -> PackedShard:
    return pack_shard(make_samples(pairs), ("abc", "mid"))


@given(PAIRS)
@settings(deadline=None)
def test_a_shard_is_the_tar_that_tarfile_writes(
    pairs: list[tuple[str, bytes, bytes, int | None]],
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, abc, mid, label in pairs:
            files = {"abc": abc, "mid": mid}
            if label is not None:
                files["cls"] = str(label).encode()
            for extension, data in files.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                info.mtime = info.uid = info.gid = 0
                info.mode = 0o644
                tar.addfile(info, io.BytesIO(data))
    packed = pack(pairs)
    assert b"".join(packed.parts) == buffer.getvalue()
    assert packed.num_bytes == len(buffer.getvalue())


@given(PAIRS)
@settings(deadline=None)
def test_members_and_offsets_lead_back_to_the_samples(
    pairs: list[tuple[str, bytes, bytes, int | None]],
) -> None:
    packed = pack(pairs)
    tar = b"".join(packed.parts)
    members = list_members(memoryview(tar))
    read = {name: tar[first : first + size] for name, first, size in members}
    for key, abc, mid, label in pairs:
        assert (read.pop(f"{key}.abc"), read.pop(f"{key}.mid")) == (abc, mid)
        if label is not None:
            assert read.pop(f"{key}.cls") == str(label).encode()
    assert not read
    assert members_starts(members).tolist() == packed.starts.tolist()
    offsets = segment_offsets(packed.starts[:-1].astype(np.int64), packed.sizes)
    for (_, abc, mid, _), (first, second) in zip(pairs, offsets.tolist(), strict=True):
        assert tar[first : first + len(abc)] == abc
        assert tar[second : second + len(mid)] == mid


@pytest.mark.parametrize("key", ["", "A", "a.b", "../a", "a" * 81, "é", "a\n"])
def test_a_malformed_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="is malformed or repeated"):
        pack([(key, b"", b"", None)])


def test_a_repeated_key_is_refused() -> None:
    with pytest.raises(ValueError, match="key 'a' is malformed or repeated"):
        pack([("a", b"", b"", None), ("a", b"", b"", None)])


def test_labels_here_and_there_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 samples have a label; all must or none"):
        pack([("a", b"", b"", None), ("b", b"", b"", 0)])


@pytest.mark.parametrize("extensions", [("abc",), ("mid", "abc"), ("abc", "mid", "txt")])
def test_other_extensions_are_refused(extensions: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="a: its segments are not"):
        pack_shard(make_samples([("a", b"", b"", None)]), extensions)


def test_the_idx_is_little_endian_starts_and_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    write_shard(path, pack([("a", b"1", b"2" * 513, None), ("b", b"", b"", None)]))
    starts = [0, 2560, 3584]  # 512 + 512 + 512 + 1024; 512 + 512
    assert index_path(path).read_bytes() == b"".join(n.to_bytes(8, "little") for n in starts)
    assert read_starts(path).tolist() == starts


def test_writing_gives_the_hash_of_what_lies_on_disk(tmp_path: Path) -> None:
    packed = pack([("a", b"1", b"2", None)])
    tar = b"".join(packed.parts)
    sha256 = write_shard(tmp_path / "x.tar", packed)
    check_sha256(tmp_path / "x.tar", len(tar), sha256)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar", "x.tar.idx"]


def test_mapping_keeps_no_file_open(tmp_path: Path) -> None:
    packed = pack([("a", b"1", b"2", None)])
    tar = b"".join(packed.parts)
    write_shard(tmp_path / "x.tar", packed)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    views = [map_shard(tmp_path / "x.tar", len(tar)) for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert {bytes(view) for view in views} == {tar}
    assert all(view.readonly for view in views)


def test_a_missing_shard_and_one_cut_short_name_themselves(tmp_path: Path) -> None:
    with pytest.raises(ShardCorrupt, match=r"^x\.tar: the shard is missing from .*"):
        map_shard(tmp_path / "x.tar", 5)
    (tmp_path / "x.tar").write_bytes(b"four")
    with pytest.raises(ShardCorrupt, match=r"^x\.tar: 4 bytes do not match manifest\.json \(5\)$"):
        map_shard(tmp_path / "x.tar", 5)
    with pytest.raises(ShardCorrupt, match=r"^x\.tar: sha256 04efaf08.* manifest\.json \(ab\)$"):
        check_sha256(tmp_path / "x.tar", 4, "ab")


@given(st.integers(0, 10239), st.integers(1, 255))
def test_a_changed_byte_outside_the_data_is_found_by_walking(position: int, change: int) -> None:
    packed = pack([("a", b"x" * 100, b"y" * 600, None)])
    tar = bytearray(b"".join(packed.parts))
    tar[position] ^= change
    data = set(range(512, 612)) | set(range(1536, 2136))
    if position in data:
        assert len(list_members(memoryview(tar))) == 2
    else:
        with pytest.raises(ShardCorrupt, match="at byte "):
            list_members(memoryview(tar))


@pytest.mark.parametrize("length", [0, 100, 512, 1024, 2048, 3072, 10239, 10241, 20480])
def test_a_tar_of_another_length_is_found_by_walking(length: int) -> None:
    tar = b"".join(pack([("a", b"x" * 100, b"y" * 600, None)]).parts)
    with pytest.raises(ShardCorrupt):
        list_members(memoryview(tar[:length].ljust(length, b"\0")))


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    write_atomically(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomically(path, [bytes(3_000)] * 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_threads_read_one_mapping(tmp_path: Path) -> None:
    packed = pack([(f"k{i}", os.urandom(500), os.urandom(900), None) for i in range(100)])
    tar = b"".join(packed.parts)
    write_shard(tmp_path / "x.tar", packed)
    view = map_shard(tmp_path / "x.tar", len(tar))
    with ThreadPoolExecutor(4) as pool:
        copies = set(pool.map(lambda _: bytes(view), range(20)))
    assert copies == {tar}
