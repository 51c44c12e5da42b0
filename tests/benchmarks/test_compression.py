"""Sizes of compressed test files: measured, against independent tools, and shown on the page."""

import json
import lzma
import math
import shutil
from dataclasses import replace
from pathlib import Path

import brotli
import pytest
import torch
import zstandard

from benchmarks.compression import CompressionReport, compress_task, write_compression
from benchmarks.leaderboard import build
from benchmarks.leaderboard.compression import read_compression
from benchmarks.leaderboard.data import LeaderboardError
from benchmarks.task import SampleSet
from benchmarks.tasks.registry import TASKS
from bgpt.byte_model import load_byte_model
from bgpt.checkpoint import save_model
from bgpt.model import Bgpt
from pipelines.build import build_corpus
from pipelines.corpora import find_corpus, load_corpora, make_source
from pipelines.engine import LocalEngine
from tests.benchmarks.conftest import make_cpu_samples
from tests.benchmarks.test_bench_cli import run
from tests.bgpt.conftest import TINY

FIXTURE = Path(__file__).parent / "fixtures" / "leaderboard"


def nobody(done: int, total: int) -> None:
    """Tell nobody how far it is."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "tiny"
    with torch.random.fork_rng():
        torch.manual_seed(3)
        save_model(path / "model", Bgpt(TINY["compact-cpu"]), {"run": "tiny"})
    return path


@pytest.fixture(scope="module")
def samples() -> SampleSet:
    return make_cpu_samples(0, 3)


@pytest.fixture(scope="module")
def report(model: Path, samples: SampleSet) -> CompressionReport:
    told: list[tuple[int, int]] = []
    made = compress_task(TASKS["cpu-toy"], model, samples, lambda *at: told.append(at))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    return made


def test_sizes_are_those_of_files_that_other_tools_read(
    model: Path, samples: SampleSet, report: CompressionReport
) -> None:
    files = [files[0].data for files in samples.files]
    assert (report.files, report.num_bytes) == (3, sum(map(len, files)))
    assert report.scored_bytes == report.num_bytes - 3 * 80
    ours, zstd, xz, brotlis = report.sizes
    assert (ours.name, report.model, report.over_promise) == ("tiny", "tiny", 0)
    requests = [TASKS["cpu-toy"].request(one, samples.prompt_bytes) for one in samples.files]
    nats = sum(score.total_nats or 0 for score in load_byte_model(model).score(requests))
    assert report.predicted_bytes == pytest.approx(nats / math.log(2) / 8, rel=1e-6)
    assert ours.given is not None
    assert report.predicted_bytes < ours.given < 1.01 * report.predicted_bytes + 3 * 32
    assert ours.whole is not None
    assert ours.given < ours.whole
    assert ours.as_one is not None
    assert ours.as_one < ours.whole
    assert xz.whole == sum(
        len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) for data in files
    )
    assert brotlis.as_one == len(brotli.compress(b"".join(files)))
    assert zstd.whole == sum(len(zstandard.compress(data, 19)) for data in files)
    assert zstd.given is not None
    assert zstd.given < zstd.whole
    assert (xz.given, brotlis.given) == (None, None)


def test_a_conversion_is_compressed_with_its_source_alone(
    tmp_path: Path, tune_samples: SampleSet
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = replace(TINY["compact-music"], max_patches=128)
        save_model(tmp_path / "music", Bgpt(config))
    two = replace(tune_samples, keys=tune_samples.keys[:2], files=tune_samples.files[:2])
    report = compress_task(TASKS["abc-to-midi"], tmp_path / "music", two, nobody)
    ours, zstd, *_ = report.sizes
    assert report.over_promise == 0
    assert report.scored_bytes == report.num_bytes
    assert (ours.whole, ours.as_one) == (None, None)
    assert ours.given is not None
    assert zstd.as_one is not None


@pytest.fixture
def results(tmp_path: Path, report: CompressionReport) -> Path:
    write_compression(tmp_path / "compression" / "tiny.json", report)
    return tmp_path / "compression"


def test_the_page_shows_the_sizes_where_there_are_any(results: Path, tmp_path: Path) -> None:
    (found,) = read_compression(results)
    reports = FIXTURE / "reports"
    build(reports, None, tmp_path / "without")
    build(reports, None, tmp_path / "with", compression=results)
    shutil.copytree(results, tmp_path / "beside" / "compression")
    build(reports, None, tmp_path / "beside")
    page = (tmp_path / "with" / "index.html").read_text(encoding="utf-8")
    assert page.count("<h3>As compressed files</h3>") == 1
    size = found.sizes[0].given
    assert size is not None
    assert f"{size:,} ({100 * size / found.scored_bytes:.1f} %)" in page
    assert "3 test files. The likelihoods of tiny say" in page
    assert "every file keeps to that plus 1 % and 32 bytes." in page
    assert (tmp_path / "beside" / "index.html").read_text(encoding="utf-8") == page
    assert "As compressed files" not in (tmp_path / "without" / "index.html").read_text("utf-8")
    data = json.loads((tmp_path / "with" / "reports.json").read_text("utf-8"))
    assert data["compression"] == [json.loads((results / "tiny.json").read_text("utf-8"))]


# what is changed -> what is said
BROKEN: list[tuple[str, object, str]] = [
    ("schema_version", 2, "schema_version is 2, this leaderboard reads 1"),
    ("files", 0, "files: expected a whole number above 0"),
    ("predicted_bytes", None, "predicted_bytes: expected a number"),
    ("sizes", [], "sizes: expected at least the model's"),
    ("sizes", [{"name": "x", "given": -1}], "sizes: given: expected a whole number >= 0"),
]


def test_results_that_are_none_of_ours_are_refused(results: Path, tmp_path: Path) -> None:
    good = json.loads((results / "tiny.json").read_text())
    for key, value, words in BROKEN:
        (results / "tiny.json").write_text(json.dumps({**good, key: value}))
        with pytest.raises(LeaderboardError, match=words):
            build(FIXTURE / "reports", None, tmp_path / "page", compression=results)
    (results / "tiny.json").write_text(json.dumps(good))
    (results / "twin.json").write_text(json.dumps(good))
    with pytest.raises(
        LeaderboardError, match=r"twin.json: a second result of 'tiny' on 'cpu-toy'"
    ):
        build(FIXTURE / "reports", None, tmp_path / "page", compression=results)
    assert not (tmp_path / "page").exists()


def test_the_command_writes_a_result(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_source("cpu-toy", find_corpus("cpu-toy", load_corpora(None)))
    build_corpus(source, {"train": 2, "test": 2}, tmp_path / "data", engine=LocalEngine(1))
    out = tmp_path / "deep" / "tiny.json"
    arguments = ("compress", "cpu-toy", model, "--corpus", tmp_path / "data", "--out", out)
    assert run(*arguments, "--limit", 1, "--name", "other") == 0
    shown = capsys.readouterr().out
    (found,) = read_compression(out.parent)
    assert (found.model, found.files) == ("other", 1)
    assert f"other: {found.scored_bytes} scored bytes: {found.sizes[0].given}" in shown
    assert "xz -9e: " in shown
    assert "scored bytes: n/a" in shown
    assert run(*arguments[:2], tmp_path / "none", *arguments[3:]) == 2
    assert "no folder of a model" in capsys.readouterr().err
