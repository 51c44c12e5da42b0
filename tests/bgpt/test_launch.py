"""What `params.yaml` says of corpora and first weights reaches the run and its record."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from counting import CountingSource

from bgpt.checkpoint import read_config
from bgpt.launch import launch
from bgpt.patching import TooLong
from bgpt.run import RunMismatch, parse_run
from bgpt.telemetry import read_metrics
from bgpt.trackers import TrackerMissing
from pipelines.build import build_corpus

MODEL = {
    "patch_width": 16, "patch_layers": 1, "patch_heads": 2, "patch_ffn": 32,
    "byte_width": 16, "byte_layers": 1, "byte_heads": 2, "byte_ffn": 32, "max_patches": 16,
}  # fmt: skip
TRAIN: dict[str, Any] = {
    "steps": 6, "batch_size": 4, "threads": 1, "log_every": 2, "eval_every": 3, "eval_samples": 5,
    "checkpoint_every": 2,
}  # fmt: skip
LONG = 400
"""Bytes of a file that takes more than the model's 16 patches."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Corpora of files, of pairs, and of files of which one in ten is too long."""
    data = tmp_path_factory.mktemp("data")
    for source in (
        CountingSource(corpus="files"),
        CountingSource(corpus="pairs", is_paired=True),
        CountingSource(corpus="long", long_bytes=LONG),
    ):
        build_corpus(source, {"train": 30, "test": 10}, data / source.corpus)
    return data


def run(data: Path, folder: Path, corpora: dict[str, Any], **train: Any) -> Path:
    config = parse_run({**corpora, "model": MODEL, "train": {**TRAIN, **train}}, "r")
    launch(config, data=data, run=folder)
    return folder


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def test_mixed_corpora_train_together_and_are_told_apart(data: Path, tmp_path: Path) -> None:
    corpora = {"corpora": {"files": 2, "pairs": 1}}
    folder = run(data, tmp_path / "r", corpora, directions={"abc-to-midi": 1, "midi-to-abc": 1})
    record = record_of(folder)
    assert [(one["name"], one["weight"]) for one in record["corpora"]] == [
        ("files", 2.0), ("pairs", 1.0),
    ]  # fmt: skip
    last = read_metrics(folder)[-1]
    assert list(last["corpora"]) == ["files", "pairs"]
    assert last["corpora"]["files"]["eval"]["n"] == 5
    assert last["corpora"]["pairs"]["eval"]["n"] == 10
    assert last["eval"]["n"] == 15
    assert (folder / "dvclive/plots/metrics/files/train_bits_per_byte.tsv").exists()
    _, provenance = read_config(folder / "model")
    assert provenance["corpus"] == "files + pairs"
    assert provenance["train_samples"] == 60
    assert [one["prompt_bytes"] for one in provenance["corpora"]] == [16, 0]


def test_the_record_of_one_corpus_has_no_weight(data: Path, tmp_path: Path) -> None:
    record = record_of(run(data, tmp_path / "r", {"corpus": "files"}))
    assert list(record["corpus"]) == [
        "name", "config_sha256", "train_samples", "train_shards", "test_shards",
    ]  # fmt: skip
    assert list(record["corpus"]["test_shards"]) == ["files-000000.tar"]
    assert "corpora" not in record
    assert "corpora" not in read_metrics(tmp_path / "r")[0]


def test_a_model_knows_how_many_tunes_stand_behind_its_pairs(data: Path, tmp_path: Path) -> None:
    cases: dict[int | None, int | None] = {10: 9, None: 20, 15: None}  # 15: no tier ends there
    for number, (train_samples, base_tunes) in enumerate(cases.items()):
        folder = run(
            data, tmp_path / str(number), {"corpus": "pairs"}, train_samples=train_samples,
            directions={"abc-to-midi": 1},
        )  # fmt: skip
        assert read_config(folder / "model")[1].get("base_tunes") == base_tunes
    files = run(data, tmp_path / "files", {"corpus": "files"})
    assert "base_tunes" not in read_config(files / "model")[1]


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ({}, "a corpus of pairs needs directions"),
        ({"abc-to-mid": 1}, "unknown direction 'abc-to-mid': did you mean"),
    ],
)
def test_directions_of_a_mixture_must_fit(
    data: Path, tmp_path: Path, directions: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(data, tmp_path, {"corpora": {"files": 2, "pairs": 1}}, directions=directions)
    corpora = {"corpora": {"files": 2, "long": 1}}
    with pytest.raises(ValueError, match="direction 'abc-to-midi' fits none of files, long"):
        run(data, tmp_path, corpora, directions={"abc-to-midi": 1})
    assert not list(tmp_path.iterdir())


def test_samples_that_are_too_long_are_an_error_that_names_the_key(
    data: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        TooLong,
        match=r"3 samples take more than the 16 patches that the model reads; the first, \S*000007"
        r", takes 27; raise model.max_patches, or set train.too_long: drop",
    ):
        run(data, tmp_path / "r", {"corpus": "long"})


def test_samples_that_are_too_long_are_dropped_and_counted_when_asked_for(
    data: Path, tmp_path: Path
) -> None:
    folder = run(data, tmp_path / "r", {"corpus": "long"}, too_long="drop", eval_samples=10)
    corpus = record_of(folder)["corpus"]
    assert (corpus["train_samples"], corpus["too_long"]) == (30, 3)
    assert read_metrics(folder)[-1]["eval"]["n"] == 9
    assert read_config(folder / "model")[1]["too_long"] == 3


def test_a_run_is_bound_to_the_weights_that_it_begins_with(data: Path, tmp_path: Path) -> None:
    base = run(data, tmp_path / "base", {"corpus": "files"})
    tuned = run(data, tmp_path / "tuned", {"corpus": "files"}, init_from=str(base), steps=2)
    assert len(record_of(tuned)["init_sha256"]) == 64
    other = run(data, tmp_path / "other", {"corpus": "files"}, seed=1)
    (base / "model/model.safetensors").write_bytes((other / "model/model.safetensors").read_bytes())
    with pytest.raises(RunMismatch, match=r"run.json: init_sha256 is '\w+' there and '\w+' now"):
        run(data, tuned, {"corpus": "files"}, init_from=str(base), steps=2)


def test_packing_and_accumulation_keep_the_curve(data: Path, tmp_path: Path) -> None:
    corpora = {"corpora": {"files": 1, "long": 1}}
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "packed": {"packing": True},
        "parts": {"accumulate": 3},
        "both": {"packing": True, "accumulate": 2},
    }
    curves = {
        name: read_metrics(run(data, tmp_path / name, corpora, too_long="drop", **changes))
        for name, changes in options.items()
    }
    for name in ("packed", "parts", "both"):
        for ours, plain in zip(curves[name], curves["plain"], strict=True):
            assert (ours["step"], ours["bytes"]) == (plain["step"], plain["bytes"])
            assert ours["train_bits_per_byte"] == pytest.approx(
                plain["train_bits_per_byte"], rel=1e-5
            )
    assert len(curves["plain"]) == 4


def test_samples_are_written_when_asked_for(data: Path, tmp_path: Path) -> None:
    folder = run(data, tmp_path / "r", {"corpus": "files"}, samples_every=4)
    lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 4, 4, 6, 6, 6]


def test_a_tracker_that_is_not_there_stops_before_the_folder_is_made(
    data: Path, tmp_path: Path
) -> None:
    config = parse_run({"corpus": "files", "model": MODEL, "train": TRAIN}, "r")
    with pytest.raises(TrackerMissing, match="unknown tracker 'clearml'"):
        launch(config, data=data, run=tmp_path / "r", track=["clearml"])
    assert not (tmp_path / "r").exists()
