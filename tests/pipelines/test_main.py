import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines import __main__ as command
from pipelines.corpus import Corpus

ROOT = Path(__file__).parents[2]

TUNES = """X:1
T:One
M:4/4
L:1/8
K:G
GABc d2d2|e2e2 d4|c2c2 B2B2|A2A2 G4|

X:2
T:Two
M:3/4
L:1/8
K:D
D2F2A2|d4A2|F2A2F2|D6|

X:3
T:Broken
K:Es
abc
"""


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["bgpt-data", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        command.main()
    code = caught.value.code
    out, err = capsys.readouterr()
    return (code if isinstance(code, int) else 0), out, err


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("main") / "cpu-toy"
    done = build(out, 1500, 300, 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1,500 train, 300 test samples; 3 shards built, 0 kept, 0 removed" in done.stdout
    assert "dropped in test: " in done.stdout
    return out


def build(out: Path, train: int, test: int, workers: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command_line(out, train, test, workers), **_OPTIONS)  # pyright: ignore


def command_line(out: Path, train: int, test: int, workers: int) -> list[str]:
    numbers = ["--train-samples", train, "--test-samples", test, "--workers", workers]
    return [sys.executable, "-W", "error", "-m", "pipelines", "build", "cpu-toy"] + [
        str(word) for word in [*numbers, "--out", out]
    ]


_OPTIONS = {"capture_output": True, "text": True, "timeout": 120, "check": False, "cwd": ROOT}


def snapshot(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_killed_workers_leave_a_build_that_ends_in_the_same_bytes(
    tmp_path: Path, built: Path
) -> None:
    out = tmp_path / "cpu-toy"
    process = subprocess.Popen(
        command_line(out, 1500, 300, 2), cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("*/*.tar*")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert build(out, 1500, 300, 1).returncode == 0
    assert snapshot(out) == snapshot(built)


def test_list_shows_every_corpus(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(capsys, monkeypatch, "list")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == [
        "abc-midi",
        "cpu-aarch64",
        "cpu-rv32",
        "cpu-rv64",
        "cpu-thumb",
        "cpu-toy",
        "cpu-toy-paper",
        "cpu-x86_16",
        "cpu-x86_64",
    ]
    _, out, _ = run(capsys, monkeypatch, "list", "--json")
    assert json.loads(out)["cpu-toy"]["cpu"]["memory_bytes"] == 64


def test_verify_says_that_a_whole_corpus_is_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, built: Path
) -> None:
    code, out, err = run(capsys, monkeypatch, "verify", built)
    assert (code, err) == (0, "")
    assert f"{built}: cpu-toy is whole: 1,800 samples in 3 shards" in out


def test_verify_names_shard_hashes_and_cure_and_exits_with_1(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    built: Path,
    tmp_path: Path,
) -> None:
    out = Path(shutil.copytree(built, tmp_path / "cpu-toy"))
    shard = out / "train" / "cpu-toy-000001.tar"
    recorded = hashlib.sha256(shard.read_bytes()).hexdigest()
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.write_bytes(data)
    found = hashlib.sha256(data).hexdigest()
    code, stdout, err = run(capsys, monkeypatch, "verify", out)
    assert (code, stdout) == (1, "")
    assert err.splitlines() == [
        f"error: train/cpu-toy-000001.tar: sha256 {found} "
        f"does not match manifest.json ({recorded})",
        'Run "bgpt-data build cpu-toy --train-samples 1500 --test-samples 300 --seed 0 '
        f'--memory-bytes 64 --max-instructions 16 --out {out}", with --params FILE '
        "if it was built with one: it rebuilds that shard alone.",
    ]
    (command,) = re.findall(r'"bgpt-data (.*)"', err)
    code, _, _ = run(capsys, monkeypatch, *shlex.split(command), "--workers", 1)
    assert code == 0
    assert snapshot(out) == snapshot(built)
    shard.write_bytes(data)
    code, stdout, _ = run(capsys, monkeypatch, "verify", out, "--json")
    assert (code, len(json.loads(stdout)["problems"])) == (1, 1)
    (out / "manifest.json").write_text("{}")
    code, _, err = run(capsys, monkeypatch, "verify", out)
    assert code == 1
    assert err.startswith(f"error: {out}: manifest.json.schema_version: missing")


def test_verify_of_a_stray_file_says_to_remove_it_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    built: Path,
    tmp_path: Path,
) -> None:
    out = Path(shutil.copytree(built, tmp_path / "cpu-toy"))
    (out / "test" / "notes.txt").write_text("")
    code, stdout, err = run(capsys, monkeypatch, "verify", out)
    assert (code, stdout) == (1, "")
    assert err == "error: test/notes.txt: not in manifest.json; remove it\n"


def test_inspect_shows_a_program_with_its_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, built: Path
) -> None:
    code, by_number, err = run(capsys, monkeypatch, "inspect", built, "--side", "test", "-i", 7)
    assert (code, err) == (0, "")
    assert by_number.startswith("cpu-toy-test-00000007  (test sample 7 of cpu-toy)\n")
    assert "HLT" in by_number
    _, by_key, _ = run(capsys, monkeypatch, "inspect", built, "cpu-toy-test-00000007")
    assert by_key == by_number
    _, as_json, _ = run(capsys, monkeypatch, "inspect", built, "cpu-toy-test-00000007", "--json")
    content = json.loads(as_json)
    assert (content["side"], content["number"]) == ("test", 7)
    assert len(bytes.fromhex(content["segments"][0]["hex"])) == content["size"]


def test_a_folder_of_tunes_is_built_told_what_was_dropped_and_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tunes, out = tmp_path / "tunes", tmp_path / "abc-midi"
    tunes.mkdir()
    (tunes / "mine.abc").write_text(TUNES)
    counts = ["--train-samples", 0, "--test-samples", 0, "--workers", 1]
    words = ["build", "abc-midi", "--tunes", tunes, "--out", out]
    code, text, err = run(capsys, monkeypatch, *words, *counts, "--json")
    assert (code, err) == (0, "")
    tunes_of = json.loads(text)["base_tunes"]
    assert sum(tunes_of.values()) == 2
    counts[1], counts[3] = tunes_of["train"], tunes_of["test"]
    code, text, err = run(capsys, monkeypatch, *words, *counts)
    assert (code, err) == (0, "")
    assert "dropped in planning: 1 " in text
    assert "dropped from mine.abc: X:3" in text
    side = "train" if tunes_of["train"] else "test"
    _, shown, _ = run(capsys, monkeypatch, "inspect", out, "--side", side)
    assert "K:" in shown
    assert "ticks per quarter" in shown


def test_tunes_print_nothing_that_a_terminal_would_obey(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "mine\x1b[7m"
    folder.mkdir()
    broken = TUNES.replace("X:3", "X:3\x1b[31m").replace("Es", "E\x1b[32m")
    (folder / "a\x1b]0;title\x07.abc").write_text(broken)
    words = ["build", "abc-midi", "--tunes", folder, "--out", tmp_path / "abc-midi"]
    words += ["--material", "real", "--workers", 1, "--train-samples", 1, "--test-samples", 0]
    code, text, err = run(capsys, monkeypatch, *words)
    assert (code, err) == (0, "")
    assert "dropped from a\\x1b]0;title\\x07.abc: X:3\\x1b[31m unknown_key" in text
    assert "\x1b" not in text
    link = folder / "b\x1b[31m.abc"
    link.symlink_to("nowhere")
    code, text, err = run(capsys, monkeypatch, *words)
    assert (code, "\x1b" in text + err) == (2, False)
    assert "b\\x1b[31m.abc: cannot be read" in err


def test_a_tune_is_shown_as_a_piano_roll_and_written_as_a_picture(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.abc").write_text(
        "".join(f"X:{i}\nK:C\nC{i}DE FGA{i}|c8|\n" for i in range(1, 9))
    )
    out, counts = tmp_path / "abc-midi", ["--train-samples", 1, "--test-samples", 0]
    words = ["build", "abc-midi", "--tunes", tmp_path, "--out", out, "--workers", 1]
    assert run(capsys, monkeypatch, *words, *counts)[0] == 0
    inspect = ["inspect", out]
    _, shown, _ = run(capsys, monkeypatch, *inspect)
    assert "K:" in shown
    assert "ticks per quarter" in shown
    assert "█▬" in shown
    assert "velocity" not in shown
    _, longer, _ = run(capsys, monkeypatch, *inspect, "--notes")
    assert longer.startswith(shown.rstrip("\n"))
    assert "velocity" in longer
    for name, start in (("tune.svg", b"<svg "), ("tune.png", b"\x89PNG")):
        picture = tmp_path / name
        code, again, err = run(capsys, monkeypatch, *inspect, "--picture", picture)
        assert (code, again, err) == (0, shown, f"written: {picture}\n")
        assert picture.read_bytes().startswith(start)
    (tmp_path / "cut.mid").write_bytes(Corpus.open(out).side("train").read(0)[1][:-30])
    code, laid_over, _ = run(capsys, monkeypatch, *inspect, "--against", tmp_path / "cut.mid")
    assert code == 0
    assert "against is not well formed: at byte 18: track 0 declares" in laid_over
    assert "▲ first difference: bar " in laid_over
    code, _, err = run(capsys, monkeypatch, *inspect, "--picture", tmp_path / "tune.jpg")
    assert (code, err.count("\n")) == (2, 1)
    assert err.endswith("tune.jpg: a picture is written as .svg or .png, not '.jpg'\n")
    (tmp_path / "large.mid").write_bytes(bytes((1 << 20) + 1))
    code, _, err = run(capsys, monkeypatch, *inspect, "--against", tmp_path / "large.mid")
    assert (code, "at most 1 MiB" in err) == (2, True)
    none = tmp_path / "none"
    for option, given, said in (
        ("--against", none, "cannot be read: No such file or directory; give a MIDI file"),
        ("--against", tmp_path, "cannot be read: Is a directory; give a MIDI file"),
        ("--against", tmp_path / "mine.abc", "no MIDI file: at byte 0: "),
        ("--picture", none / "x.svg", "cannot be written: No such file or directory; give a file"),
    ):
        code, text, err = run(capsys, monkeypatch, *inspect, option, given)
        assert (code, text, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"error: {option} {given}: {said}")


# Words on the command line ({out}: a fresh path, {built}: a corpus), and the one line on stderr.
MISTAKES = [
    ([], "error: Missing command."),
    (["bulid"], "error: No such command 'bulid'"),
    (["build", "cpu-tyo", "--out", "{out}"], "error: unknown corpus 'cpu-tyo': did you mean"),
    (["build", "cpu-toy"], "error: Missing option '--out'"),
    (["build", "cpu-toy", "--out", "{out}", "--seed", "x"], "error: Invalid value for '--seed'"),
    (["build", "cpu-toy", "--out", "{out}", "--workers", "0"], "error: Invalid value for '--worke"),
    (["build", "cpu-toy", "--out", "{out}", "--train-samples", "-1"], "error: train_samples -1"),
    (["build", "cpu-toy", "--out", "{out}", "--tunes", "x"], "error: --tunes goes with source"),
    (["build", "cpu-toy", "--out", "{out}", "--params", "none.yaml"], "error: none.yaml: no such"),
    (["build", "abc-midi", "--out", "{out}", "--tunes", "{out}"], "error: "),
    (
        ["build", "cpu-rv32", "--out", "{out}", "--profile", "lop"],
        "error: unknown profile 'lop': d",
    ),
    (
        ["build", "cpu-rv32", "--out", "{out}", "--layout", "ful"],
        "error: unknown layout 'ful': did",
    ),
    (
        ["build", "cpu-rv32", "--out", "{out}", "--weights", "laod=1"],
        "error: unknown instruction class 'laod'",
    ),
    (["build", "cpu-rv32", "--out", "{out}", "--weights", "load"], "error: weights: 'load' is not"),
    (["build", "cpu-rv32", "--out", "{out}", "--memory-bytes", "64"], "error: memory_bytes = 64"),
    (
        ["build", "cpu-rv32", "--out", "{out}", "--programs", "{out}"],
        "error: {out}: no such folder",
    ),
    (["build", "cpu-toy", "--out", "{out}", "--programs", "{out}"], "error: --programs goes with"),
    (
        ["build", "cpu-rv32", "--out", "{out}", "--programs", "{out}", "--max-instructions", "9"],
        "error: --max-instructions says how programs are drawn; with --programs they are your own",
    ),
    (
        ["build", "cpu-toy", "--out", "{out}", "--stream", "paper", "--memory-bytes", "64"],
        "error: --memory-bytes 64: --stream paper has always 1024; leave it out",
    ),
    (
        ["build", "cpu-toy", "--out", "{out}", "--profile", "loop"],
        "error: profile = 'loop': the to",
    ),
    (["build", "abc-midi", "--out", "{built}"], "error: "),
    (["verify", "{out}"], "error: {out}/manifest.json: no such folder; make it with: bgpt-data"),
    (["inspect", "{out}"], "error: {out}/manifest.json: no such folder"),
    (["inspect", "{built}", "nokey"], "error: {built}: unknown key 'nokey'"),
    (["inspect", "{built}", "--side", "tset"], "error: unknown side 'tset': did you mean 'test'"),
    (["inspect", "{built}", "-i", "1500"], "error: {built}: no train sample 1500; there are 1500"),
    (["inspect", "{built}", "-i", "-1"], "error: {built}: no train sample -1; there are 1500"),
    (
        ["inspect", "{built}", "--notes"],
        "error: {built}: --notes shows tunes, and this corpus is of",
    ),
    (
        ["inspect", "{built}", "--against", "{out}"],
        "error: {built}: --against shows tunes, and this",
    ),
    (
        ["inspect", "{built}", "--picture", "{out}.svg"],
        "error: {built}: --picture shows tunes, and",
    ),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    built: Path,
    words: list[str],
    message: str,
) -> None:
    if words[:2] == ["build", "abc-midi"] and "{built}" in words:  # a small catalogue is enough
        (tmp_path / "mine.abc").write_text(TUNES)
        words = [*words, "--tunes", str(tmp_path), "--train-samples", "1", "--test-samples", "0"]
        message = "error: "
    places = {"out": tmp_path / "none", "built": built}
    code, out, err = run(capsys, monkeypatch, *[word.format(**places) for word in words])
    assert (code, out) == (2, "")
    assert err.startswith(message.format(**places))
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_more_samples_than_tunes_names_the_maximum(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.abc").write_text(TUNES)
    words = ["build", "abc-midi", "--tunes", tmp_path, "--out", tmp_path / "out"]
    words += ["--workers", 1, "--test-samples", 0]
    code, _, err = run(capsys, monkeypatch, *words, "--train-samples", 30)
    assert code == 2
    assert "abc-midi: 30 train samples wanted, but there are only" in err
    assert not (tmp_path / "out").exists()


def test_every_command_shows_an_example(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("list", "build", "verify", "inspect", "trace"):
        code, out, _ = run(capsys, monkeypatch, name, "--help")
        assert code == 0
        assert f"Example: bgpt-data {name}" in out
