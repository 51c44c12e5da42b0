"""`bgpt-bench` from a corpus on disk to a leaderboard, and how it takes a user's mistakes."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.__main__ import main
from bgpt.checkpoint import save_model
from bgpt.config import preset
from bgpt.model import Bgpt
from pipelines.build import build_corpus
from pipelines.corpora import find_corpus, load_corpora, make_source
from pipelines.engine import LocalEngine
from simulators.cpu.isa.catalogue import ISAS


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "cpu-toy"
    source = make_source("cpu-toy", find_corpus("cpu-toy", load_corpora(None)))
    build_corpus(source, {"train": 60, "test": 12}, out, engine=LocalEngine(1))
    return out


def run(*arguments: object) -> int:
    old = sys.argv
    sys.argv = ["bgpt-bench", *map(str, arguments)]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv = old
    return 0


@pytest.fixture(scope="module")
def predictions(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("predictions")
    arguments = ("cpu-toy", "--corpus", corpus, "--out", out, "--workers", 1)
    assert run("baselines", *arguments, "--free-running-limit", 5) == 0
    return out


def test_the_line_from_baselines_to_the_page(
    corpus: Path, predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = tmp_path / "reports"
    arguments = (predictions, "--corpus", corpus, "--out", reports)
    assert run("score", *arguments, "--free-running-limit", 5) == 0
    shown = capsys.readouterr().out
    assert "cpu-toy: rule" in shown
    summary = json.loads((reports / "summary.json").read_text())["cpu-toy"]
    assert len(summary) == 9
    assert 0.9 < summary["rule"]["teacher_forced_byte_accuracy"] < 0.97
    assert summary["copy"]["teacher_forced_byte_accuracy"] < 0.8
    assert summary["uniform"]["teacher_forced_bits_per_byte"] == pytest.approx(8.06, abs=0.03)
    rule = json.loads((reports / "cpu-toy.rule.json").read_text())
    assert rule["metrics"]["free_running_byte_accuracy"]["n"] == 5
    assert rule["metrics"]["teacher_forced_byte_accuracy"]["n"] == 12
    assert run("leaderboard", reports, "--out", tmp_path / "page") == 0
    assert "rule" in (tmp_path / "page" / "index.html").read_text()


def test_scores_do_not_depend_on_who_stands_beside(
    corpus: Path, predictions: Path, tmp_path: Path
) -> None:
    names = ["uniform", "rule", "ngram"]
    folders = [predictions / name for name in names]
    limits = ("--corpus", corpus, "--free-running-limit", 5)
    run("score", *folders, *limits, "--out", tmp_path / "a")
    run("score", *folders[::-1], *limits, "--out", tmp_path / "b")
    for name in [*(f"cpu-toy.{name}.json" for name in names), "summary.json"]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_trained_model_predicts_like_any_other(corpus: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    provenance = {"run": "tiny", "corpus": "cpu-toy", "train_samples": 60, "step": 3}
    provenance["base_tunes"] = 42
    save_model(tmp_path / "run" / "model", Bgpt(preset("compact-cpu")), provenance)
    out = tmp_path / "predictions" / "tiny"
    arguments = ("cpu-toy", tmp_path / "run", "--corpus", corpus, "--out", out)
    assert run("predict", *arguments, "--limit", 4, "--free-running-limit", 1) == 0
    reports = tmp_path / "reports"
    scoring = ("score", out, "--corpus", corpus, "--out", reports, "--limit", 4)
    assert run(*scoring) == 1
    assert not reports.exists()
    assert run(*scoring, "--free-running-limit", 1) == 0
    report = json.loads((reports / "cpu-toy.tiny.json").read_text())
    assert report["submission"]["kind"] == "model"
    assert report["submission"]["train_samples"] == 60
    assert report["submission"]["base_tunes"] == 42
    assert report["examples"] == []
    assert report["submission"]["parameters"] > 1000
    assert report["metrics"]["teacher_forced_bits_per_byte"]["value"] > 1
    assert report["metrics"]["free_running_byte_accuracy"]["n"] == 1


def test_predictions_of_fewer_samples_are_refused_with_exit_code_1(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "few"
    run("predict", "cpu-toy", "rule", "--corpus", corpus, "--out", out, "--limit", 4)
    assert run("score", out, "--corpus", corpus, "--out", tmp_path / "reports") == 1
    error = capsys.readouterr().err
    assert "error: rule: predictions of another number of samples: 4, this one is 12" in error
    assert "Traceback" not in error


def test_fewer_samples_count_where_both_commands_are_told(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "few"
    run("predict", "cpu-toy", "rule", "--corpus", corpus, "--out", out, "--limit", 4)
    reports = tmp_path / "reports"
    assert run("score", out, "--corpus", corpus, "--out", reports, "--limit", 4) == 0
    report = json.loads((reports / "cpu-toy.rule.json").read_text())
    assert {metric["n"] for metric in report["metrics"].values()} == {0, 4}


def test_two_folders_by_one_name_are_both_refused(
    corpus: Path, predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = Path(shutil.copytree(predictions / "rule", tmp_path / "twin"))
    arguments = ("--corpus", corpus, "--out", tmp_path / "reports", "--free-running-limit", 5)
    assert run("score", predictions / "rule", twin, predictions / "copy", *arguments) == 1
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert f"error: {predictions / 'rule'} and {twin}: cpu-toy predictions by one" in shown.err
    assert "--name" in shown.err
    assert "rule" not in shown.out
    written = {path.name for path in (tmp_path / "reports").iterdir()}
    assert written == {"cpu-toy.copy.json", "cpu-toy.copy.explain.json", "summary.json"}
    assert run("score", predictions / "rule", predictions / "rule", *arguments) == 0


def test_a_flipped_byte_of_a_test_shard_is_refused(
    corpus: Path, predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Path(shutil.copytree(corpus, tmp_path / "broken"))
    shard = broken / "test" / "cpu-toy-000000.tar"
    data = bytearray(shard.read_bytes())
    data[512 + 70] ^= 1  # a byte of the first file, behind its header of 512
    shard.write_bytes(data)
    assert run("score", predictions, "--corpus", broken, "--out", tmp_path / "reports") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cpu-toy-000000.tar: sha256" in error
    assert "bgpt-data build cpu-toy" in error
    assert not (tmp_path / "reports").exists()


def test_a_result_is_explained_as_text_as_json_and_as_a_page(
    corpus: Path, predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "pages" / "rule.html"
    arguments = ("explain", predictions / "rule", "--corpus", corpus, "--samples", 1)
    assert run(*arguments, "--rows", 2, "--html", page) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        "cpu-toy: rule (baseline), 12 test samples of cpu-toy\nteacher-forced: "
    )
    for dimension in ("instruction", "operand", "register", "value", "distance", "fetch"):
        assert f"\nBy {dimension}\n" in shown
    assert "\x1b" not in shown  # piped: no colours
    assert shown.count("teacher-forced:") == 2  # the totals, and one sample
    assert ">" in shown.split("The worst samples")[1]
    html = page.read_text()
    assert "<mark>" in html
    assert "http" not in html.replace("http-equiv", "")
    assert run(*arguments, "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert [table["name"] for table in made["tables"]][:2] == ["instruction", "operand"]
    # The same without the corpus, of what was scored.
    reports = tmp_path / "reports"
    scoring = ("score", predictions, "--corpus", corpus, "--out", reports)
    assert run(*scoring, "--free-running-limit", 5) == 0
    capsys.readouterr()
    assert run("explain", reports / "cpu-toy.rule.json", "--samples", 1, "--json") == 0
    assert json.loads(capsys.readouterr().out) == made
    assert not (reports / "cpu-toy.zlib.explain.json").exists()  # it predicts no bytes
    assert run("leaderboard", reports, "--out", tmp_path / "page") == 0
    assert "Where it errs" in (tmp_path / "page" / "index.html").read_text()


def test_the_ngrams_bits_stand_beside_its_errors(
    corpus: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("explain", predictions / "ngram", "--corpus", corpus, "--json") == 0
    made = json.loads(capsys.readouterr().out)
    total = made["teacher_forced"]["bits"]
    assert total > 1000
    for name in ("instruction", "register"):
        rows = next(table["rows"] for table in made["tables"] if table["name"] == name)
        assert sum(row["bits"] for row in rows) == pytest.approx(total, rel=1e-4)


# RESULT and options, and what the one line on stderr must say.
NO_RESULTS: list[tuple[list[str], str]] = [
    (["nowhere"], "nowhere: no such folder of predictions, and no such report"),
    (["PRED"], "9 predictions folders; explain one of them: brotli, copy, ngram,"),
    (["PRED/rule"], "add --corpus FOLDER, the corpus cpu-toy"),
    (["PRED/rule", "--corpus", "nowhere"], "nowhere"),
    (["PRED/rule", "--corpus", "CORPUS", "--rows", "0"], "--rows"),
    (["PRED/rule", "--corpus", "CORPUS", "--samples", "-1"], "--samples"),
    (["OTHER", "--corpus", "CORPUS"], "a result of another task: midi-to-abc, not one of"),
    (["UNKNOWN", "--corpus", "CORPUS"], "unknown task 'cpu-tyo': did you mean 'cpu-toy'?"),
    (["FEWER", "--corpus", "CORPUS"], "predictions of another test_sha256"),
    (["NONE", "--corpus", "CORPUS"], "corpus.samples is 0"),
    (["CORPUS"], "holds no predictions.json, so no predictions"),
    (["report.json"], "no explanation beside it (report.explain.json); score again with"),
    (["report.json", "--corpus", "CORPUS"], "a report is explained by the file beside it; leave"),
    (["broken.explain.json"], "broken.explain.json: not usable as JSON"),
]


@pytest.mark.parametrize(("arguments", "message"), NO_RESULTS)
def test_what_cannot_be_explained_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    corpus: Path,
    predictions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, old, new in (
        ("OTHER", '"cpu-toy",\n  "version"', '"midi-to-abc",\n  "version"'),
        ("UNKNOWN", '"cpu-toy",\n  "version"', '"cpu-tyo",\n  "version"'),
        ("FEWER", '"samples": 12', '"samples": 11'),
        ("NONE", '"samples": 12', '"samples": 0'),
    ):
        header = Path(shutil.copytree(predictions / "rule", tmp_path / name)) / "predictions.json"
        text = header.read_text()
        assert old in text
        header.write_text(text.replace(old, new))
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / "broken.explain.json").write_text("{")
    known = {"CORPUS": str(corpus), "PRED": str(predictions), "PRED/rule": f"{predictions}/rule"}
    given = [known.get(argument, argument) for argument in arguments]
    assert run("explain", *given, "--html", "page.html") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert message in shown.err
    assert not (tmp_path / "page.html").exists()


# Arguments, and what the one line on stderr must say; CORPUS stands for a good one.
MISTAKES: list[tuple[list[str], str]] = [
    (["predict", "cpu-tyo", "rule", "--corpus", "CORPUS", "--out", "x"], "did you mean 'cpu-toy'?"),
    (["predict", "cpu-toy", "rul", "--corpus", "CORPUS", "--out", "x"], "did you mean 'rule'?"),
    (
        ["predict", "cpu-toy", "midi2abc", "--corpus", "CORPUS", "--out", "x"],
        "no folder of a model",
    ),
    (["predict", "abc-to-midi", "uniform", "--corpus", "CORPUS", "--out", "x"], "needs pairs"),
    (["baselines", "cpu-tyo", "--corpus", "CORPUS", "--out", "x"], "did you mean 'cpu-toy'?"),
    (["baselines", "cpu-toy", "--corpus", "nowhere", "--out", "x"], "no such folder"),
    (["score", "nowhere", "--out", "x"], "--corpus"),
    (["predict", "cpu-toy", "rule", "--corpus", "CORPUS", "--out", "x", "--limit", "0"], "least 1"),
    (
        ["predict", "cpu-toy", "rule", "--corpus", "CORPUS", "--out", "x", "--params", "PARAMS"],
        "benchmark.test_sample: unknown key 'test_sample': did you mean 'test_samples'?",
    ),
    (["leaderboard", "nowhere", "--out", "x"], "nowhere"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("benchmark: {test_sample: 3}\n")
    known = {"CORPUS": str(corpus), "PARAMS": "params.yaml"}
    assert run(*(known.get(argument, argument) for argument in arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "x").exists()


def test_tasks_as_json_say_all_a_program_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tasks", "--json") == 0
    tasks = json.loads(capsys.readouterr().out)
    machines = {f"cpu-{name}" for name in ISAS}
    assert set(tasks) == {"cpu-toy", "abc-to-midi", "midi-to-abc", *machines}
    assert tasks["cpu-toy"]["version"] == 1
    assert "rule" in tasks["cpu-toy"]["baselines"]


def test_published_figures_are_no_measurements() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "published.json"
    entries = json.loads(path.read_text())["entries"]
    assert len(entries) >= 3
    for entry in entries:
        assert {"task", "name", "metric", "value", "source", "note"} <= entry.keys()
        assert "(paper)" in entry["name"]
        assert "arXiv 2402.19155" in entry["source"]
