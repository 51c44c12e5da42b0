"""`bgpt` end to end on tiny corpora: what it writes, and how it says what went wrong."""

import errno
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from bgpt.__main__ import main
from bgpt.checkpoint import load_model, read_config, save_model
from bgpt.job import TrainingDiverged, TrainingInterrupted
from bgpt.layers import fast_dtype
from bgpt.model import Bgpt
from bgpt.patching import PatchBatch
from bgpt.telemetry import read_metrics
from pipelines.build import build_corpus
from pipelines.engine import IN_PROCESS, Engine
from pipelines.plan import Plan, SampleShard, Side
from pipelines.sample import Sample, Segment, sample_key
from pipelines.split import side_of_group

MODEL = {
    "patch_width": 16, "patch_layers": 1, "patch_heads": 2, "patch_ffn": 32,
    "byte_width": 16, "byte_layers": 1, "byte_heads": 2, "byte_ffn": 32, "max_patches": 16,
}  # fmt: skip
TRAIN = {
    "steps": 6, "batch_size": 4, "threads": 1, "log_every": 2, "eval_every": 3, "eval_samples": 5,
    "checkpoint_every": 2,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class TinySource:
    """Counting files with a prompt of 16 bytes, or pairs of a tune and its "conversion"."""

    corpus: str
    pairs: bool

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:
        return Plan(
            corpus=self.corpus,
            settings={"source": "tiny"},
            extensions=("abc", "mid") if self.pairs else ("bin",),
            prompt_bytes=0 if self.pairs else 16,
        )

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        return SampleShard(samples=[self._sample(side, first + i) for i in range(count)])

    def _sample(self, side: Side, number: int) -> Sample:
        data = bytes((number + i) % 64 for i in range(40))
        segments = [Segment(extension="bin", data=data)]
        if self.pairs:
            tune = f"X:1\nL:1/8\nM:4/4\nK:C\n{'CDEFGAB'[number % 7]}2|\n".encode()
            segments = [
                Segment(extension="abc", data=tune),
                Segment(extension="mid", data=data[:20]),
            ]
        key = sample_key(self.corpus, side, number)
        group = next(g for k in range(999) if side_of_group(g := f"{number}-{k}") == side)
        return Sample(key=key, segments=tuple(segments), group=group)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with params.yaml, two corpora, and one finished run of each."""
    home = tmp_path_factory.mktemp("home")
    for name, pairs in (("count", False), ("pairs", True)):
        source = TinySource(corpus=name, pairs=pairs)
        build_corpus(source, {"train": 30, "test": 8}, home / "data" / name)
    runs = {
        "count": {"corpus": "count", "model": MODEL, "train": TRAIN},
        "pairs": {
            "corpus": "pairs", "model": MODEL, "train": {**TRAIN, "directions": {"abc-to-midi": 1}},
        },
        "mixed": {
            "corpora": {"count": 2, "pairs": 1}, "model": MODEL,
            "train": {**TRAIN, "directions": {"abc-to-midi": 1}},
        },
        "eights": {
            "corpus": "pairs", "model": {**MODEL, "patch_size": 8, "value_embeddings": True},
            "train": {**TRAIN, "directions": {"abc-to-midi": 1}, "workers": 1, "packing": True},
        },
        "first-ten": {"corpus": "count", "model": MODEL, "train": {**TRAIN, "train_samples": 10}},
        "too-many": {"corpus": "count", "model": MODEL, "train": {**TRAIN, "train_samples": 99}},
        "no-corpus": {"corpus": "counts", "model": MODEL, "train": TRAIN},
        "turned": {
            "corpus": "count", "model": MODEL, "train": {**TRAIN, "directions": {"abc-to-midi": 1}},
        },
        "wrong-key": {"corpus": "count", "model": MODEL, "train": {**TRAIN, "step": 3}},
        "no-preset": {"corpus": "count", "model": {"preset": "papper"}, "train": TRAIN},
    }  # fmt: skip
    (home / "params.yaml").write_text(yaml.safe_dump({"runs": runs}))
    for run in ("count", "pairs", "mixed", "eights"):
        assert bgpt(home, "train", run)[0] == 0
    return home


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def bgpt(home: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process, in folder `home`; return exit code, stdout and stderr."""
    patch = pytest.MonkeyPatch()
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    out, err = StringIO(), StringIO()
    with patch.context() as context, redirect_stdout(out), redirect_stderr(err):
        context.chdir(home)
        context.setattr(sys, "argv", ["bgpt", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    code: Any = ended.value.code
    return code or 0, out.getvalue(), err.getvalue()


def refused(home: Path, *arguments: str, code: int = 2) -> str:
    """Return the one line with which a command refuses."""
    found, out, err = bgpt(home, *arguments)
    assert (found, out) == (code, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_training_leaves_a_model_with_its_provenance(home: Path) -> None:
    run = home / "runs" / "count"
    assert sorted(p.name for p in run.iterdir()) == [
        "best",
        "dvclive",
        "metrics.jsonl",
        "model",
        "run.json",
    ]
    _, provenance = read_config(run / "model")
    assert provenance["run"] == provenance["corpus"] == "count"
    assert provenance["train_samples"] == 30
    assert provenance["prompt_bytes"] == 16
    assert provenance["step"] == 6
    record = json.loads((run / "run.json").read_text())
    manifest = json.loads((home / "data/count/manifest.json").read_text())
    assert record["corpus"]["config_sha256"] == manifest["config_sha256"]
    assert len(record["corpus"]["train_shards"]) == 1
    assert [r["step"] for r in read_metrics(run)] == [2, 3, 4, 6]


def test_a_finished_run_is_left_as_it_is(home: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (home / "runs/count").rglob("*")}
    code, out, err = bgpt(home, "train", "count")
    assert (code, out) == (0, "runs/count/model\n")
    assert err == "runs/count: already finished\n"
    assert {p: p.stat().st_mtime_ns for p in (home / "runs/count").rglob("*")} == before


def test_a_smaller_scale_is_a_prefix_and_the_folder_can_be_chosen(home: Path) -> None:
    assert bgpt(home, "train", "first-ten", "--out", "elsewhere")[0] == 0
    assert read_config(home / "elsewhere/model")[1]["train_samples"] == 10


def test_a_corpus_may_grow_by_whole_shards_under_a_run(home: Path, tmp_path: Path) -> None:
    source = TinySource(corpus="count", pairs=False)
    (tmp_path / "params.yaml").write_text((home / "params.yaml").read_text())
    build_corpus(source, {"train": 1000, "test": 8}, tmp_path / "data/count")
    assert bgpt(tmp_path, "train", "count")[0] == 0
    build_corpus(source, {"train": 1100, "test": 8}, tmp_path / "data/count")
    code, _, err = bgpt(tmp_path, "train", "count")
    assert (code, err) == (0, "runs/count: already finished\n")


def test_a_changed_run_starts_over_when_asked_and_an_unchanged_one_does_not(home: Path) -> None:
    command = ["train", "count", "--out", "again", "--restart-if-changed"]
    assert bgpt(home, "train", "first-ten", "--out", "again")[0] == 0
    assert bgpt(home, *command) == (0, "again/model\n", "")
    assert read_config(home / "again/model")[1]["train_samples"] == 30
    assert bgpt(home, *command)[2] == "again: already finished\n"


def test_a_restart_that_is_killed_while_it_deletes_goes_on_at_the_next_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", "count", "--out", "killed", "--restart-if-changed"]
    assert bgpt(home, "train", "first-ten", "--out", "killed")[0] == 0

    def killed(folder: Path) -> None:
        (folder / "run.json").unlink()
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("bgpt.launch.shutil.rmtree", killed)
        assert refused(home, *command) == "error: killed\n"
    assert list(home.glob(".killed*")) == [home / ".killed.old"]
    assert bgpt(home, *command) == (0, "killed/model\n", "")
    assert read_config(home / "killed/model")[1]["train_samples"] == 30
    assert not list(home.glob(".killed*"))


# command -> what its one line of error must hold
REFUSED = [
    (["train", "coutn"], "unknown run 'coutn': did you mean 'count'?"),
    (["train", "count", "--params", "x.yaml"], "x.yaml: no such file"),
    (["train", "wrong-key"], "runs.wrong-key.train.step: unknown key 'step'"),
    (["train", "no-preset"], "unknown preset 'papper': did you mean 'paper'?"),
    (["train", "no-corpus"], "data/counts"),
    (["train", "too-many"], "99 train samples wanted, but the corpus has 30"),
    (["train", "turned"], "direction 'abc-to-midi' does not fit a corpus of .bin files"),
    (["train", "first-ten", "--out", "runs/count"], "run.json: name is 'count' there and 'first"),
    (["train"], "Missing argument 'RUN'"),
    (["classify"], "No such command 'classify'"),
    (["shrink"], "No such command 'shrink'"),
    (["eval", "data/count", "--files", "params.yaml"], "data/count: not a model"),
    (["eval", "runs/count/model"], "give files to weigh"),
    (["eval", "runs/count/model", "--files", "absent.bin"], "No such file"),
    (["eval", "runs/count/model", "--corpus", "data/pairs"], "needs directions"),
    (["simulate", "runs/pairs/model", "16.bin", "-o", "o"], "was not trained to simulate"),
    (["simulate", "runs/count/model", "3.bin", "-o", "o"], "3 bytes; this model needs 16"),
    (["convert", "runs/count/model", "t.abc", "-o", "t.mid"], "was not trained to convert"),
    (["convert", "runs/pairs/model", "16.bin", "-o", "t.mid"], "cannot turn .bin into .mid"),
    (["convert", "runs/pairs/model", "bad.abc", "-o", "t.mid"], "bad.abc: not a tune"),
    (["generate", "runs/count/model", "--prompt", "long.bin", "-o", "o"], "long.bin: what is giv"),
    (["simulate", "big", "long.bin", "--system", "toy", "--memory-bytes", "512"], "long.bin: what"),
    (["simulate", "big", "16.bin", "--memory-bytes", "64"], "--system and --memory-bytes together"),
    (["simulate", "big", "16.bin", "--system", "toy"], "pass --system and --memory-bytes here"),
    (["convert", "big", "t.abc", "-o", "t.mid"], "does not say what it was trained to convert"),
    (["convert", "big", "t.abc", "-o", "t.mid", "--to", "xyz"], "pass --to mid or --to abc here"),
    (["generate", "runs/count/model", "--prompt", "nosuffix", "-o", "o"], "needs a suffix"),
    (["generate", "runs/count/model", "-o", "o"], "say what to write: --ext mid"),
    (["generate", "runs/count/model", "--prompt", "empty.bin", "-o", "o"], "an empty file; leave"),
    (["generate", "runs/count/model", "--ext", "bin", "--num", "2", "-o", "o"], "all the same"),
    (["generate", "runs/count/model", "--ext", "bin", "--temperature", "0"], "must be above 0"),
    (["generate", "runs/count/model", "--ext", "bin", "--top-p", "1.5"], "at most 1, not 1.5"),
    (["generate", "runs/count/model", "--ext", "bin", "--num", "2", "--top-k", "3"], "-o FOLDER"),
    (["generate", "runs/count/model", "--ext", "bin", "-o", "3.bin/o"], "3.bin/o: cannot be writ"),
    (["simulate", "runs/count/model", "16.bin", "--compare"], "pass --system, one of toy, "),
    (["simulate", "runs/count/model", "16.bin", "--compare", "--system", "toi"], "mean 'toy'?"),
    (["simulate", "runs/count/model", "empty.bin", "-o", "o"], "0 bytes; this model needs"),
    (["simulate", "runs/count/model", "16.bin", "-o", "3.bin/o"], "3.bin/o: cannot be written: "),
    (["convert", "runs/pairs/model", "empty.abc", "-o", "o.mid"], "empty.abc: an empty file"),
    (["convert", "runs/pairs/model", "long.abc", "-o", "o.mid"], "long.abc: what is given takes"),
    (["convert", "runs/pairs/model", "t.abc", "-o", "3.bin/o.mid"], "o.mid: cannot be written: "),
    (["convert", "runs/pairs/model", "data", "-o", "made"], "data: holds no .abc file"),
    (["convert", "runs/pairs/model", "data", "-o", "-"], "needs a folder: -o FOLDER"),
    (["convert", "runs/pairs/model", "data", "--to", "abc", "-o", "x"], "cannot turn .* into .abc"),
    (["convert", "runs/pairs/model", "absent.abc", "-o", "o.mid"], "No such file"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_a_mistake_is_one_clear_line_and_exit_code_2(
    home: Path, arguments: list[str], message: str
) -> None:
    for name, size in (("3.bin", 3), ("16.bin", 16), ("long.bin", 1000), ("nosuffix", 4),
                       ("empty.bin", 0), ("empty.abc", 0)):  # fmt: skip
        (home / name).write_bytes(bytes(size))
    (home / "bad.abc").write_text("no tune at all")
    if not (home / "big").exists():  # of no known training
        save_model(home / "big", load_model(home / "runs/count/model"))
    (home / "t.abc").write_text("X:1\nT:x\nL:1/8\nM:4/4\nK:C\nCDEF|\n")
    (home / "long.abc").write_text("X:1\nT:x\nL:1/8\nM:4/4\nK:C\n" + "CDEF|" * 99 + "\n")
    assert message in refused(home, *arguments)
    assert not (home / "o").exists()


WITH_DEVICE = [
    ["eval", "runs/count", "--files", "d.bin"],
    ["eval", "runs/count", "--corpus", "data/count", "--samples", "2"],
    ["generate", "runs/count", "--ext", "bin", "--max-bytes", "4"],
    ["simulate", "runs/count", "d.bin", "--max-bytes", "4"],
    ["convert", "runs/pairs", "d.abc", "-o", "d.mid", "--max-bytes", "4"],
]


@pytest.mark.parametrize("arguments", WITH_DEVICE)
def test_a_device_is_where_the_model_computes_and_a_missing_one_is_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    (home / "d.bin").write_bytes(bytes(range(16)))
    (home / "d.abc").write_text("X:1\nT:x\nL:1/8\nM:4/4\nK:C\nCDEF|\n")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = refused(home, *arguments, "--device", "cuda")
    assert "'--device': torch finds no CUDA device here; leave --device out" in line
    assert "'gpu' is not one of" in refused(home, *arguments, "--device", "gpu")
    on_cpu = bgpt(home, *arguments, "--device", "cpu")
    assert on_cpu[0] == 0

    # No GPU is needed to see what goes there: the model, and every batch that is evaluated.
    moved: list[tuple[str, str]] = []

    def to(self: Any, device: torch.device | str) -> Any:
        moved.append((type(self).__name__, str(device)))
        return self

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(Bgpt, "to", to)
    monkeypatch.setattr(PatchBatch, "to", to)
    assert bgpt(home, *arguments, "--device", "cuda") == on_cpu
    assert moved[0] == ("Bgpt", "cuda")
    if "--corpus" in arguments:
        assert ("PatchBatch", "cuda") in moved[1:]


# command that writes a folder below a place that cannot hold one -> what its line must hold
NOT_WRITABLE = [
    (["train", "first-ten", "--out"], r"cannot be written: .*; pass another --out"),
    (["import", "authors.pth", "--heads", "2", "-o"], r"PLACE/new: cannot be written: "),
]


@pytest.mark.parametrize(("arguments", "message"), NOT_WRITABLE)
@pytest.mark.parametrize("place", ["a-file", "no-permission"])
def test_a_place_that_cannot_be_written_is_one_clear_line(
    home: Path, arguments: list[str], message: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "a-file").touch()
    (home / "no-permission").mkdir(exist_ok=True)
    (home / "no-permission").chmod(0o500)
    if os.geteuid() == 0:  # for whom nothing is forbidden
        monkeypatch.setattr(Path, "mkdir", _as_another_user)
    if not (home / "authors.pth").exists():
        assert bgpt(home, "export", "runs/count", "-o", "authors.pth")[0] == 0
    line = refused(home, *arguments, f"{place}/new")
    assert re.search(message.replace("PLACE", place), line), line
    assert ("Permission denied" in line) is (place == "no-permission")
    assert list((home / "no-permission").iterdir()) == []


_mkdir = Path.mkdir


def _as_another_user(self: Path, *rest: Any, **options: Any) -> None:
    """Make a folder as a user whom permission bits bind."""
    if self.parent.exists() and not self.parent.stat().st_mode & 0o200:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
    _mkdir(self, *rest, **options)


# a file of a run or model -> a command that reads it
NEWER = [
    ("runs/newer/run.json", ["train", "count", "--out", "runs/newer"]),
    ("runs/newer/model/config.json", ["eval", "runs/newer", "--files", "params.yaml"]),
    ("runs/newer/model/config.json", ["eval", "runs/newer", "--corpus", "data/count"]),
    ("runs/newer/model/config.json", ["generate", "runs/newer", "--ext", "bin", "-o", "o"]),
    ("runs/newer/model/config.json", ["simulate", "runs/newer", "16.bin", "-o", "o"]),
    ("runs/newer/model/config.json", ["convert", "runs/newer", "data", "-o", "o"]),
    ("runs/newer/model/config.json", ["export", "runs/newer", "-o", "o"]),
    ("runs/newer/model/config.json", ["info", "runs/newer"]),
    ("runs/newer/model/config.json", ["train", "count", "--out", "runs/newer"]),
]


@pytest.mark.parametrize(("file", "arguments"), NEWER)
def test_a_file_of_a_newer_version_is_one_clear_line(
    home: Path, file: str, arguments: list[str]
) -> None:
    (home / "16.bin").write_bytes(bytes(16))
    shutil.rmtree(home / "runs/newer", ignore_errors=True)
    shutil.copytree(home / "runs/count", home / "runs/newer")
    found = json.loads((home / file).read_text())
    (home / file).write_text(json.dumps({**found, "schema_version": 99}))
    line = refused(home, *arguments)
    assert re.search(rf"{file}: written in format version 99, and this program reads up to", line)
    assert not (home / "o").exists()


@pytest.mark.parametrize("side", ["train", "test"])
def test_a_corrupt_shard_names_itself_both_hashes_and_the_cure(
    tmp_path: Path, home: Path, side: str
) -> None:
    build_corpus(
        TinySource(corpus="count", pairs=False), {"train": 30, "test": 8}, tmp_path / "data/count"
    )
    (tmp_path / "params.yaml").write_text((home / "params.yaml").read_text())
    shard = next((tmp_path / "data/count" / side).glob("*.tar"))
    content = bytearray(shard.read_bytes())
    content[600] ^= 1
    shard.write_bytes(content)
    line = refused(tmp_path, "train", "count")
    assert f"{shard.name}: sha256" in line.replace("SHA-256", "sha256")
    assert "bgpt-data build count" in line


def test_an_interrupted_run_ends_with_the_signals_code_and_a_diverged_one_with_1(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise TrainingInterrupted("stopped by signal 15; saved", signal_number=15)

    def diverged(*_: Any, **__: Any) -> None:
        raise TrainingDiverged("step 3: the loss is nan")

    monkeypatch.setattr("bgpt.launch.train", stopped)
    code, _, err = bgpt(home, "train", "first-ten", "--out", "stopped")
    assert (code, err) == (143, "stopped by signal 15; saved\n")
    monkeypatch.setattr("bgpt.launch.train", diverged)
    assert "step 3: the loss" in refused(home, "train", "first-ten", "--out", "nan", code=1)


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(home: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        line = refused(home, "train", "first-ten", "--out", "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert re.search(r"full/\S+/model\.safetensors: cannot be written: .*File too large", line)
    assert list((home / "full/checkpoints").iterdir()) == []
    assert bgpt(home, "train", "first-ten", "--out", "full")[0] == 0
    assert [r["step"] for r in read_metrics(home / "full")] == [2, 3, 4, 6]


def test_eval_gives_both_figures_of_every_file(home: Path) -> None:
    files = {"a.bin": bytes(range(40)), "b.abc": b"X:1\nK:C\nCDEF|\n"}
    for name, data in files.items():
        (home / name).write_bytes(data)
    code, out, _ = bgpt(home, "eval", "runs/count/model", "--files", "a.bin", "b.abc", "--json")
    scores = json.loads(out)
    assert code == 0
    assert [(s["file"], s["bytes"]) for s in scores] == [("a.bin", 40), ("b.abc", 14)]
    for score in scores:
        assert score["bits_per_byte"] == pytest.approx(
            score["total_nats"] / 0.6931471805599453 / score["bytes"]
        )
        assert 0 < score["authors_nats_per_token"] < 8
    _, text, _ = bgpt(home, "eval", "runs/count/model", "--files", "a.bin")
    assert text.startswith("a.bin: 40 bytes, ")
    command = ["eval", "runs/count/model", "--files", "a.bin", "b.abc", "--json"]
    assert bgpt(home, *command, "--no-bf16")[1] == out
    code, narrow, err = bgpt(home, *command, "--bf16")
    if fast_dtype("cpu") != torch.bfloat16:
        assert (code, "--no-bf16" in err) == (2, True)
        return
    for score, exact in zip(json.loads(narrow), scores, strict=True):
        assert score["total_nats"] == pytest.approx(exact["total_nats"], rel=0.02)
        assert score["total_nats"] != exact["total_nats"]


@pytest.mark.parametrize("run", ["pairs", "eights"])
def test_eval_of_a_corpus_agrees_with_the_runs_own_evaluation(home: Path, run: str) -> None:
    command = ["eval", f"runs/{run}/model", "--corpus", "data/pairs"]
    _, out, _ = bgpt(home, *command, "--samples", "5", "--json")
    assert json.loads(out) == pytest.approx(read_metrics(home / "runs" / run)[-1]["eval"])
    _, text, _ = bgpt(home, *command)
    assert "8 samples" in text


def test_a_model_of_patches_of_8_converts_and_writes_until_it_is_full(home: Path) -> None:
    (home / "eight.abc").write_text("X:1\nT:x\nL:1/8\nM:4/4\nK:C\nCDEF|\n")
    assert bgpt(home, "convert", "runs/eights", "eight.abc", "-o", "eight.mid")[0] == 0
    (home / "eight.bin").write_bytes(bytes(range(13)))
    command = ["generate", "runs/eights", "--prompt", "eight.bin", "-o", "eights.bin"]
    assert bgpt(home, *command)[0] == 0
    assert (home / "eights.bin").stat().st_size <= (16 - 2) * 8
    (home / "eight.bin").write_bytes(bytes(14 * 8))
    assert "takes 16 of the 16 patches" in refused(home, *command)
    (home / "eight.extension").write_bytes(b"x")
    line = refused(home, "generate", "runs/eights", "--prompt", "eight.extension", "-o", "x")
    assert "extension 'extension' is longer than a patch of 8 bytes" in line
    _, out, _ = bgpt(home, "info", "runs/eights", "--json")
    found = json.loads(out)
    assert (found["config"]["patch_size"], found["config"]["value_embeddings"]) == (8, True)
    _, text, _ = bgpt(home, "info", "runs/eights")
    assert f"{found['flops']['forward'] / (8 * 16):.4g} a byte" in text


def test_a_model_of_a_mixture_is_weighed_on_each_corpus_and_simulates_and_converts(
    home: Path,
) -> None:
    figures = read_metrics(home / "runs/mixed")[-1]["corpora"]
    for corpus in ("count", "pairs"):
        code, out, _ = bgpt(
            home, "eval", "runs/mixed", "--corpus", f"data/{corpus}", "--samples", "5", "--json"
        )
        assert code == 0
        assert json.loads(out) == pytest.approx(figures[corpus]["eval"])
    (home / "p.bin").write_bytes(bytes(range(20)))
    (home / "tune.abc").write_text("X:1\nT:x\nL:1/8\nM:4/4\nK:C\nCDEF|\n")
    for corpus in ([], ["--corpus", "count"]):
        code, _, err = bgpt(home, "simulate", "runs/mixed", "p.bin", "-o", "mixed.bin", *corpus)
        assert (code, "begins with 16 bytes" in err) == (0, True)
    assert bgpt(home, "convert", "runs/mixed", "tune.abc", "-o", "mixed.mid")[0] == 0
    line = refused(home, "simulate", "runs/mixed", "p.bin", "--corpus", "pairs")
    assert "unknown corpus 'pairs'. Known: count." in line


def test_the_model_writes_files(home: Path) -> None:
    (home / "p.bin").write_bytes(bytes(range(16)))
    arguments = ["simulate", "runs/count/model", "p.bin", "-o", "trace.bin", "--max-bytes", "20"]
    assert bgpt(home, *arguments)[0] == 0
    trace = (home / "trace.bin").read_bytes()
    assert trace[:16] == bytes(range(16))
    assert 16 <= len(trace) <= 36
    (home / "start.bin").write_bytes(bytes(range(16)))
    assert (
        bgpt(home, "generate", "runs/count/model", "--prompt", "start.bin", "-o", "whole.bin")[0]
        == 0
    )
    longest = load_model(home / "runs/count/model").config.max_patches * 16
    assert (home / "whole.bin").read_bytes()[:30] == trace[:30]
    assert (home / "whole.bin").stat().st_size <= longest
    (home / "tune.abc").write_text("X:1\nT:x\nL:1/8\nM:4/4\nK:C\nCDEF|\n")
    arguments = ["convert", "runs/pairs/model", "tune.abc", "-o", "made/tune.mid"]
    code, _, err = bgpt(home, *arguments)
    assert (code, err[:14]) == (0, "made/tune.mid:")
    assert (home / "made/tune.mid").exists()


def test_a_run_folder_stands_for_its_model(home: Path) -> None:
    (home / "p.bin").write_bytes(bytes(range(16)))
    (home / "tune.abc").write_text("X:1\nT:x\nL:1/8\nM:4/4\nK:C\nCDEF|\n")
    for command, run, *rest in (
        ["eval", "count", "--files", "p.bin"],
        ["eval", "pairs", "--corpus", "data/pairs"],
        ["simulate", "count", "p.bin", "--max-bytes", "20", "-o", "o.bin"],
        ["generate", "count", "--prompt", "p.bin", "--max-bytes", "20", "-o", "o.bin"],
        ["convert", "pairs", "tune.abc", "-o", "o.mid"],
    ):
        answers: list[tuple[object, ...]] = []
        for model in (f"runs/{run}", f"runs/{run}/model"):
            answer = bgpt(home, command, model, *rest)
            files = [path.read_bytes() for path in sorted(home.glob("o.*"))]
            answers.append((*answer, files))
            for path in home.glob("o.*"):
                path.unlink()
        assert answers[0] == answers[1]
        assert answers[0][0] == 0


@pytest.mark.parametrize("command", ["train", "eval", "generate", "simulate", "convert"])
def test_help_shows_an_example(home: Path, command: str) -> None:
    code, out, err = bgpt(home, command, "--help")
    assert (code, err) == (0, "")
    assert f"Example:\n    bgpt {command} " in out


def test_help_of_the_whole_needs_no_torch() -> None:
    code = "import sys, bgpt.__main__ as m\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
