import dataclasses
import hashlib
import importlib.util
import json
import multiprocessing
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipelines.build import build_corpus
from pipelines.corpus import Corpus, CorpusError, SampleReader, ShardCorrupt, cure
from pipelines.engine import EngineError, LocalEngine
from pipelines.manifest import read_manifest
from pipelines.plan import Side
from pipelines.verify import verify_corpus

SCRIPT = Path(__file__).with_name("fake_source.py")
_spec = importlib.util.spec_from_file_location("fake_source", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["fake_source"] = _module
_spec.loader.exec_module(_module)
FakeSource: Any = _module.FakeSource
group_of: Any = _module.group_of


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "corpus"
    build_corpus(FakeSource(), {"train": 2500, "test": 1100}, out)
    return out


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "corpus"))


def expected(side: str, i: int) -> tuple[bytes, bytes]:
    digest = hashlib.sha256(f"0 {side} {i}".encode()).digest()
    return digest[: digest[0] % 20], digest * (digest[1] % 40)


@pytest.mark.parametrize("side", ["train", "test"])
def test_every_sample_is_read_back_with_its_key_group_and_meta(built: Path, side: Side) -> None:
    corpus = Corpus.open(built)
    assert (corpus.name, corpus.extensions, corpus.prompt_bytes) == ("fake", ("abc", "mid"), 0)
    reader = corpus.side(side)
    assert len(reader) == {"train": 2500, "test": 1100}[side]
    for i in reversed(range(len(reader))):
        assert reader.read(i) == expected(side, i)
        assert reader.key(i) == f"fake-{side}-{i:08d}"
        assert reader.group(i) == group_of(side, i // 2)
    assert reader.column("notes") == list(range(len(reader)))
    assert reader.column("tempo")[1000] == 1000 / 3
    assert len(reader.groups()) == len(reader)
    reader.verify()


@pytest.mark.parametrize(("limit", "shards"), [(0, 0), (1, 1), (1000, 1), (1001, 2), (2500, 3)])
def test_a_limit_is_a_prefix(built: Path, limit: int, shards: int) -> None:
    corpus = Corpus.open(built)
    reader, whole = corpus.side("train", limit), corpus.side("train")
    assert len(reader) == limit
    assert reader.shard_sha256 == whole.shard_sha256[:shards]
    assert reader.groups() == whole.groups()[:limit]
    assert [reader.read(i) for i in range(0, limit, 99)] == [
        whole.read(i) for i in range(0, limit, 99)
    ]
    for outside in (-1, limit):
        with pytest.raises(IndexError, match=f"sample {outside} is not within"):
            reader.read(outside)


def test_a_limit_beyond_the_corpus_names_what_is_there(built: Path) -> None:
    with pytest.raises(CorpusError, match="2501 train samples wanted, but the corpus has 2500"):
        Corpus.open(built).side("train", 2501)


def test_an_unknown_side_or_column_is_refused(built: Path) -> None:
    with pytest.raises(CorpusError, match="unknown side 'tests': did you mean 'test'"):
        Corpus.open(built).side("tests")  # pyright: ignore[reportArgumentType]
    with pytest.raises(CorpusError, match="unknown column 'note': did you mean 'notes'"):
        Corpus.open(built).side("test").column("note")


def test_a_reader_carried_to_spawned_workers_reads_the_same(built: Path) -> None:
    reader = Corpus.open(built).side("test", 1050)
    reader.read(5)
    numbers = [0, 5, 999, 1000, 1049]
    read = list(LocalEngine(2).run(reader.read, numbers))
    assert sorted(read) == sorted(expected("test", i) for i in numbers)
    with pytest.raises(EngineError, match="IndexError: sample 1050 is not within"):
        list(LocalEngine(2).run(reader.read, [0, 1050]))


def test_threads_share_a_reader(built: Path) -> None:
    reader = Corpus.open(built).side("train")
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(reader.read, range(2500)))
    assert read == [expected("train", i) for i in range(2500)]


def _child(reader: SampleReader, answer: Any) -> None:
    answer.send([reader.read(i) for i in range(0, 2500, 7)])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_reads_what_its_parent_reads(built: Path) -> None:
    reader = Corpus.open(built).side("train")
    before = [reader.read(i) for i in range(0, 2500, 7)]
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_child, args=(reader, theirs))
    child.start()
    assert ours.poll(20)
    assert ours.recv() == before
    child.join()
    assert [reader.read(i) for i in range(0, 2500, 7)] == before


def test_a_missing_folder_and_an_unfinished_one_say_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder; make it with: bgpt-data build"):
        Corpus.open(tmp_path / "none")
    with pytest.raises(CorpusError, match="no finished corpus; make it with: bgpt-data build"):
        Corpus.open(tmp_path)


CURE = 'Run "bgpt-data build fake --train-samples 2500 --test-samples 1100 --seed 0 --out '


def test_opening_names_a_missing_and_a_short_shard_and_the_cure(copied: Path) -> None:
    shard = copied / "train" / "fake-000001.tar"
    data = shard.read_bytes()
    shard.write_bytes(data[:-512])
    with pytest.raises(ShardCorrupt) as caught:
        Corpus.open(copied)
    assert str(caught.value).startswith(
        f"fake-000001.tar: {len(data) - 512} bytes do not match manifest.json ({len(data)}). {CURE}"
    )
    shard.unlink()
    with pytest.raises(ShardCorrupt, match=r"^fake-000001\.tar: the shard is missing from "):
        Corpus.open(copied)


def test_verifying_a_reader_names_both_hashes_and_only_looks_at_its_prefix(copied: Path) -> None:
    shard = copied / "train" / "fake-000002.tar"
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.write_bytes(data)
    corpus = Corpus.open(copied)
    corpus.side("train", 2000).verify()
    found = hashlib.sha256(data).hexdigest()
    recorded = corpus.side("train").shard_sha256[2]
    with pytest.raises(ShardCorrupt) as caught:
        corpus.side("train", 2001).verify()
    assert str(caught.value).startswith(
        f"fake-000002.tar: sha256 {found} does not match manifest.json ({recorded}). {CURE}"
    )


def test_a_missing_or_foreign_index_is_named(copied: Path, built: Path) -> None:
    index = copied / "index.parquet"
    index.unlink()
    with pytest.raises(CorpusError, match=r"index\.parquet: missing\. .*--seed 0 .* the corpus$"):
        Corpus.open(copied)
    index.write_bytes(b"PAR1 but not really")
    with pytest.raises(CorpusError, match=r"index\.parquet: not readable as Parquet"):
        Corpus.open(copied).side("test")


# What is changed in manifest.json, and what the error says.
MANIFEST_CASES: list[tuple[list[str | int], Any, str]] = [
    (["name"], 5, r"manifest\.json\.name: expected str, found 5"),
    (["surprise"], 5, r"manifest\.json\.surprise: unknown key 'surprise'"),
    (["schema_version"], 2, r"manifest\.json: schema version 2 is not 1"),
    (["sides", "test", "kept"], True, r"sides\.test\.kept: expected int, found True"),
    (["sides", "test", "kept"], 7, r"sides\.test: produced 1258 is not kept 7 \+ dropped"),
    (["sides", "dev"], {}, r"sides\.dev\.produced: missing"),
    (["name"], "Fake", r"manifest\.json: name: 'Fake' does not match \["),
    (["name"], "fakes", r"sides\.train\.shards\[0\]\.name: 'fake-000000\.tar' is not 'fakes-0"),
    (["extensions"], [], r"manifest\.json: extensions: \[\]: at least one, none twice"),
    (["extensions"], ["abc", "abc"], r"extensions: \['abc', 'abc'\]: at least one, none twice"),
    (["extensions"], ["abc", "../m"], r"extensions: '\.\./m' does not match \[a-z0-9\]"),
    (["prompt_bytes"], -1, r"manifest\.json: prompt_bytes: -1 is negative"),
    (["columns", "notes"], "bool", r"manifest\.json\.columns\.notes: unknown value 'bool'"),
    (["columns", "notes"], [], r"manifest\.json\.columns\.notes: unknown value '\[\]'"),
    (["columns", "key"], "str", r"manifest\.json: columns\.key: every index has a column"),
    (["columns", "size_mid"], "int", r"columns\.size_mid: every index has a column of that name"),
    (["sides", "test", "shards", 1, "samples"], 0, r"shards\[1\]: samples: 0 is not within 1\.\."),
    (["sides", "test", "shards", 1, "sha256"], "ab", r"shards\[1\]: sha256: 'ab' is no SHA-256"),
    (["sides", "test", "shards", 1, "name"], "fake-000002.tar", r"sides\.test\.shards\[1\]\.name"),
]


@pytest.mark.parametrize(("keys", "value", "message"), MANIFEST_CASES)
def test_a_malformed_manifest_names_the_key(
    copied: Path, keys: list[str | int], value: Any, message: str
) -> None:
    path = copied / "manifest.json"
    content = json.loads(path.read_bytes())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(CorpusError, match=message):
        Corpus.open(copied)


@pytest.mark.parametrize("name", ["../../etc/passwd", "fake-0.tar", "x/fake-000000.tar", ""])
def test_a_manifest_cannot_point_outside_its_folder(copied: Path, name: str) -> None:
    path = copied / "manifest.json"
    content = json.loads(path.read_bytes())
    content["sides"]["train"]["shards"][0]["name"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(CorpusError, match=r"shards\[0\]\.name: '.*' is not 'fake-000000\.tar'"):
        Corpus.open(copied)


def test_a_manifest_that_is_not_json_is_named(copied: Path) -> None:
    (copied / "manifest.json").write_bytes(b"[" * 100_000)
    with pytest.raises(CorpusError, match=r"manifest\.json: not JSON"):
        Corpus.open(copied)


def test_verification_of_a_whole_corpus_finds_nothing(built: Path) -> None:
    found = verify_corpus(built)
    assert (found.name, found.shards, found.samples, found.problems) == ("fake", 5, 3600, ())


def test_verification_collects_all_that_is_wrong(copied: Path) -> None:
    (copied / "train" / "fake-000000.tar").unlink()
    corrupt = copied / "train" / "fake-000001.tar"
    data = bytearray(corrupt.read_bytes())
    data[700] ^= 255
    corrupt.write_bytes(data)
    idx = copied / "train" / "fake-000002.tar.idx"
    idx.write_bytes(idx.read_bytes()[8:])
    (copied / "test" / "fake-000002.tar").write_bytes(b"")
    problems = verify_corpus(copied).problems
    assert len(problems) == 4
    assert problems[0].startswith("train/fake-000000.tar: the shard is missing from ")
    assert problems[1].startswith("train/fake-000001.tar: sha256 ")
    assert problems[2] == (
        "train/fake-000002.tar.idx: its offsets are not those of fake-000002.tar"
    )
    assert problems[3] == "test/fake-000002.tar: not in manifest.json; remove it"


def test_each_damage_has_its_own_cure(copied: Path) -> None:
    (copied / "test" / "notes.txt").write_text("")
    found = verify_corpus(copied)
    assert found.problems == ("test/notes.txt: not in manifest.json; remove it",)
    assert found.cure == ""

    (copied / "test" / "fake-000000.tar").unlink()
    assert verify_corpus(copied).cure.startswith(CURE)
    assert verify_corpus(copied).cure.endswith(": it rebuilds that shard alone.")

    (copied / "index.parquet").write_bytes(b"PAR1 but not really")
    found = verify_corpus(copied)
    assert "Run the same bgpt-data build again: it rebuilds the corpus." in found.problems[0]
    assert found.cure.endswith(": it rebuilds the corpus.")
    assert build_corpus(FakeSource(), {"train": 2500, "test": 1100}, copied).built_shards == 5


def test_the_cure_of_a_folder_of_tunes_says_where_they_go_and_quotes_the_path(
    built: Path,
) -> None:
    manifest = read_manifest(built)
    options = {"tunes": "folder", "licences": []}
    tunes = dataclasses.replace(manifest, settings={"seed": 7, "options": options})
    words = "--train-samples 2500 --test-samples 1100 --seed 7 --tunes FOLDER --out 'my corpus'"
    assert cure(Path("my corpus"), tunes) == (
        f'Run "bgpt-data build fake {words}", with --params FILE if it was built with one: '
        "it rebuilds that shard alone"
    )
    options["tunes"] = "music21"
    assert "--tunes" not in cure(Path("my corpus"), tunes)
    options["tunes"] = "irishman"  # of the hub, or of a folder
    assert " --tunes irishman:FOLDER --out " in cure(Path("my corpus"), tunes)
    tunes = dataclasses.replace(tunes, provenance={"revision": "30902e69"})
    assert " --tunes irishman --out " in cure(Path("my corpus"), tunes)


def test_verification_finds_a_group_on_both_sides_and_a_changed_index(copied: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = copied / "index.parquet"
    table = pq.read_table(path)
    groups = table["group"].to_pylist()
    groups[-1] = groups[0]
    position = table.column_names.index("group")
    pq.write_table(table.set_column(position, "group", pa.array(groups)), path)
    problems = verify_corpus(copied).problems
    assert len(problems) == 2
    assert "test/fake-000001.tar: its rows of index.parquet have sha256" in problems[0]
    assert problems[1] == (
        f"index.parquet: 1 groups stand in train and in test, the first is {group_of('train', 0)!r}"
    )


def test_reading_needs_neither_torch_nor_webdataset() -> None:
    import subprocess

    code = "import sys, pipelines.corpus; print({'torch', 'webdataset'} & set(sys.modules))"
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.stdout == "set()\n"


@pytest.mark.filterwarnings("ignore")  # the third party's own, not ours to mend
def test_webdataset_reads_our_shards_unchanged(built: Path) -> None:
    import webdataset

    urls = [str(path) for path in sorted((built / "train").glob("*.tar"))]
    dataset = webdataset.WebDataset(urls, shardshuffle=False, empty_check=False)
    number = 0
    for number, sample in enumerate(dataset, 1):
        i = number - 1
        assert sample["__key__"] == f"fake-train-{i:08d}"
        assert (sample["abc"], sample["mid"]) == expected("train", i)
    assert number == 2500


@pytest.mark.filterwarnings("ignore")  # the third party's own, not ours to mend
def test_hugging_face_datasets_reads_our_shards_unchanged(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    found = datasets.load_dataset(
        "webdataset",
        data_files={"test": [str(path) for path in sorted((built / "test").glob("*.tar"))]},
        split="test",
        cache_dir=str(tmp_path),
    )
    assert len(found) == 1100
    for i in (0, 999, 1000, 1099):
        row = found[i]
        assert row["__key__"] == f"fake-test-{i:08d}"
        assert (row["abc"], row["mid"]) == expected("test", i)
