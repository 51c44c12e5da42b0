import hashlib
import importlib.util
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.build import BuildError, build_corpus
from pipelines.manifest import read_manifest
from pipelines.plan import SamplesUnreachable

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("fake_source.py")

_spec = importlib.util.spec_from_file_location("fake_source", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["fake_source"] = _module
_spec.loader.exec_module(_module)
FakeSource: Any = _module.FakeSource


def needed(train: int, test: int) -> dict[Any, int]:
    return {"train": train, "test": test}


def snapshot(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def start(out: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(SCRIPT), str(out), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "corpus"
    build_corpus(FakeSource(), needed(6000, 1300), out)
    return out


def test_a_finished_folder_holds_nothing_but_the_documented_files(undisturbed: Path) -> None:
    tars = [f"train/fake-{i:06d}.tar" for i in range(6)] + [
        f"test/fake-{i:06d}.tar" for i in (0, 1)
    ]
    indices = [f"{tar}.idx" for tar in tars]
    assert sorted(snapshot(undisturbed)) == sorted(
        [*tars, *indices, "manifest.json", "index.parquet", "build.json", "README.md"]
    )
    assert not (undisturbed / ".partial").exists()


def test_produced_is_kept_plus_dropped(undisturbed: Path) -> None:
    manifest = read_manifest(undisturbed)
    train = manifest.sides["train"]
    assert (train.kept, train.dropped, train.produced) == (6000, {"unlucky": 858}, 6858)
    assert sum(shard.dropped["unlucky"] for shard in train.shards) == 858


@pytest.mark.parametrize("workers", [1, 2])
def test_a_build_killed_three_times_gives_the_bytes_of_an_undisturbed_one(
    undisturbed: Path, tmp_path: Path, workers: int
) -> None:
    out = tmp_path / "corpus"
    moments = random.Random(workers)
    killed = 0
    while killed < 3:
        process = start(out, 6000, 1300, workers, 0.5)
        before = len(list(out.glob("*/*.tar")))
        deadline = time.monotonic() + 20
        # Wait for the first new shard, so that every round gets further, then a random moment.
        while len(list(out.glob("*/*.tar"))) <= before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.35))
        assert process.poll() is None, "it was too fast to be killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not (out / "manifest.json").exists()
        killed += 1
    (out / "train" / "fake-000002.tar.99.tmp").write_bytes(b"left over")
    output, errors = start(out, 6000, 1300, workers, 0).communicate()
    kept, built, removed = map(int, output.split())
    assert (kept + built, removed, errors) == (8, 0, "")
    assert kept >= 3
    assert snapshot(out) == snapshot(undisturbed)


def test_every_crash_point_of_a_build_is_survived(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop before the n-th change on disk, for every n; then go on."""

    class Stop(BaseException):
        pass

    small = tmp_path / "small"
    build_corpus(FakeSource(), needed(1500, 300), small)
    wanted = snapshot(small)
    real_replace, real_unlink = Path.replace, Path.unlink
    left = 0

    def crashing(real: Any) -> Any:
        def change(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Stop
            return real(*arguments, **options)

        return change

    for first, crashes in ((None, 0), (needed(900, 1100), 0)):
        point = 0
        while True:
            out = tmp_path / f"crash-{first is None}-{point}"
            if first is not None:
                build_corpus(FakeSource(), first, out)
            left = point
            with monkeypatch.context() as patch:
                patch.setattr(Path, "replace", crashing(real_replace))
                if first is not None:
                    patch.setattr(Path, "unlink", crashing(real_unlink))
                try:
                    build_corpus(FakeSource(), needed(1500, 300), out)
                    finished = True
                except Stop:
                    crashes += 1
                    finished = False
            if not finished:
                build_corpus(FakeSource(), needed(1500, 300), out)
            assert snapshot(out) == wanted, point
            if finished:
                break
            point += 1
        assert crashes >= 12


def test_the_same_build_again_changes_nothing(undisturbed: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.is_file()}
    report = build_corpus(FakeSource(), needed(6000, 1300), undisturbed)
    assert (report.kept_shards, report.built_shards, report.removed_shards) == (8, 0, 0)
    assert times == {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*") if p.is_file()}


def test_growing_leaves_the_full_shards_untouched_and_shrinking_leads_back(
    undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "corpus"
    build_corpus(FakeSource(), needed(1000, 1300), out)
    small = snapshot(out)
    first = out / "train" / "fake-000000.tar"
    inode = first.stat().st_ino

    report = build_corpus(FakeSource(), needed(6000, 1300), out)
    assert (report.kept_shards, report.built_shards, report.removed_shards) == (3, 5, 0)
    assert snapshot(out) == snapshot(undisturbed)

    report = build_corpus(FakeSource(), needed(1000, 1300), out)
    assert (report.kept_shards, report.built_shards, report.removed_shards) == (3, 0, 5)
    assert snapshot(out) == small
    assert first.stat().st_ino == inode


def test_another_seed_keeps_no_shard(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    build_corpus(FakeSource(seed=1), needed(2000, 100), out)
    report = build_corpus(FakeSource(seed=2), needed(2000, 100), out)
    assert (report.kept_shards, report.built_shards) == (0, 3)
    build_corpus(FakeSource(seed=2), needed(2000, 100), tmp_path / "fresh")
    assert snapshot(out) == snapshot(tmp_path / "fresh")


DAMAGES = [
    "train/fake-000003.tar",  # changed bytes of the same length
    "train/fake-000003.tar.idx",
    "index.parquet",
    "manifest.json",
]


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("damage", ["changed", "cut", "missing"])
def test_a_damaged_file_is_made_again(
    undisturbed: Path, tmp_path: Path, name: str, damage: str
) -> None:
    import shutil

    out = tmp_path / "corpus"
    shutil.copytree(undisturbed, out)
    path = out / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
        if name == "manifest.json":  # else it is somebody else's folder
            (out / ".partial").mkdir()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    build_corpus(FakeSource(), needed(6000, 1300), out)
    assert snapshot(out) == snapshot(undisturbed)


def test_a_disk_that_fills_up_leaves_whole_shards_only_and_the_build_goes_on(
    undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "corpus"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(BuildError) as caught:
            build_corpus(FakeSource(), needed(6000, 1300), out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    message = str(caught.value)
    assert message.startswith(f"{out}: cannot write: File too large. Nothing half-written stays;")
    assert "\n" not in message
    assert not list(out.rglob("*.tmp"))
    assert not list(out.rglob("*.tar"))
    build_corpus(FakeSource(), needed(6000, 1300), out)
    assert snapshot(out) == snapshot(undisturbed)


def test_a_source_that_fails_in_one_shard_leaves_the_others(
    undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "corpus"
    with pytest.raises(BuildError, match="this one shard fails"):
        build_corpus(FakeSource(fail_in_shard=4), needed(6000, 1300), out)
    report = build_corpus(FakeSource(), needed(6000, 1300), out)
    assert (report.kept_shards, report.built_shards) == (4, 4)
    assert snapshot(out) == snapshot(undisturbed)


def test_more_samples_than_there_are_names_the_maximum_and_touches_nothing(tmp_path: Path) -> None:
    with pytest.raises(SamplesUnreachable, match="there are only 900; ask for at most 900"):
        build_corpus(FakeSource(available=900), needed(500, 901), tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_a_negative_number_of_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="-1 test samples: the number must not be negative"):
        build_corpus(FakeSource(), needed(1, -1), tmp_path / "corpus")


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(BuildError, match="is not empty and holds no corpus; choose another --out"):
        build_corpus(FakeSource(), needed(1, 1), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


EXTENSION = '{"manifest_version": 3, "name": "tab counter"}'


def test_a_foreign_manifest_is_refused_and_nothing_beside_it_is_touched(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(EXTENSION)
    (tmp_path / "draft.tmp").write_text("precious")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "fake.tar").write_text("precious")
    before = snapshot(tmp_path)
    with pytest.raises(BuildError) as caught:
        build_corpus(FakeSource(), needed(1, 1), tmp_path)
    assert str(caught.value).startswith(
        f"{tmp_path}: its manifest.json is no corpus' and there is no shard of fake; "
        "choose another --out, or remove the file ("
    )
    assert snapshot(tmp_path) == before


def test_a_folder_in_place_of_the_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(BuildError, match=r"its manifest\.json is no corpus'"):
        build_corpus(FakeSource(), needed(1, 1), tmp_path)


@pytest.mark.parametrize("manifest", [None, EXTENSION])
def test_the_partial_folder_of_another_program_is_refused(
    tmp_path: Path, manifest: str | None
) -> None:
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "download.iso").write_text("precious")
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    before = snapshot(tmp_path)
    with pytest.raises(BuildError, match=r"\.partial: holds what no build writes; choose another"):
        build_corpus(FakeSource(), needed(1, 1), tmp_path)
    assert snapshot(tmp_path) == before


def test_only_temporary_files_of_our_own_names_are_swept(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    build_corpus(FakeSource(), needed(1, 1), out)
    ours = ["manifest.json.7.tmp", "index.parquet.7.tmp", "build.json.7.tmp", "README.md.7.tmp"]
    ours += ["train/fake-000000.tar.7.tmp", "test/fake-000003.tar.idx.7.tmp"]
    others = ["draft.tmp", "notes.7.tmp", "train/draft.tmp", "train/other-000000.tar.7.tmp"]
    for name in [*ours, *others]:
        (out / name).write_text("")
    build_corpus(FakeSource(), needed(1, 1), out)
    assert [name for name in [*ours, *others] if (out / name).exists()] == others


def test_a_source_that_puts_a_group_on_the_wrong_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"'test-602-\d+' does not belong to train") as caught:
        build_corpus(FakeSource(wrong_group=1205), needed(2000, 0), tmp_path / "corpus")
    assert str(caught.value).startswith("fake-train-00001205: its group ")
    assert not (tmp_path / "corpus" / "manifest.json").exists()


def test_a_folder_of_another_corpus_is_refused(undisturbed: Path) -> None:
    with pytest.raises(BuildError, match="holds the corpus fake; choose another --out"):
        build_corpus(FakeSource(corpus="other"), needed(1, 1), undisturbed)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="is not a folder"):
        build_corpus(FakeSource(), needed(1, 1), tmp_path / "file")


def test_two_builds_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    process = start(out, 3000, 0, 1, 5)
    try:
        deadline = time.monotonic() + 20
        while not (out / ".partial" / "lock").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        with pytest.raises(BuildError, match="another build is at work there"):
            build_corpus(FakeSource(), needed(3000, 0), out)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_an_empty_side_and_an_empty_corpus_can_be_built(tmp_path: Path) -> None:
    report = build_corpus(FakeSource(), needed(0, 0), tmp_path / "corpus")
    assert report.manifest.num_samples("train") == 0
    again = build_corpus(FakeSource(), needed(0, 0), tmp_path / "corpus")
    assert again.manifest == report.manifest


def test_progress_is_told_from_the_kept_to_the_total(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    out = tmp_path / "corpus"
    build_corpus(FakeSource(), needed(1000, 100), out)
    build_corpus(
        FakeSource(),
        needed(2500, 100),
        out,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1100, 2600), (2100, 2600), (2600, 2600)]


def test_build_json_holds_versions_and_the_manifest_none(undisturbed: Path) -> None:
    versions = json.loads((undisturbed / "build.json").read_text())
    for package in ("unicorn", "capstone", "pyelftools"):
        assert versions[package] == importlib.metadata.version(package)
    assert versions["python"].startswith("3.")
    assert "pyarrow" in versions
    assert "python" not in (undisturbed / "manifest.json").read_text()


def test_the_manifest_and_the_shards_are_the_ones_they_always_were(undisturbed: Path) -> None:
    files = snapshot(undisturbed)
    assert files["train/fake-000000.tar"][:16] == "a0e4c80b4d2e47da"
    assert files["manifest.json"][:16] == "4007168645124d36"
